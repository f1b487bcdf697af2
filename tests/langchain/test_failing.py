"""The agent goes on when the memory cannot: locked, full, gone; and the memory catches up."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from optical_memory.errors import LockedError
from tests.langchain.conftest import agent, assert_pairs_whole, billed, look, looks, on, say
from tests.langchain.scripted import Scripted, calling


@contextlib.contextmanager
def locked(file: Path):
    """Another connection holds the database for itself."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_locked_database_does_not_stop_the_agent_and_is_caught_up_with(make, tmp_path, caplog):
    """Locked for three runs: the answers come, within budget, waiting once and not at every call; then all is stored."""
    memory, model = make(budget=2_000, lock_timeout=0.3), Scripted(play=looks(2))
    runner = agent(model, memory, checkpointer=InMemorySaver(), strict=False, pause=60)
    runner.invoke(say("first"), on("t"))
    with locked(tmp_path / "memory.db"):
        started = time.monotonic()
        for text in ("second", "third", "fourth"):
            assert "all I found" in runner.invoke(say(text), on("t"))["messages"][-1].content
        assert time.monotonic() - started < 3, "nine calls waited for the lock more than once"
    assert len(memory.turns("t")) == 4
    assert max(billed(call, model.offered) for call in model.calls) <= 2_000
    assert len([r for r in caplog.records if r.name == "optical_memory"]) == 1
    assert "left alone for 60 s" in caplog.text
    again = agent(model, memory, checkpointer=runner.checkpointer, strict=False)
    again.invoke(say("fifth"), on("t"))
    assert [t.text for t in memory.turns("t") if t.role == "user"] == ["first", "second", "third", "fourth", "fifth"]


def test_after_the_pause_the_store_is_asked_again(make, tmp_path, caplog):
    """The same middleware goes back to the memory once the pause is over, and says so."""
    caplog.set_level(logging.WARNING)
    memory, model = make(lock_timeout=0.1), Scripted(play=looks(0))
    runner = agent(model, memory, checkpointer=InMemorySaver(), strict=False, pause=0.1)
    runner.invoke(say("first"), on("t"))
    with locked(tmp_path / "memory.db"):
        runner.invoke(say("second"), on("t"))
    time.sleep(0.12)
    runner.invoke(say("third"), on("t"))
    assert len(memory.turns("t")) == 6
    assert "answers again" in caplog.text


def test_strict_raises_what_open_failing_would_log(make, tmp_path):
    """strict=True hands the error on."""
    memory = make(lock_timeout=0.1)
    runner = agent(Scripted(play=looks(0)), memory)
    runner.invoke(say("first"), on("t"))
    with locked(tmp_path / "memory.db"), pytest.raises(LockedError):
        runner.invoke(say("second"), on("t"))


async def test_async_goes_on_with_a_locked_database(make, tmp_path):
    """The asynchronous hooks fail open too."""
    memory, model = make(lock_timeout=0.1), Scripted(play=looks(1))
    runner = agent(model, memory, checkpointer=InMemorySaver(), strict=False)
    await runner.ainvoke(say("first"), on("t"))
    with locked(tmp_path / "memory.db"):
        state = await runner.ainvoke(say("second"), on("t"))
    assert state["messages"][-1].content == "That is all I found after 1 looks."


def test_a_folder_that_vanished_does_not_stop_the_agent(make, tmp_path, caplog):
    """The database's folder is removed between two runs: the next run is answered from plain messages."""
    (tmp_path / "here").mkdir()
    memory, model = make("here/memory.db"), Scripted(play=looks(1))
    runner = agent(model, memory, checkpointer=InMemorySaver(), strict=False, pause=0)
    runner.invoke(say("first"), on("t"))
    memory.close()
    shutil.rmtree(tmp_path / "here")
    state = runner.invoke(say("second"), on("t"))
    assert state["messages"][-1].content == "That is all I found after 1 looks."
    assert "first" in str(model.calls[-1][1].content)
    assert "plain messages" in caplog.text


