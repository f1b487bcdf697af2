"""What the store takes and gives: frozen values, and the arithmetic of paths through a thread's branches.

A thread is a tree of branches. A turn's number is its depth on the path to it, so numbers on any path run
1, 2, 3 ... without gaps, and a window of a path is found by arithmetic instead of by a query.
Times are aware datetimes; fields that the database keeps as JSON text are plain Python values here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
CHUNK = 500
"""Ids in one IN list; SQLite's parameter limit was 999 for a long time."""


class Range(NamedTuple):
    """Turn numbers `first..last` (both included) live on this branch."""

    branch_id: int
    first: int
    last: int


Path = tuple[Range, ...]
"""The way to a turn, oldest first, of non-empty ranges that follow each other without a gap."""


def end(path: Path) -> int:
    """The number of the last turn on the path; 0 for an empty one."""
    return path[-1].last if path else 0


def clip(path: Path, first: int = 1, last: int | None = None) -> Path:
    """The part of the path whose turn numbers lie in `first..last`."""
    stop = end(path) if last is None else last
    cut = (Range(r.branch_id, max(r.first, first), min(r.last, stop)) for r in path)
    return tuple(r for r in cut if r.first <= r.last)


def stretches(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Any numbers as ascending (first, last), each pair as long as it can be."""
    out: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if out and number == out[-1][1] + 1:
            out[-1] = (out[-1][0], number)
        else:
            out.append((number, number))
    return out


def parts(path: Path, numbers: Iterable[int]) -> Path:
    """The pieces of the path that hold these turn numbers; numbers that are not on it are left out."""
    told = stretches(numbers)
    return tuple(piece for first, last in told for piece in clip(path, first, last))


def common(one: Path, other: Path) -> Path:
    """The turns that are on both paths."""
    pairs = ((a, b) for a in one for b in other if a.branch_id == b.branch_id)
    both = (Range(a.branch_id, max(a.first, b.first), min(a.last, b.last)) for a, b in pairs)
    return tuple(r for r in both if r.first <= r.last)


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """A conversation; `branch_id` and `length` are its head, `version` rises with every write to it."""

    id: int
    key: str
    branch_id: int
    length: int
    pages: int
    version: int
    config: Any
    created_at: datetime
    touched_at: datetime | None


@dataclass(frozen=True, slots=True)
class BranchRow:
    """A line of turns that departs from its parent after turn `after`; `last` is its highest turn number."""

    id: int
    thread_id: int
    parent_id: int | None
    after: int
    created_at: datetime
    last: int


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A stored turn. `text` is what is drawn and searched; `messages` and `calls` are counts.

    `duplicate_of` is the number of an earlier turn that says the same; of a `purged` turn only its page's picture is left.
    """

    id: int
    thread_id: int
    branch_id: int
    number: int
    role: str
    name: str | None
    text: str
    chars: int
    tokens: int
    messages: int
    calls: int
    attachments: Any
    open: bool
    importance: float
    weight: float | None
    pinned: bool
    recalls: int
    recalled_at: int | None
    chain: str
    duplicate_of: int | None
    purged: bool
    created_at: datetime | None
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class TurnSums:
    """Sums over a stretch of turns."""

    count: int
    chars: int
    tokens: int
    messages: int
    calls: int


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as it was given (`data`), with its content hash and the chain hash of everything up to it."""

    id: int
    thread_id: int
    turn_id: int
    position: int
    external_id: str | None
    role: str
    hash: str
    chain: str
    form: str
    data: Any


@dataclass(frozen=True, slots=True)
class PlacedMessage:
    """Where a message lies, without its content; `position` counts from 0 within its turn."""

    turn_number: int
    position: int
    external_id: str | None
    role: str
    hash: str
    chain: str
    turn_id: int
    open: bool
    branch_id: int


@dataclass(frozen=True, slots=True)
class PageRow:
    """A sealed span of turns; `branch_id` is the branch of its last turn, `tokens` the raw text's.

    Of a `purged` page the pictures are the record: the text of its turns is gone.
    """

    id: int
    thread_id: int
    branch_id: int
    number: int
    first: int
    last: int
    tier: str
    chars: int
    tokens: int
    card: str | None
    facts: Any
    created_at: datetime
    sealed_as: str | None
    purged: bool = False


@dataclass(frozen=True, slots=True)
class ViewRow:
    """One image of a page at one look (pixels); `sha256` is None when it was measured and not yet drawn."""

    id: int
    page_id: int
    look: str
    part: int
    width: int
    height: int
    sha256: str | None
    bytes: int


@dataclass(frozen=True, slots=True)
class PlanRow:
    """The segments chosen for an anchor when the path ended at turn `head`."""

    id: int
    thread_id: int
    branch_id: int
    anchor: int
    head: int
    key: str
    body: Any
    reason: str
    tokens: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RecalledRow:
    """Turns recalled by themselves before an anchor, kept in place until the next step."""

    id: int
    thread_id: int
    branch_id: int
    anchor: int
    key: str
    turns: Any
    tokens: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One span's change of tier within a step; tokens and readable share (0..1) before and after."""

    id: int
    step_id: int
    page_id: int | None
    first: int
    last: int
    before: str
    after: str
    tokens_before: int
    tokens_after: int
    readable_before: float
    readable_after: float


@dataclass(frozen=True, slots=True)
class StepRow:
    """One batch of tier changes, applied when the path ended at turn `at`; it took the text of `purged` turns away."""

    id: int
    thread_id: int
    branch_id: int
    at: int
    reason: str
    plan_id: int | None
    created_at: datetime
    undone: bool
    purged: int
    changes: tuple[ChangeRow, ...] = ()


@dataclass(frozen=True, slots=True)
class NewUsage:
    """One model call, in tokens: `predicted` of what was sent, `billed` by the provider (None: it did not say).

    `at` is the number of turns that stood; `prefix` of the tokens were as in the call before, `recalled` came back by
    themselves, `reserved` stood beside the memory. `cache_read` and `cache_write` are what the provider says of its
    cache. Where only plain text is sent (`mode="observe"`), `would` is what would have been sent, `would_prefix` as the
    time before.
    """

    model: str
    predicted: int
    created_at: datetime
    billed: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int = 0
    at: int = 0
    prefix: int = 0
    recalled: int = 0
    reserved: int = 0
    would: int | None = None
    would_prefix: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A search hit; a higher `score` is better, and comparable within one search only."""

    number: int
    turn_id: int
    score: float
    snippet: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What the whole database, or one thread, holds; `bytes` are those of the images; of `purged` turns the text is gone."""

    threads: int
    turns: int
    pages: int
    images: int
    bytes: int
    purged: int = 0


@dataclass(frozen=True, slots=True)
class ForgottenRows:
    """What a forget took away; of the turns, `lost` were not named, but a picture that went was all that was left of them."""

    turns: int = 0
    messages: int = 0
    pages: int = 0
    images: int = 0
    plans: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class PurgedPage:
    """A page whose pictures of these `looks` become the record of its turns; `facts` is what stays written of it.

    The turns whose numbers are in `keep` do keep their text.
    """

    page_id: int
    branch_id: int
    first: int
    last: int
    looks: tuple[str, ...]
    facts: Any
    keep: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to store with its turn."""

    role: str
    hash: str
    chain: str
    data: Any
    form: str = ""
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewTurn:
    """A turn to append."""

    role: str
    text: str
    tokens: int
    messages: Sequence[NewMessage]
    name: str | None = None
    chars: int | None = None
    calls: int = 0
    attachments: Any = None
    open: bool = False
    importance: float = 0.0
    weight: float | None = None
    created_at: datetime | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class NewPage:
    """A page to seal; `branch_id` is the branch of turn `last` (`owner(path, last)`)."""

    branch_id: int
    first: int
    last: int
    tier: str
    chars: int
    tokens: int
    card: str | None = None
    facts: Any = None
    sealed_as: str | None = None


@dataclass(frozen=True, slots=True)
class NewChange:
    """A change of tier to log."""

    first: int
    last: int
    before: str
    after: str
    tokens_before: int
    tokens_after: int
    readable_before: float = 1.0
    readable_after: float = 1.0
    page_id: int | None = None


def owner(path: Path, number: int) -> int:
    """The id of the branch on which turn `number` of the path lives; LookupError when it is not on it."""
    for span in path:
        if span.first <= number <= span.last:
            return span.branch_id
    raise LookupError(f"turn {number} is not on this path, which ends at {end(path)}")


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The values in lists of at most `size`, as many as one statement takes."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk
