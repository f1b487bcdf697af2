"""What other clients are sent: every block that a host may have stored, as OpenAI and Anthropic take it."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from optical_memory.memory.forms import to_anthropic, to_openai
from optical_memory.messages import digest

ASKED = HumanMessage("Look.")
PNG = "iVBORw0KGgo="
SHOWN = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
SEEN = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
LINKED = {"type": "image_url", "image_url": {"url": "https://a.org/b.png"}}
LOOKED_UP = {"type": "image", "source": {"type": "url", "url": "https://a.org/b.png"}}
PDF = {"type": "file", "file": {"filename": "file.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
READ = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}

TIFF, WAV, MP3 = (
    f"[{what}, 3 bytes, #{digest('eA==')[:8]}]" for what in ("image: image/tiff", "audio: audio/wav", "audio: mp3")
)


def words(text):
    return {"type": "text", "text": text}


SENT = [  # a block, what OpenAI is sent, what Anthropic is sent; None: nothing
    ("plain", words("plain"), words("plain")),
    (words("hi"), words("hi"), words("hi")),
    ({"type": "text"}, None, None),
    ({"type": "text", "text": None}, None, None),
    (words(" \n"), None, None),
    ({"type": "input_text", "text": "hi"}, words("hi"), words("hi")),
    ({"text": "hi"}, words("hi"), words("hi")),
    ({"type": "refusal", "refusal": "no"}, words("no"), words("no")),
    ({"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}, words("hi"),
     {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}),
    ({"cachePoint": {"type": "default"}}, None, None),
    (SHOWN, SHOWN, SEEN),
    (SEEN, SHOWN, SEEN),
    ({"type": "image", "base64": PNG, "mime_type": "image/png"}, SHOWN, SEEN),
    ({"type": "image", "base64": PNG}, SHOWN, SEEN),
    ({"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"}, SHOWN, SEEN),
    ({"image": {"format": "png", "source": {"bytes": PNG}}}, SHOWN, SEEN),
    ({"type": "image_url", "image_url": {"url": SHOWN["image_url"]["url"], "detail": "low"}},
     {"type": "image_url", "image_url": {"url": SHOWN["image_url"]["url"], "detail": "low"}}, SEEN),
    (LINKED, LINKED, LOOKED_UP),
    (LOOKED_UP, LINKED, LOOKED_UP),
    ({"type": "image_url", "image_url": "https://a.org/b.png"}, LINKED, LOOKED_UP),
    ({"type": "image", "url": "https://a.org/b.png"}, LINKED, LOOKED_UP),
    ({"type": "non_standard", "value": {"type": "image", "url": "https://a.org/b.png"}}, LINKED, LOOKED_UP),
    ({"type": "image_url"}, words("[image: image]"), words("[image: image]")),
    ({"type": "image_url", "image_url": {}}, words("[image: image]"), words("[image: image]")),
    ({"type": "image", "base64": "eA==", "mime_type": "image/tiff"}, words(TIFF),
     words(TIFF)),
    ({"type": "image", "file_id": "f1"}, words("[image: image, f1]"), {"type": "image", "source": {"type": "file", "file_id": "f1"}}),
    ({"type": "file", "base64": "JVBERi0=", "mime_type": "application/pdf"}, PDF, READ),
    (PDF, PDF, READ),
    (READ, PDF, READ),
    ({"type": "media", "mime_type": "application/pdf", "data": "JVBERi0="}, PDF, READ),
    ({"type": "file", "url": "https://a.org/b.pdf"}, words("[file: file, https://a.org/b.pdf]"),
     {"type": "document", "source": {"type": "url", "url": "https://a.org/b.pdf"}}),
    ({"type": "file", "file": {"file_id": "f1"}}, {"type": "file", "file": {"file_id": "f1"}},
     {"type": "document", "source": {"type": "file", "file_id": "f1"}}),
    ({"type": "text-plain", "text": "hello", "mime_type": "text/plain"}, words("hello"), words("hello")),
    ({"type": "audio", "base64": "eA==", "mime_type": "audio/wav"},
     {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}}, words(WAV)),
    ({"type": "input_audio", "input_audio": {"data": "eA==", "format": "mp3"}},
     {"type": "input_audio", "input_audio": {"data": "eA==", "format": "mp3"}}, words(MP3)),
    ({"type": "video", "url": "https://a.org/b.mp4"}, words("[video: video, https://a.org/b.mp4]"),
     words("[video: video, https://a.org/b.mp4]")),
    ({"type": "thinking", "thinking": "hm", "signature": "s"}, None, None),
    ({"type": "tool_use", "id": "c", "name": "f", "input": {}}, None, None),
    ({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, None, None),
    ({"a": 1}, words('{"a": 1}'), words('{"a": 1}')),
]  # fmt: skip


@pytest.mark.parametrize(("block", "openai", "anthropic"), SENT, ids=[str(s[0])[:60] for s in SENT])
def test_a_block_goes_out_as_the_clients_own_or_as_words(block, openai, anthropic):
    """Of any provider's form, with what it lacks; in what a person and what a tool says."""
    before = words("look")
    for message in (HumanMessage([before, block]), ToolMessage([before, block], tool_call_id="c")):
        (sent,) = to_openai([message])
        assert sent["content"] == [before, *([openai] if openai else [])]
        _, (made,) = to_anthropic([message])
        told = made["content"] if message.type == "human" else made["content"][0]["content"]
        assert told == [before, *([anthropic] if anthropic else [])]


