"""A context is made of the messages that its caller holds now, and what a caller does with it stays with that caller."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from optical_memory.cost import count_o200k
from optical_memory.memory.recollect import HEAD
from optical_memory.memory.state import plan_key
from tests.memory.test_retain import talk, word

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}


def test_a_callers_own_messages_are_used_even_where_nothing_new_was_said(make):
    """A message that lost its reasoning is the same message; what is sent is the one that was handed over last."""
    memory = make()
    talk = [HumanMessage("look", id="h1"), AIMessage([THOUGHT, {"type": "text", "text": "yes"}], id="a1")]
    bare = [talk[0], AIMessage("yes", id="a1")]
    assert memory.project(talk, thread="t").messages[1].content == talk[1].content
    assert memory.project(bare, thread="t").messages[1] is bare[1]
    assert memory.context("t").messages[1].content == talk[1].content
    assert memory.project(talk, thread="t").messages[1] is talk[1]


def test_a_change_to_a_context_does_not_show_in_the_next_one(make):
    """Clients mark blocks in place: neither the words nor the pages of later calls may change by it."""
    memory = make(budget=1_000)
    blocks = [{"type": "text", "text": "We land in Oslo on the 14th."}]
    talk = [HumanMessage(f"{n} " + "of many words, again and again, " * 9, id=f"m{n}") for n in range(30)]
    memory.remember("t", [*talk, HumanMessage(blocks, id="last")])
    made = [memory.context("t") for _ in range(3)]
    assert any(isinstance(m.content, list) for m in made[0].messages[:-1])
    for number, context in enumerate(made):
        for message in context.messages:
            if isinstance(message.content, list):
                message.content[-1]["cache_control"] = number
    assert "cache_control" not in str(memory.context("t").messages)
    memory.remember("t", [HumanMessage("and back on the 20th", id="more")])
    assert "cache_control" not in str(memory.context("t").messages)


def test_a_turn_of_which_the_caller_holds_a_part_is_shown_whole(make):
    """A tool's result alone is no turn: its call comes from the store."""
    memory = make()
    call = AIMessage("", tool_calls=[{"name": "weather", "args": {}, "id": "c1"}], id="a1")
    memory.remember("t", [HumanMessage("Oslo?", id="h1"), call])
    context = memory.project([ToolMessage("sunny", tool_call_id="c1", id="r1")], thread="t")
    assert [m.type for m in context.messages] == ["human", "ai", "tool"]


def test_a_number_that_no_turn_has_is_looked_for_in_the_text(make):
    """Ids are often bare numbers."""
    memory = make()
    memory.remember("t", [("user", "my order is 4471"), ("assistant", "noted"), ("user", "and 20-22 of May")])
    assert [hit.turn for hit in memory.recall("t", "4471")] == [1]
    assert [hit.turn for hit in memory.search("t", "20-22")] == [3]
    assert [hit.turn for hit in memory.recall("t", "2-3")] == [2, 3]


def test_forgetting_a_thread_leaves_what_is_known_of_the_calls_of_others(make):
    """The next call of another thread still counts what it shares with the call before."""
    memory = make()
    for thread in ("one", "other"):
        memory.project([HumanMessage("hello", id=f"{thread}1")], thread=thread)
    memory.forget("one")
    memory.project([HumanMessage("hello", id="other1"), AIMessage("hi", id="other2")], thread="other")
    assert memory._books.waiting("other")[-1].prefix > 0


def test_what_another_process_forgot_is_on_no_page_here(make):
    """Pages are kept in memory by what never comes back: the new page of the same turns is another page."""
    mine, theirs = (make(budget=1_500) for _ in range(2))
    talk = [HumanMessage(f"{n}: " + "many words of no weight, said again " * 4, id=f"m{n}") for n in range(60)]
    mine.remember("t", talk)

    def images(context):
        blocks = [b for m in context.messages if isinstance(m.content, list) for b in m.content]
        return {b["base64"] for b in blocks if b["type"] == "image"}

    before = images(mine.context("t")) | images(mine.context("t", model="gpt-4o"))
    page = next(p for p in mine.pages("t") if p.turns[1] > p.turns[0] + 2)
    theirs.forget("t", turns=[page.turns[0] + 1])
    fresh = make(budget=1_500)
    assert images(mine.context("t")) - before
    for model in (None, "gpt-4o"):
        assert images(mine.context("t", model=model)) == images(fresh.context("t", model=model))


