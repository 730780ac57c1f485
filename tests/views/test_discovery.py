"""Discovery: what is broken, foreign, doubled or unwanted is a record with a sentence, and the rest works."""

from __future__ import annotations

import importlib.metadata
import logging
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, DistributionFinder, EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from txpanel.errors import Unsupported
from txpanel.page.frames import parts
from txpanel.views import discovery
from txpanel.views.discovery import Record, discover

VIEW = """
from txpanel.views.base import View
class {name}(View):
    id, title, order, api_version = "{id}", "{title}", 99, {version}
"""


class Shop:
    """Packages with entry points, made up in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[EntryPoint] = []

    def module(self, name: str, code: str) -> None:
        (self.folder / f"{name}.py").write_text(code, encoding="utf-8")

    def add(self, package: str, name: str, value: str, version: str = "1.0") -> None:
        info = self.folder / f"{package}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", encoding="utf-8"
        )
        lines = (
            (info / "entry_points.txt").read_text(encoding="utf-8")
            if (info / "entry_points.txt").exists()
            else "[txpanel.views]\n"
        )
        (info / "entry_points.txt").write_text(f"{lines}{name} = {value}\n", encoding="utf-8")

    def open(self) -> list[EntryPoint]:
        found = Distribution.discover(context=DistributionFinder.Context(path=[str(self.folder)]))
        return [entry for dist in found for entry in dist.entry_points]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Shop(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("shop_"):
            del sys.modules[name]


def good(shop: Shop, package: str, name: str) -> None:
    module = "shop_" + (package + name).replace("-", "_")
    shop.module(module, VIEW.format(name="It", id=name, title=name.title(), version=1))
    shop.add(package, name, f"{module}:It")


def by_name(records: list[Record]) -> dict[str, Record]:
    return {record.name: record for record in records}


def test_the_built_in_views_come_through_the_same_door() -> None:
    own = [record for record in discover() if record.dist == "txpanel"]
    assert {"flow", "embedding", "attention", "mlp", "residual", "softmax", "sampling", "kv-cache"} == {
        r.name for r in own
    }
    for record in own:
        assert record.status == "ok", record.error
        assert record.view_class is not None
        assert record.view_class.id == record.name


def test_each_failure_is_a_sentence_and_the_good_ones_load(shop: Shop) -> None:
    good(shop, "fine", "fine-view")
    shop.module("shop_raises", "raise RuntimeError('no licence')")
    shop.add("raiser", "raises", "shop_raises:It")
    shop.module("shop_exits", "import sys; sys.exit(3)")
    shop.add("exiter", "exits", "shop_exits:It")
    shop.add("misser", "missing", "shop_no_such_module:It")
    shop.module("shop_empty", "It = None\nclass Plain: pass")
    shop.add("liar", "nothing", "shop_empty:It")
    shop.add("liar", "no-view", "shop_empty:Plain")
    shop.add("liar", "no-attribute", "shop_empty:Other")
    shop.module("shop_nameless", VIEW.format(name="It", id="", title="", version=1))
    shop.add("liar", "nameless", "shop_nameless:It")
    records = by_name(discover(shop.open()))
    assert {name for name, record in records.items() if record.status == "ok"} == {"fine-view"}
    for name, record in records.items():
        if name != "fine-view":
            assert record.status == "broken"
            assert record.view_class is None
            assert record.error
            assert record.error.endswith(".")
    assert "no licence" in (records["raises"].error or "")
    assert records["fine-view"].version == "1.0"


@pytest.mark.parametrize(("theirs", "advice"), [(0, "Update the package"), (2, "Update txpanel")])
def test_another_version_of_the_interface_is_not_used(shop: Shop, theirs: int, advice: str) -> None:
    shop.module("shop_other", VIEW.format(name="It", id="other", title="Other", version=theirs))
    shop.add("other", "other", "shop_other:It")
    (record,) = discover(shop.open())
    assert record.status == "incompatible"
    assert record.view_class is None
    assert advice in (record.error or "")


def test_of_two_with_one_name_the_first_wins(shop: Shop) -> None:
    good(shop, "b-package", "same")
    good(shop, "a-package", "same")
    good(shop, "txpanel", "same-as-built-in")
    good(shop, "a-package", "same-as-built-in")
    records = discover(shop.open())
    assert [(r.dist, r.name, r.status) for r in records] == [
        ("txpanel", "same-as-built-in", "ok"),
        ("a-package", "same", "ok"),
        ("a-package", "same-as-built-in", "shadowed"),
        ("b-package", "same", "shadowed"),
    ]
    assert "a-package" in (records[-1].error or "")


@pytest.mark.parametrize(
    ("setting", "left"),
    [
        ("none", {"own"}),
        ("one", {"own", "one"}),
        ("one, two", {"own", "one", "two"}),
        ("package-two", {"own", "two"}),
        ("", {"own", "one", "two"}),
        ("unknown", {"own"}),
    ],
)
def test_the_environment_limits_plugins(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, setting: str, left: set[str]
) -> None:
    good(shop, "txpanel", "own")
    good(shop, "package-one", "one")
    good(shop, "package-two", "two")
    monkeypatch.setenv("TXPANEL_PLUGINS", setting)
    records = discover(shop.open())
    assert {record.name for record in records if record.status == "ok"} == left
    assert {record.status for record in records} <= {"ok", "disabled"}
    for record in records:
        if record.status == "disabled":
            with pytest.raises(Unsupported, match="TXPANEL_PLUGINS"):
                record.load()


def test_a_package_found_twice_on_the_path_counts_once(shop: Shop) -> None:
    good(shop, "fine", "fine-view")
    assert len(discover([*shop.open(), *shop.open()])) == 1


def test_what_was_mended_can_be_loaded_again(shop: Shop) -> None:
    shop.module("shop_mended", "raise RuntimeError('not yet')")
    shop.add("mended", "mended", "shop_mended:It")
    (record,) = discover(shop.open())
    assert record.status == "broken"
    with pytest.raises(RuntimeError):
        record.load()
    shop.module("shop_mended", VIEW.format(name="It", id="mended", title="Now whole, and longer", version=1))
    assert record.load().title == "Now whole, and longer"


def test_a_failure_is_logged_once_not_for_every_session(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    discovery._logged.clear()
    shop.module("shop_noisy", "raise RuntimeError('noise')")
    shop.add("noisy", "noisy", "shop_noisy:It")
    for _session in range(3):
        discover(shop.open())
    assert len([line for line in caplog.messages if "noisy" in line]) == 1


def test_records_can_be_written_as_json(shop: Shop) -> None:
    good(shop, "fine", "fine-view")
    (record,) = discover(shop.open())
    assert record.as_dict() == {
        "name": "fine-view",
        "package": "fine",
        "version": "1.0",
        "status": "ok",
        "title": "Fine-View",
        "class": "shop_finefine_view:It",
        "error": None,
    }


VIEWS = """
from txpanel.views.base import View
class It(View):
    id, title = "it", "It"
    {line}
