"""A thread that grows turn by turn keeps what one that is planned at once keeps: at a step, old pages are drawn anew."""

from __future__ import annotations

import random
import shutil
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from optical_memory import Context, OpticalMemory
from optical_memory.cost import Price, profile
from optical_memory.memory.reading import place
from optical_memory.memory.state import sealed
from optical_memory.planning.decay import staircase
from optical_memory.planning.tiers import DRAWN, RANK
from optical_memory.storage.schema import view
from tests.memory.conftest import Clock

KINDS = ("apple", "river", "copper", "violin", "harbour", "lantern", "meadow", "pepper", "saddle", "timber", "window")


def talk(count: int, seed: int = 7) -> list[dict]:
    """A conversation of made sentences; each turn says something that no other says."""
    rng = random.Random(seed)
    out = []
    for n in range(count):
        words = " ".join(f"{rng.choice(KINDS)} {rng.choice(KINDS)} {n * 7 + k}" for k in range(rng.choice((2, 5, 9))))
        told = f"Yesterday I put the {words} away." if rng.random() < 0.5 else f"The {words} was there."
        out.append({"role": "user" if n % 2 == 0 else "assistant", "content": told, "id": f"m{n}"})
    return out


def shown(context) -> set[int]:
    """The turns that can be read."""
    kinds = (*DRAWN, "text", "current")
    return {n for s in context.segments if s.kind in kinds for first, last in s.shown for n in range(first, last + 1)}


Moment = tuple[Context, dict[int, int]]


def grown(memory: OpticalMemory, messages: list[dict], each: int = 10) -> list[Moment]:
    """A thread that comes in portions: the context after each of them, and the rank of the tier of every turn."""
    moments = []
    for n in range(0, len(messages), each):
        memory.remember("t", messages[n : n + each])
        moments.append((memory.context("t"), {turn.number: RANK[turn.tier] for turn in memory.turns("t")}))
    return moments


@pytest.fixture(scope="module")
def growth(tmp_path_factory) -> tuple[Path, list[Moment]]:
    """Two hundred turns that came in portions of ten: the database to copy, and every moment of it."""
    file = tmp_path_factory.mktemp("growing") / "memory.db"
    with OpticalMemory(file, model="ocr:tesseract", budget=1_500, clock=Clock()) as memory:
        return file, grown(memory, talk(200))


@pytest.fixture
def memory(growth, make, tmp_path) -> OpticalMemory:
    """The memory of that thread, in a database of the test's own."""
    shutil.copyfile(growth[0], tmp_path / "memory.db")
    return make(budget=1_500)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "budget"), [("gpt-5", 3_000), ("ocr:tesseract", 1_500), ("claude-opus-5", 2_500)])
def test_a_thread_that_grew_shows_of_every_third_nearly_what_one_planned_at_once_shows(make, model, budget):
    """The oldest third as well: at least four fifths as many turns, over the moments at which a step was taken."""
    messages, memory, steps = talk(260), make(model=model, budget=budget), 0
    mine, planned = Counter[int](), Counter[int]()
    for end in range(10, 270, 10):
        memory.remember("t", messages[end - 10 : end])
        context = memory.context("t")
        if len(memory.steps("t")) > steps and end > 100:
            other = make(f"{end}.db", model=model, budget=budget)
            other.remember("t", messages[:end])
            mine += thirds(shown(context), end)
            planned += thirds(shown(other.context("t")), end)
        steps = len(memory.steps("t"))
    assert steps > 4
    assert all(mine[third] >= 0.8 * planned[third] for third in range(3))


