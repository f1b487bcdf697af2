"""`remember` knows what it has been told before, however the host hands it over."""

from __future__ import annotations

import base64
import io
import time
import uuid

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from PIL import Image

from optical_memory import OpticalMemory, TranscriptError


def talk(n: int, start: int = 0) -> list[dict]:
    """n messages of a talk, user and assistant in turns."""
    return [{"role": ("user", "assistant")[i % 2], "content": f"message {i}"} for i in range(start, start + n)]


def with_ids(rows: list[dict]) -> list[dict]:
    return [row | {"id": f"m{row['content'].split()[-1]}"} for row in rows]


def fresh(rows: list[dict]) -> list[dict]:
    return [row | {"id": uuid.uuid4().hex} for row in rows]


def texts(memory: OpticalMemory, thread: str = "t") -> list[str]:
    return [t.text for t in memory.turns(thread)]


@pytest.mark.parametrize("told", [list, with_ids, fresh], ids=["no ids", "stable ids", "new ids each time"])
def test_the_whole_history_may_be_handed_over_each_time(make, told):
    """Only the new tail is written."""
    memory = make()
    for n in (1, 2, 3, 6, 6, 7):
        memory.remember("t", told(talk(n)) if n > 1 else told(talk(2))[:1] if told is not list else talk(2))
    assert texts(memory) == [f"message {i}" for i in range(7)]


def test_what_was_new_is_told(make):
    """Turns and messages that were stored, not those that were known before."""
    memory = make()
    for n, added in ((6, 6), (6, 0), (9, 3)):
        done = memory.remember("t", with_ids(talk(n)))
        assert (done.added, done.messages, done.length) == (added, added, n)
        assert done.turns == tuple(range(1, n + 1))


def test_news_without_ids_are_appended(make):
    """Lists that share nothing with what is stored are news."""
    memory = make()
    for at in range(0, 8, 2):
        memory.remember("t", talk(2, at))
    assert texts(memory) == [f"message {i}" for i in range(8)]


def test_a_list_that_overlaps_the_stored_tail_is_not_stored_twice(make):
    """Two messages or more at the end of what is stored and at the head of the list are the same messages."""
    memory = make()
    memory.remember("t", talk(8))
    memory.remember("t", talk(6, 5))
    assert texts(memory) == [f"message {i}" for i in range(11)]


def test_one_message_without_an_id_is_always_news(make):
    """A retry needs an id."""
    memory = make()
    memory.remember("t", talk(4))
    memory.remember("t", [{"role": "user", "content": "ok"}])
    memory.remember("t", [{"role": "user", "content": "ok"}])
    assert texts(memory)[4:] == ["ok", "ok"]
    memory.remember("t", [{"role": "user", "content": "yes", "id": "y"}])
    memory.remember("t", [{"role": "user", "content": "yes", "id": "y"}])
    assert texts(memory)[6:] == ["yes"]


def test_a_trimmed_list_with_ids_finds_its_place(make):
    """Messages that the host no longer sends are not deletions."""
    memory = make()
    rows = with_ids(talk(10))
    memory.remember("t", rows)
    done = memory.remember("t", [*rows[4:], *with_ids(talk(2, 10))])
    assert done.turns == tuple(range(5, 13))
    memory.remember("t", [rows[0], *with_ids(talk(4, 8))[2:], *with_ids(talk(1, 12))])
    assert texts(memory) == [f"message {i}" for i in range(13)]


def test_an_edited_past_is_a_fork_that_shares_what_came_before(make):
    """The old branch stays; the head follows the edit."""
    memory = make()
    rows = with_ids(talk(6))
    memory.remember("t", rows)
    edited = [
        *rows[:3],
        rows[3] | {"content": "message 3, corrected"},
        {"role": "user", "content": "and on", "id": "x"},
    ]
    done = memory.remember("t", edited)
    assert done.forked_after == 3
    assert texts(memory) == ["message 0", "message 1", "message 2", "message 3, corrected", "and on"]
    assert memory.threads()[0].branches == 2