@pytest.fixture
def small_disk(tmp_path):
    """A disk of two megabytes; skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_does_not_stop_the_agent_and_is_caught_up_with(make, small_disk):
    """No space from the second run to the fourth: the answers come; with space again everything is stored."""
    memory, model = make(small_disk / "memory.db", budget=2_000), Scripted(play=looks(1))
    runner = agent(model, memory, checkpointer=InMemorySaver(), strict=False, pause=0)
    runner.invoke(say("first"), on("t"))
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    for text in ("second " + "and more words " * 200, "third " + "still more words " * 200, "fourth"):
        assert "all I found" in runner.invoke(say(text), on("t"))["messages"][-1].content
    ballast.unlink()
    runner.invoke(say("fifth"), on("t"))
    said = [t.text.split()[0] for t in memory.turns("t") if t.role == "user"]
    assert said == ["first", "second", "third", "fourth", "fifth"]
    memory.close()


@tool
def huge() -> str:
    """A long listing."""
    return "\n".join(f"line {n} of the listing" for n in range(4_000))


def lists(messages):
    """A model that asks for the long listing where it is told to list."""
    asked = messages[-1].type == "human" and "List" in str(messages[-1].content)
    return calling("huge", len(messages)) if asked else AIMessage("Read.")


def test_a_tool_result_larger_than_the_budget_is_shown_by_head_and_tail(make, caplog):
    """One result of many times the budget: head, tail and how to get the rest go to the model; the store has all of it."""
    memory, model = make(budget=2_000), Scripted(play=lists)
    runner = agent(model, memory, checkpointer=InMemorySaver(), tools=(look, huge), strict=False)
    state = runner.invoke(say("List it."), on("t"))
    shown = model.calls[1][-1]
    assert billed(model.calls[1], model.offered) <= 2_000
    assert shown.content.startswith("line 0 of")
    assert shown.content.endswith("line 3999 of the listing")
    assert "recall_memory('2')" in shown.content
    assert "List it." in str(model.calls[1][1].content)
    assert "line 2000 of the listing" in state["messages"][2].content
    assert "line 2000 of the listing" in memory.turns("t")[1].text
    assert_pairs_whole(model.calls[1])
    assert caplog.text.count("head and tail") == 1


@pytest.mark.parametrize("long", ["a result", "a question"])
def test_beside_what_is_cut_the_model_still_sees_its_memory(make, long):
    """The newest result or question takes half of the room; what was pinned long ago stands in the other half."""
    memory, model = make(budget=3_000), Scripted(play=lists)
    runner = agent(model, memory, checkpointer=InMemorySaver(), tools=(look, huge))
    runner.invoke(say("The gate code in Bergen is 8841-kestrel."), on("t"))
    memory.pin("t", [1])
    for n in range(12):
        runner.invoke(say(f"Remark {n}: " + "the sea is calm and the wind is low " * 12), on("t"))
    runner.invoke(say("List it." if long == "a result" else huge.invoke({})), on("t"))
    told = " ".join(str(m.content) for m in model.calls[-1])
    assert billed(model.calls[-1], model.offered) <= 3_000
    assert "8841-kestrel" in told
    assert "characters left out; recall_memory('" in told
    assert "line 3999 of the listing" in told
    assert memory.threads()[0].branches == 1
    assert memory.ledger("t").calls == len(model.calls)


def test_a_host_that_sends_its_news_alone_has_its_memory_beside_what_is_cut_too(make):
    """Without a checkpointer the long message is all that the call brings: what came before is in the memory only."""
    memory, model = make(budget=3_000), Scripted(play=lists)
    runner = agent(model, memory, tools=(look, huge))
    runner.invoke(say("The gate code in Bergen is 8841-kestrel."), on("t"))
    memory.pin("t", [1])
    for n in range(12):
        runner.invoke(say(f"Remark {n}: " + "the sea is calm and the wind is low " * 12), on("t"))
    runner.invoke(say(huge.invoke({})), on("t"))
    told = " ".join(str(m.content) for m in model.calls[-1])
    assert billed(model.calls[-1], model.offered) <= 3_000
    assert "8841-kestrel" in told
    assert "line 3999 of the listing" in told
    assert memory.turns("t")[-1].text == "Read."


def test_the_answer_to_a_message_that_is_shown_alone_is_remembered(make):
    """Where nothing fits beside what is cut, the host may still send its news alone the next time."""
    memory, model = make(budget=700), Scripted(play=lists)
    runner = agent(model, memory, tools=(look, huge), strict=False)
    runner.invoke(say(huge.invoke({})), on("t"))
    runner.invoke(say("Well?"), on("t"))
    assert len(model.calls[0]) == 2, "the system prompt and the message"
    assert [t.text for t in memory.turns("t")][1:] == ["Read.", "Well?", "Read."]


def test_an_error_of_the_model_is_the_models_own(make):
    """What the model raises is not caught, not logged as ours, and does not rest the store."""

    def play(messages):
        raise ConnectionError("no line")

    memory = make()
    with pytest.raises(ConnectionError, match="no line"):
        agent(Scripted(play=play), memory, strict=False).invoke(say("Hello"), on("t"))
    assert [t.text for t in memory.turns("t")] == ["Hello"]


def test_reasoning_does_not_go_with_plain_messages(make, tmp_path):
    """Reasoning is bound to the prefix it was thought with: it stays in the state and is not sent without that prefix."""

    def play(messages):
        return AIMessage([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Yes."}])

    memory, model = make(lock_timeout=0.1), Scripted(play=play)
    runner = agent(model, memory, checkpointer=InMemorySaver(), strict=False)
    runner.invoke(say("first"), on("t"))
    with locked(tmp_path / "memory.db"):
        state = runner.invoke(say("second"), on("t"))
    assert [m.content for m in model.calls[1] if m.type == "ai"] == [[{"type": "text", "text": "Yes."}]]
    assert state["messages"][1].content[0]["type"] == "thinking"
