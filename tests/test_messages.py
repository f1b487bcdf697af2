"""Messages are read in every form, and one content has one hash."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.messages.content import create_file_block, create_image_block, create_plaintext_block

from optical_memory.messages import Message, as_langchain, from_stored, group, is_open, read, turn_text


def test_the_same_words_have_one_hash_in_every_form():
    """A dict, a tuple, a LangChain message, a string or a block of text."""
    forms = [
        {"role": "user", "content": "hi"}, ("user", "hi"), ("human", "hi"), HumanMessage("hi", id="x"),
        HumanMessage([{"type": "text", "text": "hi"}]), {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ]  # fmt: skip
    assert len({read(f).hash for f in forms}) == 1


def test_reasoning_is_no_part_of_text_or_hash():
    """It is never drawn, and a host may strip it."""
    with_it = AIMessage([{"type": "thinking", "thinking": "secret", "signature": "s"}, {"type": "text", "text": "yes"}])
    assert read(with_it).hash == read(AIMessage("yes")).hash
    assert "secret" not in read(with_it).text


def test_a_call_has_one_hash_whatever_the_spacing_of_its_arguments():
    """OpenAI's JSON text and LangChain's parsed dict are the same call."""
    one = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"b":1,"a":2}'}}],
    }
    other = AIMessage("", tool_calls=[{"name": "f", "args": {"a": 2, "b": 1}, "id": "c"}])
    assert read(one).hash == read(other).hash


@given(st.text(), st.sampled_from(["user", "assistant", "system"]), st.none() | st.text(max_size=5))
def test_what_was_stored_is_what_was_given(text, role, name):
    """Through JSON and back, lone surrogates included; as a LangChain message too."""
    given_ = {"role": role, "content": text, "name": name}
    message = read(given_)
    again = from_stored(message.form, json.loads(json.dumps(message.data)))
    assert (again, dict(again.data)) == (message, given_)
    assert as_langchain(message).content == text


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, ""), ({"type": "text", "text": "hi"}, "hi"), (["hi", 5, None], "hi\n5\nNone"), (5, "5"), (("hi",), "hi")],
    ids=str,
)
def test_whatever_content_a_dict_has_can_be_shown_again(content, text):
    """What was stored is no text and no list of blocks: it is shown as what was read of it."""
    message = read({"role": "user", "content": content})
    assert message.text == text
    assert read(as_langchain(message)).hash == message.hash


def test_unparsable_arguments_are_kept_as_an_invalid_call():
    """Nothing that a model wrote is lost."""
    message = as_langchain(
        read(
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{oops"}}],
            }
        )
    )
    assert message.invalid_tool_calls[0]["args"] == "{oops"


def test_attachments_are_told_in_one_line_and_their_bytes_are_not_drawn():
    """An image is a reference, its size, and no base64."""
    message = read(
        HumanMessage(
            [{"type": "text", "text": "see"}, {"type": "image", "base64": "aGVsbG8=" * 40, "mime_type": "image/png"}]
        )
    )
    assert "image: image/png" in message.text
    assert "aGVsbG8" not in message.text
    assert message.attachments[0].payload == "aGVsbG8=" * 40


@pytest.mark.parametrize(
    "make",
    [
        lambda: create_image_block(url="https://a.org/b.png"),
        lambda: create_file_block(file_id="f1"),
        lambda: create_plaintext_block(text="The plan."),
    ],
    ids=["image", "file", "text"],
)
def test_a_file_that_is_made_into_a_block_anew_is_the_same_message(make):
    """LangChain gives each block a random id: hosts that make their messages anew for every call have others each time."""
    one, other = make(), make()
    assert one["id"] != other["id"]
    assert read(HumanMessage([one])).hash == read(HumanMessage([other])).hash
    assert one["id"] not in read(HumanMessage([one])).text


@pytest.mark.parametrize("key", ["url", "file_id", "file_uri"])
def test_another_file_is_another_message(key):
    """By its address or by the id that its provider knows it by."""
    one, other = ({"type": "file", key: f"gs://{name}", "mime_type": "text/plain"} for name in "ab")
    assert read(HumanMessage([one])).hash != read(HumanMessage([other])).hash


def test_a_turn_is_a_call_with_all_its_results():
    """Parallel results in any order, and the next user message begins a new turn."""
    call = AIMessage("look", tool_calls=[{"name": "f", "args": {}, "id": "1"}, {"name": "g", "args": {}, "id": "2"}])
    rows: list[Message] = [
        read(m)
        for m in (
            HumanMessage("a"),
            call,
            ToolMessage("B", tool_call_id="2"),
            ToolMessage("A", tool_call_id="1"),
            HumanMessage("b"),
        )
    ]
    _, turns = group(rows)
    assert [len(t) for t in turns] == [1, 3, 1]
    assert not is_open(turns[1])
    assert is_open(turns[1][:2])
    assert turn_text(turns[1]) == "look\nf({})\ng({})\n→ g: B\n→ f: A"


def test_importing_the_package_is_light():
    """No LangChain, Pillow, SQLAlchemy or numpy until they are used."""
    code = "import sys, optical_memory; print([m for m in ('langchain', 'langchain_core', 'PIL', 'sqlalchemy', 'numpy', 'pydantic') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text-plain", "text": "the whole letter", "mime_type": "text/plain"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "the whole letter"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "the whole letter"}]}},
    ],
)
def test_a_file_that_came_as_text_is_read_as_its_text(block):
    """It can be drawn, and found again."""
    assert read({"role": "user", "content": [block]}).text == "the whole letter"


def test_a_picture_without_a_type_is_told_by_a_line_and_not_by_its_bytes():
    """As Amazon Bedrock's Converse has it."""
    message = read({"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": b"\x89PNG" * 500}}}]})
    assert (len(message.text) < 60, message.attachments[0].kind) == (True, "image")