"""


@pytest.mark.parametrize("name", ["attention", "flow", "why"])
def test_no_entry_point_has_a_built_in_name(shop: Shop, name: str) -> None:
    good(shop, "greedy", name)
    own = importlib.metadata.entry_points(group=discovery.GROUP)
    records = {(r.dist, r.name): r for r in discover([*own, *shop.open()])}
    taken = records["greedy", name]
    assert taken.status == "shadowed"
    assert f"“{name}”" in (taken.error or "")
    with pytest.raises(Unsupported):
        taken.load()
    if name != "why":
        assert records["txpanel", name].status == "ok"


def test_no_class_has_a_built_in_id(shop: Shop) -> None:
    shop.module("shop_id", VIEW.format(name="It", id="attention", title="Mine", version=1))
    shop.add("greedy", "innocent", "shop_id:It")
    shop.add("borrower", "borrowed", "txpanel.views.attention:AttentionView")
    own = importlib.metadata.entry_points(group=discovery.GROUP)
    records = by_name(discover([*own, *shop.open()]))
    assert records["attention"].dist == "txpanel"
    for name in ("innocent", "borrowed"):
        assert records[name].status == "shadowed"
        assert "id “attention”" in (records[name].error or "")


def test_a_package_that_calls_itself_txpanel_comes_after_the_built_in_ones(shop: Shop) -> None:
    good(shop, "txpanel", "attention")
    first, second = (r for r in discover() if r.name == "attention")  # the other one stands first on the path
    assert (first.status, second.status) == ("ok", "shadowed")
    assert first.view_class is not None
    assert first.view_class.__module__.startswith("txpanel.views.attention")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("id = 'two words'", "id"), ("id = 5", "id"), ("title = ['x']", "title"), ("order = 'first'", "order"), ("order = float('nan')", "order"),
        ("shows = 5", "shows"), ("shows = frozenset([1])", "shows"), ("api_version = 'one'", "api_version"),
    ],
)  # fmt: skip
def test_what_the_page_goes_by_is_checked(shop: Shop, line: str, name: str) -> None:
    shop.module("shop_odd", VIEWS.format(line=line))
    shop.add("odd", "it", "shop_odd:It")
    (record,) = discover(shop.open())
    assert record.status == "broken"
    assert f"attribute {name} " in (record.error or "")


@pytest.mark.parametrize("error", ["SystemExit(1)", "BaseException('odd')"])
def test_a_class_that_raises_when_it_is_looked_at_is_broken(shop: Shop, error: str) -> None:
    code = f"class Meta(type(View)):\n    @property\n    def id(cls):\n        raise {error}\nclass It(View, metaclass=Meta):\n    title = 'It'\n"
    shop.module("shop_meta", "from txpanel.views.base import View\n" + code)
    shop.add("meta", "it", "shop_meta:It")
    (record,) = discover(shop.open())
    assert record.status == "broken"


def test_a_view_that_was_switched_off_is_off_for_new_sessions(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_off", {})
    monkeypatch.setattr(discovery, "_keys", {})
    good(shop, "slow", "slow-view")
    (record,) = discover(shop.open())
    assert record.view_class is not None
    assert discovery.view_of("shop_slowslow_view.inside") is record.view_class
    assert discovery.view_of("txpanel.views.attention") is None
    assert discovery.switch_off(record.view_class, "It took its time.")
    (again,) = discover(shop.open())
    assert (again.status, again.error, again.view_class) == ("off", "It took its time.", None)
    with pytest.raises(Unsupported, match="took its time"):
        again.load()


def test_a_view_that_is_not_used_says_what_is_true_and_is_no_error_of_each_page(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each page raised ``txpanel_errors_total``, and the card of a view that is switched off said that it could not be imported."""
    monkeypatch.setattr(discovery, "_off", {("slow", "slow-view"): "It took its time."})
    discovery._logged.clear()
    good(shop, "slow", "slow-view")
    shop.module("shop_bad", "raise RuntimeError('noise')")
    shop.add("bad", "bad", "shop_bad:It")
    shop.module("shop_old", VIEW.format(name="It", id="old", title="Old", version=0))
    shop.add("old", "old", "shop_old:It")
    good(shop, "taken", "why")
    state: Any = SimpleNamespace(trace=None)
    for _page in range(3):
        cards = {part.frame.label: part.frame.layout[0] for part in parts(state, discover(shop.open()))}
    assert cards["slow-view"].heading == "The view “slow-view” (slow 1.0) is switched off"
    assert cards["slow-view"].reason == "It took its time."
    assert (cards["slow-view"].details, cards["slow-view"].retry_label) == ("", "")
    assert cards["bad"].heading == "The view “bad” (bad 1.0) could not be used"
    assert "could not be imported (RuntimeError: noise)" in cards["bad"].reason
    assert "version 0 of the interface" in cards["old"].reason
    cards["old"]._handle_msg({"kind": "retry"})
    assert cards["old"].heading == "The view “old” (old 1.0) could not be used"
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []
    for name in ("bad", "old", "why"):
        assert len([line for line in caplog.messages if f"the view {name} of" in line]) == 1


def test_a_built_in_view_is_never_switched_off() -> None:
    own = next(record for record in discover() if record.name == "attention")
    assert own.view_class is not None
    assert not discovery.switch_off(own.view_class, "It is slow here.")
    assert next(record for record in discover() if record.name == "attention").status == "ok"


def test_each_part_of_the_page_has_an_id_of_its_own(shop: Shop) -> None:
    for package in ("a", "b"):
        for name in ("attention", "same"):
            good(shop, package, name)
    own = list(importlib.metadata.entry_points(group=discovery.GROUP))
    found = parts(SimpleNamespace(trace=None), discover([*own, *shop.open()]))  # type: ignore[arg-type]
    ids = [part.id for part in found]
    assert len(set(ids)) == len(ids)
    (attention,) = (part for part in found if part.id == "attention")
    assert not attention.frame.failed
    assert {"a--attention", "b--attention", "b--same", "same"} <= set(ids)
