"""Nothing without its line in the docs: views, commands, options, environment, public names, tensors, models, messages, scripts."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import txpanel
from scripts import families
from tests.encoder_decoders import tiny_pair
from tests.families import FAMILIES, masked_tokenizer
from tests.sweep.configs import model_of
from txpanel.decoding.stages import SPECS
from txpanel.models.anatomy import Anatomy
from txpanel.models.catalogue import CATALOGUE
from txpanel.models.environment import VARIABLES
from txpanel.models.limits import GENEROUS, STRICT, option, words
from txpanel.page.address import OF_THE_STATE
from txpanel.sampling import FIELDS
from txpanel.server.cli import parser
from txpanel.tracing.graph.build import Graph

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLUGINS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def section(title: str) -> str:
    """The part of the reference under a heading."""
    return REFERENCE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def commands(
    of: argparse.ArgumentParser | None = None, path: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in (of or parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield path + name, command
                yield from commands(command, f"{path}{name} ")


@pytest.mark.parametrize("name", PROJECT["entry-points"]["txpanel.views"])
def test_every_view_is_documented(name: str) -> None:
    assert f"| `{name}` |" in section("Views")


def test_no_view_is_described_that_is_gone() -> None:
    described = set(re.findall(r"^\| `([\w-]+)` \|", section("Views"), re.MULTILINE))
    assert described == set(PROJECT["entry-points"]["txpanel.views"])


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_its_options_are_documented(name: str, command: argparse.ArgumentParser) -> None:
    assert re.search(rf"^\| `{name}\b", section("Commands"), re.MULTILINE)
    options = {option for action in command._actions for option in action.option_strings} - {"-h", "--help"}
    described = section("Commands") + section("Limits")
    assert not {option for option in options if not re.search(rf"`{option}`?[ `]", described)}


def test_every_limit_is_documented() -> None:
    rows = re.findall(r"^\| `(--max-[\w-]+)` \| (\d+) \| (\d+) \| (.+) \|$", section("Limits"), re.MULTILINE)
    assert rows == [
        (option(name), str(getattr(GENEROUS, name)), str(getattr(STRICT, name)), what) for name, what in words().items()
    ]


def test_no_option_is_described_that_is_gone() -> None:
    options = {option for _, command in commands() for action in command._actions for option in action.option_strings}
    assert set(re.findall(r"`(--[\w-]+)", section("Commands"))) <= options | {"--version", "--max-"}


def test_every_environment_variable_is_documented() -> None:
    assert dict(re.findall(r"^\| `(TXPANEL_[A-Z_]+)` \| (.+) \|$", section("Environment"), re.MULTILINE)) == VARIABLES


def test_environment_is_read_in_one_place() -> None:
    used = {
        (path.name, name)
        for path in (ROOT / "txpanel").rglob("*.py")
        for name in re.findall(r"\"(TXPANEL_[A-Z_]+)\"", path.read_text(encoding="utf-8"))
    }
    read = {("environment.py", name) for name in VARIABLES}
    assert used == read | {("messages.py", "TXPANEL_LANGUAGE")}


@pytest.mark.parametrize("name", sorted(set(txpanel.__all__) - {"__version__"}))
def test_every_public_name_is_documented(name: str) -> None:
    assert f"`txpanel.{name}" in section("Python")
    assert getattr(txpanel, name).__doc__


INSIDE = {
    txpanel.Trace: {"along", "called", "has_replayed", "kept", "storages", "takes_long"},
    txpanel.LanguageModel: {
        "arguments", "begin", "compare_now", "forward", "has_read", "ids", "inputs", "letting_others_in", "now", "read", "read_anew", "reading", "rows",
        "running", "source_state", "state", "verify_inputs", "with_inputs",
    },
}  # fmt: skip
"""What is there for the other rooms of the package."""


@pytest.mark.parametrize("kind", INSIDE, ids=lambda kind: kind.__name__)
def test_whatever_a_run_and_a_model_are_asked_is_in_the_table(kind: type) -> None:
    row = next(line for line in section("Python").splitlines() if line.startswith(f"| `txpanel.{kind.__name__}`"))
    asked = {name for name in dir(kind) if not name.startswith("_")} - INSIDE[kind]
    assert not {name for name in asked if not re.search(rf"`\.?{name}\b", row)}
    told = set(re.findall(r"`\.([a-z_]+)", row)) - {
        "ids",
        "strings",
        "pieces",
        "state",
        "start",
        "text",
        "tokens",
        "trace",
    }
    assert not {name for name in told if not hasattr(kind, name)}


def test_the_example_of_two_texts_and_masks_runs() -> None:
    bert = txpanel.LanguageModel.wrap(model_of("bert/masked"), masked_tokenizer())
    found: dict[str, Any] = {"pair": tiny_pair("t5"), "bert": bert}
    code = section("Python").split("```python\n")[1].split("```")[0]
    exec(code, found)  # our own docs
    assert found["longer"].source.text == "a source"
    assert found["longer"]["blocks.0.cross_pattern"].sizes["key"] == len(found["longer"].source.tokens)
    trace = found["trace"]
    assert trace.gaps == (trace.answer,)
    assert trace.predicting(1).answer == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_is_documented(family: str, tiny_anatomy: dict[str, Anatomy]) -> None:
    names = {re.sub(r"^blocks\.\d+\.", "", name) for name in Graph(tiny_anatomy[family], None).dims}
    bare = {re.sub(r"\.(mean|var|scale|max|sum)$", "", name) for name in names}
    assert not {
        name for name in bare if f"`{name}`" not in section("Tensors") and f"`{name}." not in section("Tensors")
    }


@pytest.fixture(scope="module")
def tiny_anatomy() -> dict[str, Anatomy]:
    from tests.families import tiny

    return {family: tiny(family).anatomy for family in FAMILIES}


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_model_of_the_catalogue_is_documented(entry: object) -> None:
    assert re.search(rf"^\| `{entry.name}` \|.*{re.escape(entry.licence)}", README, re.MULTILINE)  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_documented(family: str) -> None:
    assert f"`{family}`" in README


def test_what_a_view_has_is_in_the_author_guide() -> None:
    own = {name for name in vars(txpanel.View) if not name.startswith("_")} - {
        "state",
        "name",
        "active",
        "dark",
        "param",
    }
    assert not {name for name in own if not re.search(rf"`(self\.)?{name}\b", PLUGINS)}


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("[a-z]*")), ids=lambda path: path.name)
def test_every_script_is_documented(path: Path) -> None:
    assert f"scripts/{path.name}" in ARCHITECTURE


def test_the_map_names_every_room() -> None:
    rooms = {path.name for path in (ROOT / "txpanel").iterdir() if path.is_dir()} - {"__pycache__", "locales"}
    named = set(re.findall(r"^\| \[(\w+)/\]", ARCHITECTURE, re.MULTILINE))
    assert named == rooms
    loose = {path.stem for path in (ROOT / "txpanel").glob("*.py")}
    assert len(loose) <= 8
    assert not {name for name in loose if f"`{name}`" not in ARCHITECTURE}


def test_what_the_journeys_name_in_a_file_is_there() -> None:
    """``[tracing/trace.py](../txpanel/tracing/trace.py) (`why`)``: the function is in that file."""
    steps = re.findall(r"\]\((\.\./txpanel/[\w/.]+\.py)\)\s+\(`(\w+)`\)", ARCHITECTURE)
    assert len(steps) > 5
    wrong = [
        step
        for path, name in steps
        if not re.search(rf"def {name}\(", (ROOT / "docs" / path).read_text(encoding="utf-8"))
        for step in [f"{path}: {name}"]
    ]
    assert not wrong


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("plugins/*/README.md")]
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not dead, dead


def test_the_version_is_one() -> None:
    assert txpanel.__version__ == PROJECT["version"]
    assert re.search(
        r"^## \[(Unreleased|" + re.escape(PROJECT["version"]) + r")\]",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )


@pytest.mark.parametrize("name", FIELDS)
def test_every_sampling_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in section("Sampling settings")
    assert name in OF_THE_STATE


def test_the_table_of_settings_has_the_order_of_the_chain_and_says_what_is_off() -> None:
    rows = re.findall(r"^\| `(\w+)` \| *([\d.]*) *\|", section("Sampling settings"), re.MULTILINE)
    assert rows == [*((spec.key, f"{spec.off:g}") for spec in SPECS), ("seed", "")]


def test_the_page_of_families_is_what_the_last_sweep_has_shown() -> None:
    """The sweep itself runs apart (`tests/sweep`); it was run with the version that is pinned."""
    page = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
    assert page.splitlines() == families.page().splitlines(), "run python scripts/families.py"
    version = json.loads(families.RESULT.read_text(encoding="utf-8"))["transformers"]
    assert f"transformers=={version}" in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
