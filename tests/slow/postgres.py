"""A PostgreSQL server of our own for a test run, where one is installed; everything of it is thrown away."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

_QUICK = "-c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
_fresh = count()


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """The URL of a fresh server that listens on a socket only; skips where there is no PostgreSQL."""
    pytest.importorskip("psycopg")
    tools = _tools()
    folder = Path(tempfile.mkdtemp(prefix="optical-memory-"))  # a socket's path has an upper length
    as_owner = _owner(folder)
    try:
        _run([tools / "initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-N"], as_owner)
        start = [
            tools / "pg_ctl",
            "-D",
            folder / "data",
            "-w",
            "-l",
            folder / "log",
            "-o",
            f"-k {folder} {_QUICK}",
            "start",
        ]
        _run(start, as_owner)
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            _run([tools / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop"], as_owner)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def database(server: str, template: str = "template1") -> Iterator[str]:
    """The URL of a new database on the server, empty or as the template is; it is dropped before most of it is on the disk."""
    name = f"memory_{next(_fresh)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield server.replace("/postgres?", f"/{name}?")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        engine.dispose()


def _tools() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    if not found[-1].is_file():
        pytest.skip("PostgreSQL is not installed")
    return found[-1].parent


def _owner(folder: Path) -> dict[str, str]:
    """The server refuses to run as root: hand it to its own user then."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "postgres", "postgres")
    return {"user": "postgres", "group": "postgres"}


def _run(command: list[str | Path], as_owner: dict[str, str]) -> None:
    subprocess.run(
        [str(part) for part in command],
        check=True,
        cwd="/",
        stdout=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        **as_owner,  # type: ignore[call-overload]
    )
