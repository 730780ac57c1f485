"""The picture of the logit lens: which token would be said after each block."""

from __future__ import annotations

import numpy as np

from txpanel.views._plots import Heat


class LensGrid(Heat):
    """A heat map of probabilities whose cells say which token is the likeliest."""

    words: list[list[str]]
    """The token of each cell, set before `feed`."""

    def _numbers(self) -> None:
        rows, columns = self.values.shape
        room = max(3, 84 // max(1, columns))
        at = [(r, c) for r, c in np.ndindex(rows, columns)] if len(getattr(self, "words", [])) == rows else []
        texts = [self.words[r][c].replace(" ", "␣") for r, c in at]
        self.cells.feed(
            [self.columns.start + c for _r, c in at],
            [self.rows.start + r for r, _c in at],
            [t if len(t) <= room else t[: room - 1] + "…" for t in texts],
            [self.scale.ink(float(self.values[cell])) for cell in at],
        )