@pytest.mark.parametrize("block", [s[0] for s in SENT], ids=[str(s[0])[:60] for s in SENT])
def test_an_answer_is_sent_without_media(block):
    """Neither client takes pictures or files in what the model said."""
    message = AIMessage(["look", block])
    kinds = {b["type"] for b in to_openai([message])[0]["content"]}
    kinds |= {b["type"] for b in to_anthropic([ASKED, message])[1][1]["content"]}
    assert kinds <= {"text", "thinking"}


def test_calls_with_broken_arguments_go_out_too():
    """Their results stand behind them, and a result without its call is refused."""
    broken = {"id": "c", "name": "f", "args": "{'a", "error": None, "type": "invalid_tool_call"}
    talk = [ASKED, AIMessage("", invalid_tool_calls=[broken]), ToolMessage("no", tool_call_id="c")]
    _, asked, told = to_openai(talk)
    assert asked["tool_calls"] == [{"type": "function", "id": "c", "function": {"name": "f", "arguments": "{'a"}}]
    assert told == {"role": "tool", "tool_call_id": "c", "content": "no"}
    _, (_, call, result) = to_anthropic(talk)
    assert call["content"] == [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]
    assert result["content"][0]["tool_use_id"] == "c"


def test_what_anthropic_left_in_an_answer_goes_back_to_it_as_it_came():
    """Signed thinking and its own tools; OpenAI is sent the words."""
    left = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
    ]
    message = AIMessage([*left, {"type": "reasoning", "reasoning": "of another"}, words("found")])
    assert to_anthropic([ASKED, message])[1][1]["content"] == [*left, words("found")]
    assert to_openai([message])[0]["content"][-1] == words("found")


def test_a_message_of_nothing_but_empty_blocks_is_sent_empty_or_not_at_all():
    """An empty list is refused by both."""
    assert to_openai([HumanMessage([{"type": "text"}])]) == [{"role": "user", "content": ""}]
    assert to_anthropic([HumanMessage([{"type": "text"}])]) == ("", [])


def test_a_call_that_was_never_answered_has_a_result_that_says_so():
    """A loop that was stopped between a call and its results, and goes on: both refuse a call without its result."""
    calls = [{"name": "look", "args": {}, "id": name} for name in "ab"]
    talk = [ASKED, AIMessage("", tool_calls=calls), ToolMessage("row 1", tool_call_id="a"), HumanMessage("Well?")]
    assert [(m["role"], m.get("tool_call_id")) for m in to_openai(talk)[2:]] == [
        ("tool", "a"), ("tool", "b"), ("user", None),
    ]  # fmt: skip
    results = to_anthropic(talk)[1][2]["content"]
    assert [b.get("tool_use_id") for b in results] == ["a", "b", None]
    assert "no result" in results[1]["content"][0]["text"]


def test_a_call_that_waits_for_its_results_stands_as_it_is():
    """The newest one: the host puts the results behind it."""
    talk = [ASKED, AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "a"}])]
    assert len(to_openai(talk)) == len(to_anthropic(talk)[1]) == 2


def test_a_talk_that_the_assistant_begins_is_one_that_anthropic_takes():
    """There a person's message comes first."""
    _, (opened, told, asked) = to_anthropic([AIMessage("Ahoy. How can I help?"), ASKED])
    assert [m["role"] for m in (opened, told, asked)] == ["user", "assistant", "user"]
    assert told["content"] == [words("Ahoy. How can I help?")]
