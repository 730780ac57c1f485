"""The sentences of the “why this number” card: what sort of step made a number, which token and block it belongs to, and all that the browser writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from txpanel.messages import _, plural
from txpanel.models.tokens import visible
from txpanel.toolkit.format import count, number
from txpanel.toolkit.part_words import Module, ended, module_of
from txpanel.tracing.graph.derived import LENS, NEAR, OTHERS, SURPRISAL
from txpanel.tracing.names import split_name
from txpanel.tracing.operations.base import short as unplaced
from txpanel.tracing.operations.opaque import Opaque
from txpanel.tracing.operations.placed import Placed
from txpanel.tracing.operations.shares import edges

if TYPE_CHECKING:
    from txpanel.tracing import Explanation, Trace

__all__ = ["block", "closed_words", "logits_of", "sentence", "short", "whose", "words"]


def short(name: str) -> str:
    """A tensor's name as people say it: without its block, or layer and token; of a weight the last parts of its path."""
    return ".".join(name.split(".")[-3:]) if name.endswith((".weight", ".bias")) else unplaced(name)


def block(name: str) -> str:
    """The block that a tensor belongs to, counted from 1 as everywhere on the page (names count from 0); empty outside blocks."""
    layer = split_name(name)[0]
    return _("block {n}").format(n=layer + 1) if layer is not None else ""


def sentence(operation: str, operands: int = 2) -> str:
    """What sort of step made the number, in a sentence for a newcomer; empty for kinds of other packages."""
    if operation == "add" and operands == 1:
        return _("The same number: the block's input is the residual stream, unchanged.")
    return {
        "lookup": _("A row of a matrix that was learned in training, with one row for each token (or position)."),
        "linear": _("A weighted sum: each number of the input times its weight, added up."),
        "magnitude": _("A factor that DoRA learned for this output, divided by the norm of the output's weights."),
        "head output": _("The output of one head: its z times its part of W_O."),
        "sum over heads": _("The outputs of all heads, added up."),
        "add": _("The vectors are added, number by number."),
        "difference": _(
            "What a step that is run as a whole adds: the residual stream after it minus the residual stream before it."
        ),
        "opaque": _(
            "This part of the model is not opened: the number was computed by the model's own code and is not split "
            "into terms."
        ),
        "times": _("Multiplied by a fixed factor of this model."),
        "clip": _("Numbers beyond a limit are set to the limit; the others do not change."),
        "soft-cap": _("Large scores are squeezed smoothly below a limit; small ones hardly change."),
        "activation": _("The activation function: one number in, one number out, and not a linear function."),
        "gate": _("The gate goes through the activation function and is multiplied with the up projection."),
        "choice": _("The router gives every expert a score; the token goes to the experts with the highest scores."),
        "expert weight": _("The weight of the chosen expert's output."),
        "expert linear": _("A weighted sum with the weights of the expert that was chosen for this token."),
        "mix": _("The outputs of the chosen experts, each times its weight, added up."),
        "mean": _("The mean of the numbers in the token's vector."),
        "variance": _("The mean of the squared numbers in the token's vector; LayerNorm subtracts the mean first."),
        "scale": _("The factor of the normalisation: 1 divided by the root of the variance."),
        "norm": _("The vector times the factor of the normalisation, then times learned weights."),
        "rotary": _("Rotary embedding: a pair of numbers is rotated by an angle that depends on the position."),
        "join": _("Two vectors, one after the other."),
        "scores": _("How well the query matches the key: their dot product, scaled."),
        "bias": _("A bias that depends on how far back the key is."),
        "mask": _(
            "The mask says which keys the query can attend to: their scores do not change, all others become −∞."
        ),
        "mask dropped": _(
            "The embeddings of the tokens, scaled up to make up for the mask tokens; a mask token counts as zero."
        ),
        "max": _("The largest number of the row. It is subtracted first so that the exponentials do not overflow."),
        "sum of exponentials": _("The sum of all exponentials of the row; each of them is divided by it."),
        "softmax": _("Softmax: this exponential divided by the sum of all exponentials of the row."),
        "shifted": _("The logit minus the largest logit: 0 for the most likely token, below 0 for all others."),
        "exponential": _(
            "The exponential e^(logit − max): 1 for the most likely token, between 0 and 1 for all others."
        ),
        "others": _("The sum over all tokens that the list does not show."),
        "bin": _("The probabilities of all tokens whose logits fall into this bin, added up."),
        "length": _("The norm of the vector: the root of the sum of its squared numbers."),
        "cosine": _("The cosine of the angle between two vectors: 1 same direction, 0 orthogonal, −1 opposite."),
        "entropy": _(
            "The entropy of the probabilities: 0 bits if one token is certain, more if many tokens are likely."
        ),
        "surprisal": _("The surprisal of the token: 1 bit for a probability of 1/2, 2 bits for 1/4."),
        "weighted sum": _("The sum of all values, each times its attention weight."),
        "weight": _("A weight of the model. It was learned in training and does not depend on your text."),
        "token id": _("The id that the tokenizer gave to the token."),
        "position": _("The position of the token, as the model counts it: from 0."),
        "given": _("This depends only on the position, not on the token."),
    }.get(operation, "")


