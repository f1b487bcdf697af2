"""A value left alone at the end of a cell shows itself, harms nothing and writes nothing."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, half_life, never, staircase
from optical_memory.inspection import reprs
from optical_memory.memory import Hit, ThreadInfo
from tests.inspection.conftest import BUDGET, MODEL
from tests.inspection.shown import active, hostile, on_a_terminal, wrong_in
from tests.inspection.test_reading import content_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def shown(harbour: str, database: Path) -> dict[str, Any]:
    """One of each value, over a thread with pages."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET) as memory:
        memory.project([{"role": "user", "content": "And now?", "id": "n"}], thread=harbour)
        return {
            "memory": memory, "thread": memory.threads()[0], "page": memory.pages(harbour)[0],
            "context": memory.context(harbour), "schedule": staircase(), "ledger": memory.ledger(harbour),
        }  # fmt: skip


def test_every_value_shows_itself_in_a_notebook(shown: dict[str, Any]) -> None:
    """With what matters of it, without script, address or anything that leaves its own elements."""
    said = {name: value._repr_html_() for name, value in shown.items()}
    assert {name: wrong_in(html) for name, html in said.items()} == {name: [] for name in said}
    assert "harbour" in said["memory"]
    assert "turns" in said["thread"]
    assert "data:image/png;base64," in said["page"]
    assert said["context"].count("<img") >= 1
    assert "<svg" in said["context"]
    assert "dense" in said["schedule"]
    assert "plain text" in said["ledger"]


def test_nothing_is_wider_than_the_cell_that_it_stands_in(shown: dict[str, Any]) -> None:
    """Plots and pages become smaller where a notebook is narrow; figures of a table stand below each other."""
    for name in ("context", "schedule", "ledger", "page"):
        html = shown[name]._repr_html_()
        assert (
            len(re.findall(r"<(?:svg|img) [^>]*max-width:100%", html)) == len(re.findall("<(?:svg|img) ", html)) > 0
        ), name
    assert re.search(r"text-align:right\">[\d,]+</td>", shown["context"]._repr_html_())


def test_every_value_shows_itself_in_a_terminal(shown: dict[str, Any]) -> None:
    """The same facts through rich."""
    said = {name: on_a_terminal(value) for name, value in shown.items()}
    assert not [name for name, text in said.items() if active(text)]
    assert "harbour" in said["memory"]
    assert "[" in said["context"]
    assert "1,000 turns" in said["schedule"]
    assert "plain text" in said["ledger"]


def test_in_a_log_a_value_is_one_short_line(shown: dict[str, Any]) -> None:
    """However many segments, changes or words it has; no text beyond 60 characters, no password."""
    for name in ("memory", "context", "ledger", "page", "thread"):
        assert len(repr(shown[name])) < 400, name
        assert "\n" not in repr(shown[name])
    told = repr(Hit(3, "secret " * 100, 1.0, "user"))
    assert told.count("secret") <= 9
    assert "turn 3" in told
    pytest.importorskip("psycopg")
    memory = OpticalMemory("postgresql+psycopg://me:hunter2@localhost/x")
    assert "hunter2" not in repr(memory) + memory._repr_html_() + on_a_terminal(memory)


def test_showing_writes_nothing_and_makes_no_file(shown: dict[str, Any], database: Path, tmp_path: Path) -> None:
    """Not a row changes, and a database that is not there is not made."""
    before = content_of(database)
    for value in shown.values():
        value._repr_html_()
        on_a_terminal(value)
    assert content_of(database) == before
    absent = OpticalMemory(tmp_path / "none.db")
    assert "the first remember() makes it" in absent._repr_html_()
    assert not (tmp_path / "none.db").exists()


def test_a_locked_or_broken_database_is_told_not_raised(tmp_path: Path) -> None:
    """A notebook cell shows why nothing can be listed."""
    (tmp_path / "broken.db").write_bytes(b"no database at all" * 100)
    html = OpticalMemory(tmp_path / "broken.db")._repr_html_()
    assert wrong_in(html) == []
    assert "broken.db" in html


def test_large_images_are_named_not_shown(shown: dict[str, Any]) -> None:
    """Beyond two megabytes a line says how large it is and what to do."""
    page = replace(shown["page"], png=shown["page"].png + b"\0" * reprs.INLINE)
    html = page._repr_html_()
    assert len(html) < 1_000
    assert "2.0 MB" in html
    many = list(reprs._pictures([(page.png[:-1], "a"), (shown["page"].png, "b")]))
    assert len(many) == 1
    assert "2 more images" in many[0]


def test_a_schedule_in_several_units_has_a_curve_for_each() -> None:
    """Turns and hours are not drawn on one axis."""
    html = staircase(clear=("turns", 60), card=("hours", 24))._repr_html_()
    assert html.count("<svg") == 2
    assert wrong_in(never()._repr_html_() + half_life(10)._repr_html_()) == []


def test_whatever_text_is_stored_nothing_in_a_repr_is_active() -> None:
    """Hostile names and texts, escaped and cut, in HTML, in a terminal and in a log."""
    dice = random.Random(1)
    for _ in range(200):
        name = hostile(dice)
        thread = ThreadInfo(name, 3, 40, NOW, NOW, 2)
        assert wrong_in(thread._repr_html_()) == []
        assert not active(on_a_terminal(thread))
        hit = Hit(3, name, 1.0, "user")
        assert not active(repr(hit))
        assert len(re.sub(r"⟨U\+\w+⟩", "x", repr(hit))) < 140
