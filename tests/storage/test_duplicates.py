"""What is said twice is noticed when it is stored, for as long as the first time can still be pointed to."""

from __future__ import annotations

from optical_memory.storage import NewTurn, Store
from optical_memory.storage.writer import REACH

from .makers import NOW, begun, message, turn


def said(*digests: str | None) -> list[NewTurn]:
    return [turn(f"{i} {d}", digest=d) for i, d in enumerate(digests)]


def pointers(store: Store, key: str = "trip") -> list[int | None]:
    with store.read() as reader:
        thread = reader.thread(key)
        assert thread is not None
        return [row.duplicate_of for row in reader.turns(reader.path(thread))]


def test_a_repetition_points_to_the_first_time(store: Store) -> None:
    """In one call and over several; a short turn, which has no digest, never does."""
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), said("a", None, "a", "b"), NOW)
        writer.append(thread, said(None, "b", "a"), NOW)
    assert pointers(store) == [None, None, 1, None, None, 4, 1]


def test_what_is_too_far_back_is_said_anew(store: Store) -> None:
    """And the new one is what later repetitions point to."""
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), said("a", *[None] * REACH, "a"), NOW)
        writer.append(thread, said("a"), NOW)
    assert pointers(store)[-2:] == [None, REACH + 2]


def test_another_branch_or_thread_is_not_pointed_to(store: Store) -> None:
    """Only a turn on the same path is one that a reader could have seen."""
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), said("a", "b"), NOW)
        writer.append(writer.fork(thread, 1, NOW), said("b", "a"), NOW)
        writer.append(writer.new_thread("other", NOW), said("a"), NOW)
    assert (pointers(store), pointers(store, "other")) == ([None, None, 1], [None])


def test_results_that_arrive_late_are_compared_too(store: Store) -> None:
    """A turn that waited for them is looked at again, and no pointer of what it was before stays."""
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), said("a", None), NOW)
        row = writer.turns(writer.path(thread))[1]
        late = {"text": "x", "chars": 1, "tokens": 1, "open": False, "importance": 0.0}
        writer.extend(row.id, [message("late")], **late, digest="a")
        assert writer.turns(writer.path(thread))[1].duplicate_of == 1
        writer.extend(row.id, [message("later")], **late, digest="b")
    assert pointers(store) == [None, None]


def test_a_short_result_is_not_hidden_behind_what_was_said_before_it(store: Store) -> None:
    """The turn repeated another as long as it waited; with a result too short to be compared it stands for itself."""
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), said("a", "a"), NOW)
        row = writer.turns(writer.path(thread))[1]
        assert row.duplicate_of == 1
        writer.extend(
            row.id, [message("late")], text="x", chars=1, tokens=1, open=False, importance=0.0, digest=None
        )  # fmt: skip
    assert pointers(store) == [None, None]


def test_nothing_points_to_what_was_forgotten(store: Store) -> None:
    """What repeats it stands for itself again, and what is said later points there."""
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), said("a", "a"), NOW)
        writer.forget_turns(thread, writer.path(thread), [1])
        writer.append(thread, said("a"), NOW)
    assert pointers(store) == [None, None, 2]


def test_a_copy_has_the_same_pointers(store: Store) -> None:
    """Numbers are the same there."""
    begun(store, "x", key="first")
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), said("a", "a"), NOW)
        writer.copy_thread(thread, "copy", NOW)
    assert pointers(store, "copy") == [None, 1]
