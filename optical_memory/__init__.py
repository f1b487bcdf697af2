"""Conversation memory for language-model agents: text while it is fresh, pictures of text as it ages."""

from __future__ import annotations

__version__ = "0.1.0"
