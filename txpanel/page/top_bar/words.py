"""The texts of the bar on top, and the examples that are offered."""

from __future__ import annotations

from txpanel.messages import _, plural
from txpanel.models.number_tokens import EXAMPLE
from txpanel.toolkit.format import count

__all__ = [
    "DEFAULT_TEXT",
    "bar_words",
    "default_text",
    "examples",
    "gap_examples",
    "numbers_hint",
    "timeline_words",
    "tokens_counted",
]

DEFAULT_TEXT = "Data visualization empowers users to"

GAPS = (
    "The capital of France is _.",
    "She poured the _ into a cup.",
    "The keys to the cabinet _ on the table.",
    "Paris is the _ of _.",
)
PROTEINS = ("MKTAYIAKQRQISFVKSHFSRQ_EERLGLIEVQ", "MKT_YIAKQRQISFVKSHFSRQLEERLGLI_VQ")
NANO_EXAMPLES = ("CBABBC=", "EDCBA=", "AEBDC=", "BADCAB=")


def examples(model_name: str) -> list[tuple[str, str]]:
    """Texts that this model has something to say about, each with what it is an example of."""
    if model_name == "nano":
        return [(text, text) for text in NANO_EXAMPLES]
    return [
        (_("a sentence"), DEFAULT_TEXT),
        (_("a fact"), "The capital of France is"),
        (_("a copied name"), "When Mary and John went to the store, John gave a drink to"),
        (_("a list"), "One, two, three, four,"),
        (_("grammar"), "The keys to the cabinet"),
        (_("code"), "def fibonacci(n):\n    if n < 2:\n        return n\n    return"),
        ("français", "La tour Eiffel se trouve à"),
        ("日本語", "日本の首都は"),
    ]


def gap_examples(family: str, mask: str) -> list[str]:
    """Texts with a gap; of a model of proteins, chains of amino acids."""
    texts = PROTEINS if family.startswith("esm") else GAPS
    return [text.replace("_", mask) for text in texts]


def default_text(model_name: str) -> str:
    """What stands in the prompt before anybody has typed."""
    return examples(model_name)[0][1]


def numbers_hint() -> str:
    """What to type for a model without tokenizer."""
    return _("This model has no tokenizer: type token ids as numbers, such as “{example}”.").format(example=EXAMPLE)


def hearing_hint(name: str) -> str:
    """What is said of a model whose encoder reads no text. `name`: what it reads, as transformers calls it."""
    words = _("This model does not read text: its encoder reads {name}. A run of it comes from Python.")
    return words.format(name=name)


