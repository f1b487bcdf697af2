"""One road to the schema: new and old databases both run the migrations, in one transaction.

The check that nothing is to do is a single query without Alembic, since it happens at every start.
"""

from __future__ import annotations

import threading
from importlib.resources import files
from pathlib import Path

import sqlalchemy as sa

from ..errors import SchemaError, StoreError
from .schema import HEAD, REVISIONS, metadata

_one_at_a_time = threading.Lock()  # Alembic keeps what it works on in globals of the process
_LOCK = 0x6F70746D  # "optm": the name of our advisory lock on PostgreSQL


def current(connection: sa.Connection) -> str | None:
    """The database's schema revision; None when it has none of our tables yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


def needs_upgrade(connection: sa.Connection) -> bool:
    """Whether migrations are to be run; SchemaError, with nothing touched, for a schema unknown to us."""
    revision = current(connection)
    if revision is not None and revision not in REVISIONS:
        raise SchemaError(revision, HEAD, "pip install --upgrade optical-memory")
    return revision != HEAD


def upgrade(connection: sa.Connection) -> None:
    """Run what is missing, inside the caller's transaction; does nothing when another process was first."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    if not needs_upgrade(connection):
        return
    if current(connection) is None:
        _refuse_foreign_tables(connection)
    from alembic import command

    with _one_at_a_time:
        command.upgrade(alembic_config(connection), "head")


def downgrade(connection: sa.Connection, revision: str) -> None:
    """Go back to an older schema inside the caller's transaction; "base" takes away every table with all that is in it."""
    from alembic import command

    with _one_at_a_time:
        command.downgrade(alembic_config(connection), revision)


def alembic_config(connection: sa.Connection):  # type: ignore[no-untyped-def]  # noqa: ANN201 (alembic loads late)
    """Alembic's configuration over a ready connection, for `alembic.command` functions."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder()))
    config.attributes.update(connection=connection, metadata=metadata)
    return config


def folder(package: Path | None = None) -> Path:
    """Where the migrations are: in the installed package, or beside it in a checkout or editable install."""
    package = package or Path(str(files("optical_memory")))
    for place in (package / "migrations", package.parent / "migrations"):
        if (place / "env.py").is_file():
            return place
    raise StoreError(f"no migrations in {package} or beside it: install optical-memory again")


def _refuse_foreign_tables(connection: sa.Connection) -> None:
    clash = sorted(set(sa.inspect(connection).get_table_names()) & set(metadata.tables))
    if clash:
        raise StoreError(
            f"the database has tables of its own named {', '.join(clash)}, and no schema of ours: "
            f"give optical_memory another file, database or schema"
        )
