"""The extract holds the sentences that matter most, word for word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optical_memory.pages import TurnText, headlines
from optical_memory.pages.card import JOINT, salient

TALK = [
    TurnText(1, "user", "Hey there! How are you? Please never book a window seat for me."),
    TurnText(2, "assistant", "Thanks for telling me! It is always nice to talk. The weather is lovely today."),
    TurnText(3, "user", "Wow, great. Actually, make that the 15th of May instead of the 14th."),
    TurnText(4, "assistant", "We agreed on flight HAT136 for 255 dollars."),
    TurnText(5, "tool", '{"status": "available", "rows": [1, 2, 3]}'),
]


def marked(text: str) -> str:
    """The salient characters; the rest as blanks."""
    return "".join(char if strong else " " for char, strong in zip(text, salient(text), strict=True)).strip()


def test_decisions_corrections_and_prohibitions_come_before_chatter():
    card = headlines(TALK, 200)
    assert "Please never book a window seat for me." in card
    assert "Actually, make that the 15th of May instead of the 14th." in card
    assert "We agreed on flight HAT136 for 255 dollars." in card
    assert "weather" not in card


def test_the_extract_keeps_the_order_of_the_conversation():
    card = headlines(TALK, 200)
    assert card.index("never") < card.index("15th") < card.index("HAT136")


@given(st.lists(st.text(max_size=200), max_size=8), st.integers(0, 400))
def test_the_extract_is_never_longer_than_asked_and_every_part_is_verbatim(texts, chars):
    turns = [TurnText(n, "user", text) for n, text in enumerate(texts)]
    card = headlines(turns, chars)
    assert len(card) <= chars
    for part in card.split(JOINT) if card else ():
        assert any(part in text for text in texts) or JOINT in "".join(texts)


def test_the_extract_of_a_text_without_blanks_holds_whole_sentences_of_it():
    """Chinese and Japanese end sentences by marks of their own; a longer one is cut where there is room for no more."""
    text = (
        "我们决定五月十五日出发，不再改时间。" * 3
        + "航班是HAT136，票价二百五十五美元，请不要选靠窗的座位。"
        + "旅馆很好" * 90
        + "。"
    )
    card = headlines([TurnText(1, "user", text)], 120)
    assert "我们决定五月十五日出发，不再改时间。" in card
    assert "航班是HAT136，票价二百五十五美元，请不要选靠窗的座位。" in card
    assert headlines([TurnText(1, "user", "旅馆很好" * 90)], 120) == "旅馆很好" * 30


def test_strings_that_must_survive_are_salient_and_plain_words_are_not():
    text = "send it to mia.li3818@example.com by 2024-05-20 for $1,200.50, not later, says Caroline of the house"
    assert marked(text).split() == ["mia.li3818@example.com", "2024-05-20", "$1,200.50", "not", "Caroline"]
    assert marked("fix user_id and API in src/main.py v2.1").split() == ["API", "v2.1"]
