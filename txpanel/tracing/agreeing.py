"""Each run is compared with the model's declared operations, and what does not agree is closed.

When the model was opened, its operations agreed on one fixed text. Its code may behave differently for another text, such as a long one or one with
a certain token. So a block is compared with the run when it is run again; embedding and output are compared once, when the first number of them is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.anatomy import Anatomy
from txpanel.models.language_model import LanguageModel
from txpanel.models.tokens import Tokens
from txpanel.tracing import lens
from txpanel.tracing.adds_up import adds_up, closes, compare_end
from txpanel.tracing.compare import gap
from txpanel.tracing.graph.build import Graph, graph_of
from txpanel.tracing.names import split_name
from txpanel.tracing.recording import Recording
from txpanel.tracing.replay import BlockTrace
from txpanel.tracing.store import STORE


class Agreeing:
    """The part of a :class:`~txpanel.tracing.Trace` that compares its numbers with the model's declared operations."""

    recording: Recording
    anatomy: Anatomy
    graph: Graph
    tokens: Tokens
    model: LanguageModel | None
    uid: int
    _compared_ends: set[str]
    _out_alone: bool | None = None

    if TYPE_CHECKING:

        @property
        def answer(self) -> int: ...  # noqa: D102

        @property
        def stale(self) -> str | None: ...  # noqa: D102

    def _closed_some(self, layer: int, block: BlockTrace, ids: list[int]) -> bool:
        """Close what does not agree of a block in this run, here and in the model; returns whether something was closed."""
        assert self.model is not None
        model, recording = self.model, self.recording
        if not model.watch.state.foreign and adds_up(model, layer, recording.streams[layer], block):
            return False
        if not closes(model, layer, recording, ids, block.output):
            return False
        self._read_anew()
        return True

    def _read_anew(self) -> None:
        """Take over the model's changed anatomy, and drop the tensors that were computed with the old one."""
        assert self.model is not None
        self.anatomy, self.graph = self.model.anatomy, graph_of(self.model)
        STORE.forget(self.uid)

    def _end_of(self, name: str) -> str | None:
        """``embed`` or ``output`` for a tensor before or after the blocks, and for its norm; ``None`` for all others, and for those computed from logits."""
        layer, own = split_name(name)
        if layer is not None:
            return "embed" if (layer, own) == (0, "resid_pre") else None
        listed, own = list(self.graph.operations), name.removesuffix(".norm")
        if own not in self.graph.operations or own.startswith("encoder."):
            return None
        at = listed.index(own)
        if at < listed.index("blocks.0.resid_pre"):
            return "embed"
        return "output" if at <= listed.index("logits") else None

    def _compare_end(self, name: str) -> None:
        """Call this before a tensor is computed or explained: if it is of an end (embedding, output) that does not agree with this run, that end is closed.

        A model that has changed since is not compared: nothing is computed with it.
        """
        if self.model is None or self.recording.state is None or self._compared_ends >= {"embed", "output"}:
            return
        end = self._end_of(name)
        if end is None or end in self._compared_ends or self.stale:
            return
        before = self.model.anatomy
        compare_end(self.model, self.recording, self.tokens.ids.tolist(), end)
        self._compared_ends.add(end)
        if self.model.anatomy is not before or self.anatomy.opaque.keys() != before.opaque.keys():
            self._read_anew()

    def _check_output_alone(self) -> None:
        """Call this before vectors other than those of the run are unembedded.

        Raises:
            Unsupported: the output is not opened, and gives other logits for a single vector than within the run, so those of other vectors would be wrong.
        """
        self._compare_end("logits")
        if self.model is None or self.recording.state is None or "output" not in self.model.anatomy.opaque:
            return
        if self._out_alone is None:
            again = lens.unembed(self.model, self.recording.streams[-1][self.answer][None])[0]
            self._out_alone = gap(None, {}, again, self.recording.logits, self.model.dtype).ok
        if not self._out_alone:
            raise Unsupported(
                _(
                    "In this run the model computes its logits from more than one token's vector, or from the tokens, in a way that "
                    "txpanel does not know. So only the logits of its answer are known, as the run gave them."
                )
            )
