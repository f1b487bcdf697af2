"""Looking shows what is there, as a table or as JSON, and changes nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.inspection import looking, output
from tests.inspection.conftest import BUDGET, MODEL, Command, talk, write_lines
from tests.inspection.test_changing import at_a_terminal

Told = Callable[..., Any]
READS = {
    "threads": (
        ["threads", "--branches"],
        {"thread", "turns", "tokens", "branch_count", "created_at", "touched_at", "branches"},
    ),
    "show": (["show", "harbour"], {"turn", "role", "name", "tier", "tokens", "pinned", "purged", "created_at", "text"}),
    "context": (
        ["context", "harbour"],
        {"thread", "model", "budget", "reserved", "tokens", "free", "text_tokens", "segments", "left_out", "reason"},
    ),
    "page": (
        ["page", "harbour", "PAGE"],
        {"page", "part", "turns", "tier", "width", "height", "tokens", "bytes", "sha256"},
    ),
    "search": (["search", "crates"], {"thread", "turn", "role", "tier", "score", "created_at", "text"}),
    "stats": (
        ["stats", "harbour"],
        {
            "database",
            "thread",
            "threads",
            "turns",
            "pages",
            "images",
            "image_bytes",
            "bytes",
            "purged",
            "text_tokens",
            "counter",
            "tiers",
            "calls",
        },
    ),
    "explain": (["explain", "harbour"], {"thread", "explanation", "if_asked_now", "log"}),
    "current": (["db", "current"], {"database", "current", "head", "up_to_date"}),
    "check": (["db", "check"], {"database", "sound", "problems"}),
}


def with_page(arguments: list[str], page: int) -> list[str]:
    """The arguments with the number of a page that exists."""
    return [str(page) if a == "PAGE" else a for a in arguments]


def content_of(database: Path) -> str:
    """A digest of every row of the database."""
    with closing(sqlite3.connect(database)) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


@pytest.mark.parametrize("name", READS)
def test_every_read_speaks_json_with_stable_keys(harbour: str, told: Told, name: str, page: int) -> None:
    """Other programs rely on these keys."""
    arguments, keys = READS[name]
    found = told(*with_page(arguments, page))
    assert set(found[0] if isinstance(found, list) else found) == keys


def test_looking_changes_no_row(harbour: str, run: Command, database: Path, page: int) -> None:
    """An inspector never changes what the agent sends, nor what a recall would strengthen."""
    before = content_of(database)
    for arguments, _ in READS.values():
        assert run(*with_page(arguments, page)).exit_code == 0
    assert run("context", "harbour", "--query", "crate CR-001-03").exit_code == 0
    assert content_of(database) == before


def test_tables_for_people_have_no_colour_in_a_pipe(harbour: str, run: Command, page: int) -> None:
    """No escape sequence reaches a file or another program."""
    for arguments, _ in READS.values():
        assert "\x1b" not in run(*with_page(arguments, page)).stdout


def test_names_are_told_apart_on_a_terminal_of_80_columns(
    run: Command, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beginning of a name is no name: dates and figures leave it room, and nothing is as wide as a terminal by itself."""
    names = [f"conversation-{n:03d}" for n in range(3)]
    run("import", *(write_lines(tmp_path / f"{name}.jsonl", talk(3)) for name in names))
    monkeypatch.setenv("COLUMNS", "80")
    code, shown = at_a_terminal(["threads", "--db", str(database)], "")
    assert code == 0
    assert all(name in shown for name in names)
    assert "last used" in shown
    widths = [len(line.rstrip()) for line in run("threads").stdout.splitlines()]
    assert max(widths) < 80


