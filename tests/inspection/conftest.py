"""A command line on real SQLite files, and a conversation long enough to fade."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import alembic.config  # noqa: F401  (it keeps the stdout of its first import for good; the runner's is closed after a test)
import pytest
from typer.testing import CliRunner, Result

from optical_memory import OpticalMemory
from optical_memory.inspection.cli import app

MODEL, BUDGET = "claude-opus-5", 4_000
Command = Callable[..., Result]


def talk(turns: int) -> list[dict[str, Any]]:
    """A conversation of a user, an assistant and a tool; every third turn is one call with its result."""
    out: list[dict[str, Any]] = []
    for n in range(turns):
        at = f"2026-01-{1 + n // 24:02d}T{n % 24:02d}:00:00Z"
        if n % 3 == 0:
            out.append({"role": "user", "content": f"Please look at order {n} of the harbour.", "created_at": at})
        elif n % 3 == 1:
            call = {"id": f"c{n}", "type": "function", "function": {"name": "look", "arguments": f'{{"order": {n}}}'}}
            out.append({"role": "assistant", "content": None, "tool_calls": [call], "created_at": at})
            rows = [
                f'{{"order": {n}, "row": {r}, "crate": "CR-{n:03d}-{r:02d}", "weight_kg": {r * 7}}}' for r in range(12)
            ]
            out.append({"role": "tool", "tool_call_id": f"c{n}", "content": "\n".join(rows)})
        else:
            told = f"Order {n - 2} has twelve crates, CR-{n - 1:03d}-00 is the first."
            out.append({"role": "assistant", "content": told, "created_at": at})
    return out


def write_lines(path: Path, messages: list[Any]) -> Path:
    """A JSON Lines file."""
    path.write_text("".join(json.dumps(m) + "\n" for m in messages), encoding="utf-8")
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def run(database: Path) -> Command:
    """Run a command on the database; `--db` is added."""

    def call(*arguments: object, db: object = database, **options: Any) -> Result:
        given = [str(a) for a in arguments]
        where = ["--db", str(db)] if db is not None else []
        return CliRunner().invoke(app, [*given, *where], **options)

    return call


@pytest.fixture
def told(run: Command) -> Callable[..., Any]:
    """Run a command with --json and read its one document."""

    def call(*arguments: object) -> Any:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return call


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the thread `harbour`: 60 turns, far larger than its budget, and a step taken."""
    place = tmp_path_factory.mktemp("template")
    file = write_lines(place / "harbour.jsonl", talk(60))
    arguments = ["import", str(file), "--model", MODEL, "--budget", str(BUDGET)]
    for given in (arguments, ["decay", "harbour"]):
        done = CliRunner().invoke(app, [*given, "--db", str(place / "template.db")])
        assert done.exit_code == 0, done.output
    return place / "template.db"


@pytest.fixture
def harbour(template: Path, database: Path) -> str:
    """The thread `harbour` in this test's own database."""
    shutil.copyfile(template, database)
    return "harbour"


@pytest.fixture
def page(harbour: str, database: Path) -> int:
    """The number of a page of the thread `harbour` that is shown as an image."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET, read_only=True) as memory:
        return memory.pages(harbour)[0].number
