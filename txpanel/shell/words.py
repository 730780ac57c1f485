"""The texts of the bar on top, and the examples that are offered."""

from __future__ import annotations

from txpanel.messages import _

__all__ = ["DEFAULT_TEXT", "bar_words", "default_text", "examples"]

DEFAULT_TEXT = "Data visualization empowers users to"

EXAMPLES = (
    DEFAULT_TEXT,
    "The capital of France is",
    "When Mary and John went to the store, John gave a drink to",
    "One, two, three, four,",
    "The keys to the cabinet",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "La tour Eiffel se trouve à",
)
NANO_EXAMPLES = ("CBABBC=", "EDCBA=", "AEBDC=", "BADCAB=")


def examples(model_name: str) -> list[str]:
    """Texts that this model has something to say about."""
    return list(NANO_EXAMPLES if model_name == "nano" else EXAMPLES)


def default_text(model_name: str) -> str:
    """What stands in the prompt before anybody has typed."""
    return examples(model_name)[0]


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
        "sampling": _("more ▾"),
        "sampling_title": _("More sampling settings"),
        "temperature": _("temperature"),
        "seed": _("seed"),
        "top_k_hint": _("keep the k likeliest tokens; 0: all"),
        "min_p_hint": _("keep tokens this share as likely as the likeliest; 0: all"),
        "seed_hint": _("the same seed draws the same token"),
        "amount": _("How many tokens to generate"),
        "generate": _("Generate"),
        "generate_title": _("Draw and append tokens, one after the other"),
        "stop": _("Stop"),
        "append_title": _("Append the drawn token"),
        "ghost": _("Next token, drawn with {p}: click to append"),
        "undo": _("Undo"),
        "redo": _("Redo"),
        "theme": _("Light or dark"),
        "cancel": _("Cancel"),
        "dismiss": _("Close this message"),
        "block": _("Block"),
        "head": _("Head"),
        "token": _("Token"),
    }
