"""The versions of libraries with which the suite has passed, in one place: `pyproject.toml` allows no others.

``scripts/versions`` runs the suite with both ends of every range; whoever widens one writes its end here and in `pyproject.toml`
(``tests/compat/test_tried.py`` compares the two with each other and with ``constraints.txt``). What `txpanel doctor` says of a
version outside comes from here.
"""

from __future__ import annotations

from packaging.version import Version

__all__ = ["PYTHON", "TRIED", "was_tried"]

PYTHON = ("3.11", "3.13")
"""Lowest and newest Python; `pyproject.toml` names each of them in a classifier."""

TRIED: dict[str, tuple[str, str]] = {
    "panel": ("1.9.4", "1.10"),
    "bokeh": ("3.9", "3.10"),
    "holoviews": ("1.23.2", "1.23"),
    "param": ("2.4", "2.4"),
    "panel-material-ui": ("0.16.6", "0.16"),
    "torch": ("2.6", "2.15"),
    "transformers": ("5.21", "5.24"),
    "huggingface_hub": ("1.31", "2.4"),
    "safetensors": ("0.8", "0.8"),
    "tokenizers": ("0.23.1", "0.23"),
    "tornado": ("6.5", "6.6"),
    "jinja2": ("3.1.5", "3.1"),  # pandas, which brings tables to views, takes none before
    "gguf": ("0.17", "0.19"),
    "accelerate": ("1.2", "1.15"),
    "filelock": ("3.15.1", "4.3"),
    "latex2mathml": ("3.78", "3.81"),
    "xarray": ("2025.1", "2026.9"),
    "numpy": ("2.0", "2.5"),
    "prometheus_client": ("0.21", "0.26"),
    "psutil": ("6", "7.2"),
    "packaging": ("24", "26"),
    "markdown-it-py": ("3", "4.3"),
    "mdit-py-plugins": ("0.4", "0.7"),
    "pyyaml": ("6", "6.0"),
    "segno": ("1.6", "1.6"),
}
"""Name -> lowest version, and newest one by its leading numbers: with ("5.21", "5.24") any 5.24.x was tried."""


def was_tried(name: str, version: str) -> bool:
    """Whether a version of a library, or of Python, is within what was tried; a name that is not in `TRIED` is."""
    if name not in TRIED and name != "Python":
        return True
    lowest, newest = (Version(end) for end in TRIED.get(name, PYTHON))
    found = Version(version)
    return found >= lowest and found.release[: len(newest.release)] <= newest.release
