"""The examples run as they are."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import torch
from bokeh.document import Document
from nbclient import NotebookClient

import txpanel
from txpanel.models.language_model import LanguageModel

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a program of that folder, as a command would, in this process: importing torch once more takes longer than most of them."""

    def program(name: str, *arguments: str) -> str:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return program


@pytest.mark.sweep
@pytest.mark.slow
def test_the_example_why_runs() -> None:
    command = [sys.executable, "examples/why.py", "nano", "CBABBC="]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    told = done.stdout
    assert "NOT" not in told
    assert "blocks.1.scores" in told.splitlines()[0]
    assert "tokens" in told.splitlines()[-1] or ".weight" in told.splitlines()[-1]


@pytest.mark.slow
def test_the_example_your_model_runs(nano: LanguageModel, tmp_path: Path, run: Run) -> None:
    nano.model.save_pretrained(tmp_path)
    nano.tokenizer.save_pretrained(tmp_path)
    told = run("your_model.py", str(tmp_path), "CBABBC=")
    assert told.count("replay exact") == nano.anatomy.n_layers


def test_training_goes_on_as_if_nobody_had_looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Same weights, bit for bit, with a trace every 20 steps and with none; dropout's chance is not touched, no trace holds a graph."""
    looked, alone = (runpy.run_path(str(EXAMPLES / "training_loop.py")) for _ in range(2))
    looked["main"].__globals__["EVERY"] = 20
    a = looked["main"](60, str(tmp_path)).state_dict()
    told = capsys.readouterr().out.splitlines()
    alone["main"].__globals__["EVERY"] = 10**9
    b = alone["main"](60).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in b)
    assert [line.split(":")[0] for line in told] == ["step 20", "step 40", "step 60"]
    assert float(told[0].split("loss ")[1].split(";")[0]) > float(told[-1].split("loss ")[1].split(";")[0])
    kept = txpanel.open_trace(tmp_path / "step-60.safetensors")
    bits = ", ".join(f"{letter} {bit:.2f}" for letter, bit in zip("ABC", kept.surprisal()[4:], strict=True))
    assert bits in told[-1]


@pytest.mark.sweep
@pytest.mark.slow
def test_training_loop_learns(run: Run) -> None:
    assert run("training_loop.py", "300").splitlines()[-1].endswith("; right")


@pytest.mark.filterwarnings("ignore")
def test_the_example_one_view_runs(doc: Document, run: Run) -> None:
    run("one_view.py")


@pytest.mark.sweep
@pytest.mark.real
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq")
def test_the_example_notebook_runs(smollm2: LanguageModel) -> None:
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "saved outputs make the file megabytes large"
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}, kernel_name="python3")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    client.execute()
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    texts = [out.get("data", {}).get("text/plain", "") for outs in outputs.values() for out in outs]
    assert any("make', 0.1197)" in text for text in texts), "the likeliest next token, as the README says"
    views = [
        out
        for outs in outputs.values()
        for out in outs
        if "application/vnd.holoviews_exec.v0+json" in out.get("data", {})
    ]
    assert len(views) >= 2, "one view and the dashboard"
