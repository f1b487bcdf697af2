"""What a turn says, and which turns a page keeps when it cannot keep all."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from optical_memory.planning.information import ENOUGH, MARK, best, information

CHAT = (
    "Hey! How are you? Long time no see!",
    "I adopted a greyhound called Biscuit from the shelter in Tromsø last week.",
    "Wow, that's great! How are you?",
    "Are you going to see your friends?",
    "Thanks! It was great to see you.",
)


def test_news_is_worth_more_than_small_talk():
    """The turn with names, a time and something told comes first, a greeting and a polite question last."""
    worth = information(CHAT)
    assert max(worth) == worth[1]
    assert worth[1] > 4 * worth[2]


def test_the_same_words_as_a_question_say_less():
    told, asked = information(("My flight leaves Oslo tonight.", "Your boat reaches Kiel tonight?"))
    assert told > asked


TALK = """
import random
from optical_memory.planning.information import information
rng = random.Random(1)
print(information(tuple(" ".join(rng.choices([f"w{n}" for n in range(300)], k=60)) for _ in range(40))))
"""


def test_every_process_weighs_a_talk_alike_to_the_last_digit():
    """Words stand in sets, whose order is another in each process; of turns that say as much one would stay here, one there."""
    told = {
        subprocess.run(
            [sys.executable, "-c", TALK], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "012"
    }
    assert len(told) == 1


def test_a_turn_said_by_all_says_nothing():
    assert information(("the same words",) * 8) == (0.0,) * 8


def test_words_without_blanks_between_are_found():
    """Chinese turns differ in what they say too."""
    worth = information(("你好。", "我上周在上海买了一只猫。", "你好。", "你好。"))
    assert worth[1] > worth[0]


@given(st.lists(st.text(max_size=300), max_size=12))
def test_worth_is_bounded_whatever_is_said(texts):
    """From nothing up to what any one turn can be asked about."""
    worth = information(tuple(texts))
    assert len(worth) == len(texts)
    assert all(0 <= w <= ENOUGH for w in worth)


def test_a_long_answer_is_not_worth_its_length():
    """Ten times the rare words are worth less than three times as much."""
    words = [f"word{n}" for n in range(500)]
    short, long, *_ = information((" ".join(words[:50]), " ".join(words[50:]), *("other words",) * 20))
    assert short < long < 3 * short


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 500)), max_size=20),
    st.floats(0, 3_000),
)
def test_the_chosen_turns_fit_and_nothing_better_for_its_length_is_passed_over(turns, room):
    """What is left out was worth less for each character than all that is kept, or did not fit beside it."""
    worth, chars = [w for w, _ in turns], [c for _, c in turns]
    kept = best(worth, chars, room)
    used = sum(chars[i] + MARK for i in kept)
    assert used <= room
    for i in set(range(len(turns))) - kept:
        better = [k for k in kept if worth[k] / (chars[k] + MARK) >= worth[i] / (chars[i] + MARK)]
        assert sum(chars[k] + MARK for k in better) + chars[i] + MARK > room
