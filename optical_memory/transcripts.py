"""Transcripts in: JSON Lines of OpenAI-style chat messages, read whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optical_memory.errors import TranscriptError
from optical_memory.messages import group, read


def transcript(path: Path) -> list[dict[str, Any]]:
    """The messages of a JSON Lines file. Raises TranscriptError naming file, line and reason."""
    messages: list[dict[str, Any]] = []
    called: set[str] | None = None  # the calls that a tool result may answer; None before the first other message
    for number, line in _lines(path):
        message = _parsed(path, number, line)
        called = _checked(path, number, message, called)
        messages.append(message)
    if not messages:
        raise TranscriptError("holds no messages: give JSON Lines, one chat message on a line", file=str(path))
    return messages


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                line = _decoded(path, number, raw)
                if line.strip():
                    yield number, line
    except OSError as error:
        raise TranscriptError(f"cannot be read: {error.strerror or error}", file=str(path)) from None


def _decoded(path: Path, number: int, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 at byte {error.start + 1}: save the file as UTF-8"
        raise TranscriptError(reason, file=str(path), line=number) from None


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except json.JSONDecodeError as error:
        raise TranscriptError(f"is no JSON: {error.msg} at column {error.colno}", file=str(path), line=number) from None
    except (ValueError, RecursionError) as error:
        raise TranscriptError(f"is no usable JSON: {error}", file=str(path), line=number) from None
    if not isinstance(message, dict):
        reason = f"is a JSON {_kind(message)}, not an object with 'role' and 'content'"
        raise TranscriptError(reason, file=str(path), line=number)
    return message


def _kind(value: object) -> str:
    names = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
    return names.get(type(value), "value")


def _checked(path: Path, number: int, message: dict[str, Any], called: set[str] | None) -> set[str] | None:
    """The calls that the next line may answer, or a TranscriptError that knows the line."""
    try:
        found = read(message)
        if found.role != "tool":
            return {c.id for c in found.calls if c.id}
        if called is not None:
            group([found], called)
    except TranscriptError as error:
        raise TranscriptError(error.reason, file=str(path), line=number) from None
    except (AttributeError, TypeError, ValueError) as error:  # a field of a shape that no chat message has
        raise TranscriptError(f"is not shaped like a chat message: {error}", file=str(path), line=number) from None
    return called
