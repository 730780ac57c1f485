"""What stands around a picture: its legend, its tools (table, CSV, PNG, SVG) and fold-outs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import param
from bokeh.events import Tap
from panel.viewable import Children

from txpanel.errors import TxpanelError
from txpanel.messages import _
from txpanel.toolkit import csv_text
from txpanel.toolkit.component import Component
from txpanel.toolkit.palette import Scale
from txpanel.toolkit.saving import is_saving

if TYPE_CHECKING:
    from bokeh.document import Document

__all__ = ["Fold", "Legend", "Table", "Tools"]

ROWS_ON_SCREEN = 200
LARGEST_SAVED = 1_000_000
"""Most characters of a picture's CSV file in a saved page; a larger one is left out."""


class ColourKey(Component):
    """The colours of a picture and what they mean, made from the picture's own `Scale`."""

    scale = param.Dict(default={}, doc="What `Scale.legend` returns.")
    caption = param.String(default="", doc="What the numbers are.")
    half = param.String(default="", doc="What the colour half way stands for, where colours go by the square root.")

    _module = "legend.js"
    _styles = "legend.css"

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"half": _("halfway {v}"), **params})

    def show(self, scale: Scale) -> None:
        """Shows another scale."""
        self.scale = scale.legend()


Legend = ColourKey  # see `txpanel.toolkit.component.RESERVED`: a component's class cannot itself be called Legend


class Fold(Component):
    """A fold-out ("for engineers") with Panel objects inside."""

    label = param.String(default="", doc="What to click on.")
    open = param.Boolean(default=False, doc="Whether it is unfolded.")
    objects = Children(doc="What it holds.")

    _module = "fold.js"
    _styles = "fold.css"
    _browser_sets = ("open",)

    def __init__(self, label: str, *objects: Any, **params: Any) -> None:
        super().__init__(label=label, objects=list(objects), **params)


@dataclass(frozen=True)
class Table:
    """The numbers of a picture in rows, for the table below it and the CSV file.

    Args:
        columns: names of the columns; the first one heads its row.
        rows: one sequence a row; numbers as numbers (they are written in full in the CSV).
        caption: what the table shows, a few words.
        more: further tables of the same picture, where its numbers do not fit into one; they have no `more` of their own.
    """

    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]
    caption: str = ""
    more: tuple[Table, ...] = ()

    @classmethod
    def matrix(
        cls, values: Any, rows: Sequence[str], columns: Sequence[str], *, corner: str, caption: str = ""
    ) -> Table:
        """A matrix [row, column] with a label for each row and column; `corner` says what they are."""
        body = ([label, *line] for label, line in zip(rows, np.asarray(values).tolist(), strict=True))
        return cls([corner, *columns], body, caption)

    @classmethod
    def of(cls, caption: str = "", /, **columns: Sequence[Any]) -> Table:
        """Columns side by side, all of the same length."""
        return cls(list(columns), zip(*columns.values(), strict=True), caption)

    def csv(self, provenance: dict[str, str]) -> str:
        """The whole table as CSV text, where the numbers come from in comment lines on top; no spreadsheet runs any of it.

        Several tables stand one below the other, an empty line and their captions (as comments) between them. How texts are
        written is said in `txpanel.toolkit.csv_text`, and in the file where it matters.
        """
        lines, quoted = list[str](), False
        for i, table in enumerate([self, *self.more]):
            if self.more:
                lines.append(("\n" if i else "") + csv_text.comment(table.caption))
            for row in chain([table.columns], table.rows):
                values = [_plain(value) for value in row]
                quoted = quoted or any(map(csv_text.is_quoted, values))
                lines.append(csv_text.line(values))
        facts = provenance | ({"quoted": _("a cell that begins with a double quote is JSON")} if quoted else {})
        return "".join([*(csv_text.comment(value, key) for key, value in facts.items()), *lines])

    def on_screen(self) -> dict[str, Any]:
        """What the browser shows: the first `ROWS_ON_SCREEN` rows, and how many there are beyond them."""
        rows = iter(self.rows)
        shown = [[_plain(value) for value in row] for row in islice(rows, ROWS_ON_SCREEN)]
        more = sum(1 for _row in rows)
        note = _("{more} more rows in the CSV file").format(more=more) if more else ""
        found = {"columns": list(self.columns), "rows": shown, "caption": self.caption, "note": note}
        return found | {"more": [table.on_screen() for table in self.more]} if self.more else found


