"""A database whose turns have faded, and a viewer of it that was entered with its link."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from optical_memory import OpticalMemory
from optical_memory.inspection.web import make_app
from optical_memory.inspection.web.security import Gate
from tests.inspection.conftest import BUDGET, MODEL, talk

HOST = "127.0.0.1:8000"
BASE = f"http://{HOST}"
POSTING = {"origin": BASE, "sec-fetch-site": "same-origin", "optical-memory": "test"}
THREAD = "harbour"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the thread `harbour`: 60 turns, far larger than its budget, and a step taken."""
    file = tmp_path_factory.mktemp("viewer") / "template.db"
    with OpticalMemory(file, model=MODEL, budget=BUDGET) as memory:
        memory.remember(THREAD, talk(60))
        memory.context(THREAD)
    return file


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Path:
    """This test's own copy of it."""
    return Path(shutil.copyfile(template, tmp_path / "memory.db"))


def entered(gate: Gate) -> TestClient:
    """A client that has used the link and holds the cookie."""
    client = TestClient(gate, base_url=BASE, raise_server_exceptions=False)
    assert client.get(f"/enter?token={gate.token}").status_code == 200
    return client


View = Callable[..., TestClient]


@pytest.fixture
def view() -> Iterator[View]:
    """Make a viewer of a database, entered; it is closed after the test."""
    made: list[Gate] = []

    def enter(db: object, **options: Any) -> TestClient:
        made.append(make_app(str(db), hosts={HOST}, port=8000, **options))
        return entered(made[-1])

    yield enter
    for gate in made:
        gate.close()


@pytest.fixture(scope="session")
def shared(template: Path) -> Iterator[TestClient]:
    """A viewer that nobody changes anything through."""
    gate = make_app(str(template), hosts={HOST}, port=8000)
    yield entered(gate)
    gate.close()


@pytest.fixture
def client(database: Path, view: View) -> TestClient:
    """A viewer of the faded database."""
    return view(database)


@pytest.fixture
def memory(database: Path) -> Iterator[OpticalMemory]:
    """The same database as its agent has it."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET) as opened:
        yield opened


@pytest.fixture
def drawn(memory: OpticalMemory) -> int:
    """A turn on a page that is shown as an image."""
    return next(t.number for t in memory.turns(THREAD) if t.tier in ("vivid", "clear", "dense"))
