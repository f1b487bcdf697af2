"""JSON as people would write it down: no needless quotes, long lists of like objects as tables with one header.

Nothing is lost that a reader could not restore: numbers keep their digits, repeated keys stay, strings that could be
taken for something else keep their quotes. In a short list every value keeps its key beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

BEGIN = re.compile(  # at a line's start, after `name: ` or an arrow, or as the argument of a call
    r"(?:^[^\n{\[\"'`]{0,60}[:→][ \t]|^[ \t]*|(?<=\w\())(?=\{\s*[\"}]|\[\s*[\[{\"])", re.MULTILINE
)
AFTER = re.compile(r"[ \t]*(?=[\n)]|$)")
PLAIN = re.compile(r"[^\s\"'{}\[\],;:⟨⟩-](?:[^\n\r\t\"{}\[\],;]*[^\s\"{}\[\],;])?")
CELL = ";"  # between cells: at 9 pixels OCR got 88 % of cells right, 79 % with a bar, which reads as 1, l or I
MANY = 6  # rows from which on a table pays: in shorter lists the keys are little, and what a value is stands beside it
LITERAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity")
DEEPEST = 64  # levels; JSON with more is left alone, or it would depend on the room that is left on the caller's stack
FAILURES = 32  # places that look like JSON and are not, after which a text is left alone: keeps the work linear


class Raw(str):
    """A number as it was written."""

    __slots__ = ()


class Pairs(tuple[tuple[str, Any], ...]):
    """An object, in order, repeated keys included."""

    __slots__ = ()

    def names(self) -> tuple[str, ...]:
        """The keys in order."""
        return tuple(key for key, _ in self)


DECODER = json.JSONDecoder(object_pairs_hook=Pairs, parse_int=Raw, parse_float=Raw, parse_constant=Raw, strict=False)


def compact_json(text: str) -> str:
    """The text with each JSON object or list that fills its lines (or a call's brackets) made compact."""
    out, at, failures = [], 0, 0
    while failures < FAILURES and (found := BEGIN.search(text, at)):
        value, end = _parsed(text, found.end())
        out.append(text[at : found.end()])
        at = end
        if value is None:
            failures += 1
            out.append(text[found.end() : (at := found.end() + 1)])
        else:
            out.append(value)
    return "".join([*out, text[at:]])


def _parsed(text: str, start: int) -> tuple[str | None, int]:
    """The compact form of the JSON at `start`, if there is one and nothing else follows on its line, and its end."""
    try:
        value, end = DECODER.raw_decode(text, start)
        return (compact(value), end) if AFTER.match(text, end) else (None, start)
    except (ValueError, RecursionError):
        return None, start


def compact(value: Any, level: int = 0) -> str:
    """One decoded value. Raises ValueError where it is deeper than `DEEPEST`."""
    if level > DEEPEST:
        raise ValueError(f"more than {DEEPEST} levels")
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{_key(key)}:{compact(item, level + 1)}" for key, item in value) + "}"
    if isinstance(value, list):
        rows = table(value, level) if _alike(value) else ", ".join(compact(item, level + 1) for item in value)
        return f"[{rows}]"
    return word(value)


def _key(name: str) -> str:
    """A key beside its value, from which a colon parts it."""
    return json.dumps(name, ensure_ascii=False) if ":" in name else word(name)


def word(value: Any) -> str:
    """A scalar or key; strings are quoted where they could be taken for something else."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Raw) or (PLAIN.fullmatch(value) and not LITERAL.fullmatch(value)):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def table(rows: Sequence[Pairs], level: int) -> str:
    """A header and a line per object; objects inside that have the same keys in all rows become columns too."""
    head, lines = _columns(rows, level)
    return "\n".join([head, *lines])


def _columns(rows: Sequence[Pairs], level: int) -> tuple[str, list[str]]:
    names, records = rows[0].names(), [dict(row) for row in rows]
    columns = [_column([record[name] for record in records], level + 1) for name in names]
    head = CELL.join(word(name) + below for name, (below, _) in zip(names, columns, strict=True))
    return head, [CELL.join(cells) for cells in zip(*(cells for _, cells in columns), strict=True)]


def _column(values: list[Any], level: int) -> tuple[str, list[str]]:
    """What follows the column's name in the header, and one cell per row."""
    if not _alike(values):
        return "", [compact(value, level + 1) for value in values]
    head, lines = _columns(values, level)
    return f"({head})", lines


def _alike(values: list[Any]) -> bool:
    """Many objects with the same keys, each once."""
    if len(values) < MANY or not all(isinstance(value, Pairs) and value for value in values):
        return False
    keys = set(values[0].names())
    return all(len(value) == len(keys) and set(value.names()) == keys for value in values)
