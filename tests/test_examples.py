"""The examples run as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from txpanel.models.language_model import LanguageModel

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_why() -> None:
    told = run("examples/why.py", "nano", "CBABBC=")
    assert "NOT" not in told
    assert "blocks.1.scores" in told.splitlines()[0]
    assert "tokens" in told.splitlines()[-1] or ".weight" in told.splitlines()[-1]


@pytest.mark.slow
def test_your_model(nano: LanguageModel, tmp_path: Path) -> None:
    nano.model.save_pretrained(tmp_path)
    nano.tokenizer.save_pretrained(tmp_path)
    told = run("examples/your_model.py", str(tmp_path), "CBABBC=")
    assert told.count("replay exact") == nano.anatomy.n_layers


@pytest.mark.slow
def test_one_view() -> None:
    run("-W", "ignore", "-c", "import runpy; runpy.run_path('examples/one_view.py')")


@pytest.mark.real
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq")
def test_notebook(smollm2: LanguageModel) -> None:
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
