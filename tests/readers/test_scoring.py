"""Scores say how much was read, and never take a wrong string for an unread one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.pages import Sheet, Style, TurnText, layout
from optical_memory.readers.blind import sheetful
from optical_memory.readers.scoring import Score, Share, Strings, align, judge, plain, truth, wilson
from tests.readers.knowing import honestly_unread, perfectly, silently_wrong, with_strings

PAGE = sheetful(1, 1, Style(9), Sheet(924, 1680, 28), chars=800)
ASKED = len(PAGE.truth.strings)
TURNS = len(PAGE.truth.turns)
WORDS = st.text("abc ", max_size=12)


def distance(one: str, other: str) -> int:
    """Levenshtein's distance, straight from its recursion."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row, before = [i], row
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
    return row[-1]


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (95, 100, 0.8882, 0.9785)]
)
def test_wilson_intervals_are_the_published_ones(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=2e-4)


def test_nothing_asked_is_nothing_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert Share(0, 0).value == 0.0


@given(WORDS, WORDS)
def test_an_alignment_needs_no_more_edits_than_the_distance(text: str, read: str) -> None:
    found = align(text, read)
    kept = sum(read[a:b] == c for c, a, b in zip(text, found.start, found.end, strict=True))
    substituted = sum(b > a for a, b in zip(found.start, found.end, strict=True)) - kept
    assert len(text) + len(read) - 2 * kept - substituted == distance(text, read)


@given(WORDS, WORDS)
def test_an_alignment_never_goes_back(text: str, read: str) -> None:
    found = align(text, read)
    ends = [0, *found.end]
    assert all(end <= start for end, start in zip(ends, found.start, strict=False))


def test_a_perfect_reading_is_right_in_everything() -> None:
    score = judge(PAGE.truth, perfectly(PAGE))
    assert score.chars.value == 1.0
    assert score.strings == Strings(right=ASKED)
    assert 0 < score.codes.right < ASKED


def test_a_string_with_one_wrong_letter_is_wrong_not_unread() -> None:
    assert judge(PAGE.truth, silently_wrong(PAGE)).strings == Strings(wrong=ASKED)


@pytest.mark.parametrize("said", ["⟨?⟩", "[?]", "<illegible>", "[unreadable]", ""])
def test_a_string_that_the_reader_says_it_cannot_read_is_unread(said: str) -> None:
    assert judge(PAGE.truth, with_strings(PAGE, lambda _: said)).strings == Strings(unread=ASKED)


def test_strings_do_not_count_as_text_so_that_owning_up_costs_no_more_than_guessing() -> None:
    assert judge(PAGE.truth, honestly_unread(PAGE)).chars.value == 1.0
    assert judge(PAGE.truth, silently_wrong(PAGE)).chars.value == 1.0


def test_blanks_marks_and_typographic_quotes_make_no_difference() -> None:
    text = "".join(PAGE.page.lines()).replace("⟪", "g").replace("⟫", "").replace("↵", "«").replace('"', "“")
    score = judge(PAGE.truth, text.replace(" ", "   "))
    assert score.chars.value == 1.0
    assert score.strings.right == ASKED


def test_what_is_not_on_the_page_counts_against_the_reading() -> None:
    text = "".join(PAGE.page.lines())
    assert judge(PAGE.truth, text.replace("e", "eX")).chars.value < 0.95


def test_a_reading_that_never_ends_is_looked_at_only_so_far() -> None:
    score = judge(PAGE.truth, "and so on " * 100_000)
    assert score.strings.right == 0
    assert score.chars.value < 0.3


def test_nothing_read_is_unread() -> None:
    assert judge(PAGE.truth, "") == Score(
        Share(0, sum(PAGE.truth.content)), Strings(unread=judge_codes()), Strings(unread=ASKED), Share(0, TURNS)
    )


def judge_codes() -> int:
    return judge(PAGE.truth, perfectly(PAGE)).codes.of


def test_wide_forms_are_read_as_their_plain_ones() -> None:
    assert plain("ＡＢ：１２ ") == "AB:12"


def test_a_page_with_dashes_and_dots_of_print_is_read_whole_by_who_writes_them_plain_or_as_they_are() -> None:
    text = "A long way\u2014so they say\u2014to “Oslo”\u2026 and back, 5\u20137 hours, id AB\u201312."
    page = layout([TurnText(1, "user", text)], Style(9), Sheet(924, 1680, 28))[0]
    stands = truth(page, ["AB\u201312"])
    for read in (text, plain(text)):
        whole = Share(sum(stands.content), sum(stands.content))
        assert judge(stands, "u1" + read) == Score(whole, strings=Strings(1), turns=Share(1, 1))


def test_a_turn_counts_as_read_with_nine_words_in_ten() -> None:
    """Of the page's turns, in what is read of them: one word of twenty may be another, three may not, nor may a line be lost."""
    said = " ".join(f"word{n:02}" for n in range(20))
    page = layout([TurnText(1, "user", said), TurnText(2, "assistant", said)], Style(9), Sheet(924, 1680, 28))[0]
    stands, both = truth(page, []), "\n".join(page.lines())
    assert judge(stands, both).turns == Share(2, 2)
    assert judge(stands, both.replace("word07", "ward07", 1)).turns == Share(2, 2)
    for number in (7, 11, 15):
        both = both.replace(f"word{number:02}", f"ward{number:02}", 1)
    assert judge(stands, both).turns == Share(1, 2)
    assert judge(stands, both.splitlines()[0]).turns == Share(0, 2)
