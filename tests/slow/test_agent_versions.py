"""The oldest LangChain that pyproject.toml allows: the tests of agents pass with it too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def floors() -> list[str]:
    """The lower ends of the version ranges, such as "langchain-core==1.4.0"."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["agents"]]
    found = [re.match(r"(langchain(?:-core)?)>=([\d.]+)", line) for line in asked]
    return [f"{m[1]}=={m[2]}{'.0' * (2 - m[2].count('.'))}" for m in found if m]


def run(*command: str | Path, **more: str) -> str:
    done = subprocess.run(
        [str(c) for c in command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env=os.environ | more,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4_000:]
    return done.stdout


@pytest.mark.slow
def test_the_tests_of_agents_pass_at_the_lower_end_of_the_range(tmp_path):
    """A new environment with the floors of langchain-core and langchain."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("a new environment needs pip")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", f"{ROOT}[test]", *floors())
    told = run(
        python,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "tests/langchain",
        "-W",
        "ignore::DeprecationWarning",
        PYTHONPATH=str(ROOT),
    )
    assert "passed" in told
    assert "failed" not in told
