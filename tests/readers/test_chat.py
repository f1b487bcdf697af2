"""Any chat model of LangChain reads pages: it is shown one picture, asked not to guess, and its tokens are counted."""

from __future__ import annotations

import base64

import pytest
from langchain_core.messages import AIMessage

from optical_memory.errors import ConfigError, OpticalMemoryError
from optical_memory.readers import Reader, Trial, calibrate, reader
from optical_memory.readers.chat import ChatReader, chat_reader
from tests.langchain.scripted import Scripted
from tests.readers.knowing import Knowing

USED = {"input_tokens": 700, "output_tokens": 300, "total_tokens": 1000}
TRIAL = Trial(1, (20, 16), 1, 400)
MODEL = "claude-opus-5"


def test_the_picture_and_the_question_are_one_message() -> None:
    model = Scripted(play=lambda _: AIMessage("read", usage_metadata=USED))
    assert reader(model).read(b"png bytes") == "read"
    image, question = model.calls[0][0].content
    assert base64.b64decode(image["base64"]) == b"png bytes"
    assert "Do not guess" in question["text"]


def test_tokens_are_those_that_the_provider_says() -> None:
    model = Scripted(play=lambda m: AIMessage("a", usage_metadata=USED if len(m) else None))
    chat = ChatReader(model)
    chat.read(b"1")
    chat.read(b"2")
    assert (chat.spent.calls, chat.spent.input, chat.spent.output, chat.spent.silent) == (2, 1400, 600, 0)


def test_answers_without_usage_are_counted_as_such() -> None:
    chat = ChatReader(Scripted(play=lambda _: AIMessage("a")))
    chat.read(b"1")
    assert (chat.spent.calls, chat.spent.silent) == (1, 1)


def test_answers_in_blocks_are_read_as_their_text() -> None:
    blocks = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "seen"}]
    assert reader(Scripted(play=lambda _: AIMessage(blocks))).read(b"1") == "seen"


def test_a_chat_model_is_a_reader_by_its_own_name() -> None:
    found = reader(Scripted(play=lambda _: AIMessage(""), model=MODEL))
    assert isinstance(found, Reader)
    assert found.name == MODEL


def test_a_chat_model_is_calibrated_from_the_picture_alone() -> None:
    knowing = Knowing(TRIAL, name=MODEL)
    model = Scripted(
        play=lambda messages: AIMessage(knowing.read(base64.b64decode(messages[0].content[0]["base64"]))), model=MODEL
    )
    found = calibrate(reader(model), trial=TRIAL)
    assert [row.score.chars.value for row in found.rows] == [1.0, 1.0]
    assert found.model == MODEL


def test_a_name_that_langchain_does_not_know_is_answered_with_an_example() -> None:
    with pytest.raises(ConfigError, match="give provider:model"):
        chat_reader("nobody-knows-this-model")


def test_a_provider_without_its_package_is_our_error_too() -> None:
    with pytest.raises(OpticalMemoryError):
        chat_reader("fireworks:some-model")
