"""Commands that change something say so, ask where text is lost, and do what they said."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.inspection.conftest import BUDGET, MODEL, Command, talk, write_lines

Told = Callable[..., Any]


def test_decay_does_what_its_dry_run_said(run: Command, told: Told, harbour: str) -> None:
    """The same spans, tiers and tokens; and a second time there is nothing left to do."""
    assert run("decay", "harbour", "--undo").exit_code == 0
    said = told("decay", "harbour", "--dry-run")
    done = told("decay", "harbour")
    assert said["changes"]
    assert said["changes"] == done["changes"]
    assert told("decay", "harbour", "--dry-run")["changes"] == []


def test_a_step_is_logged_and_can_be_taken_back(run: Command, told: Told, harbour: str) -> None:
    """After undo every turn is text again, and the log says that the step was undone."""
    assert told("explain", "harbour")["log"][-1]["undone"] is False
    assert "taken back" in run("decay", "harbour", "--undo").stdout
    assert {r["tier"] for r in told("show", "harbour")} == {"text"}
    assert told("explain", "harbour")["log"][-1]["undone"] is True


def test_a_pinned_turn_stays_text(run: Command, told: Told, tmp_path: Path) -> None:
    """However the turns around it fade, until it is unpinned."""
    run("import", write_lines(tmp_path / "quay.jsonl", talk(60)), "--model", MODEL, "--budget", BUDGET)
    assert told("pin", "quay", 5)["pinned"] == 1
    assert run("decay", "quay").exit_code == 0
    rows = told("show", "quay", "--turns", "4-6")
    assert [r["pinned"] for r in rows] == [False, True, False]
    assert [r["tier"] == "text" for r in rows] == [False, True, False]
    assert told("unpin", "quay", 5)["unpinned"] == 1


def test_forgetting_turns_removes_their_words_from_the_file(
    run: Command, told: Told, harbour: str, database: Path
) -> None:
    """No byte of them is left in the database's files; their numbers stay, so that the others keep theirs."""
    assert b"CR-001-03" in database.read_bytes()
    gone = json.loads(run("forget", "harbour", "--turns", "1-3", "--yes", "--json").stdout)
    assert gone["turns"] == 3
    rows = told("show", "harbour")
    assert [r["role"] for r in rows[:4]] == ["forgotten", "forgotten", "forgotten", "user"]
    assert rows[0]["text"] == ""
    left = b"".join(f.read_bytes() for f in database.parent.glob("memory.db*"))
    assert b"CR-001-03" not in left
    assert b"CR-004-03" in left


def test_what_is_forgotten_already_is_not_forgotten_again(run: Command, harbour: str) -> None:
    """A second time there is nothing to forget, with exit code 3."""
    run("forget", "harbour", "--turns", "1-3", "--yes")
    result = run("forget", "harbour", "--turns", "2", "--yes")
    assert result.exit_code == 3


def test_forgetting_a_thread_removes_it(run: Command, told: Told, harbour: str) -> None:
    """It is listed no more, and asking for it again is an error."""
    assert run("forget", "harbour", "--yes").exit_code == 0
    assert told("threads") == []
    assert run("forget", "harbour", "--yes").exit_code == 3


def test_forgetting_by_date_takes_what_is_older(run: Command, told: Told, harbour: str) -> None:
    """Turns from before the date go, later ones stay."""
    run("forget", "harbour", "--before", "2026-01-02", "--yes")
    assert {r["role"] for r in told("show", "harbour", "--turns", "1-24")} == {"forgotten"}
    assert "forgotten" not in {r["role"] for r in told("show", "harbour", "--turns", "25-60")}


def test_turns_and_a_date_narrow_each_other(run: Command, told: Told, harbour: str) -> None:
    """Each of them says "only": what is forgotten was asked for by both, never more."""
    said = run("forget", harbour, "--turns", "20-30", "--before", "2026-01-02", "--dry-run")
    assert "5 turns (20-24;" in said.stdout
    assert run("forget", harbour, "--turns", "50", "--before", "2026-01-02", "--yes").exit_code == 3
    run("forget", harbour, "--turns", "20-30", "--before", "2026-01-02", "--yes")
    assert [t["turn"] for t in told("show", harbour) if t["role"] == "forgotten"] == [20, 21, 22, 23, 24]


def test_a_dry_run_of_forget_says_what_would_go_and_leaves_it(run: Command, told: Told, harbour: str) -> None:
    """Turn numbers and words are named; nothing is asked, nothing goes."""
    result = run("forget", "harbour", "--turns", "1,4-6", "--dry-run")
    assert "4 turns (1, 4-6" in result.stdout
    assert len(told("show", "harbour")) == 60


def test_where_nobody_can_be_asked_forget_refuses(run: Command, told: Told, harbour: str) -> None:
    """Without --yes and without a terminal the exit code is 6, and nothing is gone."""
    result = run("forget", "harbour")
    assert result.exit_code == 6
    assert "--yes" in result.stderr
    assert len(told("show", "harbour")) == 60


