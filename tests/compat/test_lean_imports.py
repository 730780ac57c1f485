"""A server starts without the compiler and the distributed package; numbers are the same, and the compiler comes when it is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
from txpanel.compat import lean_imports
lean_imports.install()
lean_imports.install()  # once is enough
import txpanel
model = txpanel.load("nano")
trace = model.trace("CBABBC=")
said = {
    "compiler": type(sys.modules["torch._dynamo"]).__name__,
    "distributed": "torch.distributed.tensor" in sys.modules,
    "exact": [trace.check(i).exact for i in range(trace.anatomy.n_layers)],
    "likeliest": int(trace.logits.data.argmax()),
    "logit": float(trace.logits.max()),
}
import torch
from torch._dynamo.utils import counters
said["compiled"] = torch.compile(lambda x: x + 1, backend="aot_eager")(torch.ones(2)).tolist()
said["frames"] = counters["stats"]["unique_graphs"]
said["marked"] = sys.modules["torch._dynamo"].__name__, type(torch._dynamo).__name__
said["available"] = torch.distributed.is_available()
print(json.dumps(said))
"""


def _run(script: str) -> str:
    """What a new process prints: one without the sweep's torchao, which transformers imports wherever it is, and which imports the compiler."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


@pytest.mark.sweep
def test_transformers_still_imports_both() -> None:
    """When this fails, transformers starts without them by itself: drop that half of `lean_imports`."""
    script = """
import sys, transformers.modeling_utils
print([name for name in ("torch._dynamo", "torch.distributed.tensor") if name in sys.modules])
"""
    assert _run(script).strip() == "['torch._dynamo', 'torch.distributed.tensor']"


@pytest.mark.sweep
@pytest.mark.slow
def test_a_lean_process_gives_the_same_numbers_and_can_still_compile() -> None:
    import txpanel

    said = json.loads(_run(SCRIPT).splitlines()[-1])
    logits = txpanel.load("nano").trace("CBABBC=").logits
    assert said == {
        "compiler": "LazyCompiler",
        "distributed": False,
        "exact": [True, True, True],
        "likeliest": int(logits.data.argmax()),
        "logit": float(logits.max()),
        "compiled": [2.0, 2.0],
        "frames": 1,
        "marked": ["torch._dynamo", "module"],
        "available": True,
    }
