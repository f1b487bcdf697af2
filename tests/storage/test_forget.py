"""What is forgotten is gone: from every answer, and from the bytes on disk."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

import pytest
import sqlalchemy as sa

import optical_memory.storage.archive as archive
import optical_memory.storage.care as care
from optical_memory.storage import (
    Counts,
    ForgottenRows,
    NewPage,
    NewTurn,
    NewUsage,
    PurgedPage,
    Store,
    ThreadRow,
    Writer,
    owner,
)

from .makers import NOW, begun, message, texts, turn

FORK = multiprocessing.get_context("fork")
NEEDLE = "zanzibar-4711-needle"


def furnished(store: Store, key: str = "trip") -> ThreadRow:
    """Three turns, the second with the needle in every column that can hold text, and all that is derived from it."""
    told = NewTurn(
        "user",
        f"say {NEEDLE}",
        3,
        [message(NEEDLE, NEEDLE, data={"content": NEEDLE})],
        name=NEEDLE,
        attachments=[NEEDLE],
    )
    with store.write() as writer:
        thread = writer.append(writer.new_thread(key, NOW), [turn("a"), told, turn("c")], NOW)
        path = writer.path(thread)
        new = [
            NewPage(owner(path, 2), 1, 2, "clear", 9, 5, f"card {NEEDLE}", [NEEDLE]),
            NewPage(owner(path, 3), 3, 3, "clear", 9, 5, "card", []),
        ]
        one, two = writer.add_pages(thread, new, NOW)
        writer.put_views(one.id, "l", [(5, 5, NEEDLE.encode() * 500)])
        writer.put_views(two.id, "l", [(5, 5, b"other")])
        writer.put_plan(thread, path, anchor=3, key="k", body={"facts": [NEEDLE]}, reason="r", tokens=1, at=NOW)
        writer.put_recalled(thread, path, anchor=3, key="k", turns=[NEEDLE], tokens=1, at=NOW)
        writer.log_step(thread, path, reason="forced", changes=[], at=NOW)
        writer.put_usage(thread.id, [NewUsage("m", 1, NOW, billed=1)])
    return thread


def test_a_forgotten_turn_leaves_a_hole_and_its_number(store: Store) -> None:
    """Others keep their numbers; pages that show it, plans and recalled rows go; other pages stay."""
    thread = furnished(store)
    with store.write() as writer:
        path = writer.path(thread)
        gone = writer.forget_turns(thread, path, [2, 99])
        assert gone == ForgottenRows(turns=1, messages=1, pages=1, images=1, plans=1)
        rows = writer.turns(path)
        assert [(r.number, r.role, r.text, r.messages) for r in rows] == [
            (1, "user", "a", 1),
            (2, "forgotten", "", 0),
            (3, "user", "c", 1),
        ]
        assert (rows[1].name, rows[1].attachments, rows[1].chain, rows[1].tokens) == (None, None, "", 0)
        assert [(p.first, p.last) for p in writer.pages(path)] == [(3, 3)]
        assert writer.plan(path, "k") is None
        assert writer.recalled(path, "k", since=1) == []
        assert writer.search(path, NEEDLE, limit=9) == []
        assert writer.by_external(thread.id, [NEEDLE]) == {}
        assert [m.turn_number for m in writer.tail(path, 9)] == [1, 3]
        now = writer.thread("trip")
        assert now is not None
        assert (now.length, now.version > thread.version) == (3, True)
        assert writer.forget_turns(thread, path, [2]) == ForgottenRows()
    assert store.check() == []


def test_a_shared_turn_is_forgotten_on_every_branch(store: Store) -> None:
    """Pages of a fork that show it go too; pages of a fork that shows another turn of that number stay."""
    thread = begun(store, "a", "b", "c")
    with store.write() as writer:
        late = writer.append(writer.fork(thread, 2, NOW), [turn("C")], NOW)
        late_path = writer.path(late)
        writer.add_pages(late, [NewPage(owner(late_path, 3), 1, 3, "clear", 1, 1)], NOW)
        early = writer.append(writer.fork(late, 1, NOW), [turn("B")], NOW)
        early_path = writer.path(early)
        writer.add_pages(early, [NewPage(owner(early_path, 2), 1, 2, "clear", 1, 1)], NOW)
        assert writer.forget_turns(early, late_path, [2]).pages == 1
        assert writer.pages(late_path) == []
        assert [(p.first, p.last) for p in writer.pages(early_path)] == [(1, 2)]
    assert texts(store, late_path) == ["a", "", "C"]
    assert texts(store, early_path) == ["a", "B"]


def test_a_picture_that_is_the_record_stays_when_a_page_of_another_branch_fades(store: Store) -> None:
    """It shares a turn with that page, and it is all that is left of the turns of its own branch."""
    thread = begun(store, "a", "b", "c")
    with store.write() as writer:
        late = writer.append(writer.fork(thread, 2, NOW), [turn("C")], NOW)
        kept = _faded(writer, late, 2, 3)
        early = writer.switch(late, thread.branch_id, 3)
        _faded(writer, early, 1, 2)
        late_path = writer.path(early, branch_id=late.branch_id)
        assert [row.purged for row in writer.turns(late_path)] == [True, True, True]
        assert kept in [page.id for page in writer.pages(late_path)]
        assert set(writer.png(v.id for v in writer.views([kept], "l")[kept]).values()) == {b"picture"}


def _faded(writer: Writer, thread: ThreadRow, first: int, last: int) -> int:
    """A page of these turns, of which only the picture is left."""
    path = writer.path(thread)
    (page,) = writer.add_pages(thread, [NewPage(owner(path, last), first, last, "clear", 1, 1)], NOW)
    writer.put_views(page.id, "l", [(5, 5, b"picture")])
    purged = PurgedPage(page.id, page.branch_id, first, last, ("l",), {})
    assert writer.purge(thread, [purged], lambda row: {"role": row.role}, 0)
    return page.id


def test_a_forgotten_thread_takes_everything_of_its_own_and_nothing_else(store: Store) -> None:
    """Every table is emptied of it; a copy under another name lives on whole."""
    thread = furnished(store)
    with store.write() as writer:
        head = writer.thread("trip")
        assert head is not None
        writer.fork(head, 1, NOW)
        copy = writer.copy_thread(head, "copy", NOW)
        gone = writer.forget_thread(thread.id)
    assert gone == ForgottenRows(turns=3, messages=3, pages=2, images=2, plans=1)
    with store.read() as reader:
        assert reader.thread("trip") is None
        assert reader.counts(thread.id) == Counts(0, 0, 0, 0, 0)
        assert reader.usage(thread.id) == []
        assert reader.counts() == reader.counts(copy.id)
        assert [hit.number for hit in reader.search(reader.path(copy), NEEDLE, limit=9)] == [2]
    assert store.check() == []


def test_ids_are_not_used_again(store: Store) -> None:
    """A cache keyed by the id of something forgotten cannot show what came after it."""
    thread = furnished(store)
    with store.write() as writer:
        old = writer.pages(writer.path(thread))[-1].id
        writer.forget_thread(thread.id)
    again = furnished(store)
    with store.read() as reader:
        assert again.id > thread.id
        assert reader.pages(reader.path(again))[0].id > old


@pytest.mark.parametrize("whole", [True, False])
def test_no_byte_of_it_stays_on_disk(store: Store, whole: bool) -> None:
    """After erase, neither the database nor its WAL holds the text, in the index as little as in a free page."""
    thread = furnished(store)
    begun(store, *(f"filler {i}" for i in range(50)), key="other")
    assert store.path is not None
    assert _found(store)
    with store.write() as writer:
        if whole:
            writer.forget_thread(thread.id)
        else:
            writer.forget_turns(thread, writer.path(thread), [2])
    assert store.erase()
    store.close()
    assert not _found(store)


@pytest.mark.slow
def test_erase_says_when_a_reader_holds_on(store: Store) -> None:
    """Honest about "not yet": a later erase finishes the work."""
    thread = furnished(store)
    with store.read() as reader:
        reader.threads()
        with store.write() as writer:
            writer.forget_thread(thread.id)
        assert not store.erase()
    assert store.erase()
    store.close()
    assert not _found(store)


def test_what_a_killed_process_did_not_overwrite_is_overwritten_when_the_file_is_opened_next(store: Store) -> None:
    """It had forgotten the thread, and was killed before it could erase: the next one that opens the file finishes the work."""
    thread = furnished(store)
    begun(store, *(f"filler {i}" for i in range(50)), key="other")
    store.close()
    killed = FORK.Process(target=_forget_and_die, args=(store, thread.id))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert _found(store)
    again = Store(str(store.path))
    assert texts(again, key="other")[0] == "filler 0"
    again.close()
    assert not _found(store)


def test_what_is_deleted_after_an_erasure_is_not_taken_for_what_was_erased(store: Store) -> None:
    """Of two that erase at once, the slower one may end after a third has deleted more: that is still owed."""
    with store.write() as writer:
        connection = writer._connection
        care.owe(connection)
        known = care.owed(connection)
        care.settle(connection, known)  # the quicker one
        assert not care.owed(connection)
        care.owe(connection)
        care.settle(connection, known)  # the slower one
        assert care.owed(connection)
        care.settle(connection, care.owed(connection))
        assert not care.owed(connection)


def _forget_and_die(store: Store, thread_id: int) -> None:
    with store.write() as writer:
        writer.forget_thread(thread_id)
    os.kill(os.getpid(), signal.SIGKILL)


def _found(store: Store) -> bool:
    """Whether a word of the needle is in any file of the database; words, since the index splits them."""
    assert store.path is not None
    files = [f for f in store.path.parent.iterdir() if f.name.startswith(store.path.name)]
    return any(word in file.read_bytes() for file in files for word in (b"zanzibar", b"needle"))


def test_what_would_be_forgotten_can_be_counted(store: Store) -> None:
    """The counts are those of the deed, for a turn and for the whole thread, and nothing changes."""
    thread = furnished(store)
    with store.write() as writer:
        path = writer.path(thread)
        told = writer.forgettable(thread, path, [2, 99]), writer.forgettable(thread, path)
        assert writer.forget_turns(thread, path, [2, 99]) == told[0]
    with store.write() as writer:
        writer.forget_thread(thread.id)
    other = furnished(store)
    with store.write() as writer:
        assert writer.forget_thread(other.id) == told[1]
        assert writer.forgettable(other, path, [1]) == ForgottenRows()


def test_what_is_counted_archived_and_forgotten_of_a_thread_is_found_by_an_index(store: Store) -> None:
    """However much other threads hold: none of their turns, plans or steps is looked at."""
    thread, asked = furnished(store), list[tuple[str, Any]]()
    if store.path is None:
        pytest.skip("how SQLite goes about it")
    with store.write() as writer:
        path = writer.path(thread)
        note = lambda *given: asked.append((given[2], given[3]))  # noqa: E731
        sa.event.listen(store._engine, "before_cursor_execute", note)
        writer.counts(thread.id)
        assert [*archive.rows(writer, thread)]
        writer.forgettable(thread, path)
        writer.forgettable(thread, path, [2])
        writer.purge(thread, [], lambda row: row, 0)
        writer.forget_thread(thread.id)
        sa.event.remove(store._engine, "before_cursor_execute", note)
        plans = [writer._connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {q}", given).all() for q, given in asked]
    told = {row[-1] for plan in plans for row in plan}
    assert any(line.startswith("SEARCH turn") for line in told)
    assert {line for line in told if line.startswith("SCAN")} == set()


@pytest.mark.slow
def test_many_turns_are_forgotten_at_once(store: Store) -> None:
    """However many stretches they lie in."""
    thread = begun(store, *(f"t{i}" for i in range(3_000)))
    with store.write() as writer:
        path = writer.path(thread)
        writer.add_pages(thread, [NewPage(owner(path, n + 9), n, n + 9, "clear", 1, 1) for n in (1, 2_991)], NOW)
        odd = range(1, 3_001, 2)
        assert writer.forgettable(thread, path, odd).turns == 1_500
        gone = writer.forget_turns(thread, path, odd)
    assert (gone.turns, gone.pages) == (1_500, 2)


def test_turns_from_before_a_time_are_found_by_when_they_were_said(store: Store) -> None:
    """Or by when they were stored, if nothing says more."""
    with store.write() as writer:
        old = turn("old", created_at=NOW.replace(year=2020))
        thread = writer.append(writer.new_thread("trip", NOW), [turn("a"), old, turn("c")], NOW)
        path = writer.path(thread)
        assert writer.before(path, NOW) == [2]
        assert writer.before(path, NOW.replace(year=2030)) == [1, 2, 3]
