"""Options and arguments that several commands share, and how spans of turns are typed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

import optical_memory.inspection.completing as completing
from optical_memory.errors import ConfigError

Db = Annotated[
    str | None,
    typer.Option("--db", envvar="OPTICAL_MEMORY_DB", metavar="URL", help="Database URL, or path of an SQLite file."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Jsonl = Annotated[bool, typer.Option("--jsonl", help="Print one JSON document a line, for lists that may be long.")]
Thread = Annotated[str, typer.Argument(help="Name of the thread.", autocompletion=completing.threads)]
OneThread = Annotated[str | None, typer.Argument(help="Only this thread.", autocompletion=completing.threads)]
OnlyThread = Annotated[
    str | None, typer.Option("--thread", help="Only in this thread.", autocompletion=completing.threads)
]
Turns = Annotated[str | None, typer.Argument(help="Turns such as 3, 3-7 or 1,4-6.")]
Match = Annotated[
    str | None,
    typer.Option(
        "--match",
        metavar="TEXT",
        help="Only turns that contain this, in capitals or not; they are listed, and it is asked first.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ProfileFile = Annotated[
    Path | None,
    typer.Option("--profile", metavar="FILE", help="What the model reads, as `optical-memory calibrate` found it."),
]


def turn_spans(text: str) -> list[tuple[int, int]]:
    """First and last turn of each piece of "3", "3-7", "3:7" or "1,4-6". Raises ConfigError."""
    found: list[tuple[int, int]] = []
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:[-:–]\s*(\d{1,9})\s*)?", piece)
        if match is None or int(match[1]) < 1 or int(match[2] or match[1]) < int(match[1]):
            raise ConfigError(f"turns {text!r} cannot be read: give 3, 3-7 or 1,4-6, counted from 1")
        found.append((int(match[1]), int(match[2] or match[1])))
    return found


def turn_numbers(text: str, length: int) -> list[int]:
    """The numbers that these turns have in a thread of `length` turns, each once, in order. Raises ConfigError.

    Of turns beyond the thread's end only the first is named, however many were asked for: enough to say that it is missing.
    """
    spans = [(min(first, length + 1), min(last, length + 1)) for first, last in turn_spans(text)]
    return sorted({number for first, last in spans for number in range(first, last + 1)})


def turn_span(text: str | None) -> tuple[int, int | None]:
    """First and last turn of "3-7", "3-" or nothing. Raises ConfigError."""
    if text is None:
        return 1, None
    open_end = re.fullmatch(r"\s*(\d{1,9})\s*[-:]\s*", text)
    if open_end:
        return max(1, int(open_end[1])), None
    spans = turn_spans(text)
    return min(first for first, _ in spans), max(last for _, last in spans)