def bar_words() -> dict[str, str]:
    """All texts of `TopBar`."""
    return {
        "prompt": _("Prompt"),
        "placeholder": _("Type a text and press Enter"),
        "hint": _("Enter runs the model, Shift+Enter starts a new line"),
        "run": _("Run ⏎"),
        "run_title": _("Run the model on this text (Enter)"),
        "choose_model": _("Choose the model"),
        "no_model": _("No model yet"),
        "other_model": _("Hub id, folder or .gguf file"),
        "load": _("Load"),
        "examples": _("Examples"),
        "surprise": _("surprise me"),
        "surprise_title": _(
            "Gives unlikely tokens a chance (temperature 1.2, top-p 0.95, min-p 0.05). Click again for the usual "
            "settings."
        ),
        "example": _("try"),
        "lead": _("See every number a real language model uses to pick the next word."),
        "start": _("Start here"),
        "start_title": _("A short explanation of this page"),
        "look": _("Block, head and token"),
        "sampling": _("more ▾"),
        "sampling_title": _("More sampling settings"),
        "seed": _("seed"),
        "sampling_on": _("{n} active"),
        "seed_hint": _("the same seed draws the same token"),
        "amount": _("How many tokens to generate"),
        "amount_most": _("at most {n} at a time on this server"),
        "too_long": _("This text has {n} characters; this server accepts at most {most}. It was not sent. Shorten it."),
        "generate": _("Generate"),
        "generate_title": _("Draw and append tokens, one after the other"),
        "stop": _("Stop"),
        "stopping": _("Stopping …"),
        "ghost": _("Next token, drawn with your settings ({p}): click to append"),
        "undo": _("Undo"),
        "redo": _("Redo"),
        "theme": _("Light or dark"),
        "needs": _("needs the model"),
        "asleep": _(
            "The notebook's kernel does not answer. What needs the model is grey. To go on, run the cell again."
        ),
        "cancel": _("Cancel"),
        "dismiss": _("Close this message"),
        "until_end": _("until the end"),
        "chat": _("as chat"),
        "gap_title": _("Insert the mask token {mask} at the cursor: the model predicts the token that belongs there"),
        "fill": _("fill"),
        "fill_title": _("Replace the mask with the drawn token"),
        "chat_title": _("Send the text as your message, in the model's chat template"),
        "share": _("Share and save"),
        "copy": _("Copy the link"),
        "copied": _("The link is copied."),
        "copy_by_hand": _("Copy this link:"),
        "save_run": _("Save the run"),
        "open_run": _("Open a run"),
        "link_note": _(
            "The link opens the same text, settings, tokens, branches and numbers. In the link, blocks, heads and "
            "tokens count from 0; on the page, from 1."
        ),
        "link_long": _(
            "The run is too long for a link. This browser keeps it, so a reload restores it. To share it, save it "
            "and send the file."
        ),
        "link_lost": _("The run is too long for a link, and this browser cannot keep it. Save it to a file instead."),
        "save_note": _("A small .safetensors file with the prompt, all tokens and branches, and their settings."),
        "open_note": _("A file saved here, or one written by trace.save."),
        "about": _("About this model"),
        "about_short": _("about"),
        "state_open": _("opened"),
        "state_opaque": _("not opened"),
        "one_by_one": _("list all ({n})"),
        "block": _("Block"),
        "head": _("Head"),
        "token": _("Token"),
    }


def tokens_counted(n: int) -> str:
    """So many tokens, in words: ``1 token``."""
    return plural("{n} token", "{n} tokens", n).format(n=count(n))


def timeline_words() -> dict[str, str]:
    """All texts of `Timeline`."""
    return {
        "timeline": _("What was generated, step by step"),
        "track": _("Step of the generation"),
        "step": _("{i} of {n}"),
        "start": _("the prompt"),
        "unscored": _("first token: nothing comes before it, so it has no probability"),
        "generated": _("generated from here"),
        "first": _("To the prompt"),
        "last": _("To the last token"),
        "play": _("Play"),
        "pause": _("Pause"),
        "pace": _("Speed"),
        "paces": _("as fast as possible|4 per second|2 per second|1 per second"),
        "colour": _("Colour"),
        "probability": _("the model's probability"),
        "surprisal": _("surprisal"),
        "bits": _("bits"),
        "rank": _("rank {n}"),
        "seed": _("seed {n}"),
        "chosen": _("chosen by hand"),
        "special": _("special token"),
        "model_p": _("the model gave it {p}"),
        "drawn_p": _("with the settings at that time {p}"),
        "earlier": _("… {n} before"),
        "later": _("{n} more …"),
        "details": _("details"),
        "many_branches": _("{n} branches"),
        "next": _("What can come next here, with your settings:"),
        "came": _("came next"),
        "draws": _("drawn"),
        "take": _("Take “{token}” ({p})"),
        "branch": _("Take “{token}” ({p}): another branch"),
        "rest": _("{n} others"),
        "cut": _("cut off"),
        "replay": _("Replay the draw"),
        "branches": _("Branches"),
        "shared": _("shared: {tokens} after the prompt"),
        "parts": _("splits at token {n}"),
        "logp": _("log p {value}"),
        "logp_title": _("Natural logarithm of the probability that the model gives to all its tokens together"),
        "per": _("{value} per token"),
        "here": _("shown now"),
        "switch": _("Show this branch"),
        "compare": _("Compare"),
        "compare_title": _("Show this branch beside the current one"),
        "compared": _("Two branches"),
        "worths": _("under each token: its probability from the model"),
        "close": _("Close the comparison"),
        "other": _("the other branch"),
        "own": _("{tokens} of its own: log p {value}, {each} per token"),
        "whole": _("log p of all generated tokens: {value}"),
        "parting": _("Possible next tokens where the two branches split"),
        "parting_after": _("they split after {tokens}, at"),
        "settings": _("Settings that differ"),
    }