@pytest.mark.parametrize("columns", [30, *(pytest.param(n, marks=pytest.mark.slow) for n in (40, 59))])
def test_on_a_narrow_terminal_names_and_figures_stay_whole(
    harbour: str, database: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Where the columns of a table have no room beside each other, each value has a line of its own."""
    monkeypatch.setenv("COLUMNS", str(columns))
    code, shown = at_a_terminal(["threads", "--db", str(database)], "")
    assert code == 0
    assert re.search(r"^thread +harbour\s*$", shown, re.MULTILINE), shown
    assert re.search(r"^turns +60\s*$", shown, re.MULTILINE), shown
    assert "…" not in shown
    _, steps = at_a_terminal(["steps", "harbour", "--db", str(database)], "")
    assert "…" not in steps


@pytest.mark.parametrize("group", [(), ("db",), ("bench",)])
def test_the_list_of_commands_says_what_each_does_in_a_whole_sentence(run: Command, group: tuple[str, ...]) -> None:
    """On 80 columns none is cut."""
    listed = run(*group, "--help", db=None).stdout.partition("Commands:")[2]
    assert listed.strip()
    assert "..." not in listed


def test_show_tells_how_each_turn_is_held(harbour: str, told: Told) -> None:
    """Newest turns are text, older ones are not, and every turn is listed once."""
    rows = told("show", "harbour")
    assert [r["turn"] for r in rows] == list(range(1, 61))
    assert rows[-1]["tier"] == "text"
    assert {r["tier"] for r in rows} - {"text"}


def test_show_takes_a_range_and_a_limit(harbour: str, told: Told, run: Command) -> None:
    """A range is kept to; a limit leaves the newest and says what is not listed."""
    assert [r["turn"] for r in told("show", "harbour", "--turns", "4-6")] == [4, 5, 6]
    assert [r["turn"] for r in told("show", "harbour", "--turns", "58-")] == [58, 59, 60]
    assert [r["turn"] for r in told("show", "harbour", "--limit", "2")] == [59, 60]
    assert "turns 1 to 58 are not listed" in run("show", "harbour", "--limit", "2").stderr
    assert '"crate": "CR-001-03"' in run("show", "harbour", "--turns", "2", "--full").stdout


def test_the_age_of_a_turn_is_counted_to_the_end_of_its_thread(harbour: str, run: Command) -> None:
    """Whatever part of it is listed; and a list with nothing in it says where the thread ends."""
    ages = [line.split()[:2] for line in run("show", harbour, "--turns", "2-3").stdout.splitlines()[2:]]
    assert ages == [["2", "58"], ["3", "57"]]
    assert "ends at turn 60" in run("show", harbour, "--turns", "70-80").stderr


@pytest.mark.parametrize("command", [["threads"], ["show", "harbour"], ["search", "crates"], ["steps", "harbour"]])
def test_a_list_is_told_line_by_line(harbour: str, run: Command, told: Told, command: list[str]) -> None:
    """--jsonl has the rows of --json, each a document on a line of its own."""
    lines = run(*command, "--jsonl").stdout.splitlines()
    assert lines
    assert [json.loads(line) for line in lines] == told(*command)


def test_a_long_list_is_read_in_portions(told: Told, run: Command, tmp_path: Path) -> None:
    """No turn is lost or told twice where one portion ends and the next begins."""
    many = looking.PORTION + 3
    run("import", write_lines(tmp_path / "long.jsonl", [{"role": "user", "content": str(n)} for n in range(many)]))
    lines = run("show", "long", "--limit", "0", "--jsonl").stdout.splitlines()
    assert [json.loads(line)["turn"] for line in lines] == list(range(1, many + 1))


def test_a_tier_that_is_no_picture_is_refused(harbour: str, run: Command, page: int) -> None:
    """So is one beside --after, in words of its own."""
    assert "is not drawn" in run("page", harbour, page, "--tier", "card").stderr
    both = run("page", harbour, page, "--tier", "vivid", "--after", "3")
    assert both.exit_code == 2
    assert "do not go together" in both.stderr


def test_each_kind_of_segment_has_a_letter_of_its_own() -> None:
    """Without colour a card is still no page in clear type; only what is text shares a letter."""
    drawn = [kind for kind in output.COLOURS if kind not in ("current", "excerpt")]
    assert len({output.letter(kind) for kind in drawn}) == len(drawn)
    assert output.letter("current") == output.letter("excerpt") == output.letter("text")


def test_context_shows_what_the_agent_would_send(harbour: str, run: Command, database: Path, tmp_path: Path) -> None:
    """The saved messages are those of `memory.context`, byte for byte, with the settings stored with the thread."""
    assert run("context", "harbour", "--save", tmp_path / "out").exit_code == 0
    with OpticalMemory(database, model=MODEL, budget=BUDGET) as memory:
        expected = memory.context("harbour", dry_run=True)
    assert json.loads((tmp_path / "out" / "messages.json").read_text()) == expected.to_openai()


def test_a_saved_context_has_every_image_as_a_file(harbour: str, run: Command, tmp_path: Path) -> None:
    """The PNG files are the images of the messages, in their order, and the report names each once."""
    run("context", "harbour", "--save", tmp_path / "out")
    messages = json.loads((tmp_path / "out" / "messages.json").read_text())
    urls = [
        b["image_url"]["url"]
        for m in messages
        if isinstance(m["content"], list)
        for b in m["content"]
        if b["type"] == "image_url"
    ]
    files = sorted((tmp_path / "out").glob("*.png"))
    assert urls
    assert [base64.b64decode(u.split(",", 1)[1]) for u in urls] == [f.read_bytes() for f in files]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [name for s in report["segments"] for name in s["images"]] == [f.name for f in files]
    assert sum(s["tokens"] for s in report["segments"]) == report["tokens"] <= BUDGET


def test_another_model_and_budget_are_a_preview(harbour: str, told: Told) -> None:
    """The numbers are those that were asked for, and they are kept to."""
    found = told("context", "harbour", "--model", "gpt-5.6", "--budget", "3000", "--reserved", "200")
    assert (found["model"], found["budget"], found["reserved"]) == ("gpt-5.6", 3000, 200)
    assert found["tokens"] <= 2_800


def test_a_page_is_written_as_png(harbour: str, run: Command, told: Told, tmp_path: Path, page: int) -> None:
    """The file has the bytes whose hash is told."""
    (told_page, *_) = told("page", "harbour", page, "--tier", "clear")
    assert run("page", "harbour", page, "--tier", "clear", "-o", tmp_path / "p.png").exit_code == 0
    png = (tmp_path / "p.png").read_bytes()
    assert hashlib.sha256(png).hexdigest() == told_page["sha256"]
    assert run("page", "harbour", page, "--tier", "clear", "-o", "-").stdout_bytes == png


def test_what_is_told_of_a_page_is_told_beside_its_picture_too(
    harbour: str, run: Command, told: Told, tmp_path: Path, page: int
) -> None:
    """--json is one document whether the PNG is written to a file or not; both on stdout is refused."""
    assert told("page", harbour, page, "-o", tmp_path / "p.png") == told("page", harbour, page)
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    both = run("page", harbour, page, "-o", "-", "--json")
    assert both.exit_code == 2
    assert "do not go together" in both.stderr


def test_search_goes_through_all_threads_or_one(harbour: str, run: Command, told: Told, tmp_path: Path) -> None:
    """A hit names its thread; --thread keeps to one."""
    run("import", write_lines(tmp_path / "quay.jsonl", talk(6)))
    assert {h["thread"] for h in told("search", '"CR-001-03"')} == {"harbour", "quay"}
    assert {h["thread"] for h in told("search", '"CR-001-03"', "--thread", "quay")} == {"quay"}
    assert run("search", "nothingofthekind").exit_code == 0


def test_branches_are_listed(run: Command, told: Told, tmp_path: Path) -> None:
    """An edited past is a branch, and the head is named."""
    run("import", write_lines(tmp_path / "a.jsonl", talk(6)), "--thread", "t")
    run(
        "import",
        write_lines(tmp_path / "b.jsonl", [*talk(4), {"role": "user", "content": "No, another one."}]),
        "--thread",
        "t",
    )
    (found,) = told("threads", "--branches")
    assert found["branch_count"] == len(found["branches"]) == 2
    assert [b["head"] for b in found["branches"]] == [False, True]
    old, new = (b["branch"] for b in found["branches"])
    assert [r["turn"] for r in told("show", "t", "--branch", old)] == list(range(1, 7))
    assert told("show", "t", "--branch", old)[0]["tier"] is None
    assert told("show", "t", "--branch", new) == told("show", "t")
    assert "not sent" in run("show", "t", "--branch", old, "--full").stdout
    assert [r["turn"] for r in told("show", "t", "--branch", old, "--limit", "2")] == [5, 6]
    assert run("show", "t", "--branch", 99).exit_code == 1


def test_doctor_tells_versions_with_and_without_a_database(run: Command, tmp_path: Path) -> None:
    """It makes no database by asking for it."""
    found = json.loads(run("doctor", "--json").stdout)
    assert found["exists"] is False
    assert found["packages"]["sqlalchemy"] != "missing"
    assert not list(tmp_path.glob("*.db"))


def test_every_time_is_told_in_one_form(harbour: str, told: Told) -> None:
    """ISO, UTC, with a Z: a program reads them all alike."""
    doctor, (thread,) = told("doctor"), told("threads")
    times = [doctor["clock"], doctor["newest_use"], thread["touched_at"], thread["created_at"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", at) for at in times), times
