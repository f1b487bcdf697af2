"""Every promise of the store's fast tests on PostgreSQL too, and what two servers do to one database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command

import optical_memory.storage.care as care
from optical_memory.errors import ReadOnlyError, SchemaError, StoreError
from optical_memory.storage import Store
from optical_memory.storage.migrate import alembic_config
from optical_memory.storage.schema import HEAD, metadata
from tests.slow.postgres import database
from tests.slow.test_storage_processes import append_many, first_use, read_until, run
from tests.storage.makers import NOW, begun, texts

# the same functions, collected here a second time: they take the `store` of this module
from tests.storage.test_archive import *  # noqa: F403
from tests.storage.test_duplicates import *  # noqa: F403
from tests.storage.test_forget import *  # noqa: F403
from tests.storage.test_pages import *  # noqa: F403
from tests.storage.test_paths import *  # noqa: F403
from tests.storage.test_search import *  # noqa: F403
from tests.storage.test_turns import *  # noqa: F403

pytestmark = pytest.mark.slow

# what these promise is about a file
del test_no_byte_of_it_stays_on_disk, test_erase_says_when_a_reader_holds_on  # noqa: F821
del test_what_a_killed_process_did_not_overwrite_is_overwritten_when_the_file_is_opened_next  # noqa: F821


@pytest.fixture
def empty(postgresql: str) -> Iterator[str]:
    """A new database on the server, without a table."""
    with database(postgresql) as made:
        yield made


@pytest.fixture
def url(postgresql: str, migrated: str) -> Iterator[str]:
    """A new database with the tables, and nothing in them."""
    with database(postgresql, migrated) as made:
        yield made


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = Store(url, lock_timeout=5)
    yield made
    made.close()


def test_two_servers_share_a_thread(empty: str) -> None:
    """4 processes x 200 appends and 2 readers: numbered without gaps, nothing lost."""
    answers = run(*[(append_many, (empty, f"w{i}", 200)) for i in range(4)], *[(read_until, (empty, 800))] * 2)
    assert [answer[0] for answer in answers[:4]] == [200] * 4
    assert all(isinstance(looks, int) for looks in answers[4:])
    store = Store(empty)
    with store.read() as reader:
        rows = reader.turns(reader.path(reader.threads()[0]))
    assert [row.number for row in rows] == list(range(1, 801))
    assert len({row.text for row in rows}) == 800
    assert store.check() == []
    store.close()


@pytest.mark.parametrize("round_", range(5))
def test_eight_processes_start_on_an_empty_database(empty: str, round_: int) -> None:
    """All succeed, there is one schema."""
    assert run(*[(first_use, (empty,))] * 8) == [HEAD] * 8


def test_the_migrations_make_exactly_the_tables_that_are_queried(store: Store) -> None:
    """No drift but the column of the index; and down and up again."""
    with store.write() as writer:
        connection = writer._connection
        command.check(alembic_config(connection))
        command.downgrade(alembic_config(connection), "base")
        assert set(sa.inspect(connection).get_table_names()) == {"alembic_version"}
        command.upgrade(alembic_config(connection), "head")
        assert set(metadata.tables) < set(sa.inspect(connection).get_table_names())
    begun(store, "a")
    assert texts(store) == ["a"]


def test_a_newer_database_is_refused(store: Store, url: str) -> None:
    """With what is there, what is needed and what to type."""
    begun(store, "a")
    with store.write() as writer:
        writer._connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    newer = Store(url)
    with pytest.raises(SchemaError, match="pip install --upgrade"), newer.read():
        pass
    newer.close()


def test_a_lost_connection_is_made_again(store: Store, url: str) -> None:
    """After the server dropped every connection, the next call works."""
    begun(store, "a")
    other = Store(url)
    with other.write() as writer:
        mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        writer._connection.exec_driver_sql(mine + " AND datname = current_database()")
    other.close()
    assert texts(store) == ["a"]


def test_a_reader_cannot_write(store: Store) -> None:
    """The transaction itself is read-only."""
    begun(store, "a")
    with pytest.raises(ReadOnlyError), store.read() as reader:
        reader._connection.exec_driver_sql("DELETE FROM message")


def test_care_works_or_says_what_does(store: Store, tmp_path: object) -> None:
    """vacuum, erase and size do their work; a backup names the server's own tool."""
    begun(store, "a")
    store.vacuum()
    assert store.erase()
    assert store.size() > 1_000_000
    with pytest.raises(StoreError, match="pg_dump"):
        store.backup(f"{tmp_path}/copy.db")


