"""Matrix products with adapters (LoRA, DoRA, IA3): what these add, and by what they multiply.

Formulas: :mod:`txpanel.models.linear_map`. An adapter's product ``A x`` is a tensor of its own, and so are DoRA's factors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from txpanel.models.linear_map import LinearMap
from txpanel.tracing.operations.base import Cell, Operation, Source, Term, Values, no_weights, number, short

Factor = tuple[Source, float]


@dataclass(frozen=True)
class Adapted(Operation):
    """A product with a matrix that adapters may have a part in.

    Attributes:
        latents: for each of the map's updates the tensor ``A x``, [.., rank]. gains: for each its tensor of DoRA factors, [out]; "" for LoRA.
    """

    map: LinearMap | None = None
    latents: tuple[str, ...] = ()
    gains: tuple[str, ...] = ()

    def adapt(self, base: Tensor, x: Values) -> Tensor:
        """The products with the base matrix [.., out] -> what adapters make of them, without bias."""
        assert self.map is not None
        y = base
        for update, latent, gain in zip(self.map.updates, self.latents, self.gains, strict=True):
            y = y + update.scale * (x[latent] @ update.up.matrix().T)
            y = y * x[gain] if gain else y
        return y * self.map.output_factor() if self.map.scaled_out else y

    def before(self, vector: Tensor) -> Tensor:
        """The input as the matrix reads it: with IA3's factors on inputs."""
        assert self.map is not None
        for factor in self.map.scaled_in:
            vector = vector * factor.vector
        return vector

    def kernel_error(self, vectors: Tensor) -> Tensor:
        """The error bound of a quantised matrix's kernel, times the factors on its output: [.., out]."""
        assert self.map is not None
        assert self.map.packed is not None
        off = self.map.packed.error(self.before(vectors), self.map.base.matrix())
        return off * (self.map.gain(0) * self.map.output_factor()).abs() if self.map.adapted else off

    def kernel_error_at(self, vector: Tensor, out: int, x: Values) -> float:
        """The same for one output of one input vector [in]."""
        assert self.map is not None
        if self.map.packed is None:
            return 0.0
        off = number(self.map.packed.error(self.before(vector), self.map.row(out)[None]))
        return off * math.prod(abs(value) for _source, value in self.base_factors(x, out))

    def base_factors(self, x: Values, out: int) -> list[Factor]:
        """What the products with base weights are multiplied with for output ``out``."""
        return [*self._gains(x, 0, out), *self._outer(out)]

    def input_factors(self, column: int) -> list[Factor]:
        """What input ``column`` is multiplied with before the matrix."""
        assert self.map is not None
        return [(Source(f.name, f.index(column)), number(f.vector[column])) for f in self.map.scaled_in]

    def update_terms(self, x: Values, place: tuple[int, ...], out: int, factor: float = 1.0) -> list[Term]:
        """One term for each rank of each adapter: ``scale B[out, r] (A x)[r]``.

        Args:
            place: of the vector ``A x`` in its tensor. out: which output. factor: on the whole sum.
        """
        assert self.map is not None
        terms = []
        for k, update in enumerate(self.map.updates):
            latent, row = x[self.latents[k]][place].double(), update.up.row(out).double()
            more = [*self._gains(x, k, out), *self._outer(out)]
            scale = update.scale * factor
            for _source, value in more:
                scale *= value
            name = short(self.latents[k])
            for r, (a, b) in enumerate(zip(latent.tolist(), row.tolist(), strict=True)):
                sources = (self.at(self.latents[k], *place, r), Source(update.up.name, update.up.weight_index(out, r)))
                terms.append(
                    Term(
                        a * b * scale,
                        f"{update.scale:.4g} · {name}[{r}] · B[{r}]" + " · g" * bool(self._gains(x, k, out)),
                        (*sources, *(source for source, _ in more)),
                        (a, b, *(value for _, value in more)),
                    )
                )
        return terms

    def bias_terms(self, out: int, factor: float = 1.0, label: str = "b") -> list[Term]:
        """The bias of the base matrix, times IA3's factors, and those that adapters bring."""
        assert self.map is not None
        bias, terms = self.map.base.offset(), []
        if bias is not None:
            b, outer = number(bias[out]), self._outer(out)
            value = b * factor
            for _source, one in outer:
                value *= one
            sources = (Source(self.map.bias_name, self.map.bias_index(out)), *(source for source, _ in outer))
            terms.append(Term(value, label, sources, (b, *(one for _, one in outer))))
        for k, update in enumerate(self.map.updates):
            own = update.up.offset()
            if own is not None:
                b = number(own[out])
                scale = update.scale * factor * number(self.map.gain(k)[out])
                source = Source(update.up.bias_name, update.up.bias_index(out))
                terms.append(Term(b * scale, f"{update.scale:.4g} · b of {update.adapter}", (source,), (b,)))
        return terms

    def _gains(self, x: Values, k: int, out: int) -> list[Factor]:
        """DoRA's factors from adapter number ``k`` on: each multiplies the whole sum so far."""
        return [(self.at(name, out), number(x[name][out])) for name in self.gains[k:] if name]

    def _outer(self, out: int) -> list[Factor]:
        assert self.map is not None
        line = self.map.line(out)
        return [(Source(f.name, f.index(line)), number(f.vector[line])) for f in self.map.scaled_out]


@dataclass(frozen=True)
class DoraGain(Operation):
    """``g[o] = m[o] / |W[o] + s (B A)[o]|``: what DoRA multiplies output o with (arXiv:2402.09353, eq. 5). Inputs: none."""

    kind: ClassVar[str] = "magnitude"
    map: LinearMap | None = None
    update: int = 0

    def recompute(self, x: Values) -> Tensor:
        if self.map is None:
            raise no_weights(self.output)
        return self.map.dora_gain(self.map.updates[self.update]).cpu()

    def terms(self, x: Values, cell: Cell) -> list[Term]:
        if self.map is None:
            raise no_weights(self.output)
        update, line = self.map.updates[self.update], self.map.line(cell[0])
        assert update.magnitude is not None
        m = number(update.magnitude.detach().flatten()[line].float())
        source = Source(update.magnitude_name, {"row": line})
        return [Term(number(self.recompute(x)[cell]), "m[o] / ‖W[o] + s (B A)[o]‖", (source,), (m,))]
