"""The screens for when something is missing, old, locked or damaged: what it is, and what to type next."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from optical_memory import OpticalMemory
from optical_memory.readers import Trial, calibrate
from tests.readers.knowing import Knowing
from tests.web.conftest import BUDGET, MODEL, POSTING, THREAD


def test_no_database_tells_how_to_make_one(tmp_path, view):
    """The first screen of a new user is no error: it has the command to type."""
    client = view(tmp_path / "none.db")
    answer = client.get("/")
    assert answer.status_code == 200
    assert "optical-memory import" in answer.text
    assert client.get("/index.json").status_code == 404
    assert not (tmp_path / "none.db").exists()


def test_a_database_that_is_made_later_is_found(tmp_path, view):
    """The page needs no restart of the viewer."""
    client = view(tmp_path / "late.db")
    assert "No memory here yet" in client.get("/").text
    with OpticalMemory(tmp_path / "late.db") as memory:
        memory.remember("first", [("user", "hello")])
    assert "first" in client.get("/").text


def test_an_empty_database_says_so(tmp_path, view):
    """No threads yet, and how to get one."""
    with OpticalMemory(tmp_path / "empty.db") as memory:
        memory.store.upgrade()
    answer = view(tmp_path / "empty.db").get("/")
    assert answer.status_code == 200
    assert "Nothing is remembered yet" in answer.text
    assert "No thread of that name" in view(tmp_path / "empty.db").get("/?match=x").text


def test_an_unknown_thread_or_page_is_not_found(client):
    """404 in words, on pages and twins."""
    assert client.get("/t/nowhere").status_code == 404
    assert "nowhere" in client.get("/t/nowhere").text
    assert client.get("/t/nowhere.json").json()["state"] == "no-thread"
    assert client.get("/t/harbour/turn/61").status_code == 404
    assert client.get("/t/harbour/turn/0").status_code == 404
    assert client.get("/t/~zz").status_code == 404
    assert client.get("/nowhere").status_code == 404


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("DELETE FROM alembic_version", ("needs an upgrade", "optical-memory db upgrade")),
        ("UPDATE alembic_version SET version_num = '9999_later'", ("newer than this program", "9999_later")),
    ],
)
def test_another_schema_is_left_alone_and_told(database, view, change, says):
    """The viewer does not upgrade by itself: it says what to type, or that a newer program made the database."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(change)
    answer = view(database).get("/")
    assert answer.status_code == 409
    assert all(words in answer.text for words in says)


def test_a_locked_database_is_told_and_can_be_read(database, view):
    """While another process writes, pages still open; a change says who is in the way."""
    client = view(database, patience=0.1)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert client.get("/t/harbour").status_code == 200
        answer = client.post("/t/harbour/pin", headers=POSTING, json={"turns": "1"})
        assert answer.status_code == 503
        assert answer.json()["state"] == "locked"
    assert client.post("/t/harbour/pin", headers=POSTING, json={"turns": "1"}).status_code == 200


def test_a_file_that_is_no_database_is_an_error_in_words(tmp_path, view):
    """Any other file is refused with a sentence."""
    (tmp_path / "notes.db").write_bytes(b"these are notes, not a database" * 100)
    answer = view(tmp_path / "notes.db").get("/")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.text


def test_a_damaged_image_is_drawn_again_from_its_text(database, view, memory, drawn):
    """A wrong page is never shown: its bytes are checked, and the text is unharmed."""
    good = memory.pages(THREAD)[0]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE image SET png = zeroblob(length(png))")
    client = view(database)
    span = client.get(f"/t/harbour/turn/{good.turns[0]}.json").json()["span"]
    assert span["images"][0]["sha256"] == good.sha256


def test_a_thread_that_is_forgotten_by_others_is_gone_at_once(client, memory):
    """The viewer keeps nothing that the database no longer has."""
    client.get("/t/harbour/call")
    memory.forget(THREAD)
    assert client.get("/t/harbour").status_code == 404
    assert client.get("/t/harbour/call").status_code == 404
    assert client.get("/t/harbour/turn/5/clear.0.png").status_code == 404


def test_a_new_thread_under_the_name_of_a_forgotten_one_is_not_taken_for_it(tmp_path, view):
    """Not a word of the old one is shown, nor its sum, though as much was written to both."""
    with OpticalMemory(tmp_path / "again.db", model=MODEL, budget=BUDGET) as memory:
        memory.remember("again", [("user", "The harbour has twelve crates. " * 20)])
        client = view(tmp_path / "again.db")
        before = client.get("/t/again/call.json").json()
        memory.forget("again")
        memory.remember("again", [("user", "Hello.")])
        after = client.get("/t/again/call.json").json()
        assert after["messages"] == memory.context("again", dry_run=True).to_openai()
    assert "harbour" in str(before["messages"])
    assert after["text_tokens"] < before["text_tokens"]


@pytest.mark.parametrize("content", ["{broken", "{}", None])
def test_a_thread_whose_profile_cannot_be_read_hides_neither_itself_nor_others(tmp_path, view, content):
    """The file of a calibration may be moved or spoilt: the tables stand in, and the thread can still be forgotten."""
    file, trial = tmp_path / "calibrated.json", Trial(0, (16,), 1)
    file.write_text(calibrate(Knowing(trial), trial=trial).to_json())
    with OpticalMemory(tmp_path / "some.db", model=MODEL, budget=BUDGET, profile=file) as memory:
        memory.remember("spoilt", [("user", "Hello, harbour.")])
    with OpticalMemory(tmp_path / "some.db", model=MODEL, budget=BUDGET) as memory:
        memory.remember("sound", [("user", "Hello, harbour.")])
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    client = view(tmp_path / "some.db")
    assert [t["thread"] for t in client.get("/index.json").json()["threads"]] == ["sound", "spoilt"]
    assert {h["thread"] for h in client.get("/search.json?q=harbour").json()["hits"]} == {"sound", "spoilt"}
    assert client.post("/t/spoilt/forget", headers=POSTING, json={"whole": True}).status_code == 200
