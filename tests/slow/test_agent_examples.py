"""Every example runs without a key and prints what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slow.postgres import database

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, **settings: str) -> str:
    command, paths = [sys.executable, EXAMPLES / name], os.pathsep.join([*sys.path, str(EXAMPLES.parent)])
    environment = {k: v for k, v in os.environ.items() if k != "OPTICAL_MEMORY_DB"} | {"PYTHONPATH": paths} | settings
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


PROMISED = {
    # the docstring of textwrap.indent comes back word for word, after eleven other modules
    "agent.py": ("Adds 'prefix' to the beginning of selected lines in 'text'.", "Turns by tier"),
    # a fact from the first message, by the tool, in a graph of one's own
    "custom_graph.py": ("14 June at 06:40, berth C7",),
    # images in OpenAI's and in Anthropic's form, and a recall
    "plain_loop.py": ("images came in OpenAI's form", "images came in Anthropic's form", "bed 7 was watered"),
    # the copy goes on by itself, and the first one is gone
    "threads.py": ("('final', 8)", "6 turns forgotten; left: [('final', 8)]"),
    # what was said on the fourth day stands before the question, and the model answers with it
    "months.py": ("Recalled by itself: turns [(", "To Storgata 114."),
    # what the model pinned is in its sight 120 turns later; the mail addresses of the talk are nowhere in the database
    "support.py": ("you asked us never to call", "Pinned turns: [1] of 125", "Addresses in the database: 0"),
    # twelve threads at once on SQLite
    "server.py": ("12 of 12 guests got their own room back.\n12 threads on sqlite.",),
    # deepagents with the memory in the place of its summarisation
    "deep_agent.py": ("pump K7-31 was replaced",),
}


@pytest.mark.parametrize("name", PROMISED)
def test_an_example_prints_what_it_promises(name):
    """Word for word, in one process of its own."""
    if name == "deep_agent.py":
        pytest.importorskip("deepagents", reason="pip install deepagents")
    told = run(name)
    assert [line for line in PROMISED[name] if line not in told] == []
    assert " 0 images" not in told


def test_observing_prices_both_ways():
    """The memory in charge would have sent fewer tokens; nothing was changed."""
    sent, instead = (
        int(line.rsplit(":", 1)[1].split()[0].strip(".").replace(",", "")) for line in run("observe.py").splitlines()
    )
    assert instead < sent


def test_the_server_runs_on_postgresql(postgresql):
    """The same program with another URL."""
    with database(postgresql) as url:
        assert "12 of 12 guests" in run("server.py", OPTICAL_MEMORY_DB=url)


def test_every_example_is_run_here():
    """A new example without a test is found."""
    assert {file.name for file in EXAMPLES.glob("*.py")} - {"scripted.py"} == {*PROMISED, "observe.py"}
