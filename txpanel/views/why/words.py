"""The sentences of the “why this number” card: what sort of step made a number, which token and block it belongs to, and all that the browser writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from txpanel.messages import _, plural
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
        return _("The same number: the stream goes into the block as it comes.")
    return {
        "lookup": _("Read from a table that was learned in training: one row for each token (or position)."),
        "linear": _("A weighted sum: every number of a row times its weight, all added up."),
        "magnitude": _("A factor that DoRA learned for this output, divided by the length of the output's weights."),
        "head output": _("What one head adds: its values times its own part of the output weights."),
        "sum over heads": _("Each head has its part in it; the parts are added up."),
        "add": _("A plus: the vectors are added number by number. Nothing is forgotten on the way."),
        "difference": _(
            "What a step that is run as a whole has added: the stream after it, minus the stream before it."
        ),
        "opaque": _(
            "This part of the model is not opened: the number was made by the model's own code, and has no list of operands."
        ),
        "times": _("A fixed factor that belongs to this model."),
        "clip": _("Numbers beyond a limit are set to it, the others stay as they are."),
        "soft-cap": _("Large scores are bent towards a limit, small ones stay as they are."),
        "activation": _(
            "One number in, one number out, along a fixed curve. This is where the model stops being a plain sum."
        ),
        "gate": _("One projection goes through the activation curve and decides how much of the other one passes."),
        "choice": _("The router gives every expert a score; the highest ones get the token."),
        "expert weight": _("How much the chosen expert's answer counts."),
        "expert linear": _("A weighted sum with the weights of the expert that was chosen for this token."),
        "mix": _("The answers of the chosen experts, each times its weight."),
        "mean": _("The average of the token's vector."),
        "variance": _("How far the numbers of the token's vector spread."),
        "scale": _("What the vector is multiplied by so that it has a common size."),
        "norm": _("The same vector brought to a common size, then stretched by learned weights."),
        "rotary": _("Two numbers are a hand on a dial; the token's position turns it."),
        "join": _("Two parts laid side by side."),
        "scores": _("How well a query fits a key: multiplied number by number, added up, scaled."),
        "bias": _("The further back a key stands, the more is taken off."),
        "mask": _("The mask says at which tokens one may look: these scores stay as they are, all others are shut."),
        "mask dropped": _(
            "The rows of the text's tokens, made larger by as much as the masks leave out; a mask's own row counts as zero."
        ),
        "max": _("The largest of the row. It is taken off first so that the exponentials stay small enough."),
        "sum of exponentials": _("All exponentials of the row added up: what each of them is divided by."),
        "softmax": _("A share: this exponential divided by the sum of all in its row."),
        "shifted": _("The largest logit taken off: 0 for the likeliest token, below 0 for all others."),
        "exponential": _("e to that: 1 for the likeliest token, between 0 and 1 for all others."),
        "others": _("What a list of tokens leaves out, added up."),
        "bin": _("The tokens whose logits fall into this bin, added up: how much probability they hold together."),
        "length": _("How long the vector is: all its numbers squared, added up, and the root taken."),
        "cosine": _("In which direction: 1 is the same way, −1 the opposite, 0 has nothing to do with it."),
        "entropy": _("How undecided the model is: 0 when it is certain, the more bits the more tokens are as likely."),
        "surprisal": _("How surprised the model was: 1 bit for a probability of a half, 2 for a quarter."),
        "weighted sum": _("The values of all tokens that are looked at, each times its share of the attention."),
        "weight": _(
            "This is a weight of the model. It was learned in training and does not depend on your text: here the question ends."
        ),
        "token id": _("This is the number that the tokenizer gave to the token: here the question ends."),
        "position": _("This is the token's place in the text, counted from 0: here the question ends."),
        "given": _("This follows from the token's place alone, not from what stands there: here the question ends."),
    }.get(operation, "")


def whose(trace: Trace, name: str, index: Mapping[str, int] | None = None) -> str:
    """What the name of a tensor says that there is one of for each layer and token, or pair of tokens; empty for all others.

    Of a bin also its range, of a sum over other tokens which those are not.
    """
    if came := SURPRISAL.fullmatch(name):
        token = int(came[1])
        return _("How “{token}” came after “{before}”.").format(
            token=trace.tokens.strings[token], before=trace.tokens.strings[token - 1]
        )
    if (near := NEAR.fullmatch(name)) and trace.model is not None:
        one, other = trace.model.tokens([int(near[1]), int(near[2])]).strings
        return _("The rows of “{one}” and “{other}” in the token table.").format(one=one, other=other)
    return f"{_after(trace, name)} {_which(trace, name, index or {})}".strip()


def _after(trace: Trace, name: str) -> str:
    """After (or in the place of) which token, and before which block, a number of the model's end stands."""
    found = LENS.fullmatch(name)
    if found is None:
        return ""
    layer, text = int(found[1]), trace.tokens.strings[int(found[2])] if found[2] else ""
    fills = trace.anatomy.fills
    if layer == trace.anatomy.n_layers:
        words = (
            _("The model’s own answer in the place of “{token}”.")
            if fills
            else _("The model’s own answer after “{token}”.")
        )
        return words.format(token=text)
    lens = (
        _("Logit lens: as if the model stopped before block {n}, in the place of “{token}”.")
        if fills
        else _("Logit lens: as if the model stopped before block {n}, after “{token}”.")
    )
    return (lens if text else _("Logit lens: as if the model stopped before block {n}.")).format(
        n=layer + 1, token=text
    )


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
    quoted = [_("“{token}”").format(token=token) for token in names]
    likeliest = plural("the likeliest token", "the {n} likeliest tokens", best).format(n=count(best))
    return _("All but {tokens}.").format(tokens=", ".join([*([likeliest] if best else []), *quoted]))


