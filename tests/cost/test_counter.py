"""The counter for LangChain's own tools: right for images in every form."""

from __future__ import annotations

import base64
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage, trim_messages
from PIL import Image

from optical_memory.cost import count_o200k, image_tokens, profile, text_tokens, token_counter

SIZE = (1092, 1092)
CLAUDE, GPT, GEMINI = "claude-opus-5", "gpt-5.4", "gemini-3.6-flash"


def picture(kind: str = "PNG", size: tuple[int, int] = SIZE) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 80).save(file, kind)
    return file.getvalue()


PNG = picture()
B64 = base64.b64encode(PNG).decode()
URL = f"data:image/png;base64,{B64}"
FORMS = [
    {"type": "image", "base64": B64, "mime_type": "image/png"},
    {"type": "image", "url": URL},
    {"type": "image", "source_type": "base64", "data": B64, "mime_type": "image/png"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": B64}},
    {"type": "image_url", "image_url": {"url": URL}},
    {"type": "image_url", "image_url": URL},
    {"type": "input_image", "image_url": URL},
    {"type": "media", "mime_type": "image/png", "data": B64},
    {"type": "media", "mime_type": "image/png", "data": PNG},
    {"type": "file", "mime_type": "image/png", "base64": B64},
    {"image": {"format": "png", "source": {"bytes": PNG}}},
    {"type": "image", "base64": base64.urlsafe_b64encode(PNG).decode(), "mime_type": "image/png"},
]


def extra(model: str, block: dict) -> int:
    """Tokens that a block adds to a message."""
    count = token_counter(model)
    return count([HumanMessage([{"type": "text", "text": "see"}, block])]) - count([HumanMessage("see")])


@pytest.mark.parametrize("block", FORMS, ids="-".join)
@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI, "gpt-4o"])
def test_an_image_costs_the_same_in_every_form_and_what_the_model_bills(model, block):
    assert extra(model, block) == image_tokens(model, *SIZE)


@pytest.mark.parametrize("block", FORMS[:8], ids="-".join)
def test_an_image_inside_a_tool_result_is_an_image_and_not_a_hundred_thousand_characters(block):
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": [{"type": "text", "text": "done"}, block],
    }
    plain = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "done"}]}
    assert extra(CLAUDE, result) - extra(CLAUDE, plain) == image_tokens(CLAUDE, *SIZE)


def test_a_tool_message_may_hold_images_too():
    count = token_counter(CLAUDE)
    held = count([ToolMessage([FORMS[0]], tool_call_id="x")]) - count([ToolMessage("", tool_call_id="x")])
    assert held == image_tokens(CLAUDE, *SIZE)


def test_the_level_of_detail_is_found_where_each_form_keeps_it():
    low = image_tokens(GPT, *SIZE, "low"), image_tokens("gpt-4o", *SIZE, "low")
    assert extra(GPT, {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}) == low[0]
    assert extra("gpt-4o", {"type": "input_image", "image_url": URL, "detail": "low"}) == low[1] == 85
    assert extra("gpt-4o", {"type": "image", "url": URL, "extras": {"detail": "low"}}) == 85
    page = base64.b64encode(picture(size=(672, 960))).decode()
    media = {"type": "image", "base64": page, "mime_type": "image/png"}
    assert extra(GEMINI, media | {"media_resolution": "MEDIA_RESOLUTION_LOW"}) == 280
    assert extra(GEMINI, media | {"media_resolution": {"level": "media_resolution_low"}}) == 280


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_every_format_counts_by_its_own_size(kind):
    data = base64.b64encode(picture(kind, (640, 200))).decode()
    assert extra(CLAUDE, {"type": "image", "base64": data}) == image_tokens(CLAUDE, 640, 200)


def test_an_image_that_cannot_be_measured_counts_as_a_large_one_and_never_fails():
    for block in (
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "image", "file_id": "file-1"},
        {"type": "image", "base64": "not base64 at all!"},
        {"type": "image_url", "image_url": {"url": URL, "detail": "sharpest"}},
    ):
        assert extra(GPT, block) >= image_tokens(GPT, *SIZE)
    assert extra("gpt-3.5-turbo", FORMS[0]) > 1000


def test_a_pdf_counts_by_its_pages_and_not_by_its_bytes():
    pdf = base64.b64encode(b"%PDF-1.4 /Type /Pages " + b"/Type /Page stream xxxx" * 3 + b"\0" * 90_000).decode()
    block = {"type": "file", "mime_type": "application/pdf", "base64": pdf}
    assert 3 * 1500 <= extra(CLAUDE, block) <= 3 * 6500


def test_text_counts_by_the_models_vocabulary_plus_the_additions_of_its_profile():
    text = "Book the 9:40 to Oslo. " * 30
    for model in (CLAUDE, GPT, GEMINI):
        assert token_counter(model)([("user", text)]) == text_tokens(text, model) + profile(model).message_overhead


def test_tool_calls_count_once_whether_or_not_the_content_repeats_them():
    call = {"name": "search_flights", "args": {"from": "OSL", "to": "BGO", "day": "2026-11-20"}, "id": "c1"}
    block = {"type": "tool_use", "id": "c1", "name": call["name"], "input": call["args"]}
    count = token_counter(CLAUDE)
    once = count([AIMessage("", tool_calls=[call])])
    assert once == count([AIMessage([block], tool_calls=[call])])
    assert once > profile(CLAUDE).call_overhead + count_o200k("search_flights OSL BGO 2026-11-20")


def test_thinking_counts_its_words_and_not_its_signature():
    thought = {"type": "thinking", "thinking": "Let me see. " * 50, "signature": "Q" * 5000}
    assert extra(CLAUDE, thought) == text_tokens(thought["thinking"], CLAUDE)


def test_dicts_tuples_strings_and_a_lone_message_count_as_messages():
    count = token_counter(GPT)
    one = count([HumanMessage("hello there")])
    assert one == count([{"role": "user", "content": "hello there"}]) == count([("user", "hello there")])
    assert one == count(["hello there"]) == count(HumanMessage("hello there"))


def test_trimming_with_it_drops_pages_that_langchain_takes_for_85_tokens():
    history = [
        SystemMessage("be brief"),
        *(HumanMessage([FORMS[0]]) for _ in range(10)),
        HumanMessage("and now?"),
    ]
    kept = trim_messages(history, max_tokens=5000, token_counter=token_counter(CLAUDE), include_system=True)
    assert token_counter(CLAUDE)(kept) <= 5000
    assert len(kept) == 2 + 5000 // 1600


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(["text", "image", "image_url", "tool_result", "file", "media", "tool_use", "mystery"])
keys = st.sampled_from(["text", "url", "image_url", "base64", "data", "source", "content", "input", "extras", "image"])


@given(kinds, st.dictionaries(keys, json_like, max_size=4))
@settings(max_examples=300, deadline=None)
def test_no_block_however_odd_makes_the_count_fail(kind, fields):
    assert token_counter(CLAUDE)([HumanMessage([{**fields, "type": kind}])]) >= 0


def test_calls_with_broken_arguments_are_counted():
    """They go out as they are: a long one takes as much as a good one."""
    count, words = token_counter(GPT), "pump 4711 " * 400
    call = {"name": "look", "args": f'{{"path": "{words}', "id": "c", "error": None, "type": "invalid_tool_call"}
    assert count([AIMessage("", invalid_tool_calls=[call])]) > text_tokens(words, GPT)


def test_a_block_whose_type_is_no_text_is_counted_by_its_words():
    """A host may have stored anything."""
    assert token_counter(GPT)([HumanMessage([{"type": ["text"], "said": "the pump is late"}])]) > 4
