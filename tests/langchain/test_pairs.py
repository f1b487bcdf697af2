"""Plain histories cut to size: within the room, pairs whole, the newest always there, beginning with a human message."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from optical_memory.langchain.pairs import paired, trimmed, unanswered
from optical_memory.memory.rounds import answered, rounds
from optical_memory.planning.excerpt import head_and_tail
from tests.langchain.conftest import assert_pairs_whole


def count(messages) -> int:
    """One token for four characters, and five for a message or a call."""
    return sum(5 + len(str(m.text)) // 4 + 5 * len(getattr(m, "tool_calls", [])) for m in messages)


@st.composite
def histories(draw):
    """Runs with parallel calls, some without a result, some results without a call."""
    out, made = [], 0
    for _ in range(draw(st.integers(1, 8))):
        out.append(HumanMessage("word " * draw(st.integers(1, 400))))
        for _ in range(draw(st.integers(0, 4))):
            ids = [f"c{made + n}" for n in range(draw(st.integers(1, 3)))]
            made += len(ids)
            out.append(AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": i} for i in ids]))
            out += [
                ToolMessage("text " * draw(st.integers(1, 900)), tool_call_id=i) for i in ids if draw(st.integers(0, 9))
            ]
            if draw(st.integers(0, 9)) == 0:
                out.append(ToolMessage("stray", tool_call_id="nobody"))
    return out


@settings(max_examples=150, deadline=None, derandomize=True)
@given(histories(), st.integers(700, 4_000))
def test_a_trimmed_history_fits_and_is_what_providers_take(messages, room):
    """Within the room, pairs whole, human first, and the newest round is always there."""
    found, cut = trimmed(messages, room, count, lambda message: 7)
    assert count(found) <= room
    assert_pairs_whole(found)
    assert found[0].type == "human"
    newest = rounds(messages)[-1]
    assert found[-1].type == newest[-1].type or unanswered(messages)
    assert cut or all(m in [*messages, *answered(messages)] for m in found)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(histories())
def test_repair_completes_pairs_and_changes_nothing_else(messages):
    """Strays go, missing results come, and a history that is whole stays as it is."""
    whole = answered(paired(messages))
    assert_pairs_whole(whole)
    assert answered(whole) == whole
    assert [m for m in whole if m in messages] == paired(messages)


def test_a_call_with_broken_arguments_keeps_its_result():
    """An invalid tool call was answered too: its result is no stray."""
    bad = AIMessage("", invalid_tool_calls=[{"name": "look", "args": "{", "id": "c1", "error": "no JSON"}])
    assert len(paired([HumanMessage("hi"), bad, ToolMessage("bad arguments", tool_call_id="c1")])) == 3


def test_head_and_tail_say_what_is_missing_and_how_to_get_it():
    """The first two thirds, the last third, and a handle in between."""
    text = "".join(f"{n:04}" for n in range(1_000))
    short = head_and_tail(text, 300, 12)
    assert short.startswith(text[:200])
    assert short.endswith(text[-100:])
    assert "3700 characters left out; recall_memory('12') returns them" in short
    assert head_and_tail("short", 300, 12) == "short"