def test_words_are_found_in_either_case_whatever_the_locale(postgresql: str) -> None:
    """The locale "C", which some operators of PostgreSQL prefer, knows the case of English letters only."""
    with database(postgresql, "template0 LOCALE 'C' ENCODING 'UTF8'") as url:
        store = Store(url)
        thread = begun(store, "Москва", "À propos")
        with store.read() as reader:
            asked = {
                query: reader.search(reader.path(thread), query, limit=2) for query in ("МОСКВА", "москва", "à fond")
            }
        store.close()
    assert {query: [hit.number for hit in hits] for query, hits in asked.items()} == {
        "МОСКВА": [1],
        "москва": [1],
        "à fond": [2],
    }


def test_a_database_whose_encoding_lacks_the_letters_says_so(postgresql: str) -> None:
    """As an error of ours, which stops no agent."""
    with database(postgresql, "template0 LOCALE 'C' ENCODING 'LATIN1'") as url:
        store = Store(url)
        with pytest.raises(StoreError, match="cannot be stored"):
            begun(store, "Москва")
        store.close()


def test_the_tables_of_others_are_left_alone(store: Store) -> None:
    """What looks after our tables keeps no lock on those of the application whose database it is."""
    begun(store, "a")
    with store.write() as writer:
        writer._connection.exec_driver_sql("CREATE TABLE theirs (x int)")
    assert store.erase()
    with store.read() as reader:
        vacuumed = "SELECT relname FROM pg_stat_user_tables WHERE vacuum_count > 0"
        assert set(reader._connection.exec_driver_sql(vacuumed).scalars()) == set(metadata.tables)


def test_erase_says_when_another_holds_a_table(store: Store, url: str) -> None:
    """As while an index is built: it does not wait for ever, and what is owed stays noted."""
    thread, other = begun(store, "a"), sa.create_engine(url)
    with store.write() as writer:
        writer.forget_thread(thread.id)
    impatient = Store(url, lock_timeout=1)
    with other.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE turn IN SHARE UPDATE EXCLUSIVE MODE")
        assert not impatient.erase()
    other.dispose()
    with store.read() as reader:
        assert len(care.owed(reader._connection)) == 1
    assert impatient.erase()
    impatient.close()
    with store.read() as reader:
        assert care.owed(reader._connection) == []


def test_a_thread_is_made_anew_where_it_is_forgotten_at_the_same_time(store: Store) -> None:
    """Whoever asks for it gets it, and who copies to its name gets it or is told."""

    def make() -> None:
        with store.write() as writer:
            assert writer.new_thread("trip", NOW).key == "trip"

    def forget() -> None:
        with store.write() as writer:
            thread = writer.thread("trip")
            if thread is not None:
                writer.forget_thread(thread.id)

    with ThreadPoolExecutor(4) as others:
        for _ in range(30):
            for done in [others.submit(work) for work in (make, forget, make, forget)]:
                done.result()


def test_vectors_of_the_same_turns_may_come_from_two_servers(store: Store) -> None:
    """One of each stays."""
    thread = begun(store, *(f"turn {n}" for n in range(50)))
    with store.read() as reader:
        rows = reader.turns(reader.path(thread))

    def put() -> None:
        with store.write() as writer:
            writer.put_vectors(thread.id, "model", {row.id: (row.chain, [b"12345678"]) for row in rows})

    with ThreadPoolExecutor(4) as others:
        for done in [others.submit(put) for _ in range(8)]:
            done.result()
    with store.read() as reader:
        assert reader.vector_mark(thread.id, "model")[0] == 50