def test_forgetting_by_a_text_takes_the_turns_that_hold_it(run: Command, told: Told, harbour: str) -> None:
    """In capitals or not; what matched is shown first, and where nobody can be asked nothing goes."""
    holding = [t["turn"] for t in told("show", harbour) if "CR-004-0" in t["text"]]
    refused = run("forget", harbour, "--match", "cr-004-0")
    assert refused.exit_code == 6
    assert all(f"turn {n}: " in refused.stderr for n in holding)
    assert f"{len(holding)} turns" in refused.stderr
    assert json.loads(run("forget", harbour, "--match", "cr-004-0", "--yes", "--json").stdout)["turns"] == len(holding)
    assert [t["turn"] for t in told("show", harbour) if t["role"] == "forgotten"] == holding
    assert "CR-004-0" not in run("show", harbour, "--full").stdout


def test_a_text_narrows_what_else_was_chosen(run: Command, harbour: str) -> None:
    """With --turns or --before only those among them; nothing is more than one asked for."""
    holding = run("forget", harbour, "--turns", "1-5", "--match", "CR-004-00", "--dry-run")
    assert "1 turn (5;" in holding.stdout
    assert run("forget", harbour, "--turns", "1-3", "--match", "CR-004-00", "--yes").exit_code == 3
    assert run("forget", harbour, "--match", "nothingofthekind", "--yes").exit_code == 3
    assert run("forget", harbour, "--match", " ", "--yes").exit_code == 2


def test_pinning_by_a_text_asks_first(run: Command, told: Told, harbour: str) -> None:
    """Which turns it finds is not in the command, so they are shown and it needs a yes; turns by number need none."""
    refused = run("pin", harbour, "--match", "CR-004-00")
    assert refused.exit_code == 6
    assert "turn 5: " in refused.stderr
    assert not any(t["pinned"] for t in told("show", harbour))
    assert told("pin", harbour, "--match", "CR-004-00", "--yes")["pinned"] == 2
    assert [t["turn"] for t in told("show", harbour) if t["pinned"]] == [5, 6]
    assert told("unpin", harbour, "6-60", "--match", "CR-004-00", "--yes")["unpinned"] == 1
    assert run("pin", harbour).exit_code == 2


def test_a_matching_text_that_means_harm_is_shown_harmless(run: Command, tmp_path: Path) -> None:
    """What stands round the match is stored text, and reaches a terminal as such."""
    attack = {"role": "user", "content": "before \x1b[2J needle \u202e after"}
    run("import", write_lines(tmp_path / "t.jsonl", [attack]))
    shown = run("forget", "t", "--match", "needle").stderr
    assert "needle" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("turns", ["59-999999999", "999999999"])
def test_turns_beyond_the_end_cost_nothing(run: Command, told: Told, harbour: str, turns: str) -> None:
    """A range far beyond the last turn is answered at once: what is there is shown or goes, and a pin says what is missing."""
    assert [t["turn"] for t in told("show", harbour, "--turns", turns)] == [59, 60][: 2 * turns.startswith("59")]
    pinned = run("pin", harbour, turns)
    assert pinned.exit_code == 1
    assert "ends at turn 60" in pinned.stderr
    assert run("forget", harbour, "--turns", turns, "--dry-run").exit_code == (0 if turns.startswith("59") else 3)


def at_a_terminal(arguments: list[str], typed: str) -> tuple[int, str]:
    """Run the command with a terminal for stdin, stdout and stderr; its exit code and what was shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "optical_memory", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        code = process.wait(timeout=30)
    os.close(ours)
    return code, shown.decode(errors="replace")


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "code", "role"), [("y\n", 0, "forgotten"), ("n\n", 6, "assistant")])
def test_at_a_terminal_forget_asks(told: Told, harbour: str, database: Path, typed: str, code: int, role: str) -> None:
    """The question names what goes; yes does it, no leaves everything."""
    done, shown = at_a_terminal(["forget", "harbour", "--turns", "2", "--db", str(database)], typed)
    assert done == code, shown
    assert "1 turn (2;" in shown
    assert told("show", "harbour", "--turns", "2")[0]["role"] == role


@pytest.mark.slow
def test_a_terminal_gets_no_png(harbour: str, database: Path, page: int) -> None:
    """Binary to a terminal is refused with exit code 6."""
    done, shown = at_a_terminal(["page", "harbour", str(page), "-o", "-", "--db", str(database)], "")
    assert done == 6
    assert "-o FILE" in shown
    assert "PNG\r" not in shown


def test_a_step_that_removes_text_for_good_asks_first(run: Command, told: Callable[..., Any], tmp_path: Path) -> None:
    """With retain= a step may take text away, so it needs a yes; saying what would change needs none."""
    (tmp_path / "memory.toml").write_text(
        'model = "claude-opus-5"\nbudget = 2000\nretain = "vivid"\nkeep = ["turns", 2]\n'
    )
    run("import", write_lines(tmp_path / "t.jsonl", talk(30)), "--config", tmp_path / "memory.toml")
    assert told("decay", "t", "--dry-run")["changes"]
    refused = run("decay", "t")
    assert refused.exit_code == 6
    assert "for good" in refused.stderr
    assert not [t for t in told("show", "t") if t["purged"]]
    assert "is gone for good" in run("decay", "t", "--yes").stdout
    assert [t for t in told("show", "t") if t["purged"]]
