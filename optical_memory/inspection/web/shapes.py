"""What the templates draw with: names in addresses, text made harmless, bars and rivers as numbers for SVG.

Nothing here has an inline style, since the viewer's policy forbids them: places are percentages in attributes.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from optical_memory.inspection.output import LETTERS, WORDS, letter, many, turn_range

DETAIL: Mapping[str, float] = {
    "text": 1.0, "current": 1.0, "excerpt": 0.9, "recalled": 0.9, "vivid": 0.84, "clear": 0.64, "dense": 0.46, "card": 0.26,
    "handle": 0.09,
}  # fmt: skip
"""How high a stretch stands in the river: how much of it is left to see."""

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


# --------------------------------------------------------------------------------------------- names in addresses


def slug(thread: str) -> str:
    """A thread's name as one piece of a path: letters, digits, - and _ as they are, every other byte as ~hex."""
    raw = thread.encode("utf-8", "surrogatepass")
    return "".join(chr(b) if (b < 128 and chr(b).isalnum()) or b in b"-_" else f"~{b:02x}" for b in raw) or "~"


def unslug(piece: str) -> str:
    """The name again. Raises ValueError for what `slug` never gives."""
    if piece == "~":
        return ""
    if not re.fullmatch(r"(?:[A-Za-z0-9_-]|~[0-9a-f]{2})+", piece):
        raise ValueError(piece)
    raw = re.sub(r"~([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), piece)
    try:
        return raw.encode("latin-1").decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise ValueError(piece) from None


# --------------------------------------------------------------------------------------------- text


def boxed(text: object) -> Markup:
    """Stored text for a page: everything escaped, and what is invisible or turns the line around as a boxed code."""
    out: list[str] = []
    at = 0
    whole = str(text)
    for found in _HIDDEN.finditer(whole):
        out += [str(escape(whole[at : found.start()])), f'<span class="code">U+{ord(found[0]):04X}</span>']
        at = found.end()
    return Markup("".join([*out, str(escape(whole[at:]))]))  # noqa: S704  (every piece was escaped)


def begins(text: str, most: int = 160) -> Markup:
    """The first words on one line, at most `most` characters."""
    line = " ".join(text[: most * 8].split())
    return boxed(line if len(line) <= most else line[: most - 1] + "…")


def ago(at: str | datetime | None, now: datetime | None = None) -> str:
    """How long ago, as a person says it: 5 min, 3 h, 12 d, then the date."""
    if at is None:
        return ""
    then = datetime.fromisoformat(at) if isinstance(at, str) else at
    seconds = max(0.0, ((now or datetime.now(UTC)) - then).total_seconds())
    for most, size, unit in ((90, 1, "s"), (5_400, 60, "min"), (129_600, 3_600, "h"), (5_184_000, 86_400, "d")):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}"
    return then.date().isoformat()


def percent(share: float) -> str:
    """0.974 as 97 %; never rounded up to 100, nor down to 0."""
    if 0 < share < 0.005:
        return "less than 1 %"
    whole = round(100 * share)
    return f"{min(whole, 99) if share < 1 else whole} %"


def money(usd: float) -> str:
    """Dollars with as many digits as say something."""
    return f"${usd:,.2f}" if abs(usd) >= 0.1 or not usd else f"${usd:.4f}"


def picture(url: str) -> str | None:
    """The SHA-256 of the PNG in a data URL; None for any other address, and for data that nobody can read."""
    head, _, data = url.partition(",")
    if head != "data:image/png;base64":
        return None
    try:
        return hashlib.sha256(base64.b64decode(data)).hexdigest()
    except ValueError:
        return None


# --------------------------------------------------------------------------------------------- bars and rivers


def river(stretches: Sequence[Mapping[str, Any]], length: int) -> list[dict[str, Any]]:
    """A thread from its first turn on the left to now on the right, the newer the wider: age on a logarithmic scale."""
    return [_piece(s, length) for s in _merged(stretches)]


def _merged(stretches: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Neighbours of one tier as one piece."""
    run: dict[str, Any] | None = None
    for stretch in stretches:
        first, last = stretch["turns"]
        if run is not None and run["tier"] == stretch["tier"] and run["turns"][1] == first - 1:
            run["turns"] = [run["turns"][0], last]
            continue
        if run is not None:
            yield run
        run = {"tier": stretch["tier"], "turns": [first, last]}
    if run is not None:
        yield run


def _piece(stretch: Mapping[str, Any], length: int) -> dict[str, Any]:
    first, last = stretch["turns"]
    left, right = place(first - 1, length), place(last, length)
    height = 100 * DETAIL.get(stretch["tier"], 1.0)
    where = f"{'turn' if first == last else 'turns'} {turn_range((first, last))}"
    title = f"{where}: {stretch['tier']}, {WORDS.get(stretch['tier'], '')}"
    return {
        "x": round(left, 3), "width": round(max(right - left, 0.05), 3), "y": round(100 - height, 1),
        "height": round(height, 1), "tier": stretch["tier"], "turn": last, "title": title,
    }  # fmt: skip


def place(turn: int, length: int) -> float:
    """Where the end of a turn stands in the river, in percent from the left."""
    return 100 * (1 - math.log1p(max(0, length - turn)) / math.log1p(max(length, 1)))


def middle(turn: int, length: int) -> float:
    """Where the middle of a turn stands in the river, in percent from the left."""
    return round((place(turn - 1, length) + place(turn, length)) / 2, 3)


def ticks(length: int) -> list[dict[str, Any]]:
    """Marks below a river: now, and 10, 100, 1,000 ... turns ago."""
    ages = [10**n for n in range(1, 9) if 10**n < 0.75 * length]
    return [{"x": round(place(length - age, length), 2), "age": age} for age in ages]


def bar(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A context's segments along its budget: place and width in percent, the tokens above the budget marked."""
    whole = max(report["budget"], report["tokens"] + report["reserved"], 1)
    parts = [{"kind": "reserved", "turns": None, "tokens": report["reserved"]}] if report["reserved"] else []
    at, out = 0, []
    for segment in [*parts, *report["segments"]]:
        width = 100 * segment["tokens"] / whole
        out.append(_segment(segment, 100 * at / whole, width) | {"over": at + segment["tokens"] > report["budget"]})
        at += segment["tokens"]
    return out


def _segment(segment: Mapping[str, Any], x: float, width: float) -> dict[str, Any]:
    kind, turns = segment["kind"], segment["turns"]
    where = f" of turns {turn_range(turns)}" if turns else ""
    label = kind if width > 7 else letter(kind) if width > 2 else ""
    return {
        "x": round(x, 3), "width": round(width, 3), "kind": kind, "letter": label,
        "title": f"{kind}{where}: {segment['tokens']:,} tokens",
    }  # fmt: skip


HELPERS: Mapping[str, Any] = {
    "slug": slug, "boxed": boxed, "begins": begins, "ago": ago, "percent": percent, "money": money, "picture": picture,
    "many": many, "river": river, "ticks": ticks, "middle": middle, "bar": bar, "letters": LETTERS, "turn_range": turn_range,
    "meanings": WORDS,
}  # fmt: skip
"""What templates may call by name."""


__all__ = ["HELPERS", "bar", "begins", "boxed", "river", "slug", "unslug"]
