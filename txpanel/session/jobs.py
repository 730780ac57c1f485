"""The work behind `ModelState`, as functions from values to a `Result`. They run in the worker's thread and change no state."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch

from txpanel.decoding import Sample, Settings
from txpanel.decoding.generation import check_room, draw, generate, why_ended
from txpanel.errors import NoTokenLeft, OverLimit, TooLong, TxpanelError
from txpanel.messages import _
from txpanel.models.allowance import allowance
from txpanel.models.anatomy import BlockAnatomy
from txpanel.models.language_model import LanguageModel
from txpanel.models.masked_tokens import refuse_continuation
from txpanel.models.progress import Progress
from txpanel.session.prompt import Prompt
from txpanel.session.shared import shared_trace
from txpanel.session.token_tree import TokenTree
from txpanel.session.tree_codec import TreeRecord
from txpanel.session.tree_nodes import make_node, remake
from txpanel.tracing.trace import Trace

logger = logging.getLogger(__name__)
LARGE = 256 * 1024**2
"""Bytes of a block's attention above which the maps of its heads are computed one by one, when a view needs them."""


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
    """Run the model on a tree's tokens up to its current node.

    Raises:
        EmptyText, TooLong, Unsupported: in words.
    """
    prompt = tree.prompt(tree.at)
    runs = reader(model, tree) if prompt.ids is not None else model
    trace = shared_trace(runs, prompt.source(model))
    return Result(tree, trace, settings, *drawn(trace, settings))


def answering(trace: Trace, token: int) -> Trace:
    """The run that predicts at `token`, for a model that fills gaps: at a gap only, if the text has any. Of other models the run as it is."""
    token = min(token, len(trace.tokens) - 1)
    if not trace.anatomy.fills or trace.model is None or (trace.gaps and token not in trace.gaps):
        return trace
    return trace.predicting(token)


def filled(trace: Trace, token: int) -> str:
    """The text of a run with a token put into the gap that it predicts; blanks stay as they are."""
    assert trace.model is not None
    pieces, place = list(trace.tokens.pieces), trace.answer
    before, piece = pieces[place], trace.model.tokens([token]).pieces[0]
    if piece.startswith(b" "):  # a word of its own
        piece = (b" " if before.startswith(b" ") else b"") + piece[1:]
    return b"".join([*pieces[:place], piece, *pieces[place + 1 :]]).decode("utf-8", "replace")


def reader(model: LanguageModel, tree: TokenTree) -> LanguageModel:
    """What runs on the tokens of a tree: the model; of an encoder-decoder its `Reading` of the tree's text, or of a sound.

    Raises:
        EmptyText, TooLong: in words.
    """
    if model.pair is None or model.encoder_inputs is not None:
        return model
    allowance().check_characters(tree.root.text)
    return model.having_read(tree.root.text)


def drawn(trace: Trace, settings: Settings, later: int = 0) -> tuple[Sample | None, str | None]:
    """The next token, or a sentence why the settings leave none (the run is shown all the same)."""
    try:
        return draw(trace, settings, later), None
    except NoTokenLeft as error:
        return None, str(error)


def prepare(trace: Trace, layer: int) -> None:
    """Replay the selected block in the worker's thread, so that the session's thread finds it in the cache."""
    if trace.model is not None:
        layer, n = min(layer, trace.anatomy.n_layers - 1), len(trace.tokens)
        block = trace.anatomy.blocks[layer]
        small = block.has_attention and 4 * block.n_heads * n * n <= LARGE
        trace.tensor(f"blocks.{layer}.{'pattern' if small else looked_into(block)}")


def looked_into(block: BlockAnatomy) -> str:
    """A tensor of a block for which the block is run again: not all blocks have attention, or are opened."""
    if "block" in block.opaque:
        return "resid_post"
    if block.has_mixer:
        return "mixer_in" if "mixer" in block.opaque else "q"
    return "mlp_in" if "mlp" in block.opaque else "mlp_out"


