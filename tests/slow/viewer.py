"""A viewer that runs and a real Chromium that looks at it, for the tests that drive the one with the other."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.inspection.web import make_app
from tests.inspection.conftest import BUDGET, MODEL, talk
from tests.web.test_hostile import ATTACKS, NAME

sync_api = pytest.importorskip("playwright.sync_api", reason='pip install "optical-memory[browser]"')
uvicorn = pytest.importorskip("uvicorn", reason='pip install "optical-memory[web]"')
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("apt-get install chromium fonts-dejavu-core", allow_module_level=True)

expect = sync_api.expect
expect.set_options(timeout=30_000)  # a slow machine is no failure: no test here is about speed
ARGS = [
    "--no-sandbox",  # tests may run as root
    "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--host-resolver-rules=MAP rebind.example 127.0.0.1, MAP evil.example 127.0.0.1",
]  # fmt: skip
SLOWER = int(os.environ.get("OPTICAL_MEMORY_SLOWER", "1"))  # how many times slower Chromium is made to run
THREAD = "harbour"


class Viewer:
    """A viewer that runs, and what it answered: (method, path, status)."""

    def __init__(self, db: Path, **options: bool) -> None:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.gate = make_app(str(db), hosts={f"127.0.0.1:{self.port}"}, port=self.port, **options)
        self.answered: list[tuple[str, str, int]] = []
        config = uvicorn.Config(self._noting, log_level="error", lifespan="off", ws="none", interface="asgi3")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    async def _noting(self, scope, receive, send) -> None:
        async def noted(message):
            if message["type"] == "http.response.start":
                self.answered.append((scope["method"], scope["path"], message["status"]))
            await send(message)

        await self.gate(scope, receive, noted)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.gate.close()
        self.listener.close()


class Window:
    """A page of the browser: what went wrong in it and whom it asked."""

    def __init__(self, browser: Any, viewer: Viewer, **options: Any) -> None:
        self.viewer = viewer
        self.context = browser.new_context(**({"viewport": {"width": 1200, "height": 900}} | options))
        self.page = self.context.new_page()
        if SLOWER > 1:
            told = {"rate": SLOWER}
            self.context.new_cdp_session(self.page).send("Emulation.setCPUThrottlingRate", told)
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("dialog", lambda d: (self.errors.append(f"dialog {d.message}"), d.dismiss()))
        self.page.on("request", lambda r: self.asked.append(r.url))

    def enter(self) -> Window:
        self.viewer.gate.token = self.viewer.gate.token or "again"
        self.page.goto(f"{self.viewer.base}/enter?token={self.viewer.gate.token}")
        self.page.wait_for_url(self.viewer.base + "/")
        return self

    def go(self, path: str):
        return self.page.goto(self.viewer.base + path)

    def clean(self) -> None:
        """Nothing was logged, and nobody but the viewer was asked."""
        assert self.errors == []
        assert {u for u in self.asked if not u.startswith(self.viewer.base + "/")} == set()

    def posted(self) -> list[str]:
        """The paths of all changes that were asked for."""
        return [path for method, path, _ in self.viewer.answered if method == "POST"]


@contextmanager
def running(db: Path, **options: bool) -> Iterator[Viewer]:
    """A viewer of a database, for as long as the block lasts."""
    started = Viewer(db, **options)
    try:
        yield started
    finally:
        started.stop()


@contextmanager
def entered(browser: Any, viewer: Viewer, **options: Any) -> Iterator[Window]:
    """A window that has come in by the link."""
    made = Window(browser, viewer, **options).enter()
    try:
        yield made
    finally:
        made.context.close()


# --------------------------------------------------------------------------------------------- fixtures


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests of a file."""
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGS)
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
def viewer(database: Path) -> Iterator[Viewer]:
    """A viewer of this test's own copy."""
    with running(database) as started:
        yield started


@pytest.fixture
def window(browser: Any, viewer: Viewer) -> Iterator[Window]:
    """A window of this test's own viewer."""
    with entered(browser, viewer) as made:
        yield made


@pytest.fixture
def memory(database: Path) -> Iterator[OpticalMemory]:
    """The same database as its agent has it."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET) as opened:
        yield opened


def press_until(page: Any, selector: str, most: int = 120) -> None:
    """Tab until this element has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with the keyboard")
