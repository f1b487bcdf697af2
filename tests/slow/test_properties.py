"""The properties of a context over many more threads and configurations than the fast run takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_properties", "test_retain", "test_retain_random", "test_clock"])
def test_the_properties_hold_for_many_more_examples(name):
    """The same tests, a hundred examples each."""
    file = Path(__file__).parents[1] / "memory" / f"{name}.py"
    environment = os.environ | {"OPTICAL_MEMORY_EXAMPLES": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "slow or not slow", str(file)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=file.parents[2],
    )
    assert done.returncode == 0, done.stdout[-4_000:]