def closed_words(trace: Trace, found: Explanation) -> list[str]:
    """Of a number that a part that is not opened has made: which module, why it is closed, and what it gives when it is called again."""
    anatomy, operation = trace.anatomy, trace.operation(found.name)
    if isinstance(operation, Placed):  # where an image or a sound stands
        return [
            _("Made by {module} from the whole of its input.").format(module=found.opaque or _("the model’s own code")),
            _(
                "What reads an image or a sound is a part of the model that is not opened here; what it gives to the text is real."
            ),
        ]
    assert isinstance(operation, Opaque)
    layer, part = operation.layer, operation.part
    module = module_of(anatomy, layer, part) if layer is not None else Module("")
    if module.path:
        said = [_("Made by {module} from the whole of its input.").format(module=module.words)]
    else:
        said = [_("Made by the model's own code from its input.")]
    closed = anatomy.opaque if layer is None else anatomy.blocks[layer].opaque
    reason = closed.get(part)
    if reason:
        said.append(_("Why it is not opened: {reason}").format(reason=ended(reason)))
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
        "empty": _(
            "Click any number of any picture: here you see how it was computed, from which numbers, down to the weights."
        ),
        "back": _("Back to the question before"),
        "forward": _("Forward again"),
        "copy": _("Copy"),
        "copy_long": _("Copy this value with all its digits"),
        "copied": _("Copied"),
        "pin": _("Pin"),
        "pin_long": _("Pin this card, so that it stays beside the next one"),
        "close": _("Close this card"),
        "unpin": _("Unpin"),
        "unpin_long": _("Unpin: take this card away"),
        "path": _("Questions so far"),
        "why": _("Why"),
        "formula": _("Formula"),
        "operand": _("operand, largest first"),
        "value": _("value"),
        "running": _("running sum"),
        "play": _("Play"),
        "pause": _("Pause"),
        "replay": _("Play from the start"),
        "step": _("step"),
        "step_of": _("Step of the product"),
        "step_back": _("One step back"),
        "step_on": _("One step on"),
        "to_end": _("To the end"),
        "from_zero": _("The sum starts at 0."),
        "from_bias": _("The sum starts at the bias:"),
        "feeds": _("What does this feed?"),
        "made_from": _("made from"),
    }
