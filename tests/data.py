"""Where the real conversations are, for tests that use them; they are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def data_dir() -> Path:
    """The folder of conversations: OPTICAL_MEMORY_DATA, else ../shared/data beside the checkout; skips without it."""
    folder = Path(os.environ.get("OPTICAL_MEMORY_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no conversations here: set OPTICAL_MEMORY_DATA to a folder of JSON Lines transcripts")
    return folder


def conversations() -> list[Path]:
    """Every conversation below the data folder, without the question files."""
    return sorted(p for p in data_dir().glob("*/*.jsonl") if not p.name.endswith(".qa.jsonl"))
