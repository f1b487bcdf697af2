"""The recall tool: word for word, with numbers and dates, within its own size, never an error to the agent."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace

import pytest
from langchain_core.messages import HumanMessage, ToolMessage

from optical_memory.cost import text_tokens
from optical_memory.langchain import pin_memory, recall_memory
from tests.langchain.conftest import MODEL, on


@pytest.fixture
def memory(make):
    """A talk of 30 turns; turn 5 is long."""
    made = make()
    long = "\n".join(f"row {n}: value {n * 7} of the pump at station {n % 9}" for n in range(900))
    talk = [
        {
            "role": "user",
            "content": long if n == 5 else f"The code of gate {n} is {n}{n}-heron.",
            "created_at": f"2026-03-{n:02}",
        }
        for n in range(1, 31)
    ]
    made.remember("t", talk)
    return made


def ask(memory, query, thread="t", **more) -> str:
    return recall_memory(memory).invoke({"query": query, **more}, on(thread))


def test_a_query_returns_turns_word_for_word_with_number_speaker_and_date(memory):
    """What was said comes back letter for letter."""
    assert "[turn 12, user, 2026-03-12] The code of gate 12 is 1212-heron." in ask(memory, "1212-heron")


@pytest.mark.parametrize("query", ["12-14", "turns 12 to 14", "12:14"])
def test_a_range_returns_these_turns_in_order(memory, query):
    """Turn numbers are as good as words."""
    assert [line[:8] for line in ask(memory, query).splitlines()] == ["[turn 12", "[turn 13", "[turn 14"]


@pytest.mark.parametrize(("query", "shown", "rest"), [("6-12", 7, ""), ("6-30", 20, "26-30"), ("8-900", 20, "28-900")])
def test_a_long_range_says_which_of_its_turns_are_left(memory, query, shown, rest):
    """As many turns as fit, one after the other, and the range to ask for next: nothing is left out in silence."""
    lines = ask(memory, query).splitlines()
    first = int(query.split("-")[0])
    told = [int(line.split(",")[0].removeprefix("[turn ")) for line in lines if line.startswith("[turn ")]
    assert told == list(range(first, first + shown))
    assert lines[len(told) :] == ([f"[also turns {rest}: ask for them by number]"] if rest else [])


def test_what_does_not_fit_of_a_range_is_named(memory):
    """Long turns fill an answer early: the others are named in few words, within its size."""
    answer = recall_memory(memory, tokens=200).invoke({"query": "2-900"}, on("t"))
    assert text_tokens(answer, MODEL) <= 200
    assert answer.endswith("-900: ask for them by number]")


def test_the_question_itself_is_returned_where_it_is_asked_for_by_number(memory):
    """A search leaves out the question that is being answered; a range does not."""
    state = {"messages": [HumanMessage("The code of gate 12 is 1212-heron.")]}
    tool, runtime = recall_memory(memory), SimpleNamespace(state=state)
    assert "[turn 12, user" in tool.run({"query": "11-13", "runtime": runtime}, config=on("t"))
    assert "[turn 12, user" not in tool.run({"query": "1212-heron gate", "runtime": runtime}, config=on("t"))


def test_a_number_may_come_as_a_number(memory):
    """Models give 12 where "12" is asked for."""
    assert ask(memory, 12).startswith("[turn 12,")


def test_a_long_turn_is_read_on_by_its_offset_until_nothing_is_left(memory):
    """Each answer is within 1,500 tokens and names the offset that goes on; together they are the turn."""
    whole, parts, offset = memory.turns("t", first=5, last=5)[0].text, [], 0
    while offset is not None:
        answer = ask(memory, "5", offset=offset)
        assert text_tokens(answer, MODEL) <= 1_500
        shown = answer.removeprefix("[turn 5, user, 2026-03-05] ").removeprefix(
            f"[... {offset} characters before ...] "
        )
        shown, _, rest = shown.partition(" [... ")
        parts.append(shown)
        offset = int(rest.split("offset=")[1].split(")")[0]) if rest else None
    assert "".join(parts) == whole
    assert len(parts) > 3


def test_a_search_shows_a_long_turn_around_what_was_asked_for(memory):
    """A word in the middle of a long turn is in the answer."""
    assert "row 617: value 4319 of the pump" in ask(memory, "4319")


def test_an_answer_fits_its_own_size(memory):
    """However many turns match, the answer takes at most `tokens`."""
    for tokens in (100, 300, 1_500):
        answer = recall_memory(memory, tokens=tokens).invoke({"query": "code gate heron pump station"}, on("t"))
        assert text_tokens(answer, MODEL) <= tokens


@pytest.mark.parametrize("query", ["zebra", "", '"', "900-950", "*", "\x00", "a" * 5_000])
def test_nothing_found_says_what_to_try(memory, query):
    """No match, no word, or turns that do not exist: an answer that helps, no error."""
    assert "Nothing found" in ask(memory, query)
    assert "12-15" in ask(memory, query)


def test_an_unknown_thread_and_no_thread_are_answered(memory):
    """Neither raises."""
    assert "Nothing is remembered" in ask(memory, "heron", thread="other")
    assert "no thread" in recall_memory(memory).invoke({"query": "heron"})


def test_an_offset_past_the_end_says_how_long_the_turn_is(memory):
    """The model can find its way back."""
    assert "past its end" in ask(memory, "12", offset=10_000)


def test_a_locked_database_is_still_read(make, tmp_path):
    """While another process writes, the tool reads; only the turn's strength stays as it was."""
    made = make(lock_timeout=0.1)
    made.remember("t", [("user", "the word is heron")])
    connection = sqlite3.connect(tmp_path / "memory.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        assert "heron" in ask(made, "heron")
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def test_async_answers_the_same(memory):
    """`ainvoke` is `invoke` in a worker thread."""
    tool = recall_memory(memory, thread="t")
    assert await tool.ainvoke({"query": "1212-heron"}) == tool.invoke({"query": "1212-heron"})


def test_what_the_model_sees_of_the_tool(memory):
    """Two arguments, neither the runtime nor the configuration; results are tool messages with text."""
    tool = recall_memory(memory)
    assert set(tool.tool_call_schema.model_json_schema()["properties"]) == {"query", "offset"}
    call = {"type": "tool_call", "name": "recall_memory", "args": {"query": "1212-heron"}, "id": "c1"}
    answer = tool.invoke(call, on("t"))
    assert isinstance(answer, ToolMessage)
    assert isinstance(answer.content, str)


def test_recalled_turns_grow_stronger(memory):
    """The model's own recall counts: the turn is remembered as recalled."""
    ask(memory, "1212-heron")
    with memory.store.read() as reader:
        path = reader.path(reader.thread("t"))
        assert reader.turns(path, 12, 12)[0].recalls == 1


@pytest.mark.parametrize("turns", [12, "12", "turns 12 to 14", "12-14"])
def test_pinned_turns_are_pinned(memory, turns):
    """A number or a range; the model is told which."""
    answer = pin_memory(memory).invoke({"turns": turns}, on("t"))
    last = 12 if str(turns) == "12" else 14
    assert answer.startswith("Pinned: turn")
    assert [t.number for t in memory.turns("t") if t.pinned] == list(range(12, last + 1))


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        ("1-30", "at most 8"),
        ("9-3", "at most 8"),
        ("99", "no turn 99"),
        ("heron", "names no turns"),
        ("", "names no turns"),
    ],
)
def test_what_cannot_be_pinned_is_said(memory, turns, told):
    """Too many, none, or no numbers: nothing is pinned."""
    assert told in pin_memory(memory).invoke({"turns": turns}, on("t"))
    assert not any(t.pinned for t in memory.turns("t"))


async def test_pinning_without_a_thread_or_in_an_unknown_one_is_answered(memory):
    """Neither raises, and asyncio answers the same."""
    assert "no thread" in pin_memory(memory).invoke({"turns": "1"})
    assert "Nothing is remembered" in await pin_memory(memory, thread="other").ainvoke({"turns": "1"})