def _plain(value: Any) -> Any:
    """A Python number or text; what JSON has no number for becomes text, and what is not there (masked) stays empty."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not np.isfinite(value):
        return {"inf": "∞", "-inf": "−∞"}.get(str(value), "")
    return value


_COUNTING = "names such as blocks.0.pattern, positions and ids count from 0; where a block or head is written out, as in block 1, from 1"
"""Said in each file: the page counts blocks and heads from 1, the tensors' names from 0."""


class Tools(Component):
    """The row of buttons under a picture: its numbers as a table, CSV, PNG, SVG. Put it into the same Column as the picture.

    A Bokeh figure in that Column can also be walked through with the keyboard (``walk.js``).

    Args:
        data: returns the `Table` of what the picture shows now; called when somebody asks.
        name: what files are called, without ending.
        provenance: returns what stands in the files (model, text, tensor, versions), as texts.
        figure: the picture where it is a Bokeh figure: Enter on a cell does what a click on it does.

    Call `changed` when the picture's numbers changed, so that an open table follows.
    """

    version = param.Integer(default=0, doc="Counts the changes of the picture's numbers.")
    words = param.Dict(default={}, doc="The texts on the buttons.")
    saved = param.Dict(default={}, doc="On a saved page: the answers, by what is asked for.")

    _module = "tools.js"
    _styles = "tools.css"

    def __init__(
        self,
        data: Callable[[], Table],
        name: str,
        provenance: Callable[[], dict[str, str]] | None = None,
        *,
        figure: Any = None,
        **params: Any,
    ) -> None:
        self._data = data
        self._figure = figure
        self._file = name
        self._provenance = provenance or dict
        super().__init__(words=_words(), **params)

    def changed(self) -> None:
        """The picture shows other numbers now."""
        self.version += 1

    def _handle_msg(self, data: Any) -> None:
        kind = data.get("kind") if isinstance(data, dict) else None
        if kind in ("table", "csv", "provenance"):
            try:
                answer = getattr(self, f"_answer_{kind}")()
            except Exception as error:
                said = str(error) if isinstance(error, TxpanelError) else f"{type(error).__name__}: {error}"
                answer = {"error": said}
            self._send_msg({"kind": kind, **answer})
        elif kind == "tap" and self._figure is not None and all(isinstance(data.get(k), int | float) for k in "xy"):
            self._figure._trigger_event(Tap(self._figure, x=float(data["x"]), y=float(data["y"])))

    def _get_properties(self, doc: Document | None) -> dict[str, Any]:
        properties = super()._get_properties(doc)
        if is_saving():
            properties["data"].saved = self._answers()
        return properties

    def _answers(self) -> dict[str, dict[str, Any]]:
        """All of them, for a page without a server; of a file that would make it too large, none."""
        found: dict[str, dict[str, Any]] = {}
        for kind in ("table", "csv", "provenance"):
            try:
                found[kind] = getattr(self, f"_answer_{kind}")()
            except Exception as error:
                found[kind] = {"error": str(error)}
        if len(found["csv"].get("text", "")) > LARGEST_SAVED:
            said = _("These numbers would make a saved page too large. Open it with txpanel to save them.")
            found["csv"] = {"error": said}
        return found

    def _answer_table(self) -> dict[str, Any]:
        return self._data().on_screen()

    def _answer_csv(self) -> dict[str, Any]:
        return {"name": self._file, "text": self._data().csv(self._provenance() | {"counting": _COUNTING})}

    def _answer_provenance(self) -> dict[str, Any]:
        text = "\n".join(f"{key}: {value}" for key, value in self._provenance().items())
        return {"name": self._file, "text": text}


def _words() -> dict[str, str]:
    return {
        "walk": _("{title}: the arrow keys move from number to number, Enter explains one"),
        "table": _("Table"),
        "tools": _("numbers and files"),
        "tools_title": _("Table, CSV, PNG, SVG"),
        "table_title": _("Show the numbers of this picture as a table"),
        "csv_title": _("Save all its numbers as CSV, with model, text and versions"),
        "png_title": _("Save the picture as PNG"),
        "svg_title": _("Save the picture as SVG"),
        "nothing": _("There is no picture here to save yet."),
        "not_saved": _("needs the model: this is a saved page"),
        "no_answer": _("The server did not answer. Is the page still connected?"),
    }
