"""Exact strings: letter for letter, each once, rarest shapes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.planning.facts import MOST_CHARS, exact_strings, rank


@pytest.mark.parametrize(
    "string",
    [
        "ann.lee+x@mail.example.org", "https://a.example/b?c=d#e", "3f2b8c1e-9a4d-4f6b-8c7a-1d2e3f4a5b6c", "/usr/lib/python3/abc.py",
        "src/app/main.py", "2026-11-22", "2026-11-22T10:15:00Z", "9f86d081884c7d659a2f", "user_4471", "HX-4471", "HAT170", "$1,299.50",
        "€12", "10:15", "v2.14.3", "192.168.10.4", "12.5 ms", "40%", "1,234", "--no-cache", "5 GiB",
    ],
)  # fmt: skip
def test_each_kind_of_exact_string_is_found_whole(string):
    """In the middle of a sentence, without the punctuation around it."""
    assert string in exact_strings(f"It said {string}, and then stopped.")


def test_plain_words_are_no_exact_strings():
    """Nothing is found in prose without any."""
    assert exact_strings("We went to the mountains and it rained all day, but nobody minded.") == []


@given(st.text(max_size=400))
def test_every_exact_string_stands_in_its_text(text):
    """They are copied, never made; each comes once."""
    found = exact_strings(text)
    assert all(s in text for s in found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("beyond", range(12))
def test_a_string_where_the_search_ends_is_told_whole_or_not_at_all(beyond):
    """Half an id that is listed as exact would be worse than none."""
    text = "HX-1" + " x" * ((MOST_CHARS - 4 - beyond) // 2) + " " * (beyond % 2) + " HX-4471123 and more"
    assert set(exact_strings(text)) <= {"HX-1", "HX-4471123"}


def test_ids_come_before_bare_numbers_and_what_was_told_comes_last():
    """The rank that decides what the budget drops first."""
    assert rank(["1234", "10:15", "HX-4471", "user_9"], seen=["user_9"]) == ["HX-4471", "10:15", "1234", "user_9"]


def test_a_huge_text_is_searched_in_linear_time():
    """A megabyte of anything does not stall the planner (bounded, so this simply returns)."""
    assert len(exact_strings("a1" * 500_000)) <= 1
