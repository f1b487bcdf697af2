"""Pages, their images, plans and the log: found on every path that they belong to, and on no other."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from optical_memory.errors import HashMismatchError
from optical_memory.storage import Counts, NewChange, NewPage, NewUsage, Store, ThreadRow, Writer, owner
from optical_memory.storage.schema import image

from .makers import NOW, begun, turn


def seal(writer: Writer, thread: ThreadRow, *spans: tuple[int, int]) -> list[int]:
    """Pages over these spans of the head's path; their ids."""
    path = writer.path(thread)
    new = [NewPage(owner(path, last), first, last, "vivid", 10, 5, "card", ["OSL-14"]) for first, last in spans]
    return [row.id for row in writer.add_pages(thread, new, NOW)]


def test_pages_are_numbered_on_and_read_in_order(store: Store) -> None:
    """The thread's own counter, whatever the order of sealing."""
    thread = begun(store, *"abcdef")
    with store.write() as writer:
        seal(writer, thread, (1, 2), (3, 4))
        seal(writer, thread, (5, 6))
        pages = writer.pages(writer.path(thread))
        assert [(p.number, p.first, p.last, p.tier) for p in pages] == [
            (1, 1, 2, "vivid"),
            (2, 3, 4, "vivid"),
            (3, 5, 6, "vivid"),
        ]
        assert (pages[0].card, pages[0].facts, pages[0].created_at) == ("card", ["OSL-14"], NOW)
        assert [p.number for p in writer.pages(writer.path(thread), from_number=4)] == [2, 3]
        assert writer.add_pages(thread, [], NOW) == []


def test_a_page_is_on_a_path_only_as_a_whole(store: Store) -> None:
    """After a fork in its middle a page belongs to the abandoned branch alone; those before are shared."""
    thread = begun(store, *"abcd")
    with store.write() as writer:
        shared, _cut = seal(writer, thread, (1, 2), (3, 4))
        forked = writer.append(writer.fork(thread, 3, NOW), [turn("D")], NOW)
        (own,) = seal(writer, forked, (3, 4))
        old = writer.path(forked, branch_id=thread.branch_id)
        assert [p.id for p in writer.pages(writer.path(forked))] == [shared, own]
        assert [p.id for p in writer.pages(old)] == [shared, _cut]
        assert [p.id for p in writer.pages(writer.path(forked, upto=3))] == [shared]


def test_tiers_change_and_other_processes_can_see_that_they_did(store: Store) -> None:
    """set_tiers changes exactly those pages and raises the thread's version."""
    thread = begun(store, *"abcd")
    with store.write() as writer:
        one, two = seal(writer, thread, (1, 2), (3, 4))
    with store.read() as reader:
        before = reader.threads()[0].version
    with store.write() as writer:
        writer.set_tiers({one: "dense"})
        writer.set_tiers({})
    with store.read() as reader:
        assert [(p.id, p.tier) for p in reader.pages(reader.path(thread))] == [(one, "dense"), (two, "vivid")]
        assert reader.threads()[0].version == before + 1


def test_views_come_back_in_parts_with_their_bytes(store: Store) -> None:
    """A page may need several images; what was only measured has no bytes yet."""
    thread = begun(store, "a", "b")
    with store.write() as writer:
        (page_id,) = seal(writer, thread, (1, 2))
        first, second = writer.put_views(page_id, "clear/1", [(100, 50, b"one"), (100, 20, None)])
        writer.put_views(page_id, "dense/1", [(10, 5, b"small")])
    with store.read() as reader:
        assert reader.views([page_id], "clear/1") == {page_id: [first, second]}
        assert (first.width, first.height, first.bytes, second.bytes) == (100, 50, 3, 0)
        assert second.sha256 is None
        assert reader.png([first.id, second.id]) == {first.id: b"one"}
        assert reader.views([page_id], "none") == {}
        assert reader.counts() == Counts(threads=1, turns=2, pages=1, images=2, bytes=8)


def test_a_view_that_was_measured_is_drawn_later_under_the_same_id(store: Store) -> None:
    """Plans name views by id; putting them again keeps the id and drops surplus parts."""
    thread = begun(store, "a")
    with store.write() as writer:
        (page_id,) = seal(writer, thread, (1, 1))
        measured = writer.put_views(page_id, "l", [(10, 10, None), (10, 4, None)])
        drawn = writer.put_views(page_id, "l", [(10, 14, b"all")])
        assert (drawn[0].id, drawn[0].height) == (measured[0].id, 14)
        assert writer.views([page_id], "l") == {page_id: drawn}
        assert writer.png(view.id for view in measured) == {drawn[0].id: b"all"}
        writer.drop_views([drawn[0].id])
        assert writer.views([page_id], "l") == {}


def test_damaged_bytes_are_never_shown(store: Store) -> None:
    """One altered byte raises an error that names thread and page; check lists it; a redrawn view is sound again."""
    thread = begun(store, "a", "b", key="Oslo trip")
    with store.write() as writer:
        (page_id,) = seal(writer, thread, (1, 2))
        (view,) = writer.put_views(page_id, "clear", [(10, 10, b"true bytes")])
        writer._connection.execute(sa.update(image).values(png=b"true bytez"))
    with store.read() as reader, pytest.raises(HashMismatchError, match=r"page 1 of thread 'Oslo trip' \(clear"):
        reader.png([view.id])
    assert store.check() == [f"image: page 1 of thread 'Oslo trip' (clear, view {view.id}) is damaged"]
    with store.write() as writer:
        writer.put_views(page_id, "clear", [(10, 10, b"true bytes")])
        assert writer.png([view.id]) == {view.id: b"true bytes"}
    assert store.check() == []


