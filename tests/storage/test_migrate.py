"""There is one road to the schema, and everyone takes it."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import optical_memory.storage.care as care
from optical_memory.errors import LockedError, StoreError
from optical_memory.storage import Store
from optical_memory.storage.migrate import alembic_config, current, folder
from optical_memory.storage.schema import HEAD, REVISIONS, metadata

from .makers import begun, texts

VERSIONS = folder() / "versions"


def test_the_first_use_makes_the_schema_and_the_second_finds_it(tmp_path: Path) -> None:
    """revision() looks without making anything."""
    store = Store(str(tmp_path / "memory.db"))
    assert store.revision() == (None, HEAD)
    assert not (tmp_path / "memory.db").exists()
    store.upgrade()
    assert store.revision() == (HEAD, HEAD)
    store.close()
    again = Store(str(tmp_path / "memory.db"))
    begun(again, "a")
    again.close()


def test_the_migrations_make_exactly_the_tables_that_are_queried(store: Store) -> None:
    """No drift, the index of the full-text search left aside."""
    with store.write() as writer:
        connection = writer._connection
        command.check(alembic_config(connection))
        context = MigrationContext.configure(connection, opts={"include_name": _not_the_index})
        assert compare_metadata(context, metadata) == []


def _not_the_index(name: str | None, kind: str, parents: object) -> bool:
    return kind != "table" or not str(name).startswith("turn_fts")


def test_down_and_up_again_gives_the_same_schema(store: Store) -> None:
    """Every table goes and comes back."""
    with store.write() as writer:
        connection = writer._connection
        before = _schema(connection)
        command.downgrade(alembic_config(connection), "base")
        assert current(connection) is None
        assert set(sa.inspect(connection).get_table_names()) == {"alembic_version"}
        command.upgrade(alembic_config(connection), "head")
        assert _schema(connection) == before
    begun(store, "a")
    assert texts(store) == ["a"]


def test_a_file_of_the_first_schema_is_upgraded_with_all_that_is_in_it(store: Store) -> None:
    """And what it noted to be owed, in `user_version` then, is overwritten."""
    thread = begun(store, *(f"secret {n}" for n in range(50)))
    begun(store, "kept", key="other")
    with store.write() as writer:
        writer.forget_thread(thread.id)
    store.downgrade("0001")
    store.close()
    assert store.path is not None
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'erasure'").fetchall() == []
        connection.execute("PRAGMA user_version=1")
    again = Store(str(store.path))
    assert texts(again, key="other") == ["kept"]
    assert again.revision() == (HEAD, HEAD)
    with again.read() as reader:
        assert care.owed(reader._connection) == []
    again.close()


@pytest.mark.slow
def test_what_is_still_to_be_overwritten_is_so_before_an_older_schema_forgets_it(store: Store) -> None:
    """And where a reader is in the way, the schema stays."""
    assert store.path is not None
    begun(store, "secretneedle")
    other = Store(str(store.path))
    with other.read() as reader:
        assert reader.thread("trip") is not None
        with store.write() as writer:
            writer.forget_thread(1)
        with pytest.raises(LockedError, match="held by a reader"):
            store.downgrade("0001")
    other.close()
    assert store.revision()[0] == HEAD
    store.downgrade("0001")
    store.close()
    assert b"secretneedle" not in store.path.read_bytes()


def test_the_version_that_another_program_keeps_in_its_file_is_left_alone(tmp_path: Path) -> None:
    """SQLite has one `user_version` for a file; a memory may share the file of a program that counts its own schema in it."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.execute("PRAGMA user_version=7")
    store = Store(str(path))
    thread = begun(store, "a")
    with store.write() as writer:
        writer.forget_thread(thread.id)
    assert store.erase()
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)


def _schema(connection: sa.Connection) -> dict[str, str]:
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {row.name: row.sql for row in rows}


def test_the_code_knows_the_revisions_that_the_folder_holds() -> None:
    """In order, with the newest as head: the check at every start does not load Alembic to find out."""
    scripts = ScriptDirectory(str(folder()))
    walked = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(walked)) == REVISIONS
    assert scripts.get_current_head() == HEAD


def test_migrations_import_nothing_of_ours() -> None:
    """A frozen migration must not change when the code does; and page tables are never rebuilt in batch mode."""
    for file in VERSIONS.glob("*.py"):
        code = file.read_text()
        assert not re.search(r"^\s*(from|import) optical_memory", code, re.MULTILINE), file
        assert "batch_alter_table" not in code, file


def test_they_are_found_in_a_wheel_and_in_a_checkout(tmp_path: Path) -> None:
    """In the package first, then beside it; else the message says what to do."""
    package = tmp_path / "optical_memory"
    for place in (package / "migrations", tmp_path / "migrations"):
        place.mkdir(parents=True)
        (place / "env.py").touch()
    assert folder(package) == package / "migrations"
    (package / "migrations" / "env.py").unlink()
    assert folder(package) == tmp_path / "migrations"
    (tmp_path / "migrations" / "env.py").unlink()
    with pytest.raises(StoreError, match="install optical-memory again"):
        folder(package)


def test_a_database_of_others_is_left_alone(tmp_path: Path) -> None:
    """Tables of the same name that are not ours: refused, with nothing added."""
    file = tmp_path / "app.db"
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE message (id INTEGER PRIMARY KEY)")
    engine.dispose()
    store = Store(str(file))
    with pytest.raises(StoreError, match="tables of its own named message"), store.write():
        pass
    store.close()
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["message"]
    engine.dispose()


def test_threads_make_databases_at_the_same_time(tmp_path: Path) -> None:
    """Eight stores of one process, four files: each is made once and right."""
    stores = [Store(str(tmp_path / f"{i % 4}.db")) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Store.upgrade, stores))
    for made in stores:
        assert made.revision() == (HEAD, HEAD)
        assert made.check() == []
        made.close()


def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    """All steps are one transaction: what stands in the way of the last leaves none of the first."""
    file = tmp_path / "memory.db"
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE turn_fts_data (x)")  # the name of the index's own table
    engine.dispose()
    store = Store(str(file))
    with pytest.raises(StoreError), store.write():
        pass
    store.close()
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["turn_fts_data"]
    engine.dispose()
