"""What a reader recovered of a text is told word by word, and exact strings are judged apart."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.inspection.diffs import by_part, compare, drawn

TEXT = st.text(alphabet="ab c,.-12\n⟨⟩?↵é語", max_size=80)


def states(source: str, read: str) -> list[str]:
    return [state for _, state, _ in compare(source, read).words]


def test_a_perfect_reading_keeps_every_word() -> None:
    """Nothing is marked where nothing was lost."""
    text = "Order HX-4471 leaves on 2026-02-03 for 1,200 USD."
    found = compare(text, text)
    assert found.share == 1.0
    assert {state for _, state, _ in found.words} == {"kept"}
    assert {fate for _, fate in found.exact} == {"right"}
    assert "HX-4471" in dict(found.exact)


def test_a_misread_word_is_changed_and_a_missing_one_is_lost() -> None:
    """A silent substitution shows what was read in its place."""
    found = compare("the quick brown fox", "the qulck fox")
    assert found.words == (
        ("the", "kept", "the"), ("quick", "changed", "qulck"), ("brown", "lost", None), ("fox", "kept", "fox"),
    )  # fmt: skip
    assert found.share == 0.5


def test_what_a_reader_owns_not_to_read_is_lost() -> None:
    """An honest gap is no substitution."""
    assert states("the quick fox", "the ⟨?⟩ fox") == ["kept", "lost", "kept"]
    assert dict(compare("code HX-4471 here", "code ⟨?⟩ here").exact) == {"HX-4471": "unread"}


def test_blanks_and_signs_around_words_do_not_count() -> None:
    """Engines join and split words in tight type; nobody is misled by that."""
    assert states("read the word now", "readthe wo rd now.") == ["kept"] * 4
    assert states('{"order": 7}', "{order:7}") == ["kept", "kept"]


def test_a_wrong_string_is_worse_than_an_unread_one_and_both_are_told() -> None:
    """An id that was read as another one is wrong, one that is missing is unread."""
    found = compare("pay HX-4471 by bob@example.org", "pay RX-4471 by")
    assert dict(found.exact) == {"HX-4471": "wrong", "bob@example.org": "unread"}


def test_a_string_read_at_one_of_its_places_is_right() -> None:
    """Whoever reads it once has it."""
    assert dict(compare("id 4471 again id 4471", "id 447l again id 4471").exact) == {"4471": "right"}


def test_a_nearer_number_is_not_the_number() -> None:
    """1,200 is not right because 200 was read."""
    assert dict(compare("it costs 1,200 today", "it costs 200 today").exact) == {"1,200": "wrong"}


def test_a_word_cut_at_the_end_of_a_line_is_whole() -> None:
    """Our own mark is no part of the text."""
    assert states("harbour", "har¬\nbour") == ["kept"]


def test_what_is_drawn_once_is_compared_once() -> None:
    """A table names its columns once, and lines that repeat stand there once with their count; that loses nothing."""
    rows = json.dumps([{"crate": f"A-{n}", "kg": n} for n in range(6)])
    assert drawn(rows).count("crate") == 1
    assert compare(drawn(rows), "[crate;kg\n" + "\n".join(f"A-{n};{n}" for n in range(6)) + "]").share == 1.0
    log = "connection refused\n" * 12 + "gave up"
    assert drawn(log).count("refused") == 1
    assert compare(drawn(log), "connection refused\u27e8\u00d712\u27e9\ngave up").share == 1.0


def test_as_dict_has_stable_keys() -> None:
    """Other programs and the viewer rely on them."""
    told = compare("id 4471", "id").as_dict()
    assert told == {
        "share": 0.5,
        "words": [{"word": "id", "state": "kept", "read": "id"}, {"word": "4471", "state": "lost", "read": None}],
        "exact": [{"string": "4471", "state": "unread"}],
    }


@given(TEXT, TEXT)
def test_any_text_can_be_compared(source: str, read: str) -> None:
    """Every word of the source is judged once, in order; the share is that of the kept ones."""
    found = compare(source, read)
    kept = sum(state == "kept" for _, state, _ in found.words)
    assert found.share == (kept / len(found.words) if found.words else 1.0)
    assert all((read is None) == (state == "lost") for _, state, read in found.words)


@given(TEXT)
def test_a_text_read_as_it_stands_loses_nothing(text: str) -> None:
    """Reading back the text itself keeps all that can be kept."""
    found = compare(text, text)
    assert all(state == "kept" or "\ufffd" in word for word, state, _ in found.words)


@pytest.mark.slow
def test_a_page_of_very_many_turns_is_compared_in_seconds() -> None:
    """Each exact string is looked for at its own place, not in every word of the page: the time grows with the page alone."""
    turns = [f"Report {n * 7919 % 10_007} of crate CR-{n:05d} weighs {n % 97} kg, " * 3 for n in range(1_200)]
    began = time.process_time()
    parts = by_part(turns, "\n".join(turns))
    assert time.process_time() - began < 8
    assert {fate for part in parts for _, fate in part.exact} == {"right"}
