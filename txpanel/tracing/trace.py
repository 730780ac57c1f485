"""A recorded run: the input of every block, and from it, on demand, every number of the run."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from txpanel.errors import NoSuchTensor
from txpanel.messages import _
from txpanel.models.anatomy import Anatomy
from txpanel.models.language_model import LanguageModel
from txpanel.models.memory import storages
from txpanel.models.tokens import Tokens
from txpanel.models.torch_modes import computing, ordinary
from txpanel.tracing import answer as answers
from txpanel.tracing import lens, opaque_runs, pieces, slices
from txpanel.tracing.agreeing import Agreeing
from txpanel.tracing.answering import Answering
from txpanel.tracing.explain import Explanation, explain
from txpanel.tracing.graph.build import Graph, graph_of
from txpanel.tracing.long_replay import replay_in_pieces
from txpanel.tracing.module_calls import ModuleCall
from txpanel.tracing.names import GIVEN, split_name
from txpanel.tracing.operations.base import Operation
from txpanel.tracing.operations.opaque import Opaque
from txpanel.tracing.passes import collect_calls
from txpanel.tracing.recording import BlockCheck, Recording, describe_run
from txpanel.tracing.replay import BlockTrace, as_recorded, replay
from txpanel.tracing.standing import Standing
from txpanel.tracing.store import STORE
from txpanel.tracing.two_texts import TwoTexts

_counter = itertools.count(1)


class Trace(Agreeing, Answering, Standing, TwoTexts):
    """One run of a model on one text; made by :func:`txpanel.tracing.record` or :func:`txpanel.open_trace`. Its numbers never change.

    ``trace["blocks.5.pattern"]`` is an :class:`xarray.DataArray` with named dimensions; :meth:`tensor` the bare torch tensor;
    :meth:`why` explains one cell. Names: :meth:`names`; all of them are listed in docs/reference.md.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        anatomy: Anatomy,
        tokens: Tokens,
        text: str,
        model: LanguageModel | None,
        provenance: dict[str, str] | None = None,
    ) -> None:
        self.recording, self.anatomy, self.tokens, self.text, self.model = recording, anatomy, tokens, text, model
        self.provenance = provenance if provenance is not None else describe_run(model, recording)
        self.graph = graph_of(model) if model is not None else Graph(anatomy, None, tokens.places)
        self.uid = next(_counter)
        self._lock = threading.Lock()
        self._checks: dict[int, BlockCheck] = {}
        self._compared_ends = set[str]()
        self._opaque: dict[tuple[int, str], ModuleCall] = {}  # how parts that are not opened were called
        self.on_growth: Callable[[Trace], object] | None = None  # called when the recording has grown
        weakref.finalize(self, STORE.forget, self.uid)

    def __repr__(self) -> str:
        return f"<Trace of {len(self.tokens)} tokens through {self.provenance.get('model', self.anatomy.family)}, {self.nbytes / 1e6:.1f} MB>"

    # -- values
    def __getitem__(self, name: str) -> xr.DataArray:
        """The tensor ``name`` with named dimensions and token coordinates (int positions from 0; the token's text beside them). Raises as `tensor`."""
        dims = self.dims(name)
        return self._labelled(self.value(name), dims, name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.graph.dims or self.operation(name) is not None)

    @property
    def logits(self) -> xr.DataArray:
        """Logits at :attr:`answer`, DataArray(vocab), float32: for the next token, or for a gap. The model's own, soft-cap and scale included."""
        return self["logits"]

    def names(self, layer: int | None = None) -> list[str]:
        """Names of all tensors made by operations, in order of computation; with ``layer`` those of one block."""
        return self.graph.names(layer)

    def dims(self, name: str) -> tuple[str, ...]:
        """Names of a tensor's dimensions.

        Raises:
            NoSuchTensor: in words.
        """
        operation = self.operation(name)
        if operation is not None or name in self.graph.dims:
            return operation.dims if operation is not None else self.graph.dims[name]
        weight = self._weight(name)
        if weight is None:
            raise NoSuchTensor(opaque_runs.unknown(self, name))
        return ("expert", "row", "column")[3 - weight.dim() :] if weight.dim() > 1 else ("row",)

    def tensor(self, name: str) -> Tensor:
        """The tensor ``name``: float32 (ids and indices int64, masks bool), on the CPU, no batch axis. Not to be written to.

        Raises:
            NoSuchTensor: this model has no such tensor. Unsupported: weights are needed and the trace has no model. Stale: the model has changed.
        """
        kept = self.kept(name)
        if kept is not None:
            return kept
        with computing():
            self._compare_end(name)
            layer, _ = split_name(name)
            replayed = None
            if layer is not None and self.model is not None and 0 <= layer < self.anatomy.n_layers:
                replayed = self._replayed(layer, name)
            return ordinary(self._derived(name) if replayed is None else replayed)

    def kept(self, name: str) -> Tensor | None:
        """The tensor ``name`` if it is there without computing anything; else ``None``."""
        given = self._given(name)
        found = given if given is not None else STORE.get(self.uid, name)
        return None if found is None else ordinary(found)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; a large map of attention is not computed for it.

        Raises:
            NoSuchTensor, Unsupported: as `tensor`.
        """
        with computing():
            return slices.shape(self, name)

    def rows(self, name: str, at: slice, head: int | None = None) -> Tensor:
        """Some rows of a tensor of heads (dimensions head, query or token, ...): [H, n, ...], or with ``head`` [n, ...] of one.

        Where attention's maps of a long text are large, other rows are not computed.

        Raises:
            NoSuchTensor, Unsupported: as `tensor`.
        """
        with computing():
            if self.kept(name) is not None or not slices.large(self, name):
                whole = self.tensor(name)
                return whole[:, at] if head is None else whole[head, at]
            if self._needs_model(self.operation(name)):
                self._refuse_stale()
            heads, total = slices.sizes(self, name)
            ends = at.indices(total)[:2]
            found = [slices.one_head(self, name, one, ends) for one in (range(heads) if head is None else (head,))]
            return ordinary(torch.stack(found) if head is None else found[0])

    def value(self, name: str) -> Tensor:
        """Like :meth:`tensor`, for weights as well (float32, on the model's device; `Stale` if the model has changed since the run)."""
        weight = self._weight(name) if name not in self.graph.dims else None
        if weight is not None:
            self._refuse_stale()
        return ordinary(weight.float()) if weight is not None else self.tensor(name)

    def is_weight(self, name: str) -> bool:
        """Whether ``name`` is a parameter of the model, not a tensor of the run."""
        return name not in self.graph.dims and self._weight(name) is not None

    def head_map(self, layer: int, head: int, stage: str = "pattern") -> npt.NDArray[np.float32]:
        """One head's map [query, key] at a stage (``scores``, ``scores_capped``, ``scores_biased``, ``masked``, ``pattern``); other heads are not computed.

        Raises:
            NoSuchTensor: no such layer, head or stage.
        """
        opaque_runs.check_attention(self.anatomy, layer)
        if not 0 <= layer < self.anatomy.n_layers or not 0 <= head < self.anatomy.blocks[layer].n_heads:
            words = _("There is no head {head} in blocks.{layer}: this model has {n} blocks.")
            raise NoSuchTensor(words.format(layer=layer, head=head, n=self.anatomy.n_layers))
        pre = f"blocks.{layer}."
        if pre + stage not in self.graph.operations or self.graph.dims[pre + stage] != ("head", "query", "key"):
            raise NoSuchTensor(_("'{stage}' is not a stage of this model's attention.").format(stage=stage))
        full = self.kept(pre + stage)
        if full is not None:
            return np.asarray(full[head].numpy(), np.float32)
        with computing():
            return np.asarray(slices.one_head(self, pre + stage, head).numpy(), np.float32)

    def has_replayed(self, layer: int) -> bool:
        """Whether a block was run again and its tensors are still kept, so that nothing has to be computed to show it."""
        kept = self.anatomy.blocks[layer].replayed
        return kept is None or STORE.get(self.uid, f"blocks.{layer}.{kept}") is not None

    def takes_long(self, operations: float) -> bool:
        """Whether running a block again takes more floating point operations than these."""
        return self.model is not None and pieces.work(self.model, 0, len(self.tokens)) > operations

    # -- explanations ---------------------------------------------------------------------------------------------

    def operation(self, name: str) -> Operation | None:
        """The operation that makes ``name``; ``None`` for leaves (token ids, masks, angles, weights)."""
        found = self.graph.find(name, len(self.tokens), self.answer)
        return None if found is None else self._bound(found)

    def operations(self, layer: int | None = None) -> list[Operation]:
        """Operations in order of computation; with ``layer`` those of one block."""
        return [self._bound(self.graph.operations[name]) for name in self.names(layer)]

    def _bound(self, operation: Operation) -> Operation:
        return opaque_runs.bound(self, answers.at_answer(operation, self.answer))

    def feeds(self, name: str, **index: int) -> list[str]:
        """Names of the tensors computed from ``name``; with a cell's ``token`` only those that use this token's numbers."""
        return self.graph.fed(name, index, len(self.tokens), self.answer)

    def why(self, name: str, **index: int) -> Explanation:
        """Explain one cell, by its index along each of :meth:`dims` (from 0): ``trace.why("blocks.5.scores", head=2, query=4, key=1)``.

        Raises:
            NoSuchTensor: no such tensor or cell. Unsupported: weights are needed and the trace has no model.
        """
        with computing():
            self._compare_end(name)
            found = explain(self, name, index)
        stale = self.stale if self._needs_model(self.operation(name)) else None
        return found if stale is None else replace(found, note=stale)

    # -- logits ---------------------------------------------------------------------------------------------------

    def logits_at(self, position: int) -> xr.DataArray:
        """Logits after the token at ``position`` (from 0; negative from the end), DataArray(vocab), float32. Raises as `lens`."""
        return self.lens(self.anatomy.n_layers, position)

    def lens(self, layer: int, position: int = -1) -> xr.DataArray:
        """Logit lens, DataArray(vocab), float32: the stream before block ``layer`` through the model's own final norm, unembedding, scale and soft-cap.

        Args:
            layer: 0 .. n_layers; n_layers is the end, the model's own logits. position: token, negative from the end.

        Raises:
            NoSuchTensor: no such layer or token. Unsupported: the trace has no model.
        """
        name = self.lens_name(layer, position)
        return self._labelled(self.tensor(name), ("vocab",), name)

    def lens_name(self, layer: int, position: int = -1, own: str = "logits") -> str:
        """The lens's tensor by its full name, such as ``lens.3.5.logits``; at the very end of the run the model's own, ``logits``.

        Args:
            own: ``logits``, ``probs``, ``probs.max``, ``probs.sum``, ``probs.entropy``, or a step
                before ``logits`` that the model has (``logits_raw``, ``logits_scaled``, ``logits_capped``).

        Raises:
            NoSuchTensor: no such layer or token.
        """
        return lens.name_of(self.anatomy.n_layers, len(self.tokens), layer, position, own, self.answer)

    def unembed(self, stream: Tensor) -> Tensor:
        """Streams [n, D] -> logits [n, vocab], float32, through the model's own modules.

        Raises:
            Unsupported: the trace has no model. Stale: the model has changed since the run.
        """
        self._refuse_stale()
        self._check_output_alone()
        return ordinary(lens.unembed(self.model, stream))

    # -- bytes, saving --------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes that the recording holds, shared storages counted once; without replayed tensors (:attr:`replayed_nbytes`)."""
        return sum(self.storages().values())

    def storages(self) -> dict[Hashable, int]:
        """Bytes of each storage that the recording holds: the runs of a growing text share theirs."""
        return storages(self.recording.tensors())

    @property
    def replayed_nbytes(self) -> int:
        """Bytes of replayed and derived tensors kept for this trace at the moment."""
        return STORE.held(self.uid)

    def save(self, path: str | Path) -> Path:
        """Write the trace to one safetensors file that opens and shows without the model; see `txpanel.tracing.saving`. Returns the path.

        Raises:
            BadFile: in words, if the file cannot be written.
        """
        from txpanel.tracing.saving import save  # late: saving imports this module

        return save(self, Path(path))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _given(self, name: str) -> Tensor | None:
        """A tensor that the recording itself holds; ``None`` for all others."""
        if name in self.recording.stored:
            return self.recording.stored[name]
        if name == "logits":
            return self.recording.logits
        if name == "tokens":
            return torch.from_numpy(np.asarray(self.tokens.ids))
        if name == "positions":
            return answers.positions(self.anatomy, torch.from_numpy(np.asarray(self.tokens.ids)))
        if name == "token_types":
            return answers.token_types(self.model, torch.from_numpy(np.asarray(self.tokens.ids)))
        if name.startswith(GIVEN) and self.model is not None and self.model.inputs is not None:
            found = self.model.inputs.named.get(name.removeprefix(GIVEN))
            return as_recorded({name: found})[name] if isinstance(found, Tensor) else None
        layer, own = split_name(name)
        if layer is not None and own in ("resid_pre", "resid_post") and 0 <= layer < self.anatomy.n_layers:
            return self.recording.streams[layer + (own == "resid_post")].float().cpu()
        return None

    def _derived(self, name: str) -> Tensor:
        """Compute a tensor by its operation. Whatever may wait for the model comes before this trace's own lock, which a session's thread may want as well."""
        operation = self.operation(name)
        if operation is None:
            raise NoSuchTensor(opaque_runs.unknown(self, name))
        if self._needs_model(operation) or name.rpartition(".")[2] in ("ln_final", "logits"):
            self._refuse_stale()
        if name.startswith("lens."):
            self._check_output_alone()
        found = lens.by_modules(self.model, self.recording.streams, name)
        if found is not None:
            return STORE.put(self.uid, name, found)
        if slices.large(self, name):
            return STORE.put(self.uid, name, slices.in_slices(self, name))
        inputs = {source: self.tensor(source) for source in operation.inputs}
        if isinstance(operation, Opaque):
            return STORE.put(self.uid, name, operation.recompute(inputs))
        with self._lock:  # of several threads that want the same, one computes it
            kept = STORE.get(self.uid, name)
            return kept if kept is not None else STORE.put(self.uid, name, operation.recompute(inputs))

    def _replayed(self, layer: int, name: str) -> Tensor | None:
        """A tensor from the replay of its block. The block runs again if its tensors, or this leaf, were dropped from the cache."""
        own, leaf = split_name(name)[1], name in self.graph.dims and name not in self.graph.operations  # a leaf: a mask
        kept = STORE.get(self.uid, name)
        if kept is not None or not (leaf or not self.has_replayed(layer)):
            return kept
        assert self.model is not None
        ids = [int(i) for i in self.tokens.ids]
        ends = pieces.ends(self.model, ids, measured=True)
        if len(ends) > 1:  # each piece has a turn of its own
            return self._replay(layer, ids, ends).tensors.get(own)
        with self.model.lock:
            kept = STORE.get(self.uid, name)  # another thread may have computed it meanwhile
            if kept is not None or not (leaf or not self.has_replayed(layer)):
                return kept
            return self._replay(layer, ids, ends).tensors.get(own)

    def called(self, layer: int, part: str) -> ModuleCall:
        """How the module of a part that is not opened was called in this run."""
        if (layer, part) not in self._opaque:
            self._replay(layer, self.tokens.ids.tolist(), [len(self.tokens)])
        return self._opaque[layer, part]

    def _replay(self, layer: int, ids: list[int], ends: list[int]) -> BlockTrace:
        assert self.model is not None
        recording = self.recording
        self._refuse_stale()
        if len(ends) > 1 and not self.anatomy.blocks[layer].opaque:
            block = replay_in_pieces(self.model, layer, recording.streams[layer], ids, ends, recording.tuple_output)
        else:
            with self.model.lock:
                if not recording.calls:
                    recording.calls.extend(collect_calls(self.model, ids, recording.tuple_output))
                    if self.on_growth is not None:
                        self.on_growth(self)
                block = replay(self.model, layer, recording.streams[layer], recording.calls[layer])
        if self._closed_some(layer, block, ids):
            return self._replay(layer, ids, ends)
        output = opaque_runs.handed(self.model, layer, block.output, ids, recording.streams[layer])
        self._checks[layer] = self._compared(layer, output)
        self._opaque.update({(layer, part): call for part, call in block.opaque.items()})
        for own, tensor in block.tensors.items():
            STORE.put(self.uid, f"blocks.{layer}.{own}", tensor)
        return block

    def _weight(self, name: str) -> Tensor | None:
        return None if self.model is None else self.model.weight(name)

    def _labelled(self, tensor: Tensor, dims: tuple[str, ...], name: str) -> xr.DataArray:
        coords: dict[str, Any] = {dim: np.arange(size) for dim, size in zip(dims, tensor.shape, strict=True)}
        coords |= self._texts(name, coords)
        return xr.DataArray(
            tensor.numpy(),
            dims=dims,
            coords=coords,
            name=name,
            attrs={"tensor": name, "model": self.provenance.get("model", "")},
        )
