"""The work behind `ModelState`: runs in a worker's thread and returns results as values, changing nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch

from txpanel.errors import NoTokenLeft, TxpanelError
from txpanel.generation import End, draw, generate
from txpanel.messages import _
from txpanel.models.language_model import LanguageModel
from txpanel.models.progress import Progress
from txpanel.prompt import Prompt
from txpanel.sampling import Sample, Settings
from txpanel.sharing import shared_trace
from txpanel.tracing.trace import Trace

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """A run to show, complete: everything that changes on screen changes at once.

    Attributes:
        prompt: the text that was run. trace: the run. seed: of the next draw.
        sample: the next draw; None where the settings leave no token.
        problem: a sentence: why there is no draw.
        appended: how many tokens this request has appended so far; 0 for a plain run.
        progress: set while more is to come. notice: a sentence to show with it.
    """

    prompt: Prompt
    trace: Trace
    seed: int
    sample: Sample | None
    problem: str | None = None
    appended: int = 0
    progress: Progress | None = None
    notice: str | None = None


def run(model: LanguageModel, prompt: Prompt, settings: Settings) -> Result:
    """Run the model on the prompt as it stands.

    Raises:
        EmptyText, TooLong: in words.
    """
    trace = shared_trace(model, prompt.text if prompt.ids is None else prompt.ids)
    return Result(prompt, trace, settings.seed, *drawn(trace, settings))


def drawn(trace: Trace, settings: Settings, later: int = 0) -> tuple[Sample | None, str | None]:
    """The next token, or a sentence why there is none: a run is worth seeing even if the settings leave no token."""
    try:
        return draw(trace, settings, later), None
    except NoTokenLeft as error:
        return None, str(error)


def prepare(trace: Trace, layer: int) -> None:
    """Replay the block that is looked at while still in the worker: the session's own thread then only reads it."""
    if trace.model is not None:
        trace.tensor(f"blocks.{min(layer, trace.anatomy.n_layers - 1)}.pattern")


def append(model: LanguageModel, prompt: Prompt, settings: Settings, token: int) -> Result:
    """Run the model on the prompt and one more token; the draw moves on to the next seed.

    Raises:
        ValueError: no such token. TooLong: in words.
    """
    if not 0 <= token < model.anatomy.vocab:
        raise ValueError(_("{id} is not the id of a token of this model.").format(id=token))
    longer = prompt.appended(model, token)
    trace = shared_trace(model, longer.ids or ())
    return Result(longer, trace, settings.seed + 1, *drawn(trace, settings, 1), appended=1)


def extend(
    model: LanguageModel, prompt: Prompt, settings: Settings, wanted: int, cancel: threading.Event
) -> Iterator[Result]:
    """Up to ``wanted`` drawn tokens, a result for each.

    Raises:
        EmptyText, TooLong, NoTokenLeft: in words.
    """
    start = prompt.encoded(model)
    steps = generate(model, start, wanted, cancel=cancel, record=shared_trace, **asdict(settings))
    for step in steps:
        n = step.index + 1
        prompt = prompt.appended(model, step.token)
        told = None if step.ended else Progress("generate", message=_("Token {i} of {n}").format(i=n, n=wanted))
        after = drawn(step.trace, settings, n)
        yield Result(prompt, step.trace, settings.seed + n, *after, n, told, why_ended(step.ended))


def why_ended(end: End) -> str | None:
    """A sentence for the end of a generation; None where there is nothing to say."""
    if end == "end of text":
        return _("The model ended the text by itself.")
    return _("The model is full: it has no position left for another token.") if end == "full" else None


def sentence(error: Exception) -> str:
    """What to tell people about an error; one that nobody foresaw goes to the log with its details."""
    if isinstance(error, (TxpanelError, ValueError)) and str(error):
        return str(error)
    logger.error("unexpected error", exc_info=error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return _("There is not enough memory for this. Try a shorter text or a smaller model.")
    text = _("Something unexpected went wrong ({kind}: {text}). The details are in the log of the program.")
    return text.format(kind=type(error).__name__, text=error)