def test_the_plan_for_an_anchor_is_the_newest_that_the_path_holds(store: Store) -> None:
    """Later anchors first, then later plans; none that ends beyond the path or belongs to another key."""
    thread = begun(store, *"abcd")
    with store.write() as writer:

        def put(anchor: int, upto: int, body: str, key: str = "k") -> None:
            path = writer.path(thread, upto=upto)
            writer.put_plan(thread, path, anchor=anchor, key=key, body=[body], reason="cold", tokens=9, at=NOW)

        put(3, 4, "late")
        put(1, 2, "early")
        put(1, 2, "early, again")
        put(3, 4, "other key", "other")

        def plan(upto: int, anchor: int | None = None) -> list[str] | None:
            row = writer.plan(writer.path(thread, upto=upto), "k", anchor=anchor)
            return row.body if row else None

        assert plan(4) == ["late"]
        assert plan(4, anchor=2) == ["early, again"]
        assert plan(3) == ["early, again"]
        assert plan(1) is None
        row = writer.plan(writer.path(thread), "k")
        assert row is not None
        assert (row.anchor, row.head, row.reason, row.tokens, row.created_at) == (3, 4, "cold", 9, NOW)


def test_plans_steps_and_recalled_rows_follow_the_branches(store: Store) -> None:
    """A fork sees what was decided before it, and nothing of what the abandoned branch decided after."""
    thread = begun(store, *"abcd")

    def decide(writer: Writer, at: ThreadRow, upto: int) -> None:
        path = writer.path(at, upto=upto)
        writer.put_plan(at, path, anchor=upto, key="k", body=upto, reason="pays", tokens=1, at=NOW)
        writer.put_recalled(at, path, anchor=upto, key="k", turns=[upto], tokens=1, at=NOW)
        change = NewChange(1, upto, "text", "vivid", 10, 4, 1.0, 0.9)
        writer.log_step(at, path, reason=f"at {upto}", changes=[change], at=NOW)

    with store.write() as writer:
        for upto in (1, 2, 4):
            decide(writer, thread, upto)
        forked = writer.append(writer.fork(thread, 2, NOW), [turn("C")], NOW)
        path = writer.path(forked)
        plan = writer.plan(path, "k")
        assert plan is not None
        assert plan.body == 2
        assert [row.turns for row in writer.recalled(path, "k", since=1)] == [[1], [2]]
        assert [row.turns for row in writer.recalled(path, "k", since=2)] == [[2]]
        assert [(s.reason, s.changes[0].last, s.changes[0].readable_after) for s in writer.steps(path)] == [
            ("at 1", 1, 0.9),
            ("at 2", 2, 0.9),
        ]
        assert len(writer.steps(writer.path(forked, branch_id=thread.branch_id))) == 3


def test_a_plan_made_on_a_fork_without_turns_is_found(store: Store) -> None:
    """Before its first own turn a new branch's path ends on its parent; later it is still on the path."""
    thread = begun(store, *"abc")
    with store.write() as writer:
        forked = writer.fork(thread, 2, NOW)
        path = writer.path(forked)
        writer.put_plan(forked, path, anchor=2, key="k", body={}, reason="cold", tokens=1, at=NOW)
        forked = writer.append(forked, [turn("C")], NOW)
        assert writer.plan(writer.path(forked), "k") is not None


def test_steps_are_marked_undone(store: Store) -> None:
    """The log row stays, with its mark."""
    thread = begun(store, "a")
    with store.write() as writer:
        step = writer.log_step(thread, writer.path(thread), reason="forced", changes=[], at=NOW, plan_id=7)
        writer.mark_undone(step.id)
        (row,) = writer.steps(writer.path(thread))
    assert (row.undone, row.plan_id, row.at, row.changes) == (True, 7, 1, ())


def test_usage_is_kept_in_order(store: Store) -> None:
    """Predicted and billed tokens, per call."""
    thread = begun(store, "a")
    with store.write() as writer:
        for billed in (90, 110):
            writer.put_usage(thread.id, [NewUsage("m", 100, NOW, billed=billed, cache_read=5)])
        rows = writer.usage(thread.id)
    assert [(r.predicted, r.billed, r.cache_read, r.output, r.created_at) for r in rows] == [
        (100, 90, 5, 0, NOW),
        (100, 110, 5, 0, NOW),
    ]


def test_a_copy_holds_the_same_and_goes_its_own_way(store: Store) -> None:
    """Branches, turns, messages, pages and images; then both change without touching each other."""
    thread = begun(store, *"abc")
    with store.write() as writer:
        (page_id,) = seal(writer, thread, (1, 2))
        writer.put_views(page_id, "l", [(5, 5, b"png"), (6, 6, None)])
        thread = writer.append(writer.fork(thread, 2, NOW), [turn("C", ids=["c1", "c2"])], NOW)
        source = writer.thread("trip")
        assert source is not None
        copy = writer.copy_thread(source, "copy", NOW)
    with store.write() as writer:
        path = writer.path(copy)
        assert [row.text for row in writer.turns(path)] == ["a", "b", "C"]
        assert [m.external_id for m in writer.tail(path, 2)] == ["c1", "c2"]
        (page,) = writer.pages(path)
        assert [(v.width, v.bytes) for v in writer.views([page.id], "l")[page.id]] == [(5, 3), (6, 0)]
        assert set(writer.png(v.id for v in writer.views([page.id], "l")[page.id]).values()) == {b"png"}
        assert [hit.number for hit in writer.search(path, "b", limit=3)] == [2]
        writer.append(copy, [turn("only here")], NOW)
        assert writer.search(writer.path(thread), "only", limit=3) == []
    assert store.check() == []
