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


def bar_words() -> dict[str, str]:
    """All texts of `TopBar`."""
    return {
        "prompt": _("Prompt"),
        "placeholder": _("Type a text and press Enter"),
        "hint": _("Enter runs the model, Shift and Enter begins a new line"),
        "run": _("Run ⏎"),
        "run_title": _("Run the model on this text (Enter)"),
        "choose_model": _("Choose the model"),
        "no_model": _("No model yet"),
        "other_model": _("Hub id, folder or .gguf file"),
        "load": _("Load"),
        "examples": _("Examples"),
        "surprise": _("surprise me"),
        "surprise_title": _(
            "Unlikely words get a chance (temperature 1.2, top-p 0.95, min-p 0.05); once more: back to the usual settings"
        ),
        "example": _("try"),
        "lead": _("See every number a real language model uses to pick the next word."),
        "start": _("Start here"),
        "start_title": _("What is on this page, in one look"),
        "look": _("Where you look"),
        "sampling": _("more ▾"),
        "sampling_title": _("More sampling settings"),
        "seed": _("seed"),
        "sampling_on": _("{n} switched on"),
        "seed_hint": _("the same seed draws the same token"),
        "amount": _("How many tokens to generate"),
        "amount_most": _("at most {n} in one go on this server"),
        "too_long": _(
            "This text has {n} characters, and this server takes at most {most}. Shorten it; it was not sent."
        ),
        "generate": _("Write"),
        "generate_title": _("Draw and append tokens, one after the other"),
        "stop": _("Stop"),
        "stopping": _("Stopping …"),
        "ghost": _("Next token, drawn with your settings ({p}): click to append"),
        "undo": _("Undo"),
        "redo": _("Redo"),
        "theme": _("Light or dark"),
        "cancel": _("Cancel"),
        "dismiss": _("Close this message"),
        "until_end": _("until the end"),
        "chat": _("as chat"),
        "gap_title": _("Put the model's mask token, {mask}, where the cursor stands: the model says which word fits"),
        "fill": _("fill"),
        "fill_title": _("Put the drawn token into the gap"),
        "chat_title": _("The text is what you say to the model, in its chat template"),
        "share": _("Share and save"),
        "copy": _("Copy the link"),
        "copied": _("The link is copied."),
        "copy_by_hand": _("Copy this link:"),
        "save_run": _("Save the run"),
        "open_run": _("Open a run"),
        "link_note": _(
            "It opens the same text, settings, tokens, branches and question. In it blocks, heads and tokens count from 0, on the page from 1."
        ),
        "link_long": _(
            "The run is too long for a link. This browser keeps it: a reload brings it back. To hand it on, save it and open "
            "the file."
        ),
        "link_lost": _("The run is too long for a link, and this browser keeps nothing: save it, and open the file."),
        "save_note": _("A small .safetensors file: the prompt, all tokens and branches, their settings."),
        "open_note": _("A file saved here, or a trace from trace.save."),
        "about": _("About this model"),
        "about_short": _("about"),
        "state_open": _("open"),
        "state_opaque": _("not opened"),
        "one_by_one": _("one by one ({n})"),
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
        "unscored": _("the first token: the model had read nothing before it, so it has no probability"),
        "generated": _("from here on: generated"),
        "first": _("To the prompt"),
        "last": _("To the last token"),
        "play": _("Play"),
        "pause": _("Pause"),
        "pace": _("Speed"),
        "paces": _("as fast as it goes|4 a second|2 a second|1 a second"),
        "colour": _("Colour"),
        "probability": _("the model's probability"),
        "surprisal": _("surprisal"),
        "bits": _("bits"),
        "rank": _("rank {n}"),
        "seed": _("seed {n}"),
        "chosen": _("chosen by hand"),
        "special": _("a mark, no text"),
        "model_p": _("the model gave it {p}"),
        "drawn_p": _("with the settings of then {p}"),
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
        "parts": _("parts at token {n}"),
        "logp": _("log p {value}"),
        "logp_title": _("Natural logarithm of the probability that the model gave to all its tokens together"),
        "per": _("{value} a token"),
        "here": _("shown now"),
        "switch": _("Show this branch"),
        "compare": _("Compare"),
        "compare_title": _("Put this branch beside the one that is shown"),
        "compared": _("Two branches"),
        "worths": _("under each token: what the model gave it"),
        "close": _("Close the comparison"),
        "other": _("the other branch"),
        "own": _("{tokens} of its own: log p {value}, {each} a token"),
        "whole": _("log p of all that was generated: {value}"),
        "parting": _("What could come where the two branches part"),
        "parting_after": _("they part after {tokens}, at"),
        "settings": _("Settings that differ"),
    }
