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
