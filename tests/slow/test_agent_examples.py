"""Every example that concerns agents runs without a key and prints what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str) -> str:
    command, paths = [sys.executable, EXAMPLES / name], os.pathsep.join([*sys.path, str(EXAMPLES.parent)])
    environment = os.environ | {"PYTHONPATH": paths}
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
    """What was said on the fourth day stands before the question."""
    assert "Recalled by itself: True" in run("months.py")


@pytest.mark.slow
def test_a_deep_agent_finds_the_pump():
    """deepagents with the memory in the place of its summarisation."""
    pytest.importorskip("deepagents", reason="pip install deepagents")
    assert "pump K7-31 was replaced" in run("deep_agent.py")
