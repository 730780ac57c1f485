"""Embedding: the tokenizer's pieces, their rows of the table, positions, and the vector that enters the first block."""

from __future__ import annotations

from txpanel.views.embedding.view import EmbeddingView

__all__ = ["EmbeddingView"]
