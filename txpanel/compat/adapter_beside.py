"""A folder with model and adapter, without its adapter.

Versions: transformers 5.21 to 5.24.
Reason: where peft is installed, ``from_pretrained`` of a folder with adapter_config.json also loads the adapter, from a pickle if that is what lies
    there, with patterns of that file run as regular expressions; without peft it silently does not.
Upstream: huggingface/transformers, src/transformers/integrations/peft.py, `maybe_load_adapters`; it cannot be switched off.
Test: tests/models/test_adapter_folder.py::test_transformers_still_loads_an_adapter_that_lies_beside_a_model
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["without_adapter"]


@contextmanager
def without_adapter(folder: Path) -> Iterator[Path]:
    """The folder itself where it has no adapter; else one with links to all its other files, for as long as this lasts."""
    if not (folder / "adapter_config.json").exists():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="txpanel-") as made:
        for path in folder.resolve().iterdir():
            if not path.name.startswith("adapter_"):
                _stand_in(Path(made) / path.name, path)
        yield Path(made)


def _stand_in(place: Path, path: Path) -> None:
    try:
        place.symlink_to(path)
    except OSError:  # Windows lets only administrators and developers make links
        if path.is_dir():
            shutil.copytree(path, place)
        else:
            shutil.copy2(path, place)
