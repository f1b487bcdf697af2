"""Which turns share a page, what is left out of it, and how it fades."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.cost import profile, text_tokens
from optical_memory.pages import Sheet, Style, TurnText
from optical_memory.planning.context import Plan
from optical_memory.planning.decay import never, staircase
from optical_memory.planning.looks import Old, looks
from optical_memory.planning.propose import Proposal
from optical_memory.planning.redraw import layouts, with_older
from optical_memory.planning.seal import draft, seal
from optical_memory.planning.spans import Placed, Settings
from optical_memory.planning.tiers import DRAWN, RANK
from tests.planning.test_random import THEN, Row, state

SHEET = Sheet(600, 400, 20)
WHOLE = Sheet(600, 400, crop=False)
READER = replace(profile("ocr:tesseract"), sheet_steps=(SHEET,))
BY_PAGE = replace(READER, sheet_steps=(WHOLE,))


def olds(count: int, words: int = 12, guards: dict[int, int] | None = None) -> list[Old]:
    """Turns of as many words, each third worth most."""
    return [
        Old(
            TurnText(n, "user" if n % 2 else "assistant", " ".join(f"w{n}x{k}" for k in range(words))),
            tokens=3 * words, guard=(guards or {}).get(n, 0), worth=9.0 if n % 3 == 0 else 1.0,
        )
        for n in range(1, count + 1)
    ]  # fmt: skip


def reading(**styles: str | None):
    """A reader with these tiers."""
    tiers = {tier: Style.of(key) if (key := styles.get(tier)) else None for tier in DRAWN}
    return replace(READER, tiers=tiers, shares={"vivid": 0.97, "clear": 0.95, "dense": 0.9})


def spans(drafts):
    return [(d.first, d.last) for d in drafts]


@given(st.integers(1, 120), st.floats(0.05, 1), st.sets(st.integers(1, 120), max_size=6), st.booleans())
def test_drafts_follow_one_another_without_a_gap(count, share, guards, whole):
    """Whatever is left out and whatever must stay text, every turn is in exactly one span."""
    made = seal(
        olds(count, guards=dict.fromkeys(guards, 1)),
        BY_PAGE if whole else READER,
        WHOLE if whole else SHEET,
        lambda n: "vivid",
        share=share,
    )
    assert [n for d in made for n in range(d.first, d.last + 1)] == list(range(1, count + 1))
    for one in made:
        for look in one.looks.values():
            assert all(one.first <= a <= b <= one.last for a, b in look.left)
            assert 0 <= look.held <= 1


def test_a_share_draws_what_says_most():
    """Of 300 turns drawn to a third, the hundred that say most are kept, on fewer pages."""
    all_of_them = seal(olds(300), READER, SHEET, lambda n: "vivid")
    third = seal(olds(300), READER, SHEET, lambda n: "vivid", share=0.35)
    drawn = [t for d in third for t in _drawn(d)]
    assert {n for n in drawn if n % 3 == 0} == set(range(3, 301, 3))
    assert len(third) < len(all_of_them) / 2


def _drawn(draft):
    left = {n for a, b in draft.looks["vivid"].left for n in range(a, b + 1)}
    return [n for n in range(draft.first, draft.last + 1) if n not in left]


@pytest.mark.parametrize(
    ("shown", "share", "tier"), [("text", 0.6, "text"), ("clear", 0.6, "vivid"), ("handle", 1, "vivid")]
)
def test_a_page_is_not_told_as_text_where_that_would_show_again_a_turn_that_it_leaves_out(shown, share, tier):
    """A new turn is drawn, an older one of the same span is not; as text the span would show both."""
    old, new = olds(3)[1:]
    made = seal([replace(old, shown=shown), new], READER, SHEET, lambda n: "vivid", share=share)
    assert [(d.first, d.last, d.tier, _drawn(d)) for d in made] == [(2, 3, tier, [3])]


def test_a_model_that_reads_no_type_at_all_keeps_its_turns_as_text():
    """It sees, and yet there is no tier for it: each turn is a span of its own, without a picture."""
    made = seal(olds(5), reading(), SHEET, lambda n: "vivid")
    assert [(d.first, d.last, dict(d.looks)) for d in made] == [(n, n, {}) for n in range(1, 6)]


@pytest.mark.parametrize("at", [0, 2])
def test_a_turn_left_out_that_no_font_draws_any_more_keeps_no_other_from_its_page(at):
    """Wherever it stands: it is not drawn anyway."""
    turns = olds(5)
    turns[at] = replace(turns[at], shown="handle", drawable=False)
    made = seal(turns, READER, SHEET, lambda n: "vivid")
    assert [_drawn(d) for d in made] == [[n for n in range(1, 6) if n != at + 1]]


def test_a_page_fades_to_fewer_turns_where_no_smaller_type_is_read():
    """For a reader of one type only, the lower tiers keep the type and leave out what says least."""
    found = looks(reading(vivid="sans9"), SHEET, olds(30))
    assert [found[t].style.key for t in DRAWN] == ["sans9"] * 3
    assert found["vivid"].held == 1
    assert 1 > found["clear"].held > found["dense"].held
    assert _pixels(found["vivid"]) > _pixels(found["clear"]) > _pixels(found["dense"])
    assert found["clear"].held > _pixels(found["clear"]) / _pixels(found["vivid"])


def _pixels(look):
    return sum(w * h for w, h in look.sizes)


def test_a_page_fades_to_smaller_type_where_that_keeps_more():
    """A reader that reads small type well gets all turns in it."""
    found = looks(reading(vivid="sans9", clear="sans8", dense="sans6b"), SHEET, olds(30))
    assert [found[t].style.key for t in DRAWN] == ["sans9", "sans8", "sans6b"]
    assert not any(look.left for look in found.values())


@given(st.integers(2, 40), st.sampled_from(["sans8", None]), st.sampled_from(["sans6b", None]))
def test_a_lower_tier_never_shows_more(count, clear, dense):
    """Its turns are among those of the tier above, in type that is not larger."""
    found = looks(reading(vivid="sans9", clear=clear, dense=dense), SHEET, olds(count))
    order = sorted(found, key=RANK.__getitem__)
    for above, below in zip(order, order[1:], strict=False):
        assert set(_numbers(found[below], count)) <= set(_numbers(found[above], count))
        assert found[below].style.size <= found[above].style.size


def _numbers(look, count):
    left = {n for a, b in look.left for n in range(a, b + 1)}
    return [n for n in range(1, count + 1) if n not in left]


@pytest.mark.parametrize(("reader", "sheet", "told"), [(READER, SHEET, ()), (BY_PAGE, WHOLE, (10,))])
def test_an_instruction_parts_cropped_pages_and_is_told_beside_whole_ones(reader, sheet, told):
    """A half-empty page that costs the same would be wasted on every instruction."""
    made = seal(olds(20, words=6, guards={10: 1}), reader, sheet, lambda n: "vivid")
    assert [n for d in made for n in d.told] == list(told)
    assert ((10, 10) in spans(made)) is (not told)
    if told:
        assert all((10, 10) in d.looks["vivid"].left for d in made if d.told)


@pytest.mark.parametrize("count", range(30, 40))
def test_what_is_sealed_stays_sealed_when_it_is_laid_out_anew_with_room_to_spare(count):
    """The newest page may grow a while longer, but not if old turns are on it: between page and text they would be lost."""
    settings = Settings(BY_PAGE, 8_000, text_tokens, never(), ("turns", 0))
    before = state([row(n) for n in range(1, count + 1)], None, 0)
    first = draft(before, settings, WHOLE, count, limit=0)
    placed = tuple(Placed(span, "vivid", 0) for span in first)
    now = state([row(n) for n in range(1, count + 3)], Proposal(Plan(count), placed, 0, WHOLE), 0)
    for layout in layouts(with_older(now, BY_PAGE)):
        spans = sorted([*layout.spans, *draft(layout, settings, WHOLE, count + 2, limit=8_000)], key=lambda s: s.first)
        assert [n for s in spans for n in range(s.first, s.last + 1)][:count] == list(range(1, count + 1))


def test_turns_without_a_time_are_as_old_as_the_store_has_them_on_new_pages_too():
    """So that a page is filled for the tier at which it is shown at once, where age is counted in hours."""
    settings = Settings(READER, 8_000, text_tokens, staircase(clear=("hours", 24)), ("turns", 0))
    new, old = THEN, THEN - timedelta(days=3)
    timed = [replace(row(n), created_at=old, stored_at=new) for n in range(1, 60)]
    stored = [replace(row(n), created_at=None, stored_at=old) for n in range(1, 60)]
    one, other = (draft(state(rows, None, 0), settings, SHEET, 59, limit=0) for rows in (timed, stored))
    assert [(s.first, s.last, s.since) for s in one] == [(s.first, s.last, s.since) for s in other]


def row(number: int) -> Row:
    text = " ".join(f"w{number}x{k}" for k in range(12))
    return Row(number, "user" if number % 2 else "assistant", text, text_tokens(text))