def test_going_back_to_an_abandoned_branch_finds_it_again(make):
    """Nothing is stored twice when the host returns to a past that it had left."""
    memory = make()
    rows = with_ids(talk(6))
    memory.remember("t", rows)
    memory.remember("t", [*rows[:2], {"role": "user", "content": "elsewhere", "id": "e"}])
    done = memory.remember("t", [*rows, {"role": "user", "content": "back again", "id": "b"}])
    assert (done.added, memory.threads()[0].branches) == (1, 2)
    assert texts(memory)[-2:] == ["message 5", "back again"]


def test_an_edit_of_the_very_first_message_forks_at_the_root(make):
    """A list whose first id is known and whose text is not shares nothing with what is stored."""
    memory = make()
    rows = with_ids(talk(4))
    memory.remember("t", rows)
    memory.remember("t", [rows[0] | {"content": "begun anew"}, *rows[1:]])
    assert texts(memory) == ["begun anew", "message 1", "message 2", "message 3"]


def test_results_join_the_turn_of_their_call_even_when_they_come_later(make):
    """A tool call is never parted from its results; a turn that waits for them is open."""
    memory = make()
    call = AIMessage("", id="a", tool_calls=[{"name": "f", "args": {"x": n}, "id": f"c{n}"} for n in (1, 2)])
    history = [HumanMessage("go", id="h"), call]
    memory.remember("t", history)
    history.append(ToolMessage("one", tool_call_id="c1", id="r1"))
    memory.remember("t", history)
    history += [ToolMessage("two", tool_call_id="c2", id="r2"), AIMessage("done", id="z")]
    memory.remember("t", history)
    turns = memory.turns("t")
    assert [len(t.messages) for t in turns] == [1, 3, 1]
    assert [m for t in turns for m in t.messages] == history


def test_an_edited_tool_result_forks_with_its_whole_turn(make):
    """The call is told again on the new branch, so that the pair stays whole."""
    memory = make()
    call = AIMessage("", id="a", tool_calls=[{"name": "f", "args": {}, "id": "c"}])
    result = ToolMessage("old", tool_call_id="c", id="r")
    memory.remember("t", [HumanMessage("go", id="h"), call, result, AIMessage("so", id="s")])
    new = ToolMessage("new", tool_call_id="c", id="r")
    memory.remember("t", [HumanMessage("go", id="h"), call, new, AIMessage("then", id="n")])
    assert [m.content for t in memory.turns("t") for m in t.messages] == ["go", "", "new", "then"]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "tool", "content": "x", "tool_call_id": "nobody"}],
        [{"role": "user", "content": "a"}, {"role": "tool", "content": "x", "tool_call_id": "nobody"}],
        [{"role": "wizard", "content": "x"}],
        [42],
    ],
)
def test_what_cannot_be_remembered_is_refused_and_nothing_is_stored(make, messages):
    """A tool result without its call, an unknown role, something that is no message."""
    memory = make()
    memory.remember("t", talk(2))
    with pytest.raises(TranscriptError):
        memory.remember("t", messages)
    assert texts(memory) == ["message 0", "message 1"]


def test_every_form_of_content_comes_back_as_it_was_given(make):
    """Strings, blocks, images, null content, names, reasoning, artifacts, lone surrogates and NUL."""
    memory = make()
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    given = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "look"}, image], "name": "Ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "\x00 \ud800 ok"},
        SystemMessage("mid"),
        HumanMessage([{"type": "text", "text": "a"}, "b"], name="Bo"),
        AIMessage([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "yes"}], id="q"),
    ]
    memory.remember("t", given)
    assert [m for t in memory.turns("t") for m in t.messages] == given
    assert "hm" not in memory.turns("t")[-1].text


def test_what_a_memory_or_summariser_put_into_the_list_is_not_remembered(make):
    """Messages marked as injected are no part of the talk."""
    memory = make()
    note = HumanMessage("Here is a summary", additional_kwargs={"lc_source": "summarization"})
    done = memory.remember("t", [note, HumanMessage("hello", id="1")])
    assert done.turns == (None, 1)
    assert texts(memory) == ["hello"]


LONG = "GET /orders answered 200 with 14 rows.\n" * 8


