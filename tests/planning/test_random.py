"""Random threads and configurations, as many as asked for: OPTICAL_MEMORY_RANDOM=100000 for the figure in LOG.md.

Planning alone, without a store: three steps of a growing thread each. Threads begin with 1 to 39 turns: one half uniformly, the
other log-uniformly (as many with 1 to 6 as with 6 to 39); up to eleven turns are added before each of the next two steps. A
hundred thousand take more than an hour of one core.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

import optical_memory.planning.propose as propose_module
from optical_memory.cost import profile, text_tokens
from optical_memory.errors import BudgetError
from optical_memory.planning.context import Plan
from optical_memory.planning.decay import half_life, never, staircase
from optical_memory.planning.propose import Proposal, propose
from optical_memory.planning.redraw import changes, with_older
from optical_memory.planning.spans import Known, Placed, Settings, State, costs_of
from optical_memory.planning.tiers import RANK
from tests.mixture import MODELS, WORDS

THREADS = int(os.environ.get("OPTICAL_MEMORY_RANDOM", "5"))
LONGEST = 40  # turns that a thread begins with are fewer than these
THEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A stored turn."""

    number: int
    role: str
    text: str
    tokens: int
    calls: int = 0
    pinned: bool = False
    recalls: int = 0
    importance: float = 0.0
    weight: float | None = None
    name: str | None = None
    messages: int = 1
    attachments: Any = None
    duplicate_of: int | None = None
    purged: bool = False
    created_at: datetime | None = THEN
    stored_at: datetime = THEN

    @property
    def chars(self) -> int:
        return len(self.text)


def rows(rng: random.Random, first: int, count: int) -> list[Row]:
    """So many turns from number `first` on."""
    out = []
    for number in range(first, first + count):
        text = " ".join(rng.choices(WORDS, k=rng.choice((1, 5, 20, 60, 200)))) + f" w{number}"
        calls = rng.choice((0, 0, 1)) if number % 2 == 0 else 0
        again = rng.randrange(1, number) if number > 1 and rng.random() < 0.05 else None
        out.append(
            Row(
                number, "user" if number % 2 else "assistant", text, text_tokens(text), calls, rng.random() < 0.02,
                int(rng.random() < 0.03), rng.random(), rng.choice((None, None, 0.0, 2.0)), duplicate_of=again,
            )
        )  # fmt: skip
    return out


def configured(rng: random.Random) -> Settings:
    """Any settings that a memory accepts."""
    schedule = rng.choice((staircase(), half_life(20), never(), staircase(dense=("turns", 5), card=("tokens", 900))))
    keep = rng.choice((("turns", rng.randrange(12)), ("tokens", rng.randrange(4_000))))
    return Settings(
        profile(rng.choice(MODELS)), rng.randrange(100, 8_000), text_tokens, schedule, keep, rng.uniform(0.3, 1),
        rng.choice((0.0, 0.08, 0.3)),
    )  # fmt: skip


def state(fresh: list[Row], before: Proposal | None, after: int) -> State:
    """The thread as it stands after the proposal was put in force."""
    anchor = next((r.number for r in reversed(fresh) if r.role == "user"), 0)
    if before is None:
        return State(fresh[-1].number, anchor, *_nothing(), tuple(fresh), after, THEN)
    spans = tuple(replace(p.span, tier=p.tier, page=i + 1) for i, p in enumerate(before.placed))
    rest = tuple(r for r in fresh if r.number > before.plan.through)
    return State(
        fresh[-1].number, anchor, before.plan, spans, rest, after, THEN, source=lambda first, last: fresh[first - 1 : last]
    )  # fmt: skip


def _nothing() -> tuple[Any, tuple[Known, ...]]:
    return Plan(), ()


