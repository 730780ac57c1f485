"""Logit lens for txpanel: what each block would already predict."""

from __future__ import annotations

from txpanel_logit_lens.lens import Lens, lens

__all__ = ["Lens", "lens"]
