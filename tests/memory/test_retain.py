"""Retention: text goes where it was asked to go, and nowhere else; what is left works everywhere, and is said plainly."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from optical_memory import BudgetError, OpticalMemory, StoreError
from optical_memory.cost import profile
from optical_memory.langchain import recall_memory
from optical_memory.pages import Style
from optical_memory.planning.decay import staircase
from optical_memory.storage.schema import image
from tests.memory.test_properties import assert_pairs_whole, counted, slow, threads

READS = replace(
    profile("ocr:tesseract"),
    tiers={"vivid": Style(10), "clear": Style(8), "dense": Style(6)},
    exact={"vivid": False, "clear": False, "dense": False},
)
SOON = staircase(clear=("turns", 12), dense=("turns", 24), card=("turns", 36))
SPICES = ["saffron", "cardamom", "turmeric", "juniper", "galangal", "sumac", "fenugreek", "tarragon"]


def talk(count: int, first: int = 0) -> list[dict]:
    """Turns with a word of their own each, such as `juniperbbcd`, which no index splits and no other begins with."""
    return [
        {
            "role": "assistant" if n % 2 else "user",
            "content": f"Crate {word(n)} of order {n * 37} left quay {n} at noon, and the harbour master did not see it go.",
            "id": f"m{n}",
        }
        for n in range(first, count)
    ]  # fmt: skip


def word(n: int) -> str:
    return SPICES[n % 8] + "".join("bcdfghjklm"[int(d)] for d in f"{n:04}")


def covered(context) -> list[int]:
    """Every turn that is shown, and every one that is reported as left out."""
    shown = [turns for s in context.segments if s.kind != "recalled" for turns in s.shown]
    return [n for first, last in sorted([*shown, *context.left_out]) for n in range(first, last + 1)]


def grown(make, count: int = 60, **settings) -> OpticalMemory:
    """A memory whose thread grew by eight turns at a time, with a context each time and a step at the end."""
    memory = make(**{"profile": READS, "budget": 1_500, "keep": ("turns", 4), "schedule": SOON} | settings)
    for n in range(1, count + 1, 8):
        memory.remember("t", talk(n))
        memory.context("t")
    memory.step("t")
    return memory


def on_disk(memory: OpticalMemory) -> bytes:
    """Every byte of the database's files, after the connections were closed."""
    memory.close()
    assert memory.store.path is not None
    name = memory.store.path.name
    return b"".join(f.read_bytes() for f in memory.store.path.parent.iterdir() if f.name.startswith(name))


@pytest.mark.parametrize("retain", ["vivid", "clear", "dense", "card"])
def test_text_that_has_faded_is_nowhere_in_the_file(make, retain):
    """Not as a message, not in the index, not as a fact or a card or in an old plan; its picture is there, and is sound."""
    memory = grown(make, 110, retain=retain)
    turns = memory.turns("t")
    gone, kept = [t.number for t in turns if t.purged], [t.number for t in turns if not t.purged]
    assert len(gone) > 15
    assert len(kept) > 4
    assert memory.stats("t").purged == len(gone)
    assert all(memory.search("t", word(n - 1)) == [] for n in gone)
    assert [memory.search("t", word(n - 1))[0].turn for n in kept] == kept
    assert memory.store.check() == []
    data = on_disk(memory).lower()
    assert [n for n in gone if word(n - 1).encode() in data] == []
    assert all(word(n - 1).encode() in data for n in kept)


def test_text_that_should_have_gone_goes_with_the_first_call_of_the_next_process(make):
    """Its page has fallen, but the process ended before the text went: no step is needed, and it happens once."""
    options = {"profile": READS, "budget": 1_500, "keep": ("turns", 4), "schedule": SOON}
    with grown(make, 110) as stepped:
        fallen = len(stepped.steps("t"))
    memory = make(**options, retain="dense")
    before = memory.turns("t")
    context = memory.context("t")
    gone = [t.number for t in memory.turns("t") if t.purged]
    assert not any(t.purged for t in before)
    assert len(gone) > 15
    assert covered(context) == list(range(1, len(before) + 1))
    assert [s.reason for s in memory.steps("t")[fallen:]] == ["retain"] * (len(memory.steps("t")) - fallen)
    memory.context("t")
    assert [t.number for t in memory.turns("t") if t.purged] == gone