def check(found: Proposal, now: State, settings: Settings) -> None:
    """Within budget, every turn in exactly one place, nothing sharper than it was, and the same again."""
    assert found.tokens + now.reserved <= settings.budget
    assert found == propose(now, settings)
    assert found.plan.through >= now.plan.through
    assert found.plan.tokens + sum(settings.turn(t) for t in now.fresh if t.number > found.plan.through) == found.tokens
    if found.sheet is None and not found.placed:
        return
    readable = [s for s in found.plan.segments if s.kind != "recalled"]
    shown = [n for s in readable for first, last in s.shown for n in range(first, last + 1)]
    assert sorted(shown) == shown
    if found.yielded != "only the newest message and tool round fit":
        assert [n for p in found.placed for n in range(p.span.first, p.span.last + 1)] == list(
            range(1, found.plan.through + 1)
        )
    for placed in found.placed:
        if placed.span.page is not None and not placed.span.hidden and placed.span.guard == 0 and placed.tier != "text":
            assert RANK[placed.tier] >= RANK[placed.span.tier] or not cheaper(placed.span, settings)


def ranks(placed: Iterable[Placed]) -> dict[int, int]:
    """How each turn is shown, as the rank of its tier; turns that a page leaves out are not in it."""
    out: dict[int, int] = {}
    for item in placed:
        look = item.span.looks.get(item.tier)
        left = {n for first, last in (look.left if look else ()) for n in range(first, last + 1)}
        numbers = set(range(item.span.first, item.span.last + 1)) - left - set(item.span.told)
        out |= dict.fromkeys(numbers, RANK[item.tier]) if item.tier != "handle" else {}
    return out


def check_ladder(found: Proposal, before: Proposal, fresh: list[Row]) -> None:
    """Of what was on pages, nothing comes back that was left out, and nothing is shown sharper, unless it is pinned."""
    old, new = ranks(before.placed), ranks(p for p in found.placed if p.tier != "text" or p.span.page is None)
    pinned = {row.number for row in fresh if row.pinned}
    told = {n for p in before.placed for n in p.span.told}
    for number in set(range(1, before.plan.through + 1)) - pinned - told:
        assert new.get(number, RANK["handle"]) >= min(
            old.get(number, RANK["handle"]), RANK["card"]
        )  # a card is of all turns


def cheaper(span: Known, settings: Settings) -> bool:
    """Is there a choice at the span's tier or below that is a picture?"""
    costs = costs_of(span, settings)
    return any(RANK[t] >= RANK[span.tier] for t in costs if t not in ("handle", "card"))


def test_whatever_the_thread_and_the_settings_a_plan_keeps_its_budget_and_accounts_for_every_turn():
    """Three steps of each of many random threads; where what never yields does not fit, the error says by how much."""
    refused = 0
    for seed in range(THREADS):
        rng = random.Random(seed)
        settings, reserved, anew = configured(rng), rng.choice((0, 0, 50, 500)), rng.random() < 0.7
        before: Proposal | None = None
        fresh = rows(rng, 1, rng.choice((rng.randrange(1, LONGEST), int(LONGEST ** rng.random()))))
        for _ in range(3):
            now = state(fresh, before, reserved)
            try:
                found = propose(with_older(now, settings.profile), settings) if anew else propose(now, settings)
            except BudgetError as error:
                assert error.needed + reserved > settings.budget
                refused += 1
                break
            check(found, with_older(now, settings.profile) if anew else now, settings)
            if anew and before is not None:
                check_ladder(found, before, fresh)
            before = found
            fresh += rows(rng, fresh[-1].number + 1, rng.randrange(1, 12))
    assert refused < THREADS / 2


