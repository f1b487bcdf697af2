"""A context as files that only their owner can read: the messages as sent, the images, and how it is made up."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optical_memory.errors import OpticalMemoryError
from optical_memory.inspection.looking import Part
from optical_memory.memory import Context


class SaveError(OpticalMemoryError):
    """A file that could not be written."""


def folder(path: Path) -> Path:
    """The folder, made where it is missing. Raises SaveError."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SaveError(f"cannot make the folder {path} ({error.strerror}): give another one") from None
    return path


def write(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read. Raises SaveError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise SaveError(f"cannot write {path} ({error.strerror}): give another folder") from None


def save_context(to: Path, context: Context, parts: Sequence[Part], report: dict[str, Any]) -> list[Path]:
    """`messages.json` (OpenAI-style, images as data URLs), the images as PNG, and `report.json`; returns the files."""
    folder(to)
    named = name_images(parts)
    files = [to / name for names in named for name, _ in names]
    for names in named:
        for name, png in names:
            write(to / name, png)
    segments = [s | {"images": [n for n, _ in names]} for s, names in zip(report["segments"], named, strict=True)]
    for name, value in (("messages.json", context.to_openai()), ("report.json", report | {"segments": segments})):
        write(to / name, json.dumps(value, ensure_ascii=True, indent=1).encode())
        files.append(to / name)
    return files


def name_images(parts: Sequence[Part]) -> list[list[tuple[str, bytes]]]:
    """For each part its images with their file names: place in the call, turns, tier."""
    named, place = [], 0
    for part in parts:
        row = []
        for png in part.images:
            place += 1
            first, last = part.segment.turns or (0, 0)
            row.append((f"{place:03d}-turns-{first}-{last}-{part.kind}.png", png))
        named.append(row)
    return named
