"""What goes into a thread comes out of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory.errors import ConfigError, StoreError
from optical_memory.storage import NewMessage, NewTurn, Store, TurnSums

from .makers import NOW, begun, message, texts, turn

HOSTILE = ["nul \0 and lone \ud800 surrogate", "'; DROP TABLE turn; --", "\u202eevil", "𝕏 " * 50, "%(x)s :name ? {}"]


def test_a_turn_comes_back_with_every_field(store: Store) -> None:
    """Fields, messages and times survive the round trip."""
    spoken = datetime(2026, 3, 29, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    given_turn = NewTurn(
        role="assistant",
        text="two calls",
        tokens=7,
        messages=[message("a", "id-1", role="assistant", data={"x": [1, None, "ü"]}), message("b", role="tool")],
        name="helper",
        calls=2,
        attachments=[{"kind": "image", "bytes": "abc"}],
        open=True,
        importance=0.25,
        weight=2.0,
        created_at=spoken,
    )
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), [given_turn], NOW)
    with store.read() as reader:
        (row,) = reader.turns(reader.path(thread))
        first, second = reader.messages([row.id])[row.id]
    assert (row.number, row.role, row.text, row.tokens, row.name) == (1, "assistant", "two calls", 7, "helper")
    assert (row.chars, row.calls, row.messages, row.open, row.pinned) == (9, 2, 2, True, False)
    assert (row.importance, row.weight, row.recalls, row.recalled_at) == (0.25, 2.0, 0, None)
    assert row.attachments == [{"kind": "image", "bytes": "abc"}]
    assert (row.created_at, row.stored_at, row.chain) == (spoken, NOW, "b")
    assert (first.external_id, first.data, first.position) == ("id-1", {"x": [1, None, "ü"]}, 0)
    assert (second.external_id, second.role, second.position) == (None, "tool", 1)


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_stored_and_the_message_keeps_it_exactly(store: Store, text: str) -> None:
    """A text that a database refuses is cleaned where it is drawn, never in the message."""
    with store.write() as writer:
        told = NewTurn("user", text, 1, [NewMessage("user", "h", "c", {"content": text}, external_id=text)], name=text)
        thread = writer.append(writer.new_thread("trip", NOW), [told], NOW)
    with store.read() as reader:
        (row,) = reader.turns(reader.path(thread))
        assert reader.messages([row.id])[row.id][0].data == {"content": text}
        assert row.text == text.replace("\0", "\ufffd").replace("\ud800", "\ufffd")
        assert list(reader.by_external(thread.id, [text, "other"])) == [text]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), min_size=1, max_size=60))
def test_every_character_survives_in_a_message(store: Store, text: str) -> None:
    """Appending never fails and never changes what was said."""
    with store.write() as writer:
        thread = writer.append(
            writer.new_thread("any", NOW), [NewTurn("user", text, 1, [message("c", data=text)])], NOW
        )
        (row,) = writer.turns(writer.path(thread), thread.length)
        assert writer.messages([row.id])[row.id][0].data == text


def test_long_ids_that_differ_at_the_end_stay_apart(store: Store) -> None:
    """An id beyond the size of an index entry is still found, and only by itself."""
    one, two = "x" * 5000 + "1", "x" * 5000 + "2"
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), [turn("a", ids=[one])], NOW)
        assert list(writer.by_external(thread.id, [two])) == []
        assert [place.turn_number for place in writer.by_external(thread.id, [one])[one]] == [1]


@pytest.mark.parametrize(("one", "two"), [("a\0", "a\\x00"), ("a\ud800", "a\\ud800"), ("a\0", "a\ufffd")])
def test_an_id_that_cannot_be_kept_is_not_taken_for_one_that_can(store: Store, one: str, two: str) -> None:
    """However an id with NUL or a lone surrogate is written down, no other is written so."""
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), [turn("a", ids=[one]), turn("b", ids=[two])], NOW)
        found = writer.by_external(thread.id, [one, two])
    assert {given: [p.turn_number for p in places] for given, places in found.items()} == {one: [1], two: [2]}


def test_numbers_go_on_without_gaps_whatever_row_the_caller_holds(store: Store) -> None:
    """A thread row from before other appends still appends at the end."""
    old = begun(store, "one")
    with store.write() as writer:
        writer.append(old, [turn("two"), turn("three")], NOW)
        now = writer.append(old, [turn("four")], NOW)
    assert now.length == 4
    assert texts(store) == ["one", "two", "three", "four"]


def test_a_window_is_the_first_or_the_newest_of_a_stretch(store: Store) -> None:
    """first, last, limit and newest cut by turn number, oldest first always."""
    thread = begun(store, *"abcdefg")
    with store.read() as reader:
        path = reader.path(thread)

        def window(*args: int, **options: int | bool) -> str:
            return "".join(row.text for row in reader.turns(path, *args, **options))  # type: ignore[arg-type]

        assert window(2, 4) == "bcd"
        assert window(2, limit=2) == "bc"
        assert window(limit=3, newest=True) == "efg"
        assert window(1, 5, limit=2, newest=True) == "de"
        assert window(limit=0) == ""
        assert window(9) == ""


def test_sums_are_those_of_the_turns(store: Store) -> None:
    """turn_stats says what adding up the rows would say, without reading them."""
    thread = begun(store, "a b", "c", "d e f")
    with store.read() as reader:
        path = reader.path(thread)
        assert reader.turn_stats(path) == TurnSums(count=3, chars=9, tokens=6, messages=3, calls=0)
        assert reader.turn_stats(path, 2, 2) == TurnSums(count=1, chars=1, tokens=1, messages=1, calls=0)
        assert reader.turn_stats((), 1) == TurnSums(0, 0, 0, 0, 0)


def test_tail_and_forward_walk_messages_across_turns(store: Store) -> None:
    """The newest messages, and those from a place on, in order."""
    with store.write() as writer:
        thread = writer.new_thread("trip", NOW)
        thread = writer.append(thread, [turn("a"), turn("b", ids=["b0", "b1", "b2"]), turn("c")], NOW)
        path = writer.path(thread)
        assert [m.chain for m in writer.tail(path, 3)] == ["b/1", "b/2", "c/0"]
        assert [m.chain for m in writer.tail(path, 99)] == ["a/0", "b/0", "b/1", "b/2", "c/0"]
        assert [m.chain for m in writer.forward(path, 2, 1, 2)] == ["b/1", "b/2"]
        assert [(m.turn_number, m.position) for m in writer.forward(path, 2, 2, 9)] == [(2, 2), (3, 0)]
        assert writer.forward(path, 4, 0, 9) == []


def test_results_extend_the_turn_that_waits_for_them(store: Store) -> None:
    """A turn grows by messages, its text is searched anew, its thread has a new version."""
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), [turn("call", role="assistant", open=True)], NOW)
        (row,) = writer.turns(writer.path(thread))
        news = [message("result", "r1", role="tool")]
        writer.extend(row.id, news, text="call → sunny", chars=12, tokens=4, open=False, importance=0.5)
    with store.read() as reader:
        path = reader.path(thread)
        (row,) = reader.turns(path)
        assert (row.text, row.tokens, row.open, row.messages, row.chain) == ("call → sunny", 4, False, 2, "result")
        assert [m.position for m in reader.tail(path, 9)] == [0, 1]
        assert [hit.number for hit in reader.search(path, "sunny", limit=5)] == [1]
        now = reader.thread("trip")
        assert now is not None
        assert now.version > thread.version


def test_more_ids_than_a_query_takes_are_asked_in_portions(store: Store) -> None:
    """1,300 ids at once, by id and by chain, and each is found."""
    with store.write() as writer:
        thread = writer.new_thread("trip", NOW)
        thread = writer.append(thread, [turn(f"t{i}", ids=[f"id{i}"]) for i in range(1300)], NOW)
        places = writer.by_external(thread.id, [f"id{i}" for i in range(1300)])
        chains = writer.by_chain(thread.id, (f"t{i}/0" for i in range(1300)))
    assert [places[f"id{i}"][0].turn_number for i in range(1300)] == list(range(1, 1301))
    assert len(chains) == 1300


def test_strength_is_written_on_turns(store: Store) -> None:
    """Recalls count up, pins and weights are set and taken back."""
    thread = begun(store, "a", "b")
    with store.write() as writer:
        one, two = (row.id for row in writer.turns(writer.path(thread)))
        writer.strengthen([one], at_length=2)
        writer.strengthen([one, two], at_length=5)
        writer.pin([one, two], True)
        writer.pin([two], False)
        writer.weigh([two], 3.5)
        rows = writer.turns(writer.path(thread))
    assert [(r.recalls, r.recalled_at, r.pinned, r.weight) for r in rows] == [(2, 5, True, None), (1, 5, False, 3.5)]


def test_threads_are_listed_by_last_use_and_matched_as_they_are_written(store: Store) -> None:
    """Newest use first; %, _ and quotes in a match are characters, not patterns."""
    for hour, key in enumerate(["a_1", "ab1", "100%"]):
        with store.write() as writer:
            writer.new_thread(key, NOW + timedelta(hours=hour))
    with store.write() as writer:
        thread = writer.thread("a_1")
        assert thread is not None
        writer.touch(thread.id, NOW + timedelta(hours=9))
    with store.read() as reader:
        assert [t.key for t in reader.threads()] == ["a_1", "100%", "ab1"]
        assert [t.key for t in reader.threads(match="_")] == ["a_1"]
        assert [t.key for t in reader.threads(match="%")] == ["100%"]
        assert [t.key for t in reader.threads(limit=1)] == ["a_1"]
        assert reader.thread("none") is None


def test_the_last_call_is_the_latest_one_whatever_order_they_are_told_in(store: Store) -> None:
    """Several processes tell of their calls when they next write; a clock that was years ahead is not believed for ever."""
    thread = begun(store, "a")
    seen = []
    for minutes in (0, 8, 4, 10**6, 12):
        with store.write() as writer:
            writer.touch(thread.id, NOW + timedelta(minutes=minutes))
        with store.read() as reader:
            row = reader.thread("trip")
            assert row is not None
            assert row.touched_at is not None
            seen.append((row.touched_at - NOW) // timedelta(minutes=1))
    assert seen == [0, 8, 8, 10**6, 12]


def test_asking_twice_for_a_new_thread_gives_the_same(store: Store) -> None:
    """new_thread is idempotent, and keeps the configuration that is there."""
    with store.write() as writer:
        one = writer.new_thread("trip", NOW)
        writer.set_config(one.id, {"keep": ["turns", 12]})
    with store.write() as writer:
        two = writer.new_thread("trip", NOW + timedelta(days=1))
    assert (two.id, two.config, two.created_at) == (one.id, {"keep": ["turns", 12]}, NOW)


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800", "k" * 501])
def test_a_name_that_cannot_be_kept_is_refused(store: Store, key: str) -> None:
    """No name is changed on its way in: two tenants could become one."""
    with store.write() as writer, pytest.raises(ConfigError, match="cannot be a thread's name"):
        writer.new_thread(key, NOW)


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800", "k" * 60_000])
def test_a_name_that_cannot_be_kept_is_the_name_of_no_thread(store: Store, key: str) -> None:
    """Asking for it is no error, on either engine."""
    begun(store, "a")
    with store.read() as reader:
        assert reader.thread(key) is None
        assert [row.key for row in reader.threads(match=key)] == ([] if key else ["trip"])
    with store.write() as writer:
        assert writer.thread(key) is None


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    """Its meaning would depend on the machine; nothing is stored."""
    with pytest.raises(ConfigError, match="has no time zone"), store.write() as writer:
        writer.new_thread("trip", datetime(2026, 1, 1))  # noqa: DTZ001
    with store.read() as reader:
        assert reader.threads() == []


def test_a_value_that_is_not_json_is_refused(store: Store) -> None:
    """Whatever a message holds must come back as it was, or not be taken."""
    with pytest.raises(StoreError, match="cannot be stored"), store.write() as writer:
        writer.set_config(writer.new_thread("trip", NOW).id, object())
    with store.read() as reader:
        assert reader.threads() == []


def test_a_number_that_no_database_can_keep_is_an_error_of_ours(store: Store) -> None:
    """Whichever engine, and nothing is stored."""
    with pytest.raises(StoreError), store.write() as writer:
        writer.append(writer.new_thread("trip", NOW), [turn("a", calls=10**30)], NOW)
    with store.read() as reader:
        assert reader.threads() == []


def test_times_keep_their_microseconds(store: Store) -> None:
    """Also far from today."""
    moments = [datetime(y, 1, 2, 3, 4, 5, 678901, tzinfo=UTC) for y in (1970, 1999, 2026, 2100, 2200)]
    with store.write() as writer:
        new = [turn(str(m.year), created_at=m) for m in moments]
        thread = writer.append(writer.new_thread("trip", NOW), new, NOW)
        assert [row.created_at for row in writer.turns(writer.path(thread))] == moments


@pytest.mark.parametrize(
    ("moment", "near"),
    [
        (datetime.max.replace(tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))), datetime(9999, 12, 31, tzinfo=UTC)),
        (datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_the_first_and_the_last_of_all_times_can_be_read_again(store: Store, moment: datetime, near: datetime) -> None:
    """Other programs write them for "never", and what the database rounds beyond them is no time any more."""
    with store.write() as writer:
        thread = writer.append(writer.new_thread("trip", NOW), [turn("a", created_at=moment)], NOW)
    with store.read() as reader:
        (row,) = reader.turns(reader.path(thread))
    assert row.created_at is not None
    assert abs(row.created_at - near) <= timedelta(days=1)