@pytest.mark.parametrize("gap", [0, 1])
@pytest.mark.parametrize("later", [14, 60])
def test_pages_of_a_step_that_was_undone_are_in_nobodys_way(later, gap):
    """They lie behind the plan, and further than may be sealed now that more turns are kept: no turn before them is lost."""
    settings = Settings(profile("gpt-4o"), 4_000, text_tokens, staircase(), ("turns", 2))
    turns = [plain(n) for n in range(1, 62 + later)]
    before = propose(state(turns[:59], None, 0), settings)
    undone = propose(state(turns[: 59 + later], before, 0), settings)
    behind = [replace(p.span, page=100 + p.span.first) for p in undone.placed if p.span.first > before.plan.through]
    now = state(turns, before, 0)
    now = replace(now, spans=(*now.spans, *behind[gap:]))
    found = propose(with_older(now, settings.profile), replace(settings, keep=("turns", 6)))
    assert found.plan.through >= before.plan.through
    assert [n for p in found.placed for n in range(p.span.first, p.span.last + 1)] == list(
        range(1, found.plan.through + 1)
    )


def plain(number: int) -> Row:
    """A turn of 30 words."""
    text = " ".join(f"w{number}x{k}" for k in range(30))
    return Row(number, "user" if number % 2 else "assistant", text, text_tokens(text))


@pytest.mark.parametrize(
    "keep", [("tokens", 0), ("tokens", 100), ("tokens", 4_000), ("turns", 0), ("turns", 4), ("turns", 40)]
)
def test_yielding_keeps_no_more_turns_as_text_than_was_asked_for(keep):
    """From each level to the next, the newest turn that may be sealed is the same one or a newer one."""
    settings = Settings(profile("claude-opus-5"), 8_000, text_tokens, staircase(), keep)
    now = state([plain(n) for n in range(1, 60)], None, 0)
    newest = [propose_module._boundary(now, settings, level) for level in propose_module._levels(settings)]
    assert newest == sorted(newest)


@pytest.mark.parametrize("count", [8, 12, 40])
def test_a_pin_holds_as_long_as_it_fits_beside_a_handle_for_all_else(count):
    """The pinned turn is 209 tokens and the handle 33: with a budget of 300 no card need be made of it."""
    settings = Settings(profile("claude-opus-5"), 300, text_tokens, staircase(), ("turns", 1))
    found = propose(state([replace(plain(n), pinned=n == 1) for n in range(1, count + 1)], None, 0), settings)
    assert found.yielded == "fewer recent turns stay text"
    assert [s.kind for s in found.plan.segments] == ["text", "handle"]
    assert found.tokens <= 300


@pytest.mark.parametrize("over", [0, 20])
def test_where_only_the_newest_message_fits_the_step_tells_of_every_page_that_goes(over):
    """So that it stands in the log, and can be undone, as any other."""
    settings = Settings(profile("claude-opus-5"), 4_000, text_tokens, staircase(), ("turns", 2))
    turns = [plain(n) for n in range(1, 61)]
    before = propose(state(turns, None, 0), settings)
    now = state([*turns, plain(61)], before, settings.budget - settings.turn(plain(61)) - over)
    found = propose(now, settings)
    assert found.yielded == "only the newest message and tool round fit"
    assert [n for p in found.placed for n in range(p.span.first, p.span.last + 1)] == list(range(1, 61))
    gone = [(c.first, c.last, c.after) for c in changes(now.spans, found.placed, settings) if c.page is not None]
    assert gone == [(s.first, s.last, "handle") for s in now.spans]


@pytest.mark.parametrize("budget", [120, 8_000])
def test_a_turn_behind_a_handle_for_good_is_not_counted_as_text_for_nothing(budget):
    """Though it is the message that the run answers: there is no text of it to show, so it has no price as text either."""
    settings = Settings(profile("gpt-3.5-turbo"), budget, text_tokens, staircase(), ("turns", 0))
    hidden = Known(1, 1, 0, {}, "", (), "handle", hidden=True, guard=3)
    turn = replace(plain(2), text="ok", tokens=1)
    found = propose(State(2, 1, Plan(through=1), (hidden,), (turn,)), settings)
    assert not [s for s in found.plan.segments if s.kind == "text" and s.turns == (1, 1)]
