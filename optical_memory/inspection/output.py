"""What reaches the terminal: data on stdout, everything else on stderr, stored text never in command of either."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

from optical_memory.shown import safe

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

PIPED_WIDTH = 160  # columns of a table that goes to a file or another program
LEAST = 8  # columns that `rest` needs; on a terminal without room for them each value gets a line of its own
GAP = 3  # columns between two columns of a table
COLOURS = {
    "text": "green",
    "current": "bright_green",
    "vivid": "bright_cyan",
    "clear": "cyan",
    "dense": "blue",
    "card": "magenta",
    "handle": "bright_black",
    "facts": "yellow",
    "recalled": "bright_yellow",
    "preamble": "white",
    "excerpt": "green",
    "reserved": "bright_black",
    "free": "bright_black",
}

WORDS: Mapping[str, str] = {
    "text": "word for word",
    "current": "the run that goes on, word for word",
    "vivid": "a page in large type",
    "clear": "a page in smaller type",
    "dense": "a page in the smallest type that this model reads",
    "card": "a headline in words",
    "handle": "one line: recall brings it back",
    "preamble": "what pages are and how to recall",
    "facts": "exact strings of the pages, as text",
    "recalled": "brought back as text",
    "excerpt": "head and tail, word for word",
}
"""What each kind of segment is, in a few words."""

LETTERS: Mapping[str, str] = {
    "text": "T", "current": "T", "excerpt": "T", "vivid": "V", "clear": "C", "dense": "D", "card": "K", "handle": "H",
    "facts": "F", "preamble": "P", "recalled": "R", "reserved": "S", "free": ".",
}  # fmt: skip
"""One letter for each kind, so that no colour has to be told apart; K as in card, since C is clear."""


def number(value: int) -> str:
    """12345 as 12,345."""
    return f"{value:,}"


def many(count: int, noun: str) -> str:
    """1 turn, 5,000 turns."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def turn_range(turns: Sequence[int] | None) -> str:
    """(3, 7) as 3-7, (3, 3) as 3, None as nothing."""
    if not turns:
        return ""
    return str(turns[0]) if turns[0] == turns[1] else f"{turns[0]}-{turns[1]}"


def size(count: int) -> str:
    """Bytes as a person reads them."""
    amount = float(count)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:,.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:,.1f} GB"


# --------------------------------------------------------------------------------------------- streams


def console(stream: TextIO | None = None) -> Console:
    """A console that adds nothing to its text: no markup, emoji or highlighting; colour for people only."""
    from rich.console import Console

    to = stream or sys.stdout
    plain = not to.isatty() or "NO_COLOR" in os.environ
    return Console(
        file=to,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
        color_system=None if plain else "auto",
        width=None if to.isatty() else PIPED_WIDTH,
        force_terminal=None if to.isatty() else False,
    )


def forgiving() -> None:
    """Characters that the terminal's encoding lacks are written as escapes instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(text: str = "") -> None:
    """A line of data to stdout, as it is."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """A line for the person to stderr."""
    sys.stderr.write(safe(text) + "\n")


def as_json(value: Any, indent: int | None = 2) -> str:
    """One JSON document; what could drive a terminal is escaped, which JSON allows inside its strings."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return safe(text, _escaped)


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if ord(found[0]) != 0x7F else "\\u007f"


def show(data: Any, json_wanted: bool, draw: Callable[[Any], None]) -> None:
    """The same data as one JSON document, or drawn for a person."""
    if json_wanted:
        say(as_json(data))
    else:
        draw(data)


def show_rows(rows: Iterable[Any], json_wanted: bool, lines_wanted: bool, draw: Callable[[Any], None]) -> None:
    """A list as `show` does it, or each row as a JSON document on a line of its own, as it comes."""
    if not lines_wanted:
        show(list(rows), json_wanted, draw)
        return
    for row in rows:
        say(as_json(row, None))


# --------------------------------------------------------------------------------------------- tables