def whose(trace: Trace, name: str, index: Mapping[str, int] | None = None) -> str:
    """Layer and tokens that a tensor's name contains, in words (``lens.3.7.probs``); empty for tensors without such a name.

    For a bin of the histogram also its range, for a sum over other tokens which tokens are left out.
    """
    if came := SURPRISAL.fullmatch(name):
        token = int(came[1])
        return _("The token “{token}” after “{before}”.").format(
            token=visible(trace.tokens.strings[token]), before=visible(trace.tokens.strings[token - 1])
        )
    if (near := NEAR.fullmatch(name)) and trace.model is not None:
        one, other = map(visible, trace.model.tokens([int(near[1]), int(near[2])]).strings)
        return _("The rows of “{one}” and “{other}” in the embedding matrix.").format(one=one, other=other)
    if name == "probs":  # the clicked bar shows the probability with the settings, the card the model's own
        return _("The model's own probability, before your settings.")
    return f"{_after(trace, name)} {_which(trace, name, index or {})}".strip()


def _after(trace: Trace, name: str) -> str:
    """After (or in the place of) which token, and before which block, a number of the model's end stands."""
    found = LENS.fullmatch(name)
    if found is None:
        return ""
    layer, text = int(found[1]), visible(trace.tokens.strings[int(found[2])]) if found[2] else ""
    fills = trace.anatomy.fills
    if layer == trace.anatomy.n_layers:
        words = (
            _("The model's own prediction at the position of “{token}”.")
            if fills
            else _("The model's own prediction after “{token}”.")
        )
        return words.format(token=text)
    lens = (
        _("Logit lens: as if the model ended before block {n}, at the position of “{token}”.")
        if fills
        else _("Logit lens: as if the model ended before block {n}, after “{token}”.")
    )
    return (lens if text else _("Logit lens: as if the model ended before block {n}.")).format(n=layer + 1, token=text)


def _which(trace: Trace, name: str, index: Mapping[str, int]) -> str:
    """Which tokens a sum is over, or which of them it leaves out."""
    if name.endswith("probs.bins") and "bin" in index:
        at = edges(trace.tensor(logits_of(trace, name)).numpy())
        low, high = (number(float(at[index["bin"] + end])) for end in (0, 1))
        return _("Tokens with a logit from {low} to {high}.").format(low=low, high=high)
    left = OTHERS.fullmatch(name)
    if left is None:
        return ""
    best, besides = int(left[3]), [int(i) for i in left[4].split(".")[1:]]
    names = trace.model.tokens(besides).strings if trace.model is not None and besides else map(str, besides)
    quoted = [_("“{token}”").format(token=visible(token)) for token in names]
    likeliest = plural("the most likely token", "the {n} most likely tokens", best).format(n=count(best))
    return _("All tokens except {tokens}.").format(tokens=", ".join([*([likeliest] if best else []), *quoted]))


def closed_words(trace: Trace, found: Explanation) -> list[str]:
    """For a number that a closed part has computed: which module, why it is closed, and what it gives when it is called again."""
    anatomy, operation = trace.anatomy, trace.operation(found.name)
    if isinstance(operation, Placed):  # where an image or a sound stands
        return [
            _("Computed by {module} from its whole input.").format(module=found.opaque or _("the model’s own code")),
            _(
                "The part of the model that reads images or sounds is not opened here; the numbers that it gives are the "
                "model's own."
            ),
        ]
    assert isinstance(operation, Opaque)
    layer, part = operation.layer, operation.part
    module = module_of(anatomy, layer, part) if layer is not None else Module("")
    if module.path:
        said = [_("Computed by {module} from its whole input.").format(module=module.words)]
    else:
        said = [_("Computed by the model's own code from its input.")]
    closed = anatomy.opaque if layer is None else anatomy.blocks[layer].opaque
    reason = closed.get(part)
    if reason:
        said.append(_("Reason: {reason}").format(reason=ended(reason)))
    return said


def logits_of(trace: Trace, name: str) -> str:
    """The logits that a histogram's bins are those of."""
    operation = trace.operation(name)
    assert operation is not None
    return operation.inputs[1]


def words() -> dict[str, str]:
    """Every text that the component itself writes, translated."""
    return {
        "title": _("why this number"),
        "pinned": _("pinned"),
        "empty": _("Click any number on this page to see here how it was computed, step by step, down to the weights."),
        "back": _("Back to the number before"),
        "forward": _("Forward"),
        "copy": _("Copy"),
        "copy_long": _("Copy this value with all its digits"),
        "copied": _("Copied"),
        "pin": _("Pin"),
        "pin_long": _("Pin this card: it stays beside the next one"),
        "close": _("Close this card"),
        "unpin": _("Unpin"),
        "unpin_long": _("Unpin and remove this card"),
        "path": _("Numbers so far"),
        "why": _("Why this number:"),
        "formula": _("Formula"),
        "operand": _("term, largest first"),
        "value": _("value"),
        "running": _("running sum"),
        "play": _("Play"),
        "pause": _("Pause"),
        "replay": _("Play from the start"),
        "step": _("step"),
        "step_of": _("Step of the product"),
        "step_back": _("One step back"),
        "step_on": _("One step forward"),
        "to_end": _("To the end"),
        "from_zero": _("The sum starts at 0."),
        "from_bias": _("The sum starts at the bias:"),
        "feeds": _("What is computed from this?"),
        "made_from": _("computed from"),
    }
