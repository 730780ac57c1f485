"""What a lesson's values are computed from: the run on screen, the settings, and the selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from txpanel.decoding.ranges import RANGES
from txpanel.decoding.softmax import softmax

if TYPE_CHECKING:
    from txpanel.decoding.sampling import Sample
    from txpanel.models.anatomy import Anatomy, BlockAnatomy
    from txpanel.session.state import ModelState
    from txpanel.tracing.trace import Trace

__all__ = ["Situation", "situation_of"]

Array = npt.NDArray[np.float32]


@dataclass
class Situation:
    """A snapshot of a session. It does not change; what is computed from it is kept with it.

    Attributes:
        trace: the run. sample: the draw of its next token, None where there is none. settings: of sampling.
        layer, head, query, key, neuron: the selection, each from 0. generated: tokens that were generated up to here.
        opened: the view that is unfolded. asked: short name of the tensor that the card explains, with its cell in `cell`.
        played: how often ▶ Play was used since the lesson was opened.
        on_page: whether the lesson stands over the page itself, and not on paper or in a notebook.
    """

    trace: Trace
    sample: Sample | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    layer: int = 0
    head: int = 0
    query: int = 0
    key: int = 0
    neuron: int = 0
    generated: int = 0
    opened: str = ""
    asked: str = ""
    cell: Mapping[str, int] = field(default_factory=dict)
    played: int = 0
    on_page: bool = False

    @property
    def anatomy(self) -> Anatomy:
        """The model's shape."""
        return self.trace.anatomy

    @property
    def block(self) -> BlockAnatomy:
        """The selected block."""
        return self.anatomy.blocks[self.layer]

    @cached_property
    def ids(self) -> npt.NDArray[np.int64]:
        """Token ids [T]."""
        return np.asarray(self.trace.tokens.ids)

    def tensor(self, name: str) -> Array:
        """A tensor of the run as an array; ``{l}`` stands for the selected block.

        Raises:
            NoSuchTensor: this model has none.
        """
        return np.asarray(self.trace.tensor(name.replace("{l}", str(self.layer))).numpy(), np.float32)

    @cached_property
    def pattern(self) -> Array:
        """The chosen head's attention pattern [query, key]."""
        return self.trace.head_map(self.layer, self.head)

    @cached_property
    def scores(self) -> Array:
        """The chosen head's scores before the mask [query, key]."""
        return self.trace.head_map(self.layer, self.head, "scores")

    @cached_property
    def allowed(self) -> npt.NDArray[np.bool_]:
        """[query, key]: where the chosen head's query can attend to the key, as the recorded mask has it."""
        if f"blocks.{self.layer}.masked" in self.trace:
            return np.asarray(self.trace.head_map(self.layer, self.head, "masked")) > -1e30
        every = np.ones((len(self.ids), len(self.ids)), bool)
        return np.tril(every) if self.block.causal else every

    @cached_property
    def logits(self) -> npt.NDArray[np.float64]:
        """The model's own logits [V]."""
        return np.asarray(self.trace.logits.values, np.float64)

    @cached_property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """The model's own probabilities [V]."""
        return softmax(self.logits)

    @cached_property
    def ranked(self) -> npt.NDArray[np.int64]:
        """Tokens by their logit, the most likely first; of equals the first id."""
        return np.argsort(-self.logits, kind="stable")

    @cached_property
    def repeat(self) -> tuple[int, int] | None:
        """The last token that has an earlier copy, and the token behind the newest such copy (another one than itself)."""
        for query in range(len(self.ids) - 1, 1, -1):
            earlier = np.flatnonzero(self.ids[: query - 1] == self.ids[query])
            if earlier.size:
                return query, int(earlier[-1]) + 1
        return None

    def spelling(self, token: int) -> str:
        """How a token of the vocabulary is written."""
        model = self.trace.model
        found = model.tokens([int(token)]).strings[0] if model is not None else ""
        return found or f"#{token}"


def situation_of(state: ModelState, **more: Any) -> Situation | None:
    """The present situation of a session; None while there is no run.

    Args:
        more: opened, played, on_page: what the state does not know.
    """
    trace = state.trace
    if trace is None:
        return None
    question = state.question
    return Situation(
        trace=trace,
        sample=state.sampled,
        settings={name: float(getattr(state, name)) for name in RANGES},
        layer=state.layer,
        head=state.head,
        query=state.query,
        key=state.key,
        neuron=state.neuron,
        generated=state.tree.at,
        asked=question.name.rpartition(".")[2] if question is not None else "",
        cell=dict(question.index) if question is not None else {},
        **more,
    )
