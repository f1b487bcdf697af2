"""Every command that speaks JSON, with arguments that bring out what it can say; see `schemas`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from optical_memory import OpticalMemory
from optical_memory.inspection.cli import app
from tests.inspection.conftest import BUDGET, MODEL, talk, write_lines

T = "harbour"
COMMANDS: dict[str, list[list[str]]] = {
    "threads": [["threads"], ["threads", "--branches"]],
    "show": [["show", T], ["show", "side", "--branch", "2"]],
    "context": [["context", T], ["context", T, "--budget", "2500", "--query", "crate CR-001-03"]],
    "page": [["page", T, "PAGE"]],
    "page-after": [["page", T, "PAGE", "--after", "0"], ["page", T, "PAGE", "--after", "5000"]],
    "search": [["search", "crates"], ["search", '"CR-001-03"', "--thread", T, "--readable"]],
    "stats": [["stats"], ["stats", T]],
    "explain": [["explain", T]],
    "diff": [["diff", T, "58-60"], ["diff", T, "FADED"]],
    "steps": [["steps", T]],
    "ledger": [["ledger", T]],
    "simulate": [["simulate", T]],
    "decay": [["decay", T, "--dry-run"], ["decay", T]],
    "forget": [["forget", T, "--turns", "1", "--dry-run"]],
    "pin": [["pin", T, "5"]],
    "unpin": [["unpin", T, "5"]],
    "export": [["export", T, "OUT"]],
    "import": [["import", "OUT", "--thread", "again"], ["import", "FILE"]],
    "undo": [["undo", T]],
    "doctor": [["doctor"]],
    "db-current": [["db", "current"]],
    "db-check": [["db", "check"]],
    "db-stats": [["db", "stats"]],
    "db-upgrade": [["db", "upgrade"]],
    "db-vacuum": [["db", "vacuum"]],
    "db-backup": [["db", "backup", "COPY"]],
    "db-downgrade": [["db", "downgrade", "base", "--yes"]],
}  # fmt: skip


def outputs(place: Path, names: list[str] | None = None) -> dict[str, list[Any]]:
    """What each command says, in order, over one database in a folder."""
    run = _prepared(place)
    return {name: [run(a) for a in COMMANDS[name]] for name in names or COMMANDS}


def _prepared(place: Path) -> Callable[[list[str]], Any]:
    """A way to run commands on a thread with pages, calls, a branch and a pin."""
    db = place / "memory.db"
    with OpticalMemory(db, model=MODEL, budget=BUDGET) as memory:
        memory.remember(T, talk(60))
        memory.project([{"role": "user", "content": "And now?", "id": "now"}], thread=T)
        memory.remember("side", talk(6))
        memory.remember("side", [*talk(4), {"role": "user", "content": "No, another one."}])
        page = memory.pages(T)[0]
    words = {
        "PAGE": str(page.number), "FADED": str(page.turns[0]), "OUT": str(place / "out"), "COPY": str(place / "copy.db"),
        "FILE": str(write_lines(place / "more.jsonl", talk(3))),
    }  # fmt: skip

    def run(arguments: list[str]) -> Any:
        given = [words.get(a, a) for a in arguments]
        done = CliRunner().invoke(app, [*given, "--json", "--db", str(db)])
        assert done.exit_code == 0, (given, done.output, done.exception)
        return json.loads(done.stdout)

    return run


if __name__ == "__main__":
    from tests.inspection.schemas import write

    with tempfile.TemporaryDirectory() as folder:
        for command, said in outputs(Path(folder)).items():
            write(command, said)
