"""A run is held against what is said of the model, and what does not agree is closed in it.

The text of the comparison has shown that blocks and ends are declared as the model takes them. Its code may do something else for another text, for a
long one or one with a certain token in it. So a block is held against the run when it is run again, and the ways into the blocks and out of them, once,
when somebody asks for the first number of them.
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
    """The part of a :class:`~txpanel.tracing.Trace` that holds its numbers against what is said of the model."""

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

    def _agrees_no_more(self, layer: int, block: BlockTrace, ids: list[int]) -> bool:
        """Whether something of a block does not agree in this run as it did in the comparison: it is closed from now on, here and in the model."""
        assert self.model is not None
        model, recording = self.model, self.recording
        if not model.watch.state.foreign and adds_up(model, layer, recording.streams[layer], block):
            return False
        if not closes(model, layer, recording, ids, block.output):
            return False
        self._read_anew()
        return True

    def _read_anew(self) -> None:
        assert self.model is not None
        self.anatomy, self.graph = self.model.anatomy, graph_of(self.model)
        STORE.forget(self.uid)

    def _at_an_end(self, name: str) -> str | None:
        """``embed`` or ``output`` for a tensor that is declared there, and for its length; ``None`` for all others, what is made of logits among them."""
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
        """To be called before a tensor is computed or explained: if it stands at an end that does not agree with this run, that end is closed.

        A model that has changed since is not compared: nothing is computed with it.
        """
        if self.model is None or self.recording.state is None or self._compared_ends >= {"embed", "output"}:
            return
        end = self._at_an_end(name)
        if end is None or end in self._compared_ends or self.stale:
            return
        before = self.model.anatomy
        compare_end(self.model, self.recording, self.tokens.ids.tolist(), end)
        self._compared_ends.add(end)
        if self.model.anatomy is not before or self.anatomy.opaque.keys() != before.opaque.keys():
            self._read_anew()

    def _alone(self) -> None:
        """Before vectors other than those of the run go through the way out.

        Raises:
            Unsupported: it is not opened, and for a vector alone it gives other logits than within the run: so it would for these.
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
