"""``txpanel.views`` has the class of every view that this package registers, and no list of them of its own."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

import txpanel.views
from txpanel.views.base import View

CLASSES = {
    entry.attr: entry.name
    for entry in entry_points(group="txpanel.views")
    if entry.dist is not None and entry.dist.name == "txpanel"
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_built_in_view_is_found_by_its_class_name(name: str) -> None:
    found = getattr(txpanel.views, name)
    assert issubclass(found, View)
    assert (found.__name__, found.id) == (name, CLASSES[name])


def test_the_names_of_0_1_are_there_and_the_kv_cache() -> None:
    names = {"AttentionView", "EmbeddingView", "FlowView", "MLPView", "ResidualView", "SamplingView", "SoftmaxView"}
    names |= {"View", "ViewFrame", "WhyCard", "KVCacheView"}
    assert names <= set(dir(txpanel.views)) == set(txpanel.views.__all__)
    for name in names:
        assert getattr(txpanel.views, name).__name__ == name


def test_a_star_import_brings_them() -> None:
    names: dict[str, object] = {}
    exec("from txpanel.views import *", names)
    assert set(txpanel.views.__all__) <= names.keys()


def test_a_view_of_another_package_is_not_among_them() -> None:
    with pytest.raises(AttributeError, match="LogitLensView"):
        _ = txpanel.views.LogitLensView


def test_only_a_views_own_folder_names_it() -> None:
    """Modules outside a view's folder neither import it nor hold its class: it is found by its entry point."""
    spec = find_spec("txpanel")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    folders = {name: view.__module__.split(".")[2] for name in CLASSES for view in [getattr(txpanel.views, name)]}
    wrong = [
        f"{path.relative_to(package)} names {name}"
        for path in package.rglob("*.py")
        for name, folder in folders.items()
        if path.relative_to(package).parts[:2] != ("views", folder)
        for text in [path.read_text(encoding="utf-8")]
        if name in text.replace(f"``txpanel.views.{name}``", "") or f"txpanel.views.{folder}." in text
    ]
    assert not wrong, "\n".join(wrong)