def told(output: str, said: str = "") -> list[dict]:
    """A question, a call, and what the tool gave back."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    return [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": said, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": output},
    ]


def repeats(make, *talks: list[dict]) -> list[int | None]:
    with make() as memory:
        for talk in talks:
            for message in talk:
                memory.remember("t", [message])
        with memory.store.read() as reader:
            return [t.duplicate_of for t in reader.turns(reader.path(reader.thread("t")))]


def test_a_tool_output_that_comes_again_points_to_the_first(make):
    """Whatever the assistant says around it, however long it took, and whatever blanks end its lines."""
    again = LONG.replace("\n", "  \r\n\n") + "done in 1.2 s"
    assert repeats(make, told(LONG + "done in 7 s"), told(again, "Once more:")) == [None, None, None, 2]


def test_a_changed_output_is_no_repetition(make):
    """One character is enough, and indentation is not only blanks."""
    changed = told(LONG.replace("14", "15")), told(LONG.replace("GET", "  GET"))
    assert repeats(make, told(LONG), *changed) == [None] * 6


def test_short_turns_are_never_repetitions(make):
    """A pointer would be as long as they are."""
    assert repeats(make, told("ok"), told("ok")) == [None] * 4


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("gone", [[3], [3, 4], [4, 7], [2, 3, 4, 5, 6]])
def test_what_was_forgotten_does_not_come_back_with_a_list_that_still_holds_it(make, ids, gone):
    """A host's own history goes on as before: its numbers are the same, and nothing is stored again or parted."""
    rows = [{"role": "assistant" if n % 2 else "user", "content": f"thing {n}"} for n in range(9)]
    rows = [row | {"id": f"m{n}"} for n, row in enumerate(rows)] if ids else rows
    with make() as memory:
        memory.remember("t", rows[:8])
        memory.forget("t", turns=gone)
        done = memory.remember("t", rows)
        assert (done.added, done.forked_after, len(done.turns)) == (1, None, 9)
        assert [t.role for t in memory.turns("t")].count("forgotten") == len(gone)
        assert memory.turns("t")[-1].text == "thing 8"
        assert memory.remember("t", rows).added == 0


def test_an_edit_where_something_was_forgotten_is_an_edit(make):
    """What stands there now is kept, on a branch of its own, if the talk went on otherwise."""
    rows = [{"role": "assistant" if n % 2 else "user", "content": f"thing {n}", "id": f"m{n}"} for n in range(6)]
    with make() as memory:
        memory.remember("t", rows)
        memory.forget("t", turns=[3])
        new = [
            {"role": "user", "content": "another thing", "id": "x"},
            {"role": "assistant", "content": "yes", "id": "y"},
        ]
        assert memory.remember("t", [*rows[:2], *new]).forked_after == 2
        assert [t.text for t in memory.turns("t")][2:] == ["another thing", "yes"]


def test_an_image_in_a_late_result_is_counted(make):
    """The same tokens as if call and result had come together: the budget holds for both."""
    png = io.BytesIO()
    Image.new("L", (1_500, 1_500)).save(png, "PNG")
    shot = {"type": "image", "base64": base64.b64encode(png.getvalue()).decode(), "mime_type": "image/png"}
    call = AIMessage("", tool_calls=[{"name": "screenshot", "args": {}, "id": "c1"}], id="a1")
    messages = [HumanMessage("look", id="h1"), call, ToolMessage([shot], tool_call_id="c1", id="r1")]
    memory = make(model="claude-opus-5")
    memory.remember("together", messages)
    memory.remember("late", messages[:2])
    memory.remember("late", messages[2:])
    assert memory.context("late").tokens == memory.context("together").tokens > 2_000


@pytest.mark.slow
def test_a_long_history_with_new_ids_each_time_is_known_in_linear_time(make):
    """Four times as many messages take about four times as long: each was once looked for in all that followed."""
    memory = make()

    def took(count: int) -> float:
        """Seconds of the quickest of three: what else the process holds may be swept up during one of them."""
        memory.remember(str(count), fresh(talk(count)))
        seconds = []
        for again in (fresh(talk(count)) for _ in range(3)):
            started = time.process_time()
            assert memory.remember(str(count), again).added == 0
            seconds.append(time.process_time() - started)
        return min(seconds)

    assert took(4_000) < 16 * took(500) + 0.05
