"""The command `view`: it prints a link that opens, serves until it is interrupted, and says what is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from http.cookiejar import CookieJar

import pytest
from typer.testing import CliRunner

from optical_memory.inspection.cli import app
from optical_memory.inspection.web.serve import bound

PROGRAM = [sys.executable, "-m", "optical_memory", "view", "--no-open"]


def started(database, *options: str) -> tuple[subprocess.Popen, str]:
    """The command at work, and the link that it printed."""
    environ = {**os.environ, "OPTICAL_MEMORY_DB": str(database), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*PROGRAM, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    )
    return process, process.stdout.readline().strip()


@pytest.mark.slow
def test_the_printed_link_opens_the_threads(database):
    """One line on stdout is the link; it gives the cookie with which the threads are shown; Ctrl+C ends it quietly."""
    process, link = started(database)
    try:
        assert link.startswith("http://127.0.0.1:")
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        assert browser.open(link, timeout=20).status == 200
        with browser.open(link.split("/enter")[0] + "/", timeout=20) as page:
            assert "harbour" in page.read().decode()
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert "Traceback" not in said
    assert "once" in said


def test_a_host_beyond_this_machine_is_warned_of_and_a_taken_port_is_said(database):
    """--host prints a warning; a port that is in use ends with a sentence and the code for a wrong setting."""
    with bound("0.0.0.0", None) as listener:
        port = str(listener.getsockname()[1])
        done = CliRunner().invoke(
            app, ["view", "--no-open", "--host", "0.0.0.0", "--port", port, "--db", str(database)]
        )
    assert done.exit_code == 2
    assert "warning: 0.0.0.0 can be reached from other machines" in done.stderr
    assert port in done.stderr


def test_without_the_extra_the_command_says_what_to_install(tmp_path):
    """No Starlette: one line with the package to type, and no traceback."""
    (tmp_path / "starlette.py").write_text("raise ImportError('no starlette')")
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}"}
    done = subprocess.run(
        [*PROGRAM, "--db", "x.db"], capture_output=True, text=True, env=environ, timeout=60, check=False
    )
    assert done.returncode == 1
    assert 'pip install "optical-memory[web]"' in done.stderr
    assert "Traceback" not in done.stderr
