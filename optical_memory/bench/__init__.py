"""What we claim, made again by a command."""

from __future__ import annotations

from optical_memory.bench.recall import build

__all__ = ["build"]
