"""The commands of the group `db`: look after the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import optical_memory.inspection.opening as opening
import optical_memory.inspection.output as output
from optical_memory.errors import ConfigError, StoreError
from optical_memory.inspection.options import Db, Json, Yes
from optical_memory.shown import safe

db_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look after the database.")


@db_app.command("upgrade")
def db_upgrade(db: Db = None, json: Json = False) -> None:
    """Bring the schema up to date, or make an empty database."""
    with opening.changing(db, create=True) as memory:
        before, _ = memory.store.revision()
        memory.store.upgrade()
        after, _ = memory.store.revision()
        told = {"database": memory.store.url, "from": before, "to": after}
    _told(told, json)


@db_app.command("downgrade")
def db_downgrade(
    to: Annotated[str, typer.Argument(metavar="REVISION", help="An older schema, or base: no tables at all.")],
    yes: Yes = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Go back to an older schema, for an older version. What only the newer one holds is lost."""
    opening.existing(db)
    with opening.store(db) as store:
        before, _ = store.revision()
        lost = _lost(before, to)
        opening.confirmed(f"{lost} in {store.url}", yes, lambda question: typer.confirm(question, err=True))
        store.downgrade(to)
        told = {"database": store.url, "from": before, "to": store.revision()[0]}
    _told(told, json)


def _lost(current: str | None, to: str) -> str:
    """What going back takes away, in words. Raises ConfigError for a schema that is not an older one."""
    from optical_memory.storage.schema import REVISIONS

    older = ("base", *REVISIONS[: REVISIONS.index(current)]) if current in REVISIONS else ("base",)
    if to not in older:
        raise ConfigError(f"schema {to!r} is not older than {current!r}: give one of {', '.join(older)}")
    return "remove every thread, page and image" if to == "base" else f"go back from schema {current} to {to}"


@db_app.command("current")
def db_current(db: Db = None, json: Json = False) -> None:
    """Print the schema, and the one that this version needs. Nothing is changed."""
    opening.existing(db)
    with opening.store(db) as store:
        current, head = store.revision()
        told = {"database": store.url, "current": current, "head": head, "up_to_date": current == head}
    _told(told, json)


@db_app.command("check")
def db_check(db: Db = None, json: Json = False) -> None:
    """Look for damage in the database. It checks structure, references, numbering, index and every image's hash;
    the exit code is 5 if something is wrong."""
    opening.existing(db)
    with opening.store(db) as store:
        try:
            problems = store.check()
        except StoreError as error:
            if type(error) is not StoreError:  # locked, old, read-only: not damage
                raise
            problems = [str(error)]
    told = {"database": store.url, "sound": not problems, "problems": problems}
    lines = [safe(p) for p in problems] or [f"{store.url}: sound"]
    output.show(told, json, lambda _: output.say("\n".join(lines)))
    if problems:
        raise typer.Exit(opening.DAMAGED)


@db_app.command("backup")
def db_backup(file: Annotated[Path, typer.Argument(help="A new file.")], db: Db = None, json: Json = False) -> None:
    """Write a consistent copy to a new file while others may write."""
    opening.existing(db)
    with opening.store(db) as store:
        store.backup(file)
        told = {"database": store.url, "backup": str(file), "bytes": file.stat().st_size}
    _told(told, json)


@db_app.command("vacuum")
def db_vacuum(db: Db = None, json: Json = False) -> None:
    """Give free space back to the disk. It needs as much again while it runs."""
    opening.existing(db)
    with opening.store(db) as store:
        before = store.size()
        store.vacuum()
        store.close()  # folds what was written into the file
        told = {"database": store.url, "bytes_before": before, "bytes": store.size()}
    _told(told, json)


@db_app.command("stats")
def db_stats(db: Db = None, json: Json = False) -> None:
    """Count the rows of each table, and what the file holds."""
    from optical_memory.storage import care

    opening.existing(db)
    with opening.store(db, read_only=True) as store:
        with store.read() as reader:
            found = care.stats(reader)
        told = {"database": store.url, "bytes": store.size()} | found
    _told(told, json)


def _told(told: dict[str, Any], json: bool) -> None:
    from optical_memory.inspection import tables

    output.show(told, json, tables.pairs)