def thirds(numbers: set[int], end: int) -> Counter[int]:
    """How many of these turns are in each third of the thread, the oldest first."""
    return Counter((n - 1) * 3 // end for n in numbers)


def test_what_was_left_out_or_has_faded_is_not_shown_sharper_again(growth):
    """From context to context: a turn goes down, or stays."""
    ranks = [now for _, now in growth[1]]
    for before, now in pairwise(ranks):
        assert all(now[number] >= rank for number, rank in before.items())
    assert len(set(ranks[-1].values())) > 2


@pytest.mark.slow
def test_without_a_prompt_cache_pages_are_drawn_anew_but_do_not_flutter(make):
    """A message in three brings a step at most, no turn comes to stand on a page at each, and none is shown sharper again."""
    free = replace(profile("ocr:tesseract"), price=Price(base=1, read=1, write=1, ttl=0))
    memory, messages = make(model=None, profile=free, budget=3_000, keep=("turns", 6)), talk(121)
    moments: list[Moment] = []
    pages: dict[int, set[tuple]] = defaultdict(set)
    for end in range(1, 122, 2):  # each time a user's message is the newest
        memory.remember("t", messages[max(0, end - 2) : end])
        moments.append((memory.context("t"), {turn.number: RANK[turn.tier] for turn in memory.turns("t")}))
        for segment in (s for s in moments[-1][0].segments if s.look):
            for number in (n for first, last in segment.shown for n in range(first, last + 1)):
                pages[number].add((segment.turns, segment.look))
    assert 3 < len(memory.steps("t")) < len(moments) / 3
    assert 1 < max(len(seen) for seen in pages.values()) <= 4
    for (_, before), (_, now) in pairwise(moments):
        assert all(now[number] >= rank for number, rank in before.items())


def test_every_turn_stands_once_or_is_listed_as_left_out(growth):
    """On old pages, on pages drawn anew, and where old and new turns share one."""
    for end, (context, _) in zip(range(10, 210, 10), growth[1], strict=True):
        seen = [k for s in context.segments for first, last in s.shown for k in range(first, last + 1)]
        left = [k for first, last in context.left_out for k in range(first, last + 1)]
        assert sorted({*seen, *left}) == list(range(1, end + 1))
        assert len(seen) == len(set(seen))


def test_the_pages_of_a_thread_share_no_turn_and_only_their_images_are_kept(memory):
    """Pages in whose place newer ones were drawn are not among them, and their images are let go."""
    pages = memory.pages("t")
    covered = [n for first, last in dict.fromkeys(p.turns for p in pages) for n in range(first, last + 1)]
    assert len(covered) == len(set(covered))
    stats = memory.stats("t")
    assert stats.pages > len({p.number for p in pages})  # pages were drawn anew
    assert stats.images <= 2 * len(pages)


def behind(memory: OpticalMemory) -> list[int]:
    """The ids of the pages that the plan in force shows no more."""
    with memory.store.read() as reader:
        row, path = place(reader, "t")
        assert row.length
        return [page.id for page, known in sealed(reader, path, memory.settings()) if known.tier == "handle"]


def drawn(memory: OpticalMemory, pages: list[int]) -> int:
    """How many images the database holds of these pages."""
    with memory.store.read() as reader:
        query = sa.select(sa.func.count(view.c.sha256)).where(view.c.page_id.in_(pages))
        return int(reader._connection.scalar(query) or 0)


FAST = staircase(clear=("turns", 6), dense=("turns", 12), card=("turns", 18), handle=("turns", 24))


def test_images_of_pages_behind_the_handle_are_let_go_and_drawn_again(make):
    """They do not pile up; whoever looks at such a page, undoes the step or recalls a turn sees the same bytes as before."""
    options = {"budget": 1_500, "keep": ("turns", 4), "schedule": FAST}
    memory, messages, before, sharp = make(**options), talk(120), {}, {}
    for n in range(8, 121, 8):
        memory.remember("t", messages[n - 8 : n])
        memory.context("t")
        hidden = behind(memory)
        assert drawn(memory, hidden) == 0
        if hidden:
            break
        before, sharp = looks(memory.pages("t")), looks(memory.pages("t", tier="clear"))
    assert before
    assert sharp.items() <= looks(memory.pages("t", tier="clear")).items()
    memory.undo("t")
    again = make(**options)  # another process, which keeps nothing of what was drawn
    assert looks(again.pages("t")) == before
    again.remember("t", messages[n : n + 8])
    again.context("t")
    lost = next(t.number for t in again.turns("t") if t.tier == "handle")
    for _ in range(4):
        again.recall("t", f"turn {lost}")
    again.step("t")
    assert next(t.tier for t in again.turns("t") if t.number == lost) != "handle"


def looks(pages) -> dict[tuple[int, int], str]:
    return {(page.number, page.part): page.sha256 for page in pages}


@pytest.mark.slow
def test_a_step_that_drew_pages_anew_says_so_and_can_be_undone(make):
    """Its log has what became of every old page; undone, the same bytes are sent as before it, and the next step goes on."""
    memory, messages = make(budget=1_500), talk(200)
    grown(memory, messages[:150])
    before, n = memory.context("t").segments, 150
    while (context := memory.context("t")).segments[:2] == before[:2]:
        before = context.segments
        memory.remember("t", messages[n : n + 2])
        n += 2
    step = memory.steps("t")[-1]
    assert len(step.changes) > 2
    assert all(RANK[c.after] >= RANK[c.before] for c in step.changes)
    covered = [k for c in step.changes for k in range(c.turns[0], c.turns[1] + 1)]
    assert len(covered) == len(set(covered))
    memory.undo("t")
    pages = dict.fromkeys(p.turns for p in memory.pages("t"))
    assert [s.turns for s in before if s.look] == list(pages)
    memory.remember("t", messages[n : n + 2])
    assert memory.context("t").tokens <= 1_500


def test_a_branch_from_before_a_step_shows_the_pages_of_its_own_past(memory):
    """Pages that reach beyond the fork belong to the other branch, and older ones hold again."""
    edited = [*talk(200)[:120], {"role": "user", "content": "Let us go another way.", "id": "other"}]
    memory.remember("t", edited)
    context = memory.context("t")
    seen = [k for s in context.segments for first, last in s.shown for k in range(first, last + 1)]
    assert len(seen) == len(set(seen))
    assert max(seen) == 121
    assert len([k for k in seen if k <= 80]) > 10
