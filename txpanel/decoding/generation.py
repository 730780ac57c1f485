"""Generation token by token, each step recorded: the draw that chose the token and the run of the model with it.

This is the loop of ``transformers``' ``generate`` written out, so that it can be watched, stopped between two tokens,
and explained: sample from the last position's logits, append, run the model on the one new token (the keys and values
of the others are still there), again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from txpanel.decoding import Sample, Settings
from txpanel.decoding import sample as sample_logits
from txpanel.decoding.settings import with_settings
from txpanel.errors import BadText, TooLong
from txpanel.messages import _
from txpanel.models.chat import turn_ends
from txpanel.models.language_model import LanguageModel, opened
from txpanel.models.masked_tokens import refuse_continuation
from txpanel.tracing.record import continuing
from txpanel.tracing.record import record as record_ids
from txpanel.tracing.trace import Trace

Recorder = Callable[[LanguageModel, str | list[int]], Trace]
End = Literal["", "end of text", "full", "enough", "stopped"]


@dataclass(frozen=True)
class Step:
    """One generated token.

    Attributes:
        index: 0 for the first.
        before: the run whose last logits the token was drawn from, T tokens.
        sample: every stage from those logits to the token, and the draw.
        trace: the run with the token appended, T + 1 tokens.
        ended: why this is the last step: the model said ``"end of text"``, it is ``"full"`` (no position is left), or
            the wanted number is there (``"enough"``); empty while it goes on. Trees also know ``"stopped"``: the generation
            was cancelled. `why_ended` has the sentences.
    """

    index: int
    before: Trace
    sample: Sample
    trace: Trace
    ended: End = ""

    @property
    def token(self) -> int:
        """Id of the new token."""
        return self.sample.token

    @property
    def string(self) -> str:
        """What to show for the new token."""
        return str(self.trace.tokens.strings[-1])


@with_settings
def generate(
    model: LanguageModel,
    text: str | Sequence[int] | None = None,
    max_new_tokens: int = 20,
    *,
    inputs: Any = None,
    cancel: threading.Event | None = None,
    record: Recorder = record_ids,
    **settings: float,
) -> Iterator[Step]:
    """Continue a text, one recorded step at a time.

    The first step is drawn with ``seed``, the next with ``seed + 1`` and so on: the same call gives the same text.

    Args:
        model: continues the text.
        text: a text or token ids. inputs: instead, what the model's processor makes of a text with an image or a sound, as for `LanguageModel.trace`.
        max_new_tokens: at most this many steps; fewer at an end-of-text token or when the model is full.
        cancel: when set, no further step is begun.
        record: runs the model on ids; sessions give one that shares runs.
        settings: the fields of `Settings` by name, such as ``temperature=0.7, top_p=0.9``; `seed` is that of the first draw.

    Returns:
        An iterator of the recorded steps; each runs when it is asked for.

    Raises:
        ValueError: a setting is out of its range (at once, not at the first step).
        EmptyText, TooLong, NoTokenLeft: in words.
        Unsupported: after such inputs txpanel can't go on as the model's own ``generate`` does.
    """
    chosen = Settings(**settings)
    if not isinstance(max_new_tokens, int) or max_new_tokens < 1:
        raise ValueError(
            _("The number of new tokens is {value}, but it must be 1 or more.").format(value=max_new_tokens)
        )
    opened(model)
    if (text is None) == (inputs is None):
        raise BadText(_("generate needs either a text or inputs."))
    if inputs is not None:
        model, text = model.begin_with(inputs)
    refuse_continuation(model)
    model, ids = model.begin(cast(Any, text))
    check_room(model, ids)
    return _steps(model, ids, max_new_tokens, chosen, cancel or threading.Event(), record)


def check_room(model: LanguageModel, ids: Sized) -> None:
    """Refuses a text after which the model has no position for another token.

    Raises:
        TooLong: in words.
    """
    if len(ids) >= model.max_tokens:
        words = _(
            "The text has {n} tokens, and the model's context is {room} tokens: no further token fits. Shorten it."
        )
        raise TooLong(words.format(n=len(ids), room=model.max_tokens))


def _steps(
    model: LanguageModel, ids: list[int], wanted: int, settings: Settings, cancel: threading.Event, record: Recorder
) -> Iterator[Step]:
    before = record(model, ids)  # one prefill; all that follows are runs of one token
    stops = end_tokens(model)
    for index in range(wanted):
        if cancel.is_set():
            return
        sample = draw(before, settings, index)
        ids = [*ids, sample.token]
        with continuing():
            trace = record(model, ids)
        ended = _ended(sample.token in stops, len(ids) >= model.max_tokens, index + 1 == wanted)
        yield Step(index, before, sample, trace, ended)
        if ended:
            return
        before = trace


def draw(trace: Trace, settings: Settings, later: int = 0) -> Sample:
    """The next token of a run, with the seed moved on by ``later``."""
    ids = trace.tokens.ids if settings.looks_back else None
    return sample_logits(trace.tensor("logits"), replace(settings, seed=settings.seed + later), ids, final=True)


def end_tokens(model: LanguageModel) -> frozenset[int]:
    """Ids with which this model says that the text is over: its generation config's, as for ``generate`` of transformers, and its chat template's.

    A tokenizer's end token counts only for a model without a generation config: one whose config names none goes on.
    """
    config = getattr(model.model, "generation_config", None)
    stated = getattr(config, "eos_token_id", None)
    stated = stated if isinstance(stated, (list, tuple)) else [stated]
    own = getattr(model.tokenizer, "eos_token_id", None) if config is None else None
    return frozenset(int(token) for token in [*stated, own] if token is not None) | turn_ends(model)


def why_ended(end: End, token: str = "") -> str | None:
    """A sentence for the end of a generation; None while it goes on.

    Args:
        end: why. token: the last token as it is shown, for the model's own end.
    """
    sentences = {
        "end of text": _("The model ended the text with its end-of-text token {token}.").format(token=token),
        "full": _("The model's context is full: no further token fits."),
        "enough": _("Stopped after the number of tokens that you set."),
        "stopped": _("You stopped it."),
    }
    return sentences.get(end)


def ended_briefly(end: End) -> str:
    """The same in a few words, for a line that has no room for a sentence."""
    words = {
        "end of text": _("end of text"),
        "full": _("context full"),
        "enough": _("token limit reached"),
        "stopped": _("stopped by you"),
    }
    return words.get(end, "")


def _ended(stopped: bool, full: bool, enough: bool) -> End:
    return "end of text" if stopped else "full" if full else "enough" if enough else ""
