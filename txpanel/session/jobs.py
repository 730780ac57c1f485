"""The work behind `ModelState`, as functions from values to a `Result`. They run in the worker's thread and change no state."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch

from txpanel.decoding import Sample, Settings
from txpanel.decoding.generation import check_room, draw, generate, why_ended
from txpanel.errors import NoTokenLeft, TooLong, TxpanelError
from txpanel.messages import _
from txpanel.models.language_model import LanguageModel
from txpanel.models.progress import Progress
from txpanel.session.prompt import Prompt
from txpanel.session.shared import shared_trace
from txpanel.session.token_tree import TokenTree
from txpanel.session.tree_codec import TreeRecord
from txpanel.session.tree_nodes import make_node, remake
from txpanel.tracing.trace import Trace

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """A run with everything that changes on screen because of it, so that it changes at once.

    Attributes:
        tree: where we are now, and what led there. trace: the run at that place. settings: of the next draw.
        sample: the next draw; None where the settings leave no token.
        problem: a sentence: why there is no draw.
        appended: how many tokens this request has appended so far; 0 for a plain run.
        visit: whether we go to another place of the tree, whose settings are then to be shown.
        progress: set while more is to come. notice: a sentence to show with it.
    """

    tree: TokenTree
    trace: Trace
    settings: Settings
    sample: Sample | None
    problem: str | None = None
    appended: int = 0
    visit: bool = False
    progress: Progress | None = None
    notice: str | None = None


def run(model: LanguageModel, tree: TokenTree, settings: Settings) -> Result:
    """Run the model on a tree's tokens up to where it is looked at.

    Raises:
        EmptyText, TooLong, Unsupported: in words.
    """
    trace = shared_trace(model, tree.prompt(tree.at).source(model))
    return Result(tree, trace, settings, *drawn(trace, settings))


def drawn(trace: Trace, settings: Settings, later: int = 0) -> tuple[Sample | None, str | None]:
    """The next token, or a sentence why the settings leave none (the run is shown all the same)."""
    try:
        return draw(trace, settings, later), None
    except NoTokenLeft as error:
        return None, str(error)


def prepare(trace: Trace, layer: int) -> None:
    """Replay the selected block in the worker's thread, so that the session's thread finds it in the cache."""
    if trace.model is not None:
        trace.tensor(f"blocks.{min(layer, trace.anatomy.n_layers - 1)}.pattern")


def append(model: LanguageModel, tree: TokenTree, settings: Settings, tokens: Sequence[int] | None) -> Result:
    """Run the model on more tokens: the drawn one, or given ones. The seed goes up by one with each.

    Raises:
        ValueError: no such token. TooLong, NoTokenLeft: in words.
    """
    unknown = [token for token in tokens or () if not 0 <= token < model.anatomy.vocab]
    if unknown:
        raise ValueError(_("{id} is not the id of a token of this model.").format(id=unknown[0]))
    tree = started(model, tree)
    for token in [None] if tokens is None else tokens:
        tree, trace = _next(model, tree, settings, token)
        settings = replace(settings, seed=settings.seed + 1)
    return Result(tree, trace, settings, *drawn(trace, settings), appended=1)


def _next(model: LanguageModel, tree: TokenTree, settings: Settings, token: int | None) -> tuple[TokenTree, Trace]:
    before = shared_trace(model, tree.prompt(tree.at).source(model))
    check_room(model, before.tokens.ids.tolist())
    sample, problem = drawn(before, settings)
    if token is None and sample is None:
        raise NoTokenLeft(problem or "")
    next_one = sample.token if token is None and sample is not None else int(token or 0)
    by_chance = sample is not None and next_one == sample.token
    trace = shared_trace(model, [*before.tokens.ids.tolist(), next_one])
    logits = before.tensor("logits").numpy()
    return tree.add(make_node(model, logits, next_one, settings, sample, parent=tree.at, drawn=by_chance)), trace


def extend(
    model: LanguageModel,
    tree: TokenTree,
    settings: Settings,
    wanted: int | None,
    cancel: threading.Event,
    pace: float = 0.0,
) -> Iterator[Result]:
    """Up to ``wanted`` drawn tokens (None: until the model ends the text), a result for each, ``pace`` seconds apart.

    Raises:
        EmptyText, TooLong, NoTokenLeft: in words.
    """
    tree = started(model, tree)
    start = tree.prompt(tree.at).encoded(model)
    most = wanted or max(1, model.max_tokens - len(start))
    steps = generate(model, start, most, cancel=cancel, record=shared_trace, **asdict(settings))
    for step in steps:
        n, used = step.index + 1, replace(settings, seed=settings.seed + step.index)
        logits = step.before.tensor("logits").numpy()
        new = make_node(
            model, logits, step.token, used, step.sample, parent=tree.at, drawn=True, ended=step.ended
        )  # fmt: skip
        tree, later = tree.add(new), replace(settings, seed=settings.seed + n)
        told = None if step.ended else Progress("generate", message=_counted(n, wanted))
        notice = why_ended(step.ended, step.string) if step.ended in ("end of text", "full") else None
        yield Result(tree, step.trace, later, *drawn(step.trace, later), n, progress=told, notice=notice)
        if pace and not step.ended:
            cancel.wait(pace)


def _counted(n: int, wanted: int | None) -> str:
    if wanted is None:
        return _("Token {i}").format(i=n)
    return _("Token {i} of {n}").format(i=n, n=wanted)


def started(model: LanguageModel, tree: TokenTree) -> TokenTree:
    """The tree with the token ids of its prompt filled in."""
    return tree if tree.start else replace(tree, start=tuple(tree.root.encoded(model)))


def restore(model: LanguageModel, record: TreeRecord, settings: Settings) -> Result:
    """A tree rebuilt from its record, at the place where it was looked at; if it does not fit this model, its text and a sentence.

    Raises:
        EmptyText, TooLong, Unsupported: in words.
    """
    try:
        tree = remake(model, record, settings)
    except (TooLong, ValueError) as error:
        bare = TokenTree(Prompt(record.text, chat=record.chat))
        return replace(run(model, bare, settings), visit=True, notice=str(error))
    here = settings if tree.following(tree.at) is None else tree.settings(tree.at)
    return replace(run(model, tree, here), visit=True, notice=record.note or None)


def sentence(error: Exception) -> str:
    """What to tell people about an error; an unexpected one is logged with its traceback."""
    if isinstance(error, (TxpanelError, ValueError)) and str(error):
        return str(error)
    logger.error("unexpected error", exc_info=error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return _("There is not enough memory for this. Try a shorter text or a smaller model.")
    text = _("Something unexpected went wrong ({kind}: {text}). The details are in the log of the program.")
    return text.format(kind=type(error).__name__, text=error)
