"""A thread is a tree; its head, and any other point of it, has one path."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory.errors import StoreError
from optical_memory.storage import Range, Store, ThreadRow, clip, end, owner
from optical_memory.storage.schema import branch

from .makers import NOW, begun, texts, turn


def test_clip_cuts_by_turn_number() -> None:
    """Only the ranges inside stay, shortened; nothing is left of an empty stretch."""
    path = (Range(1, 1, 4), Range(7, 5, 5), Range(9, 6, 9))
    assert clip(path) == path
    assert clip(path, 4, 6) == (Range(1, 4, 4), Range(7, 5, 5), Range(9, 6, 6))
    assert clip(path, 10) == clip(path, 5, 4) == clip((), 1, 3) == ()
    assert (end(path), end(()), owner(path, 5)) == (9, 0, 7)
    with pytest.raises(LookupError, match="turn 10 is not on this path"):
        owner(path, 10)


def test_a_fork_shares_the_turns_before_it(store: Store) -> None:
    """An edited past is a new branch; the abandoned one keeps its turns, and its own path still leads there."""
    thread = begun(store, "a", "b", "c")
    with store.write() as writer:
        forked = writer.append(writer.fork(thread, 1, NOW), [turn("B")], NOW)
        assert writer.path(forked) == (Range(thread.branch_id, 1, 1), Range(forked.branch_id, 2, 2))
        old = writer.path(forked, branch_id=thread.branch_id)
    assert texts(store) == ["a", "B"]
    assert texts(store, old) == ["a", "b", "c"]
    with store.read() as reader:
        assert [(b.parent_id, b.after, b.last) for b in reader.branches(thread.id)] == [
            (None, 0, 3),
            (thread.branch_id, 1, 2),
        ]


def test_single_turns_of_a_fork_come_from_the_branch_that_holds_them(store: Store) -> None:
    """The same turns as one by one, in their order, those beyond the path left out; of any number of them."""
    thread = begun(store, *(f"t{n}" for n in range(1, 2_001)))
    with store.write() as writer:
        forked = writer.append(writer.fork(thread, 1_000, NOW), [turn(f"new {n}") for n in range(3)], NOW)
    with store.read() as reader:
        path = reader.path(forked)
        some = reader.turns_at(path, [1_003, 2, 999, 1_000, 2, 1_001, 1_004, 1_500])
        assert some == [row for n in (2, 999, 1_000, 1_001, 1_003) for row in reader.turns(path, n, n)]
        assert reader.turns_at(path, range(1, 1_004)) == reader.turns(path)
        assert reader.turns_at(path, []) == []


def test_a_fork_may_depart_before_the_first_turn(store: Store) -> None:
    """A whole history that was edited from its first message on."""
    thread = begun(store, "a")
    with store.write() as writer:
        writer.append(writer.fork(thread, 0, NOW), [turn("A"), turn("B")], NOW)
    assert texts(store) == ["A", "B"]


def test_a_fork_may_depart_from_an_abandoned_branch(store: Store) -> None:
    """branch_id= names the path on which the turn number counts."""
    thread = begun(store, "a", "b", "c")
    with store.write() as writer:
        forked = writer.append(writer.fork(thread, 1, NOW), [turn("B")], NOW)
        writer.append(writer.fork(forked, 2, NOW, branch_id=thread.branch_id), [turn("C")], NOW)
    assert texts(store) == ["a", "b", "C"]


def test_an_earlier_point_has_its_own_path(store: Store) -> None:
    """upto= ends the path at an earlier turn, across branches."""
    thread = begun(store, "a", "b", "c")
    with store.write() as writer:
        forked = writer.append(writer.fork(thread, 2, NOW), [turn("C"), turn("D")], NOW)
        assert texts(store, writer.path(forked, upto=1)) == ["a"]
        assert end(writer.path(forked, upto=3)) == 3
        assert writer.path(forked, upto=0) == ()


def test_the_head_moves_back_and_a_new_turn_forks_there(store: Store) -> None:
    """After switch to an earlier turn, append does not overwrite what followed it."""
    thread = begun(store, "a", "b", "c")
    with store.write() as writer:
        back = writer.switch(thread, thread.branch_id, 1)
        writer.append(back, [turn("B")], NOW)
    assert texts(store) == ["a", "B"]
    with store.write() as writer:
        writer.switch(thread, thread.branch_id, 3)
    assert texts(store) == ["a", "b", "c"]


@pytest.mark.parametrize("after", [-1, 4])
def test_a_fork_from_a_turn_that_is_not_there_is_refused(store: Store, after: int) -> None:
    """The message says how far the path goes."""
    thread = begun(store, "a", "b", "c")
    with store.write() as writer, pytest.raises(StoreError, match=f"no turn {after} .* ends at"):
        writer.fork(thread, after, NOW)


def test_a_branch_of_another_thread_is_refused(store: Store) -> None:
    """A path never leaves its thread."""
    mine, theirs = begun(store, "a", key="mine"), begun(store, "b", key="theirs")
    with store.read() as reader, pytest.raises(StoreError, match="no branch"):
        reader.path(mine, branch_id=theirs.branch_id)
    with store.write() as writer, pytest.raises(StoreError, match="no branch"):
        writer.switch(mine, theirs.branch_id, 1)


def test_a_branch_that_departs_from_none_before_it_is_an_error_and_no_endless_way(store: Store) -> None:
    """As a damaged file may say: from itself, or from a branch of another thread."""
    theirs, mine = begun(store, "a", key="theirs"), begun(store, "a", "b")
    for parent in (theirs.branch_id, mine.branch_id):
        with store.write() as writer:
            writer._connection.execute(sa.update(branch).where(branch.c.id == mine.branch_id).values(parent_id=parent))
            with pytest.raises(StoreError, match="no older branch"):
                writer.path(mine)


def test_the_paths_of_many_branches_are_read_at_once(store: Store) -> None:
    """Each edit of the past makes one: to forget a turn then takes no time that grows with their square."""
    thread, asked = begun(store, "a"), list[str]()
    with store.write() as writer:
        for i in range(30):
            thread = writer.append(writer.fork(thread, i % 2, NOW), [turn(str(i))], NOW)
        sa.event.listen(writer._connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
        paths = writer.branch_paths(thread)
        assert len(asked) == 1
        assert paths == {row.id: writer.path(thread, branch_id=row.id) for row in writer.branches(thread.id)}


@pytest.mark.slow
def test_a_long_chain_of_forks_reads_as_one_conversation(store: Store) -> None:
    """Three hundred edits in a row leave one clean path, windows included."""
    thread = begun(store, "0")
    with store.write() as writer:
        for i in range(1, 300):
            thread = writer.append(thread, [turn("draft"), turn("draft")], NOW)
            thread = writer.append(writer.fork(thread, i, NOW), [turn(str(i))], NOW)
        path = writer.path(thread)
        assert [row.text for row in writer.turns(path)] == [str(i) for i in range(300)]
        assert [row.text for row in writer.turns(path, limit=2, newest=True)] == ["298", "299"]
        assert [m.chain for m in writer.tail(path, 2)] == ["298/0", "299/0"]
        assert writer.search(path, "draft", limit=9) == []
        assert [hit.number for hit in writer.search(path, "123", limit=9)] == [124]


@dataclass
class Model:
    """What the tree should be: for each branch the texts on its path."""

    paths: dict[int, list[str]] = field(default_factory=dict)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("afs"), st.integers(0, 9), st.integers(0, 9)), max_size=14))
def test_any_history_of_appends_forks_and_switches_keeps_every_path(
    store: Store, moves: list[tuple[str, int, int]]
) -> None:
    """Against lists in memory: no branch ever loses, gains or renumbers a turn."""
    model = Model()
    with store.write() as writer:
        thread = writer.new_thread(f"thread {writer.counts().threads}", NOW)
        model.paths[thread.branch_id] = []
        head: list[str] = []
        for n, (kind, a, b) in enumerate(moves):
            branch_id = sorted(model.paths)[a % len(model.paths)]
            known = model.paths[branch_id]
            if kind == "a":
                new = [f"{n}.{i}" for i in range(1 + b % 4)]
                thread = writer.append(thread, [turn(text) for text in new], NOW)
                head = head + new
            else:
                at = b % (len(known) + 1)
                head = known[:at]
                if kind == "f":
                    thread = writer.fork(thread, at, NOW, branch_id=branch_id)
                else:
                    thread = writer.switch(thread, branch_id, at)
            if kind != "s":
                model.paths[thread.branch_id] = head
            assert [row.text for row in writer.turns(writer.path(thread))] == head
        for branch_id, expected in model.paths.items():
            assert _texts(writer, thread, branch_id) == expected


def _texts(writer: object, thread: ThreadRow, branch_id: int) -> list[str]:
    path = writer.path(thread, branch_id=branch_id)  # type: ignore[attr-defined]
    rows = writer.turns(path)  # type: ignore[attr-defined]
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    return [row.text for row in rows]
