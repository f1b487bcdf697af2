"""Random lives of a thread whose text fades for good: whatever is done to it, nothing is half there."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory import BudgetError, OpticalMemory, StoreError
from tests.memory.test_properties import EXAMPLES, counted, slow
from tests.memory.test_retain import READS, SOON, covered, talk

deeds = st.lists(
    st.tuples(
        st.sampled_from(
            ["say", "say", "say", "edit", "recall", "pin", "unpin", "step", "undo", "forget", "past", "copy"]
        ),
        st.integers(0, 10**6),
    ),
    min_size=8,
    max_size=24,
)
numbers = itertools.count()
few = settings(slow, max_examples=max(3, EXAMPLES // 2))  # each does a dozen things to a thread


class Life:
    """A thread and what was said in it, by the words that each turn must still have or have had."""

    def __init__(self, memory: OpticalMemory) -> None:
        self.memory, self.thread, self.said = memory, f"t{next(numbers)}", talk(4)
        self.fresh = itertools.count(1_000)

    def do(self, deed: str, chance: int) -> None:
        at = chance % len(self.said)
        if deed == "say":
            self.say(self.said, 3 + chance % 9)
        elif deed == "edit":
            self.say(self.said[: max(1, at)], 2)
        elif deed == "past":
            self.look(self.memory.project(self.said[: at + 1], thread=self.thread))
        elif deed == "copy":
            self.memory.copy(self.thread, f"{self.thread} {next(self.fresh)}")
        elif deed in ("pin", "unpin", "recall"):
            getattr(self.memory, deed)(self.thread, f"{at + 1}" if deed == "recall" else at + 1)
        elif deed == "forget":  # in a copy: a list that still holds what was forgotten would bring it back
            copy = f"{self.thread} {next(self.fresh)}"
            self.memory.copy(self.thread, copy)
            self.memory.forget(copy, turns=[at + 1])
            self.look(self.memory.context(copy))
        else:
            getattr(self.memory, deed)(self.thread)

    def say(self, before: list[dict], count: int) -> None:
        """News after a past, which may not be the newest."""
        first = next(self.fresh) * 100
        self.said = [*before, *talk(first + count, first)]
        self.memory.remember(self.thread, self.said)

    def look(self, context) -> None:
        assert counted(context, "ocr:tesseract") <= context.tokens <= context.budget
        assert covered(context) == list(range(1, context.end + 1))
        assert "" not in [m.content for m in context.messages]

    def hold(self) -> None:
        """What must be so after everything."""
        turns = self.memory.turns(self.thread)
        assert [t.number for t in turns] == list(range(1, len(self.said) + 1))
        pages = {
            p.turns for tier in ("vivid", "clear", "dense", "card") for p in self.memory.pages(self.thread, tier=tier)
        }
        for turn, message in zip(turns, self.said, strict=True):
            if not turn.purged:
                assert turn.text == message["content"]
            if turn.purged:
                shown = any(first <= turn.number <= last for first, last in pages)
                assert shown or "not on this branch" in turn.text


@pytest.mark.slow
@pytest.mark.parametrize("retain", ["vivid", "dense"])
@few
@given(deeds, st.integers(700, 2_500))
def test_any_life_leaves_each_turn_with_words_or_a_picture(tmp_path_factory, retain, deeds, budget):
    """Said, edited, recalled, pinned, stepped, undone, forgotten, looked at from the past: all of it holds together."""
    file = tmp_path_factory.getbasetemp() / f"lives-{retain}.db"
    options = {"profile": READS, "budget": budget, "keep": ("turns", 3), "schedule": SOON, "retain": retain}
    with OpticalMemory(file, **options) as memory:
        life = Life(memory)
        memory.remember(life.thread, life.said)
        for deed, chance in deeds:
            with contextlib.suppress(StoreError, BudgetError):  # a pin of what is gone, nothing to undo
                life.do(deed, chance)
            with contextlib.suppress(BudgetError):
                life.look(memory.context(life.thread))
            life.hold()
        assert memory.store.check() == []
