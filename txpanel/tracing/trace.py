"""A recorded run: the input of every block, and from it, on demand, every number of the run."""

from __future__ import annotations

import itertools
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from txpanel.errors import NoSuchTensor
from txpanel.models.anatomy import Anatomy
from txpanel.models.language_model import LanguageModel
from txpanel.models.tokens import Tokens
from txpanel.tracing import lens
from txpanel.tracing.explain import Explanation, explain
from txpanel.tracing.graph.build import Graph
from txpanel.tracing.names import split_name
from txpanel.tracing.operations.base import Operation, no_weights
from txpanel.tracing.recording import BlockCheck, Recording, describe_run
from txpanel.tracing.replay import BlockTrace, collect_calls, replay
from txpanel.tracing.store import STORE

_counter = itertools.count(1)


class Trace:
    """One run of a model on one text. Immutable; made by :func:`txpanel.tracing.record` or :func:`txpanel.open_trace`.

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
        self.graph = graph_of(model) if model is not None else Graph(anatomy, None)
        self.uid = next(_counter)
        self._lock = threading.RLock()
        weakref.finalize(self, STORE.forget, self.uid)

    def __repr__(self) -> str:
        return f"<Trace of {len(self.tokens)} tokens through {self.provenance.get('model', self.anatomy.family)}, {self.nbytes / 1e6:.1f} MB>"

    # -- values ---------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> xr.DataArray:
        """The tensor ``name`` with named dimensions and token coordinates (int positions; the token's text beside them)."""
        dims = self.dims(name)
        return self._labelled(self.value(name), dims, name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.graph.dims or self.operation(name) is not None)

    @property
    def logits(self) -> xr.DataArray:
        """Logits for the next token, DataArray(vocab), float32: the model's own, soft-cap and scale included."""
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
            raise NoSuchTensor(self._unknown(name))
        return ("expert", "row", "column")[3 - weight.dim() :] if weight.dim() > 1 else ("row",)

    def tensor(self, name: str) -> Tensor:
        """The tensor ``name``: float32 (ids and indices int64, masks bool), on the CPU, no batch axis. Not to be written to.

        Raises:
            NoSuchTensor: this model has no such tensor. Unsupported: weights are needed and the trace has no model.
        """
        kept = self._given(name)
        if kept is None:
            kept = STORE.get(self.uid, name)
        if kept is not None:
            return kept
        with self._lock, torch.inference_mode():
            layer, _ = split_name(name)
            if layer is not None and self.model is not None and 0 <= layer < self.anatomy.n_layers:
                replayed = self._replayed(layer, name)
                if replayed is not None:
                    return replayed
            return STORE.put(self.uid, name, self._derive(name))

    def value(self, name: str) -> Tensor:
        """Like :meth:`tensor`, for weights as well."""
        weight = self._weight(name) if name not in self.graph.dims else None
        return weight.float() if weight is not None else self.tensor(name)

    def is_weight(self, name: str) -> bool:
        """Whether ``name`` is a parameter of the model, not a tensor of the run."""
        return name not in self.graph.dims and self._weight(name) is not None

    def head_map(self, layer: int, head: int, stage: str = "pattern") -> npt.NDArray[np.float32]:
        """One head's map [query, key] at a stage (``scores``, ``scores_capped``, ``scores_biased``, ``masked``, ``pattern``); other heads are not computed.

        Raises:
            NoSuchTensor: no such layer, head or stage.
        """
        if not 0 <= layer < self.anatomy.n_layers or not 0 <= head < self.anatomy.blocks[layer].n_heads:
            raise NoSuchTensor(
                f"There is no head {head} in block {layer}: this model has {self.anatomy.n_layers} blocks."
            )
        pre = f"blocks.{layer}."
        if pre + stage not in self.graph.operations or self.graph.dims[pre + stage] != ("head", "query", "key"):
            raise NoSuchTensor(f"'{stage}' is not a stage of this model's attention.")
        full = STORE.get(self.uid, pre + stage)
        if full is not None:
            return np.asarray(full[head].numpy(), np.float32)
        return np.asarray(self._one_head(layer, head, stage).numpy(), np.float32)

    def _one_head(self, layer: int, head: int, stage: str) -> Tensor:
        pre = f"blocks.{layer}."
        q, k = self.tensor(pre + "q"), self.tensor(pre + "k")
        block = self.anatomy.blocks[layer]
        with torch.inference_mode():
            known = {pre + "q": q[head : head + 1], pre + "k": k[head // block.group][None]}
            for leaf in ("mask", "alibi", "sinks"):
                if pre + leaf in self.graph.dims:
                    whole = self.tensor(pre + leaf)
                    known[pre + leaf] = whole if leaf == "mask" or whole.shape[0] == 1 else whole[head : head + 1]
            for own in ("scores", "scores_capped", "scores_biased", "masked", "pattern.max", "pattern.sum", "pattern"):
                operation = self.graph.operations.get(pre + own)
                if operation is not None:
                    known[pre + own] = operation.recompute(known)
                if own == stage:
                    break
        return known[pre + stage][0]

    # -- explanations ---------------------------------------------------------------------------------------------

    def operation(self, name: str) -> Operation | None:
        """The operation that makes ``name``; ``None`` for leaves (token ids, masks, angles, weights)."""
        return self.graph.find(name, len(self.tokens))

    def operations(self, layer: int | None = None) -> list[Operation]:
        """Operations in order of computation; with ``layer`` those of one block."""
        return [self.graph.operations[name] for name in self.names(layer)]

    def feeds(self, name: str, **index: int) -> list[str]:
        """Names of the tensors computed from ``name``; with a cell's ``token`` those that this token's numbers go into."""
        return self.graph.fed(name, index, len(self.tokens))

    def why(self, name: str, **index: int) -> Explanation:
        """Explain one cell: ``trace.why("blocks.5.scores", head=2, query=4, key=1)``.

        Raises:
            NoSuchTensor: no such tensor or cell. Unsupported: weights are needed and the trace has no model.
        """
        with torch.inference_mode():
            return explain(self, name, index)

    def check(self, layer: int) -> BlockCheck:
        """Compare block ``layer``'s replayed output with the recorded stream after it.

        Raises:
            Unsupported: the trace was opened without its model.
        """
        if self.model is None:
            raise no_weights(f"blocks.{layer}.resid_post")
        output = self._replay(layer).output
        recorded = self.recording.streams[layer + 1]
        difference = float((output.float() - recorded.float()).abs().max())
        note = ""
        if self.recording.reused:
            note = (
                f"The first {self.recording.reused} rows were computed in an earlier pass; passes of different length "
                "add in another order, so the last digits may differ."
            )
        return BlockCheck(bool(torch.equal(output, recorded)), difference, note)

    # -- logits ---------------------------------------------------------------------------------------------------

    def logits_at(self, position: int) -> xr.DataArray:
        """Logits after the token at ``position``, DataArray(vocab), float32."""
        return self.lens(self.anatomy.n_layers, position)

    def lens(self, layer: int, position: int = -1) -> xr.DataArray:
        """Logit lens: the stream before block ``layer`` through the model's own final norm, unembedding, scale and soft-cap.

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
        return lens.name_of(self.anatomy.n_layers, len(self.tokens), layer, position, own)

    def unembed(self, stream: Tensor) -> Tensor:
        """Streams [n, D] -> logits [n, vocab], float32, through the model's own modules.

        Raises:
            Unsupported: the trace has no model.
        """
        return lens.unembed(self.model, stream)

    def surprisal(self) -> npt.NDArray[np.float64]:
        """-log2 of the probability that the model gave each token before reading it, float64 [T] in bits; nan for the first.

        Raises:
            Unsupported: the trace has no model and the file did not keep these numbers.
        """
        bits = STORE.get(self.uid, "surprisal")
        if bits is None:
            bits = self.recording.stored.get("surprisal")
        if bits is None:
            bits = STORE.put(
                self.uid, "surprisal", lens.surprisal(self.unembed, self.recording.streams[-1], self.tokens.ids)
            )
        return np.asarray(bits.numpy(), np.float64)

    # -- bytes, saving --------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes that the recording holds, shared storages counted once; without replayed tensors (:attr:`replayed_nbytes`)."""
        return sum(self.storages().values())

    def storages(self) -> dict[int, int]:
        """Bytes of each storage that the recording holds, by address: the runs of a growing text share theirs."""
        held: dict[int, int] = {}
        for tensor in _tensors(
            [self.recording.streams, self.recording.calls, self.recording.logits, self.recording.stored]
        ):
            storage = tensor.untyped_storage()
            held[storage.data_ptr()] = storage.nbytes()
        return held

    @property
    def replayed_nbytes(self) -> int:
        """Bytes of replayed and derived tensors kept for this trace at the moment."""
        return STORE.held(self.uid)

    def save(self, path: str | Path) -> Path:
        """Write the trace to one safetensors file that opens and shows without the model; see :mod:`txpanel.tracing.saving`."""
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
            return torch.arange(len(self.tokens))
        layer, own = split_name(name)
        if layer is not None and own in ("resid_pre", "resid_post") and 0 <= layer < self.anatomy.n_layers:
            return self.recording.streams[layer + (own == "resid_post")].float().cpu()
        return None

    def _derive(self, name: str) -> Tensor:
        operation = self.operation(name)
        if operation is None:
            raise NoSuchTensor(self._unknown(name))
        found = lens.by_modules(self.model, self.recording.streams, name)
        if found is not None:
            return found
        return operation.recompute({source: self.tensor(source) for source in operation.inputs})

    def _replayed(self, layer: int, name: str) -> Tensor | None:
        """A tensor from the replay of its block. The block runs again if its tensors, or this leaf, were dropped from the cache."""
        kept = STORE.get(self.uid, name)
        leaf = name in self.graph.dims and name not in self.graph.operations  # such as a mask: no operation computes it
        if kept is None and (leaf or STORE.get(self.uid, f"blocks.{layer}.q") is None):
            return self._replay(layer).tensors.get(split_name(name)[1])
        return kept

    def _replay(self, layer: int) -> BlockTrace:
        assert self.model is not None
        with self._lock:
            if not self.recording.calls:
                self.recording.calls.extend(
                    collect_calls(self.model, [int(i) for i in self.tokens.ids], self.recording.tuple_output)
                )
            block = replay(self.model, layer, self.recording.streams[layer], self.recording.calls[layer])
            for own, tensor in block.tensors.items():
                STORE.put(self.uid, f"blocks.{layer}.{own}", tensor)
            return block

    def _weight(self, name: str) -> Tensor | None:
        if self.model is None:
            return None
        try:
            return self.model.model.get_parameter(name).detach()
        except AttributeError:
            return None

    def _unknown(self, name: str) -> str:
        return f"This run has no tensor named '{name}'. trace.names() lists those that exist for {self.provenance.get('model', 'this model')}."

    def _labelled(self, tensor: Tensor, dims: tuple[str, ...], name: str) -> xr.DataArray:
        coords: dict[str, Any] = {dim: np.arange(size) for dim, size in zip(dims, tensor.shape, strict=True)}
        for dim in ("token", "query", "key"):
            if dim in coords and len(coords[dim]) == len(self.tokens):
                coords[f"{dim}_text"] = (dim, np.asarray(self.tokens.strings, dtype=object))
        return xr.DataArray(
            tensor.numpy(),
            dims=dims,
            coords=coords,
            name=name,
            attrs={"tensor": name, "model": self.provenance.get("model", "")},
        )


_graphs: weakref.WeakKeyDictionary[LanguageModel, Graph] = weakref.WeakKeyDictionary()


def graph_of(model: LanguageModel) -> Graph:
    """The model's operations, listed once and kept as long as the model."""
    found = _graphs.get(model)
    return found if found is not None else _graphs.setdefault(model, Graph(model.anatomy, model.parts))


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, (list, tuple)) else []