def test_what_lost_its_text_is_counted_and_nothing_else(make):
    """Instructions on a page that is kept as a picture stay text, and what was forgotten before is no loss: alike everywhere."""
    rows = talk(110)
    for n in range(4, 90, 6):
        rows[n]["content"] = f"Always write {word(n)} in capital letters, and never leave it out of a list. " * 3
    memory = make(profile=READS, budget=1_500, keep=("turns", 4), schedule=SOON, retain="dense")
    for n in range(10, 111, 10):
        memory.remember("t", rows[:n])
        memory.context("t")
        memory.forget("t", turns=[n - 6]) if n < 40 else None
    taken = memory.step("t")
    turns = memory.turns("t")
    gone = [t.number for t in turns if t.purged]
    pages = [p.turns for p in memory.pages("t", tier="dense") if p.record]
    covered_by_pages = sum(last - first + 1 for first, last in pages)
    assert 15 < len(gone) < covered_by_pages
    assert memory.stats("t").purged == memory.stats().purged == len(gone)
    assert f"Of {len(gone)} turns only pictures are left" in memory.explain("t")
    assert sum(step.purged for step in memory.steps("t")) == len(gone) >= taken.purged


def test_without_retention_no_text_goes(make):
    """The default keeps all of it, however small it is drawn."""
    memory = grown(make)
    assert {t.tier for t in memory.turns("t")} - {"text", "vivid"}
    assert not any(t.purged for t in memory.turns("t"))
    assert all(memory.recall("t", word(n))[0].turn == n + 1 for n in range(0, 60, 7))


def test_recall_says_plainly_that_only_a_picture_is_left(make):
    """With the page that shows the turn and its tier; the tool that a model calls says the same."""
    memory = grown(make, retain="clear")
    hit = memory.recall("t", "3")[0]
    page = next(p for p in memory.pages("t", tier="clear") if p.turns[0] <= 3 <= p.turns[1])
    assert hit.purged
    assert page.record
    assert f"Only a picture of turn 3 is left: page {page.number}, turns {page.turns[0]}-{page.turns[1]}" in hit.text
    assert "cannot be called back" in hit.text
    assert hit.text in recall_memory(memory, thread="t").invoke({"query": "3"})
    assert memory.turns("t", first=3, last=3)[0].text == memory.search("t", "3")[0].text
    assert "their text is gone for good" in memory.explain("t")


def test_what_is_recalled_of_it_is_shown_sharper_but_not_sharper_than_what_was_kept(make):
    """A recall counts as ever; the picture that was kept is the sharpest there is."""
    memory = grown(make, retain="dense", budget=4_000)
    before = {t.number: t.tier for t in memory.turns("t")}
    assert before[2] in ("card", "handle")
    memory.recall("t", "2")
    memory.step("t")
    assert memory.turns("t", first=2, last=2)[0].tier == "dense"


def test_fainter_pictures_are_made_of_the_kept_one_in_one_step(make):
    """The dense picture is the vivid one, made smaller by Lanczos once, the same bytes every time."""
    memory = grown(make, retain="vivid", budget=4_000)
    kept = {p.number: p for p in memory.pages("t", tier="vivid") if p.record}
    made = {p.number: p for p in memory.pages("t", tier="dense") if p.record}
    assert made
    assert made == {p.number: p for p in memory.pages("t", tier="dense") if p.record}
    for number, page in made.items():
        kept_one = Image.open(io.BytesIO(kept[number].png))
        reduced = kept_one.resize((page.width, page.height), Image.Resampling.LANCZOS)
        assert np.array_equal(np.asarray(reduced), np.asarray(Image.open(io.BytesIO(page.png))))
        assert page.tokens < kept[number].tokens


def test_a_step_that_took_text_away_cannot_be_undone(make):
    """It says so, and changes nothing."""
    memory = grown(make, retain="vivid")
    assert memory.steps("t")[-1].purged
    with pytest.raises(StoreError, match="cannot be undone"):
        memory.undo("t")
    assert not memory.steps("t")[-1].undone


@pytest.mark.slow
def test_remembering_the_same_list_again_brings_nothing_back(make):
    """Ids and hashes stay, so that the list is known; without ids too."""
    bare = [{k: v for k, v in m.items() if k != "id"} for m in talk(60)]
    memory = grown(make, retain="vivid")
    assert memory.remember("t", talk(60)).added == 3  # those after the last context
    assert memory.remember("t", bare).added == 0
    assert memory.turns("t", first=1, last=1)[0].purged
    assert memory.remember("t", talk(62)).added == 2


