"""Headline cards by the host's model: asked once for each new page, kept for good, never in the way."""

from __future__ import annotations

import itertools

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from optical_memory import OpticalMemory
from optical_memory.errors import ConfigError


def filled(tmp_path, summarizer, **settings):
    """A memory whose older turns have become pages."""
    told = {"model": "gpt-4o", "budget": 4_000, "keep": ("turns", 2)} | settings
    memory = OpticalMemory(tmp_path / "memory.db", summarizer=summarizer, **told)
    memory.remember("t", talk(0, 24))
    memory.context("t")
    return memory


def talk(first: int, last: int) -> list[dict]:
    said = "We keep the hall in Oslo for the fourteenth, since the caterer is not free before that day. " * 6
    return [
        {"role": ("user", "assistant")[n % 2], "content": f"{n}: {said}", "id": f"m{n}"} for n in range(first, last)
    ]


def cards(memory) -> list[str]:
    """The cards that are stored."""
    with memory.store.read() as reader:
        row = reader.thread("t")
        return [page.card for page in reader.pages(reader.path(row))]


def test_each_new_page_is_asked_for_once_with_its_own_turns(tmp_path):
    asked: list[tuple[str, int]] = []

    def say(text: str, chars: int) -> str:
        asked.append((text, chars))
        return f"headline {len(asked)}\nof the page"

    with filled(tmp_path, say) as memory:
        found = cards(memory)
        assert found
        assert [card for card in found if card.startswith("headline")] == [
            f"headline {n} of the page" for n in range(1, len(asked) + 1)
        ]
        assert all(60 <= chars <= 160 for _, chars in asked)
        assert asked[0][0].startswith("user: 0: We keep the hall")
        before = len(asked)
        memory.context("t")
        memory.context("t", budget=3_000)  # a preview asks nothing
        assert len(asked) == before


@pytest.mark.slow
def test_a_card_stays_as_it_was_said_for_a_process_without_the_model(tmp_path):
    with filled(tmp_path, lambda text, chars: "the hall is kept") as memory:
        assert "the hall is kept" in cards(memory)
    with OpticalMemory(tmp_path / "memory.db", model="gpt-4o", budget=4_000, keep=("turns", 2)) as memory:
        memory.remember("t", talk(24, 60))
        memory.context("t")
        assert "the hall is kept" in cards(memory)


def test_what_is_too_long_is_cut_at_a_word(tmp_path):
    with filled(tmp_path, lambda text, chars: "word " * 400) as memory:
        found = [card for card in cards(memory) if card.startswith("word")]
        assert found
        assert all(len(card) <= 160 and card.endswith("word") for card in found)


@pytest.mark.parametrize("answer", [RuntimeError("no connection"), "", None])
def test_a_model_that_fails_leaves_the_sentences_of_the_source(tmp_path, answer, caplog):
    def say(text: str, chars: int):
        if isinstance(answer, Exception):
            raise answer
        return answer

    with filled(tmp_path, say) as memory:
        assert cards(memory)
        assert all("Oslo" in card for card in cards(memory))
    assert ("no connection" in caplog.text) is isinstance(answer, Exception)


def test_a_chat_model_of_langchain_writes_cards(tmp_path):
    model = GenericFakeChatModel(messages=(AIMessage(f"card number {n}") for n in itertools.count()))
    with filled(tmp_path, model) as memory:
        assert any(card.startswith("card number") for card in cards(memory))


def test_anything_else_is_refused_with_advice(tmp_path):
    with pytest.raises(ConfigError, match="a function of"):
        OpticalMemory(tmp_path / "memory.db", summarizer=7)
