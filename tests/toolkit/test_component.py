"""The JavaScript of components: by address on a server, inside the page elsewhere."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import bokeh
import pytest
from bokeh.document import Document

from txpanel.toolkit.component import FOLDER, Files, palette_source, shared_source
from txpanel.toolkit.text import Rich
from txpanel.views.flow.component import FlowPicture


def test_palette_js_is_up_to_date() -> None:
    assert (FOLDER / "toolkit/palette.js").read_text(encoding="utf-8") == palette_source(), "run scripts/palette"


@pytest.mark.parametrize("component", [Rich, FlowPicture])
def test_a_server_names_files_that_exist(component: Any) -> None:
    document: Any = Document()
    context = SimpleNamespace(server_context=object(), destroyed=False, session=None)
    document._session_context = lambda: context
    source = component()._get_properties(document)["esm"]
    assert shared_source() not in source
    assert len(source) < 4000
    assert "./components/txpanel/Files/_js/toolkit/shared.js?v=" in source
    assert set(component._parts) <= set(Files._js)


def test_without_a_server_the_source_is_inside() -> None:
    first, second = Rich()._get_properties(Document()), FlowPicture()._get_properties(None)
    assert first["esm"].startswith(shared_source())
    assert second["esm"].startswith(shared_source())
    assert first["bundle"] != second["bundle"]


def test_bokeh_is_changed_only_where_that_was_tried() -> None:
    """paints.js and layouts.js replace methods of this release of BokehJS. With another one they do nothing and the page is slower:
    compare pages pixel by pixel with and without them (`python -m benchmarks.page` for the times), then name it in shared.js."""
    tried = re.search(
        r'bokeh\.version\.startsWith\("([\d.]+)"\)', (FOLDER / "toolkit/shared.js").read_text(encoding="utf-8")
    )
    assert tried is not None
    assert bokeh.__version__.startswith(tried.group(1))
