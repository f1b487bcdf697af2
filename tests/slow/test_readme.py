"""The two commands of the README do all the set-up on a fresh machine, and nothing else is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def commands() -> list[str]:
    """The shell lines of the README's first screen: the demo, then the tests."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def fresh_clone(to: Path) -> Path:
    """What is committed, and nothing that lies around it."""
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(to)], check=True)
    return to


def run(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell that knows nothing of this environment."""
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "OPTICAL_MEMORY_DB", "PYTEST_ADDOPTS"}
    environ = {k: v for k, v in os.environ.items() if k not in ours}
    return subprocess.run(
        ["bash", "-c", command], cwd=place, env=environ, text=True, capture_output=True, timeout=900, check=False
    )


def built(tmp_path: Path) -> Path:
    """A wheel of a fresh clone, which is gone afterwards, made in the environment `made`."""
    place = fresh_clone(tmp_path / "clone")
    done = run(
        f"python3 -m venv {tmp_path}/made && {tmp_path}/made/bin/pip wheel -q --no-deps -w {tmp_path}/wheel .", place
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(place)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    return wheel


def test_the_readme_has_exactly_two_commands_of_one_line_each() -> None:
    """One runs the demo, one runs the fast tests; whoever reads the first screen needs no third."""
    demo, tests = commands()
    assert "optical-memory demo" in demo
    assert "pytest" in tests


def test_the_first_command_shows_the_demo_on_a_fresh_machine(tmp_path: Path) -> None:
    """A clone and a new virtual environment are enough to reach a page of one's own to look at."""
    place = fresh_clone(tmp_path / "clone")
    done = run(commands()[0], place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The next model call" in done.stdout
    assert "checked: this machine has it so" in done.stdout
    assert (place / "optical-memory-demo" / "report.html").stat().st_size > 100_000
    assert list((place / "optical-memory-demo" / "next-call").glob("*.png"))


def test_the_second_command_runs_the_fast_tests_on_a_fresh_machine(tmp_path: Path) -> None:
    """A clone and a new virtual environment are enough to run the fast tests, and they pass."""
    place = fresh_clone(tmp_path / "clone")
    done = run(commands()[1], place)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    assert re.search(r"\d+ passed", done.stdout)


def test_the_wheel_works_with_the_source_tree_gone(tmp_path: Path) -> None:
    """What is built and installed elsewhere brings its migrations and glyphs: it remembers, draws and shows."""
    wheel = built(tmp_path)
    (tmp_path / "talk.jsonl").write_text('{"role": "user", "content": "hello"}\n', encoding="utf-8")
    (tmp_path / "draw.py").write_text(DRAW, encoding="utf-8")
    there = f"{tmp_path}/made/bin"
    done = run(
        f"{there}/pip install -q {wheel} && {there}/optical-memory import talk.jsonl --db memory.db"
        f" && {there}/optical-memory db check --db memory.db && {there}/python draw.py",
        tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sound" in done.stdout
    assert "drawn" in done.stdout


DRAW = """
from optical_memory import OpticalMemory
memory = OpticalMemory("memory.db", model="claude-opus-5", budget=3_000, keep=("turns", 2))
talk = [{"role": "user" if n % 2 == 0 else "assistant", "content": f"{n} a sentence of words to draw " * 60} for n in range(40)]
memory.remember("long", talk)
context = memory.context("long")
assert context.tokens <= 3_000
assert memory.pages("long", tier="vivid")[0].png.startswith(b"\\x89PNG")
print("drawn")
"""
