"""Each kind of failure has its exit code, a message that says what to do next, and leaves the database as it was."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.inspection.conftest import Command, write_lines

Told = Callable[..., Any]


def change(database: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(statement, values)
        connection.commit()


@pytest.mark.parametrize(
    "arguments", [["threads"], ["show", "t"], ["stats"], ["forget", "t", "--yes"], ["pin", "t", "1"], ["db", "check"]]
)
def test_a_missing_database_is_not_made_by_looking_for_it(run: Command, tmp_path: Path, arguments: list[str]) -> None:
    """Exit code 3, and no file appears."""
    result = run(*arguments)
    assert result.exit_code == 3
    assert "optical-memory import" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        "show harbor", "context harbor", "page harbor 1", "search x --thread harbor", "explain harbor", "decay harbor",
        "pin harbor 1", "forget harbor --yes", "stats harbor",
    ],
)  # fmt: skip
def test_a_missing_thread_is_named_with_near_ones(run: Command, harbour: str, line: str) -> None:
    """Exit code 3 and a suggestion."""
    result = run(*line.split())
    assert result.exit_code == 3
    assert "did you mean 'harbour'?" in result.stderr


def test_a_thread_whose_name_is_spelt_nearly_so_is_suggested(run: Command, harbour: str) -> None:
    """A letter that lacks, at the beginning too."""
    for name in ("habour", "arbour", "harbuor"):
        assert "did you mean 'harbour'?" in run("show", name).stderr


@pytest.mark.parametrize("arguments", [["threads"], ["db", "check"], ["db", "upgrade"], ["doctor"]])
def test_a_folder_is_no_database(run: Command, tmp_path: Path, arguments: list[str]) -> None:
    """Exit code 2; a file in it is proposed, and nothing is written beside it."""
    result = run(*arguments, db=tmp_path)
    assert result.exit_code == 2
    assert f"{tmp_path} is a folder: give a file in it, such as {tmp_path / 'memory.db'}" in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert not tmp_path.with_name(f"{tmp_path.name}.lock").exists()


@pytest.mark.slow
def test_the_viewer_refuses_what_can_be_no_database(tmp_path: Path) -> None:
    """Before it prints a link, not in the browser."""
    for db in (tmp_path, "mysql://host/base"):
        command = [sys.executable, "-m", "optical_memory", "view", "--no-open", "--db", str(db)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert done.stdout == ""


def test_looking_into_a_database_that_names_no_file_says_so(run: Command) -> None:
    """There can be nothing in it, and no upgrade helps."""
    result = run("threads", db="sqlite://")
    assert result.exit_code == 3
    assert "--db" in result.stderr


def test_a_missing_page_is_named_with_those_that_exist(run: Command, harbour: str) -> None:
    """Exit code 3 and the range of pages."""
    result = run("page", "harbour", "999")
    assert result.exit_code == 3
    assert "its pages are " in result.stderr


def test_a_database_of_another_version_is_left_alone(run: Command, harbour: str, database: Path) -> None:
    """Exit code 4 for reading and for writing, and the command to run is named."""
    change(database, "UPDATE alembic_version SET version_num = '9999'")
    for arguments in (["threads"], ["decay", "harbour"], ["db", "check"]):
        result = run(*arguments)
        assert result.exit_code == 4, arguments
        assert "9999" in result.stderr
    assert run("db", "current").exit_code == 0


def test_a_changed_image_is_found(run: Command, told: Told, harbour: str, database: Path) -> None:
    """db check names the damaged image, with exit code 5; the text is unharmed."""
    change(database, "UPDATE image SET png = zeroblob(length(png)) WHERE view_id = (SELECT min(view_id) FROM image)")
    result = run("db", "check")
    assert result.exit_code == 5
    assert "damaged" in result.stdout
    assert len(told("show", "harbour")) == 60


def test_a_file_that_is_no_database_is_named(run: Command, database: Path) -> None:
    """Exit code 1, or 5 from the check; the file is as it was."""
    database.write_bytes(b"no database at all, but long enough to be looked at" * 40)
    before = database.read_bytes()
    assert run("threads").exit_code == 1
    assert run("db", "check").exit_code == 5
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [["show", "harbour", "--turns", "x"], ["pin", "harbour", "0"], ["forget", "harbour", "--before", "soon"],
                  ["page", "harbour", "1", "--tier", "blurred"], ["decay", "harbour", "--undo", "--dry-run"], ["no-such-command"],
                  ["context", "harbour", "--budget", "0"]]
)  # fmt: skip
def test_wrong_usage_is_told_apart(run: Command, harbour: str, arguments: list[str]) -> None:
    """Exit code 2."""
    assert run(*arguments).exit_code == 2


def test_a_budget_that_cannot_be_kept_names_its_numbers(run: Command, tmp_path: Path) -> None:
    """Exit code 1, with what is needed."""
    run("import", write_lines(tmp_path / "long.jsonl", [{"role": "user", "content": "a long request " * 200}]))
    result = run("context", "long", "--model", "claude-opus-5", "--budget", "20")
    assert result.exit_code == 1
    assert "the budget is 20" in result.stderr


def test_a_password_is_never_printed(run: Command) -> None:
    """Whatever goes wrong with a server, its password stays out of the output."""
    result = run("threads", db="postgresql://me:hushhush@127.0.0.1:1/none?connect_timeout=1")
    assert result.exit_code == 1
    assert "hushhush" not in result.output


def test_the_database_may_come_from_the_environment(run: Command, harbour: str, database: Path) -> None:
    """OPTICAL_MEMORY_DB stands for --db."""
    result = run("threads", db=None, env={"OPTICAL_MEMORY_DB": str(database)})
    assert "harbour" in result.stdout


@pytest.mark.slow
def test_an_interrupted_command_says_so(tmp_path: Path) -> None:
    """Exit code 130, without a traceback, and nothing of the file is stored."""
    pipe = tmp_path / "talk.jsonl"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "optical_memory", "import", str(pipe), "--db", str(tmp_path / "memory.db")]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        pipe.open("w") as file,  # opens when the command has begun to read
    ):
        file.write('{"role": "user", "content": "x"}\n')
        file.flush()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=30)
    assert process.returncode == 130, shown
    assert "Traceback" not in shown


def test_help_loads_nothing_heavy() -> None:
    """Completion and --help must be quick: the database, LangChain, Pillow and Rich come with the command that needs them."""
    heavy = "{'sqlalchemy', 'alembic', 'PIL', 'numpy', 'langchain_core', 'langchain', 'rich.table', 'pydantic'}"
    code = f"import sys; import optical_memory.inspection.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