def test_an_edited_past_departs_inside_a_page_without_text(make):
    """The new branch keeps its numbers; its turns that only a picture of the other branch shows stand behind a handle."""
    memory = grown(make, retain="vivid")
    first, last = next(p.turns for p in memory.pages("t", tier="vivid") if p.record and p.turns[1] > p.turns[0])
    edited = [*talk(last - 1), {"role": "assistant", "content": "It never left.", "id": "other"}, *talk(99, first=98)]
    assert memory.remember("t", edited).forked_after == last - 1
    context = memory.context("t")
    assert covered(context) == list(range(1, last + 2))
    assert [s.turns[1] for s in context.segments if s.kind == "handle"] == [last - 1]
    assert "It never left." in [m.content for m in context.messages]
    assert "turns that are not on this branch" in memory.recall("t", f"{first}")[0].text
    assert memory.store.check() == []


def test_a_turn_that_is_told_again_in_part_is_told_from_the_callers_words(make):
    """A branch that departs between a call and its results takes the call from the list, not from what is left of it."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "quay"}'}}
    asked = {"role": "assistant", "content": "Let me look.", "tool_calls": [call], "id": "a"}
    rows = [*talk(1), asked, {"role": "tool", "tool_call_id": "c1", "content": "Nothing there.", "id": "r"}]
    memory = make(profile=READS, budget=1_500, keep=("turns", 4), schedule=SOON, retain="vivid")
    memory.remember("t", [*rows, *talk(40, first=2)])
    memory.context("t")
    assert memory.turns("t")[1].purged
    memory.remember("t", [*rows[:2], {"role": "tool", "tool_call_id": "c1", "content": "A crate!", "id": "r2"}])
    assert memory.turns("t")[1].text == 'Let me look.\nlook({"at": "quay"})\n→ A crate!'


def test_pinned_turns_keep_their_text_until_they_are_let_go(make):
    """Their whole page waits; a turn whose text is gone cannot be pinned."""
    memory = make(profile=READS, budget=1_500, keep=("turns", 4), schedule=SOON, retain="dense")
    memory.remember("t", talk(20))
    memory.context("t")
    memory.step("t")
    page = next(p.turns for p in memory.pages("t", tier="vivid") if p.turns[1] > p.turns[0])
    memory.pin("t", page[0])
    for n in range(24, 64, 4):
        memory.remember("t", talk(n))
        memory.step("t")
    turns = memory.turns("t")
    assert not any(t.purged for t in turns[page[0] - 1 : page[1]])
    assert "since a turn of them is pinned or cannot be drawn: 1." in memory.explain("t")
    with pytest.raises(StoreError, match="only its picture is left"):
        memory.pin("t", next(t.number for t in turns if t.purged))
    memory.unpin("t", page[0])
    memory.remember("t", talk(68))
    memory.step("t")
    assert all(t.purged for t in memory.turns("t", first=page[0], last=page[1]))


def test_a_model_that_cannot_see_loses_no_text(make):
    """Where nothing is drawn nothing can stand in for the words."""
    memory = grown(make, profile=None, model="gpt-3.5-turbo", retain="vivid")
    assert not any(t.purged for t in memory.turns("t"))
    assert "no text goes" in memory.explain("t")


def test_another_model_gets_the_pictures_and_a_blind_one_a_handle(make):
    """A preview for any model keeps its budget and accounts for all turns."""
    memory = grown(make, retain="clear")
    for model in ("claude-opus-5", "gpt-5.6-sol", "gemini-3-pro", "gpt-3.5-turbo"):
        context = memory.context("t", model=model, budget=2_500)
        assert counted(context, model) <= context.tokens <= 2_500
        assert covered(context) == list(range(1, 58))
        assert "" not in [m.content for m in context.messages]


def test_a_copy_is_as_bare_as_its_source(make):
    """And looks the same."""
    memory = grown(make, retain="clear")
    memory.copy("t", "copy")
    copied = memory.turns("copy")
    assert [t.purged for t in copied] == [t.purged for t in memory.turns("t")]
    assert all(t.purged == t.text.startswith("[Only a picture") for t in copied)
    assert {(p.turns, p.sha256) for p in memory.pages("copy", tier="clear")} == {
        (p.turns, p.sha256) for p in memory.pages("t", tier="clear")
    }
    assert memory.store.check() == []
    assert memory.context("copy").tokens <= 1_500


def test_forgetting_a_turn_of_a_picture_forgets_the_picture(make):
    """A turn cannot be cut out of it: the others that it was the record of are counted beforehand, and gone with it."""
    memory = grown(make, retain="clear")
    page = next(p for p in memory.pages("t", tier="clear") if p.record)
    size = page.turns[1] - page.turns[0] + 1
    told = memory.forget("t", turns=[page.turns[0]], dry_run=True)
    done = memory.forget("t", turns=[page.turns[0]])
    assert (told.turns, told.lost, told.pages) == (done.turns, done.lost, done.pages) == (size, size - 1, 1)
    assert {t.role for t in memory.turns("t", first=page.turns[0], last=page.turns[1])} == {"forgotten"}
    assert covered(memory.context("t")) == list(range(1, 58))
    assert memory.store.check() == []
    memory.forget("t")
    assert memory.threads() == []


def test_a_damaged_picture_is_said_to_be_damaged(make):
    """The context is made all the same, and the check names what is lost."""
    memory = grown(make, retain="vivid", budget=4_000)
    with memory.store.write() as writer:
        writer._connection.execute(sa.update(image).values(png=b"nothing of a picture"))
    memory.close()
    again = make(profile=READS, budget=4_000, keep=("turns", 4), schedule=SOON, retain="vivid")
    told = [
        b["text"] for m in again.context("t").messages if isinstance(m.content, list) for b in m.content if "text" in b
    ]
    assert any("their picture is damaged" in text for text in told)
    assert any("image: page 1" in line for line in again.store.check())


def test_a_missing_record_is_found_by_the_check(make):
    """A page without text and without picture is damage, not an absence."""
    memory = grown(make, retain="vivid")
    with memory.store.write() as writer:
        views = writer._connection.exec_driver_sql("SELECT id FROM view WHERE page_id = 1").scalars().all()
        writer.drop_views(views)
    assert any("no text any more" in line for line in memory.store.check())


def test_retention_can_be_set_for_a_memory_that_is_there(make):
    """What has fallen before goes with the next step."""
    grown(make).close()
    memory = grown(make, 72, retain="dense")
    fallen = [t.number for t in memory.turns("t") if t.tier in ("dense", "card", "handle")]
    assert len(fallen) > 15
    assert [t.number for t in memory.turns("t") if t.purged] == fallen


numbers = itertools.count()


@pytest.mark.slow
@slow
@given(threads, st.sampled_from(["vivid", "clear", "dense", "card"]), st.integers(200, 2_500), st.integers(0, 6))
def test_every_context_keeps_its_budget_and_every_turn_has_text_or_a_picture(
    tmp_path_factory, rows, retain, budget, keep
):
    """Whatever is said: within the budget, pairs whole, all turns accounted for, and no turn without text and picture."""
    file = tmp_path_factory.getbasetemp() / "retain.db"
    options = {"profile": READS, "budget": budget, "keep": ("turns", keep), "schedule": SOON, "retain": retain}
    with OpticalMemory(file, **options) as memory:
        t = f"t{next(numbers)}"
        assert_sound_while_it_grows(memory, t, rows, sorted({len(rows) // 3, 2 * len(rows) // 3, len(rows)} - {0}))
        pictured = {n for tier in ("vivid", "clear", "dense", "card") for p in memory.pages(t, tier=tier) if p.record
                    for n in range(p.turns[0], p.turns[1] + 1)}  # fmt: skip
        assert {turn.number for turn in memory.turns(t) if turn.purged} <= pictured
        assert memory.store.check() == []


def assert_sound_while_it_grows(memory, thread: str, rows: list[dict], ends: Iterable[int]) -> None:
    """Each context of the growing thread is within the budget, with whole pairs and every turn shown or reported."""
    for end in ends:
        memory.remember(thread, whole(rows[:end]))
        try:
            context = memory.context(thread)
        except BudgetError:
            continue
        assert counted(context, "ocr:tesseract") <= context.tokens <= memory.budget
        assert_pairs_whole(context.messages)
        assert covered(context) == list(range(1, len(memory.turns(thread)) + 1))


def whole(rows: list[dict]) -> list[dict]:
    """The messages without an ending that waits for results."""
    while rows and (rows[-1]["role"] == "tool" or rows[-1].get("tool_calls")):
        rows = rows[:-1]
    return rows


def test_trying_it_out_takes_no_text_away(make):
    """With mode="observe" steps are taken as if they were sent; what cannot be taken back is not done."""
    with make(profile=READS, budget=1_500, keep=("turns", 4), schedule=SOON, retain="vivid", mode="observe") as memory:
        for n in range(1, 80, 8):
            memory.project(talk(n), thread="t")
        assert memory.steps("t")
        assert not any(t.purged for t in memory.turns("t"))
        assert "mode='observe'" in memory.explain("t")
