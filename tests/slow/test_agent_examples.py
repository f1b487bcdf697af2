"""Every example that concerns agents runs without a key and prints what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slow.postgres import cluster

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, **settings: str) -> str:
    command, paths = [sys.executable, EXAMPLES / name], os.pathsep.join([*sys.path, str(EXAMPLES.parent)])
    environment = {k: v for k, v in os.environ.items() if k != "OPTICAL_MEMORY_DB"} | {"PYTHONPATH": paths} | settings
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_agent_quotes_a_module_that_it_read_first():
    """The docstring of textwrap.indent comes back word for word, after eleven other modules."""
    told = run("agent.py")
    assert "Adds 'prefix' to the beginning of selected lines in 'text'." in told
    assert "Turns by tier" in told


@pytest.mark.slow
def test_the_custom_graph_finds_the_boat():
    """A fact from the first message, by the tool, in a graph of one's own."""
    assert "14 June at 06:40, berth C7" in run("custom_graph.py")


@pytest.mark.slow
def test_the_plain_loop_speaks_both_forms():
    """Images in OpenAI's and in Anthropic's form, and a recall."""
    told = run("plain_loop.py")
    assert "images came in OpenAI's form" in told
    assert "images came in Anthropic's form" in told
    assert " 0 images" not in told
    assert "bed 7 was watered" in told


@pytest.mark.slow
def test_observing_prices_both_ways():
    """The memory in charge would have sent fewer tokens; nothing was changed."""
    sent, instead = (
        int(line.rsplit(":", 1)[1].split()[0].strip(".").replace(",", "")) for line in run("observe.py").splitlines()
    )
    assert instead < sent


@pytest.mark.slow
def test_threads_are_copied_and_forgotten_on_both_sides():
    """The copy goes on by itself, and the first one is gone."""
    told = run("threads.py")
    assert "('final', 8)" in told
    assert "6 turns forgotten; left: [('final', 8)]" in told


@pytest.mark.slow
def test_a_diary_of_months_brings_an_address_back_by_itself():
    """What was said on the fourth day stands before the question, and the model answers with it."""
    told = run("months.py")
    assert "Recalled by itself: turns [(" in told
    assert "To Storgata 114." in told


@pytest.mark.slow
def test_a_support_desk_keeps_a_wish_and_no_addresses():
    """What the model pinned is in its sight 120 turns later; the mail addresses of the talk are nowhere in the database."""
    told = run("support.py")
    assert "you asked us never to call" in told
    assert "Pinned turns: [1] of 125" in told
    assert "Addresses in the database: 0" in told


@pytest.mark.slow
def test_guests_on_one_server_get_their_own_rooms_back():
    """Twelve threads at once on SQLite."""
    assert "12 of 12 guests got their own room back.\n12 threads on sqlite." in run("server.py")


@pytest.mark.slow
def test_the_server_runs_on_postgresql():
    """The same program with another URL."""
    with cluster() as url:
        assert "12 of 12 guests" in run("server.py", OPTICAL_MEMORY_DB=url)


@pytest.mark.slow
def test_every_example_is_run_here():
    """A new example without a test is found."""
    there = {file.name for file in EXAMPLES.glob("*.py")} - {"scripted.py"}
    assert there == set(re.findall(r'run\("(\w+\.py)"', Path(__file__).read_text("utf-8")))


@pytest.mark.slow
def test_a_deep_agent_finds_the_pump():
    """deepagents with the memory in the place of its summarisation."""
    pytest.importorskip("deepagents", reason="pip install deepagents")
    assert "pump K7-31 was replaced" in run("deep_agent.py")
