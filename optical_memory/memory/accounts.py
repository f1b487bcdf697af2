"""A thread's calls and turns as a ledger: what was paid, and what other ways to tell the same conversation would have cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from optical_memory.cost.ledger import Call, Ledger, TurnSize, bill, ledger
from optical_memory.cost.prices import Price
from optical_memory.memory.reading import shown_at
from optical_memory.messages import from_stored
from optical_memory.planning.context import ranges
from optical_memory.planning.spans import Settings
from optical_memory.shown import Shown, short
from optical_memory.storage import MessageRow, NewUsage, Path, Reader, TurnRow

OURS = "optical memory"


@dataclass(frozen=True)
class ThreadLedger(Shown, Ledger):
    """A `Ledger` of one thread. `observed` of its calls have a bill of the provider's, the others are as predicted.

    `tiers` are turns by how the plan in force shows them, `unreadable` the turns of which it shows a handle only. With
    `mode="observe"` what was spent is plain text, what this memory would have cost stands in `instead` under
    "optical memory", and `tiers` and `unreadable` are what would have been shown.
    """

    calls: int = 0
    observed: int = 0
    tiers: Mapping[str, int] = field(default_factory=dict)
    unreadable: tuple[tuple[int, int], ...] = ()

    def __repr__(self) -> str:
        return short(
            "ThreadLedger", f"{self.calls:,} calls", f"${self.spent.money:.4f} spent", f"ratio {self.ratio:.2f}"
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-safe values."""
        return super().to_json() | {
            "calls": self.calls, "observed": self.observed, "tiers": dict(self.tiers),
            "unreadable": [list(turns) for turns in self.unreadable],
        }  # fmt: skip


def of_thread(reader: Reader, path: Path, noted: Sequence[NewUsage], settings: Settings) -> ThreadLedger:
    """The ledger of a thread's calls, in any order, over the turns that stand on the path."""
    turns = reader.turns(path)
    messages = reader.messages([t.id for t in turns if t.calls])
    shown = shown_at(reader, path, settings)
    calls = sorted(noted, key=lambda call: call.created_at)
    return account(
        calls, sizes(turns, messages, settings), settings.profile.price, settings, [shown(t.number) for t in turns]
    )


def sizes(turns: Sequence[TurnRow], messages: Mapping[int, Sequence[MessageRow]], settings: Settings) -> list[TurnSize]:
    """The turns as text, and how much of each is tool output."""
    return [_size(turn, messages.get(turn.id, ()), settings) for turn in turns]


def _size(turn: TurnRow, messages: Sequence[MessageRow], settings: Settings) -> TurnSize:
    tokens = settings.turn(turn)
    told = [(m.role, len(from_stored(m.form, m.data).text)) for m in messages]
    chars, output = sum(n for _, n in told), sum(n for role, n in told if role == "tool")
    return TurnSize(tokens, turn.chars, turn.role, round(tokens * output / chars) if chars else 0)


def account(
    noted: Sequence[NewUsage], turns: Sequence[TurnSize], price: Price, settings: Settings, shown: Sequence[str]
) -> ThreadLedger:
    """The ledger of these calls, oldest first; `shown` has each turn's tier."""
    calls = [_call(u, idle, len(turns)) for u, idle in zip(noted, _idle(noted), strict=True)]
    system = round(sum(u.reserved for u in noted) / len(noted)) if noted else 0
    found = ledger(calls, turns, price, settings.budget, system=system)
    instead = dict(found.instead)
    would = [_would(u, c) for u, c in zip(noted, calls, strict=True)]
    if any(u.would is not None for u in noted):
        instead = {OURS: bill(would, price)} | instead
    hidden = [number for number, tier in enumerate(shown, 1) if tier == "handle"]
    return ThreadLedger(
        found.spent, instead, (*found.assumptions, *_assumed(noted, settings, len(turns))), len(noted),
        sum(u.billed is not None for u in noted), {t: shown.count(t) for t in dict.fromkeys(shown)},
        tuple(ranges(hidden)),
    )  # fmt: skip


def _idle(noted: Sequence[NewUsage]) -> list[float | None]:
    """Seconds between each call and the one before."""
    gaps = [max(0.0, (b.created_at - a.created_at).total_seconds()) for a, b in pairwise(noted)]
    return [None, *gaps] if noted else []


def _call(noted: NewUsage, idle: float | None, turns: int) -> Call:
    """What was sent, by the bill where there is one; a prediction's parts never exceed it."""
    tokens = noted.predicted if noted.billed is None else noted.billed
    return Call(
        tokens, min(noted.prefix, tokens), idle, noted.output, min(noted.recalled, tokens), min(noted.at, turns),
        noted.cache_read, noted.cache_write,
    )  # fmt: skip


def _would(noted: NewUsage, call: Call) -> Call:
    """What would have been sent: as predicted, and scaled as this call's bill was to its own prediction."""
    if noted.would is None:
        return call
    scale = call.tokens / noted.predicted if noted.predicted else 1.0
    tokens = round(noted.would * scale)
    return Call(tokens, min(tokens, round(noted.would_prefix * scale)), call.idle, call.output, at=call.at)


def _assumed(noted: Sequence[NewUsage], settings: Settings, turns: int) -> list[str]:
    """What the ledger of a real thread stands on, beside the rules of the other ways."""
    predicted = sum(u.billed is None for u in noted)
    others = sum(u.model != settings.profile.name for u in noted)
    late = sum(u.at > turns for u in noted)
    said = [
        (predicted, f"{predicted} of {len(noted)} calls have no bill and count as predicted, without their answers"),
        (others, f"{others} of {len(noted)} calls went to other models and are priced as {settings.profile.name}'s"),
        (late, f"{late} calls belong to turns that were edited away; they are paid for all the same"),
        (noted, "the first call of a process finds a cold cache, unless the provider says what it read"),
    ]
    return [words for applies, words in said if applies]


__all__ = ["OURS", "ThreadLedger", "account", "of_thread", "sizes"]
