"""What sort of text a block is, and how it is made compact for drawing without changing what it says.

text -> blocks (fenced code, the rest) -> JSON, Markdown -> visible characters -> indents, runs and newlines as marks

The result is a function of the text alone. The source stays in the store; only the picture is compact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from optical_memory.messages import RESULT
from optical_memory.pages.compact import compact_json
from optical_memory.pages.marks import INDENT, JOINED, NEWLINE, PARAGRAPH, visible

FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})([^\n`]*)$", re.MULTILINE)
STRONG = re.compile(r"(?<![\w*])\*\*(?=\S)([^*\n]{1,200})(?<=\S)\*\*(?![\w*])")
FENCES = re.compile(r"^([ \t]*)`{3,}(?=[ \t]*[\w+#.-]*[ \t]*$)", re.MULTILINE)  # of a fence: one says as much as three
INLINE = re.compile(r"(?:(?<=[\s(\[{\"*:,/|])|^)`(?=[^`\s'])([^`'\n]{1,200})(?<=\S)`(?![`\w])", re.MULTILINE)
TABLE = re.compile(  # of Markdown: a header, its rule, and the rows; without a rule bars are none: |x| = |y|
    r"^([ \t]*\|.*)\n[ \t]*\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*$((?:\n[ \t]*\|.*)*)", re.MULTILINE
)
BAR = re.compile(r"(?<!\\)\|")  # between cells: one with a backslash belongs to its cell
HEADING = re.compile(
    r"[A-Z][^\sa-z]*(?: [^\sa-z]+)*(?: {2,}[A-Z][^\sa-z]*(?: [^\sa-z]+)*){2,} *"
)  # of three columns or more
COLUMN = re.compile(r"(?:^|(?<=  ))\S")
NUMBERED = re.compile(r"[ \t]*(\d+)(→|\t|:(?= {2}|\t))")  # a line of a file as tools show it
REPEAT = re.compile(rf"([^\s⟩])\1{{23,}}(?!(?!\1){JOINED})")
RULE = re.compile(r"([-=_*#~.+─━═])\1{5,}")
EMPTY = re.compile(r"\A(?:[ \t]*\n)+|\A(?![^\n]*\n) +")  # lines before the first, whose indent counts if others follow
BLANKS = re.compile(r"[ \t]{2,}|\t")
DEEP = 6  # levels of indentation that are drawn one by one


def normalise(text: str, scripts: str = "") -> str:
    """The text as it is drawn in a style with these `scripts`: one line, visible characters and marks only."""
    drawn = "".join(_tidy(part) for part in blocks(text.replace("\r\n", "\n")))
    return flat(visible(FENCES.sub(r"\1`", drawn) if "```" in drawn else drawn, scripts))


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """("code" or "text", block) in order; joined, the blocks are the text. Fenced JSON counts as text."""
    at = 0
    for start, end, name in _fenced(text) if "```" in text or "~~~" in text else ():
        yield "text", text[at:start]
        yield "text" if name.startswith("json") else "code", text[start:end]
        at = end
    yield "text", text[at:]


def _fenced(text: str) -> Iterator[tuple[int, int, str]]:
    """Where fenced blocks start and end, and what they are said to be. One that nothing closes is none: it is known before
    it is looked into, since looking for the end of each to the end of the text took 11 seconds for 20,000 of them."""
    lines = list(FENCE.finditer(text))
    closes: dict[str, int] = {}  # fence -> where the next line ends that holds it and no more
    ends = [0] * len(lines)
    for i in range(len(lines) - 1, -1, -1):
        ends[i] = closes.get(lines[i][1], 0)
        if not lines[i][2].strip(" \t"):
            closes[lines[i][1]] = lines[i].end()
    at = 0
    for line, end in zip(lines, ends, strict=True):
        if end and line.start() >= at:
            yield line.start(), end, line[2].lstrip(" \t")
            at = end


def _tidy(block: tuple[str, str]) -> str:
    kind, text = block
    return text if kind == "code" else markdown(compact_json(text) if "{" in text or "[" in text else text)


def markdown(text: str) -> str:
    """Emphasis by one star instead of two, code in a sentence by apostrophes instead of backticks, which at 9 pixels two
    engines read wrong more often than all else together; tables without padding, outer bars and the rule below the header.
    """
    text = STRONG.sub(r"*\1*", text) if "**" in text else text
    text = INLINE.sub(r"'\1'", text) if "`" in text else text
    return TABLE.sub(_table, text) if "|" in text else text


def _table(table: re.Match[str]) -> str:
    return "\n".join(map(_row, (table[1] + table[2]).split("\n")))


def _row(line: str) -> str:
    cells = BAR.split(line.strip(" \t"))[1:]
    cells = cells if cells[-1] else cells[:-1]
    return _cells(cells) if len(cells) > 1 else line


def _cells(cells: Sequence[str]) -> str:
    """An empty cell is seen by its bars; one at the line's start or end needs no blank beside it."""
    return " | ".join(cell.strip(" \t") for cell in cells).strip(" ")


def flat(text: str) -> str:
    """Newlines, indents, repeated lines and characters as marks; rules and runs of blanks collapsed."""
    text = REPEAT.sub(lambda run: f"{run[1] * 3}⟨×{len(run[0])}⟩", EMPTY.sub("", text.rstrip(" \n")))
    text = RULE.sub(r"\1\1\1", text)
    rows = _aligned((_tabbed(text) if "\t" in text else text).split("\n"))
    lines = [line.rstrip(" \t") for line in rows]
    unit = _unit(lines)
    drawn = (_repeated(_line(line, unit), sum(1 for _ in same)) for line, same in groupby(_counted(lines)))
    return re.sub(f"{NEWLINE}{{2,}}", PARAGRAPH, NEWLINE.join(drawn))


def _tabbed(text: str) -> str:
    """Tables with tabs between their cells get bars where blanks would not do: a gap does not show an empty cell."""
    runs = groupby(text.split("\n"), lambda line: line.count("\t"))
    return "\n".join(line for tabs, run in runs for line in (_barred(list(run), tabs) if tabs > 1 else run))


def _barred(lines: list[str], tabs: int) -> list[str]:
    """With bars if a header without an empty cell stands above rows with empty cells beside others, or with numbers that
    would be taken for those of lines. A row of one cell alone is no sign: its tabs may be an indent."""
    filled = [sum(1 for cell in line.split("\t") if cell.strip(" ")) for line in lines]
    numbered = [NUMBERED.match(line) for line in lines]
    if filled[0] <= tabs or numbered[0] or not (any(1 < cells <= tabs for cells in filled) or any(numbered)):
        return lines
    return [_cells(line.replace("|", "\\|").split("\t")) for line in lines]


def _aligned(lines: list[str]) -> Iterator[str]:
    """Tables below headings in capitals, as `docker ps` and `kubectl get` print them, with bars where a cell is empty."""
    at = 0
    while at < len(lines):
        starts = [cell.start() for cell in COLUMN.finditer(lines[at])] if HEADING.fullmatch(lines[at]) else []
        end = at + 1
        while starts and end < len(lines) and _below(lines[end], starts):
            end += 1
        rows = [[line[a:b] for a, b in pairwise([*starts, None])] for line in lines[at:end]]
        empty = any(not cell.strip(" ") for row in rows for cell in row)
        yield from (_cells([c.replace("|", "\\|") for c in row]) for row in rows) if empty else lines[at:end]
        at = end


def _below(line: str, starts: Sequence[int]) -> bool:
    """Whether the line is a row of columns that start there: two cells or more, and none goes over to the next column."""
    filled = sum(1 for a, b in pairwise([*starts, None]) if line[a:b].strip(" "))
    return filled > 1 and "\t" not in line and all(line[start - 1 : start] in (" ", "") for start in starts[1:])


def _line(line: str, unit: int) -> str:
    """One line: its number, its indent as marks, runs of blanks as two. A tool's result is one behind its arrow."""
    if line.startswith((f"{RESULT} ", f"{RESULT}\t")):
        return RESULT + _line(line[len(RESULT) :], unit)
    number = NUMBERED.match(line)
    head = number[1] + number[2].replace("\t", "→") if number else ""
    rest = line[number.end() :] if number else line
    body = rest.lstrip(" \t")
    indent = rest[: len(rest) - len(body)]
    levels = indent.count("\t") + (indent.count(" ") + unit // 2) // unit
    return head + _indent(max(levels, 1) if indent and body else 0) + BLANKS.sub("  ", body)


def _indent(levels: int) -> str:
    return INDENT * levels if levels <= DEEP else f"{INDENT}⟨×{levels}⟩"


def _unit(lines: list[str]) -> int:
    """Blanks per level: the most that nearly all indented lines are a multiple of. Those before a number are none."""
    bodies = [line[number.end() :] if (number := NUMBERED.match(line)) else line for line in lines]
    widths = [width for body in bodies if (width := len(body) - len(body.lstrip(" ")))]
    return next((unit for unit in (4, 3) if sum(w % unit == 0 for w in widths) * 8 >= len(widths) * 7), 2)


def _counted(lines: list[str]) -> Iterator[str]:
    """Without the numbers of a numbered file that follow from the line before, but for every tenth."""
    expected = -1
    for line in lines:
        found = NUMBERED.match(line)
        number = int(found[1]) if found and len(found[1]) < 10 else -1  # a longer one is no number of a line
        body = line[found.end() :] if found else line
        yield body if number == expected > 0 and number % 10 and body else line
        expected = number + 1 if number >= 0 and body else -1


def _repeated(line: str, times: int) -> str:
    """A line that comes three times or more is drawn once, with the count; empty lines are joined later."""
    return NEWLINE.join([line] * times) if times < 3 or not line else f"{line}⟨×{times}⟩"
