"""Discovery: what is broken, foreign, doubled or unwanted is a record with a sentence, and the rest works."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, DistributionFinder, EntryPoint
from pathlib import Path

import pytest

from txpanel.errors import Unsupported
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
        (self.folder / f"{name}.py").write_text(code)

    def add(self, package: str, name: str, value: str, version: str = "1.0") -> None:
        info = self.folder / f"{package}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        lines = (info / "entry_points.txt").read_text() if (info / "entry_points.txt").exists() else "[txpanel.views]\n"
        (info / "entry_points.txt").write_text(f"{lines}{name} = {value}\n")

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
