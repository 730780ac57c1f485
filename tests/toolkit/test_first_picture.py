"""The first picture in the served page: the components' own parameters as JSON, which no browser takes for markup."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest

from txpanel.page.top_bar.component import TopBar
from txpanel.toolkit.first_picture import Piece, encoded, with_first_picture
from txpanel.toolkit.waiting import Waiting

HOSTILE = '</script><script>alert(1)</script><!--<script> & "\u2028'
PAGE = "<html><head><title>t</title></head><body>rest</body></html>"


def test_arrays_go_by_their_bytes() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2]
    found = encoded({"a": [values, np.float32(1.5), True, None]})
    array, *others = found["a"]
    assert others == [1.5, True, None]
    assert (array["dtype"], array["shape"]) == ("float32", [2, 2])
    assert base64.b64decode(array["$bytes"]) == values.tobytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {"a": [float("-inf")]}])
def test_what_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        encoded(value)


def test_what_a_visitor_wrote_is_data() -> None:
    bar = TopBar(lambda _data: None, text=HOSTILE, styles={"position": "sticky"}, margin=(6, 0, 0, 0))
    stage = '<div class="head"></div>'
    scripts = ['<script src="static/a.js"></script>', "<script>b()</script>"]
    page = with_first_picture(PAGE, scripts, stage=stage, css="", pieces=[Piece(bar, "head")])
    assert "alert(1)" in page
    assert page.count("</script>") == 3 + len(scripts)  # data, loader, module
    assert "<!--" not in page
    found = re.search(r'id="tx-first-data">(.*?)</script>', page)
    assert found is not None
    (part,) = json.loads(found[1])["parts"]
    assert part["values"]["text"] == HOSTILE
    assert (part["key"], part["place"]) == ("page/top_bar/top_bar", "head")
    assert part["styles"] == {"margin": "6px 0px 0px 0px", "position": "sticky"}
    head = page.partition("</head>")[0]
    assert '<link rel="preload" as="script" href="static/a.js" fetchpriority="low">' in head
    assert head.index('rel="modulepreload"') < head.index("static/a.js")  # what draws comes first on a slow line
    assert (
        page.index("tx-first-data") < page.index('type="module"') < page.index("static/a.js", page.index("tx-scripts"))
    )


def test_all_parameters_of_a_component_are_there() -> None:
    piece = Piece(Waiting(text="x", gives_way=True))
    page = with_first_picture(PAGE, [], stage="", css="", pieces=[piece])
    found = re.search(r'id="tx-first-data">(.*?)</script>', page)
    assert found is not None
    assert json.loads(found[1])["parts"][0]["values"] == {"language": "", "text": "x", "gives_way": True}