def append(model: LanguageModel, tree: TokenTree, settings: Settings, tokens: Sequence[int] | None) -> Result:
    """Run the model on more tokens: the drawn one, or given ones. The seed goes up by one with each.

    Raises:
        ValueError: no such token. TooLong, OverLimit, NoTokenLeft: in words.
    """
    refuse_continuation(model)
    _check_growth(tree, 1 if tokens is None else len(tokens))
    unknown = [token for token in tokens or () if not 0 <= token < model.anatomy.vocab]
    if unknown:
        raise ValueError(_("{id} is not the id of a token of this model.").format(id=unknown[0]))
    model = reader(model, tree)
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
        EmptyText, TooLong, OverLimit, NoTokenLeft: in words.
    """
    refuse_continuation(model)
    model = reader(model, tree)
    tree = started(model, tree)
    start = tree.prompt(tree.at).encoded(model)
    _check_growth(tree, 1)
    allowance().check_tokens(len(start) + 1)
    most, cut_short = _most_tokens(model, tree, len(start), wanted)
    steps = generate(model, start, most, cancel=cancel, record=shared_trace, **asdict(settings))
    result: Result | None = None
    try:
        for step in steps:
            n, used = step.index + 1, replace(settings, seed=settings.seed + step.index)
            logits = step.before.tensor("logits").numpy()
            limited = cut_short if step.ended == "enough" else None  # not as many as were asked for
            ended = "" if limited else step.ended
            new = make_node(model, logits, step.token, used, step.sample, parent=tree.at, drawn=True, ended=ended)
            tree, later = tree.add(new), replace(settings, seed=settings.seed + n)
            told = None if step.ended else Progress("generate", message=_counted(n, wanted))
            notice = why_ended(ended, step.string) if ended in ("end of text", "full") else limited
            result = Result(tree, step.trace, later, *drawn(step.trace, later), n, progress=told, notice=notice)
            yield result
            if pace and not step.ended:
                cancel.wait(pace)
    except OverLimit as error:
        if result is None:
            raise
        yield replace(result, progress=None, notice=str(error))  # what is made stays
        return
    if cut_short and result is not None and result.notice == cut_short:
        allowance().refused("new-tokens")


def _check_growth(tree: TokenTree, more: int) -> None:
    """Raises `OverLimit` if a tree may not have `more` tokens after its current node."""
    leaves = len(tree.leaves)
    another = not leaves or bool(tree.children(tree.at))
    allowance().check_tree(len(tree) + more, leaves + another)


def _most_tokens(model: LanguageModel, tree: TokenTree, start: int, wanted: int | None) -> tuple[int, str | None]:
    """How many tokens a request may append to `start` ones; and if these are fewer than wanted, a sentence that says why."""
    limits, room = allowance().limits, max(1, model.max_tokens - start)
    asked, why = room if wanted is None else wanted, None
    in_one_go = _(
        "Stopped after {n:,} tokens, the most that this server generates at a time. Press Generate to continue."
    )
    of_a_text = _("Stopped: the text now has {n:,} tokens, the most that this server accepts.")
    of_a_tree = _("Stopped: all branches together now have {n:,} tokens, the most that are kept.")
    for most, used, text in (
        (limits.max_tokens, start, of_a_text),
        (limits.max_tree_tokens, len(tree), of_a_tree),
        (limits.max_new_tokens, 0, in_one_go),
    ):
        if most and most - used < asked:
            asked, why = max(1, most - used), text.format(n=most)
    return asked, why


def _counted(n: int, wanted: int | None) -> str:
    if wanted is None:
        return _("Token {i}").format(i=n)
    return _("Token {i} of {n}").format(i=n, n=wanted)


def started(model: LanguageModel, tree: TokenTree) -> TokenTree:
    """The tree with the token ids of its prompt filled in."""
    if tree.start:
        return tree
    root = replace(tree.root, apart=model.pair is not None)
    return replace(tree, root=root, start=tuple(root.encoded(model)))


def restore(model: LanguageModel, record: TreeRecord, settings: Settings) -> Result:
    """A tree rebuilt from its record, at its current node; if it does not fit this model, only its text, with a sentence why.

    Raises:
        EmptyText, TooLong, Unsupported: in words.
    """
    try:
        allowance().check_tree(len(record.entries), record.branches)
        tree = remake(model, record, settings)
    except (TooLong, OverLimit, ValueError) as error:
        allowance().begin_again()
        bare = TokenTree(Prompt(record.text, chat=record.chat))
        return replace(run(model, bare, settings), visit=True, notice=str(error))
    here = settings if tree.following(tree.at) is None else tree.settings(tree.at)
    return replace(run(model, tree, here), visit=True, notice=record.note or None)


def sentence(error: BaseException) -> str:
    """What to tell people about an error; an unexpected one is logged with its traceback."""
    if isinstance(error, (TxpanelError, ValueError)) and str(error):
        return str(error)
    logger.error("unexpected error", exc_info=error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return _("There is not enough memory for this. Try a shorter text or a smaller model.")
    text = _("Something unexpected went wrong ({kind}: {text}). The program's log has the details.")
    return text.format(kind=type(error).__name__, text=error)