def test_a_process_for_each_call_knows_when_the_last_call_was(make, clock):
    """A cache that was read a minute ago is warm, however long ago the last step was: no step is taken because it went cold."""
    reasons = []
    for n in range(1, 61, 5):
        talk = [HumanMessage(f"{i}: the tide, the harbour and supper " * 30, id=f"m{i}") for i in range(n)]
        with make(model="claude-opus-5", budget=30_000, keep=("turns", 4)) as memory:
            reasons.append(memory.project(talk, thread="t").reason)
        clock.move(minutes=1)
    assert "first" in reasons
    assert "cold" not in reasons
    with make(model="claude-opus-5", budget=30_000) as memory:
        assert memory.threads()[0].touched_at == clock.now - timedelta(minutes=1)


def test_a_call_of_another_process_keeps_the_cache_warm_for_this_one(make, clock):
    """Workers that take turns: what one of them sent two minutes ago, the provider still has."""
    settings = {"model": "claude-opus-5", "budget": 30_000, "keep": ("turns", 4)}
    talk = [HumanMessage(f"{i}: the tide, the harbour and supper " * 30, id=f"m{i}") for i in range(90)]
    mine = make(**settings)
    mine.project(talk[:60], thread="t")
    for n in (70, 80):
        clock.move(minutes=4)
        with make(**settings) as theirs:
            theirs.project(talk[:n], thread="t")
    clock.move(minutes=2)
    assert mine.project(talk, thread="t").reason != "cold"


ASKED = [{"role": "user", "content": "Where did the two crates go?", "id": "asked"}]


def recalled(memory, thread: str = "t") -> list[list[int]]:
    """What is stored as recalled by itself: the turns of each time."""
    with memory.store.read() as reader:
        rows = reader.recalled(reader.path(reader.thread(thread)), plan_key(memory.settings()), since=0)
    return [row.turns["turns"] for row in rows]


def brought(context) -> list[tuple[int, int]]:
    return [s.turns for s in context.segments if s.kind == "recalled"]


def test_what_another_call_recalled_meanwhile_is_used_here_too(make):
    """One call looks for what to bring back, and another has brought something back before it is done: that stands in both."""
    theirs, mine, first = at_once(make)
    theirs.context("t")
    second = brought(mine.context("t", query=f"crate {word(3)}"))
    assert recalled(mine) == [[13, 14]]
    assert second == brought(first[1]) == [(13, 14)]


def test_a_call_that_took_a_step_says_why_even_where_it_is_made_again(make):
    """The step is stored before the look; where another call then brings something back, the reason is still the step's."""
    _, mine, first = at_once(make)
    context = mine.context("t", query=f"crate {word(3)}")
    assert brought(context) == brought(first[1]) == [(13, 14)]
    assert context.reason == mine.steps("t")[0].reason == "forced"


def at_once(make):
    """Two memories of a thread, and what the first one shows: it is asked while the second looks for what to bring back."""
    settings, first = {"budget": 1_500, "keep": ("turns", 4)}, []
    theirs = make(**settings)
    theirs.remember("t", [*talk(60), *ASKED])

    def count(text: str) -> int:  # counting is a part of looking
        if HEAD in text and not first:
            first.append(None)
            first.append(theirs.context("t", query=f"crate {word(12)}"))
        return count_o200k(text)

    return theirs, make(**settings, count=count), first


class Ends(BaseException):
    """The process ends here."""


def test_a_process_that_ends_after_its_step_leaves_the_recall_to_the_next_one(make):
    """The step is stored by itself; the next call takes none, looks once more and stores what it brings back once."""
    settings, query = {"budget": 1_500, "keep": ("turns", 4)}, f"crate {word(3)}"

    def count(text: str) -> int:
        if HEAD in text:
            raise Ends
        return count_o200k(text)

    ended = make(**settings, count=count)
    ended.remember("t", [*talk(60), *ASKED])
    with pytest.raises(Ends):
        ended.context("t", query=query)
    assert (recalled(ended), len(ended.steps("t"))) == ([], 1)
    following = make(**settings)
    shown = [brought(following.context("t", query=query)) for _ in range(2)]
    assert shown == [[(3, 4)]] * 2
    assert (recalled(following), len(following.steps("t"))) == ([[3, 4]], 1)


def test_calls_at_the_same_time_store_one_recall(make):
    """Two processes answer the same thread at once, six times: each time they send the same."""
    memories = [make(budget=1_500, keep=("turns", 4)) for _ in range(2)]
    for thread in "abcdef":
        memories[0].remember(thread, [*talk(60), *ASKED])
        memories[0].context(thread)
        ready = Barrier(2)

        def answer(n: int, thread: str = thread, ready: Barrier = ready) -> list[tuple[int, int]]:
            ready.wait()
            return brought(memories[n].context(thread, query=f"crate {word((3, 12)[n])}"))

        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(answer, range(2))
        assert one == other
        assert len(recalled(memories[0], thread)) == 1