def table(columns: Mapping[str, str], rows: Iterable[Sequence[Any]], title: str | None = None) -> Rows:
    """A table; each column is `left`, `right`, or `rest` (takes the room that is left, cut with …)."""
    from rich.text import Text

    lines = [[c if isinstance(c, Text) else Text(safe(c), no_wrap=True, overflow="ellipsis") for c in r] for r in rows]
    return Rows(columns, lines, title)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows under their columns, or where the terminal is too narrow for these one below the other, with nothing cut."""

    columns: Mapping[str, str]
    lines: Sequence[Sequence[Text]]
    title: str | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield self._side_by_side() if self._least() <= options.max_width else self._below_each_other()

    def _least(self) -> int:
        """Columns of the terminal that the table needs."""
        from rich.cells import cell_len

        places = enumerate(self.columns.items())
        wide = [
            (kind, max(map(cell_len, [name, *(line[n].plain for line in self.lines)]))) for n, (name, kind) in places
        ]
        return sum(min(width, LEAST) if kind == "rest" else width for kind, width in wide) + GAP * (len(wide) - 1)

    def _side_by_side(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        made = Table(
            box=box.SIMPLE_HEAD, title=Text(self.title) if self.title else None, title_justify="left", pad_edge=False,
            show_edge=False,
        )  # fmt: skip
        for name, kind in self.columns.items():
            side: Literal["left", "right"] = "right" if kind == "right" else "left"
            made.add_column(Text(name), justify=side, no_wrap=kind != "rest", overflow="ellipsis")
        for line in self.lines:
            made.add_row(*line)
        return made

    def _below_each_other(self) -> Text:
        from rich.text import Text

        wide = max(map(len, self.columns))
        rows = (
            Text("\n").join(
                Text.assemble(f"{name:<{wide}}  ", value)
                for name, value in zip(self.columns, line, strict=True)
                if value
            )
            for line in self.lines
        )
        return Text("\n\n", overflow="fold").join([*([Text(self.title)] if self.title else []), *rows])


def tier(name: str) -> Any:
    """A tier's name in its colour; the name is always there, the colour only helps."""
    from rich.text import Text

    return Text(safe(name), style=COLOURS.get(name, ""))


def bar(parts: Sequence[tuple[str, int]], whole: int, width: int = 60) -> Any:
    """A budget as a bar of `width` cells: each part by its letter and colour, what is free as dots."""
    from rich.text import Text

    line = Text("[")
    used = 0
    for kind, tokens in parts:
        upto = min(width, round(width * (used + tokens) / max(whole, 1)))
        since = round(width * min(used, whole) / max(whole, 1))
        line.append(letter(kind) * max(0, upto - since), style=COLOURS.get(kind, ""))
        used += tokens
    line.append("." * max(0, width - len(line) + 1), style="bright_black")
    return line + Text("]")


def squares(parts: Sequence[tuple[str, int]], whole: int) -> Any:
    """A budget as ten rows of ten letters, each a hundredth of it; every part that is not empty has one at least."""
    from rich.text import Text

    cells: list[str] = []
    used = 0
    for kind, tokens in parts:
        used += tokens
        cells += [kind] * max(1 if tokens else 0, round(100 * used / max(whole, 1)) - len(cells))
    cells = (cells + ["free"] * 100)[:100]
    drawn = (Text(letter(kind) + " ", style=COLOURS.get(kind, "")) for kind in cells)
    rows = [Text.assemble(*row) for row in zip(*[drawn] * 10, strict=True)]
    return Text("\n").join(rows)


def letter(kind: str) -> str:
    """The letter that stands for a kind of segment in a bar."""
    return LETTERS.get(kind, kind[:1].upper())


__all__ = [
    "LETTERS",
    "WORDS",
    "Rows",
    "as_json",
    "bar",
    "console",
    "forgiving",
    "many",
    "note",
    "number",
    "say",
    "show",
    "show_rows",
    "size",
    "squares",
    "table",
    "tier",
    "turn_range",
]
