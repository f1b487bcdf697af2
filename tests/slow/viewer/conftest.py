"""Chromium, and viewers for it to look at: one that all tests of a file share, and one of a test's own to change things with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from tests.inspection.conftest import BUDGET, MODEL, talk
from tests.slow.viewer.browsing import Viewer, Window, entered, running
from tests.web.conftest import THREAD
from tests.web.test_hostile import ATTACKS, NAME

ARGS = [
    "--no-sandbox",  # tests may run as root
    "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--host-resolver-rules=MAP rebind.example 127.0.0.1, MAP evil.example 127.0.0.1",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests of a file."""
    sync_api = pytest.importorskip("playwright.sync_api", reason='pip install "optical-memory[browser]"')
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("apt-get install chromium fonts-dejavu-core")
    sync_api.expect.set_options(timeout=30_000)  # a slow machine is no failure: no test here is about speed
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, headless=True, args=ARGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A faded thread, and one whose name and every text is an attack."""
    file = tmp_path_factory.mktemp("viewer") / "template.db"
    with OpticalMemory(file, model=MODEL, budget=BUDGET) as memory:
        memory.remember(THREAD, talk(60))
        context = memory.project([], thread=THREAD)
        tokens = context.tokens
        memory.observe({"input_tokens": tokens, "output_tokens": 9, "total_tokens": tokens + 9}, context)
        memory.remember(NAME, [("user" if n % 2 else "assistant", f"{a} {n}") for n, a in enumerate(ATTACKS)])
        memory.context(NAME)
    return file


@pytest.fixture(scope="module")
def shared(template: Path) -> Iterator[Viewer]:
    """A viewer for those who only look."""
    with running(template) as viewer:
        yield viewer


@pytest.fixture
def looking(browser: Any, shared: Viewer) -> Iterator[Window]:
    """A window of the shared viewer."""
    with entered(browser, shared) as made:
        yield made


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Path:
    """This test's own copy."""
    return Path(shutil.copyfile(template, tmp_path / "memory.db"))


@pytest.fixture
def window(browser: Any, database: Path) -> Iterator[Window]:
    """A window of a viewer of this test's own copy."""
    with running(database) as viewer, entered(browser, viewer) as made:
        yield made


@pytest.fixture
def memory(database: Path) -> Iterator[OpticalMemory]:
    """The same database as its agent has it."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET) as opened:
        yield opened
