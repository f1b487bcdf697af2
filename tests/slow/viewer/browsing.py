"""A viewer that runs, and a window of a browser that looks at it, for the tests that drive the one with the other."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from optical_memory.inspection.web import make_app

SLOWER = int(os.environ.get("OPTICAL_MEMORY_SLOWER", "1"))  # how many times slower Chromium is made to run


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


def press_until(page: Any, selector: str, most: int = 120) -> None:
    """Tab until this element has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with the keyboard")
