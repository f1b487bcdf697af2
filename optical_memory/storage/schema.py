"""The tables, and what a database can keep. Migrations make them; this only describes them to queries.

Two habits: ids that leave the store are never used twice (AUTOINCREMENT), so a cache keyed by one cannot show
what came after; and no foreign key cascades, since a table rebuild under a cascade deletes children silently.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from ..errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

REVISIONS = ("0001", "0002")
"""Every schema revision that this version knows, oldest first."""
HEAD = REVISIONS[-1]

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
LONGEST_KEY = 500
"""Characters of a thread's name or a message's id: both are indexed, and an index entry has an upper size."""


def safe_text(text: str) -> str:
    """The text with NUL and lone surrogates as U+FFFD; the messages keep the original, as JSON escapes."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


def safe_id(given: str) -> str:
    """A host's id as it is indexed: different ids stay different, whatever they hold."""
    if len(given) <= LONGEST_KEY and safe_text(given) == given:
        return given
    return "sha256:" + hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()


def may_be_key(key: str) -> bool:
    """Could a database keep this as a thread's name? Raises ConfigError for what is no text."""
    if not isinstance(key, str):
        raise ConfigError(f"thread={key!r}: give the name of a thread as a text, such as 'trip'")
    return 0 < len(key) <= LONGEST_KEY and safe_text(key) == key


def checked_key(key: str) -> str:
    """A thread's name, unchanged; ConfigError when no database could keep it as it is."""
    if not may_be_key(key):
        raise ConfigError(
            f"{key[:60]!a} cannot be a thread's name: it needs 1 to {LONGEST_KEY} characters, "
            f"without NUL or lone surrogates"
        )
    return key


def epoch(moment: datetime) -> float:
    """Seconds since 1970 UTC; ConfigError for a naive datetime, whose meaning would depend on the machine."""
    if moment.tzinfo is None:
        raise ConfigError(f"time {moment.isoformat()} has no time zone: use datetime.now(UTC) or .replace(tzinfo=...)")
    return moment.timestamp()


_EARLIEST = datetime.min.replace(tzinfo=UTC).timestamp()
_LATEST = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()


def _read_epoch(seconds: float | None) -> datetime | None:
    """The time; one beyond what a datetime holds, to which the last microseconds of year 9999 are rounded, is its limit."""
    return None if seconds is None else datetime.fromtimestamp(min(max(seconds, _EARLIEST), _LATEST), UTC)


def _read_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


class Moment(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept as seconds since 1970 UTC, exact to the microsecond until 2242."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> float | None:
        return None if value is None else epoch(value)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        return _read_epoch


class Json(sa.types.TypeDecorator[Any]):
    """A JSON value, kept as ASCII text: lone surrogates and NUL survive as escapes on every engine."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=True, separators=(",", ":"))

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        return _read_json


Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *items: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, metadata, sa.Column("id", Id, primary_key=True), *items, sqlite_autoincrement=True)


def _of(table: str) -> sa.Column[int]:
    return sa.Column(f"{table}_id", Id, sa.ForeignKey(f"{table}.id"), nullable=False)


def _int(name: str, default: int | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=None if default is None else str(default))


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _when(name: str, *, null: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, Moment, nullable=null)


thread = _table(
    "thread",
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("branch_id", Id, nullable=False),
    _int("length", 0),
    _int("pages", 0),
    _int("version", 0),
    sa.Column("config", Json),
    _when("created_at"),
    _when("touched_at", null=True),
)
branch = _table(
    "branch",
    _of("thread"),
    sa.Column("parent_id", Id, sa.ForeignKey("branch.id")),
    _int("after", 0),
    _when("created_at"),
    sa.Index(None, "thread_id"),
    sa.Index(None, "parent_id"),
)
MARKED = "pinned OR recalls > 0"  # turns that a plan must look for however old they are: few, so they have an index
REPEATABLE = "digest IS NOT NULL"  # turns long enough that saying them twice is worth noticing
turn = _table(
    "turn",
    sa.Column("thread_id", Id, nullable=False),
    _of("branch"),
    _int("number"),
    _text("role"),
    _text("name", null=True),
    _text("text"),
    _text("grams", null=True),  # words the tokenizer would not find by itself: see terms.extra_words
    _int("chars"),
    _int("tokens"),
    _int("messages"),
    _int("calls", 0),
    sa.Column("attachments", Json),
    sa.Column("open", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("importance", sa.Double, nullable=False, server_default="0"),
    sa.Column("weight", sa.Double),
    sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
    _int("recalls", 0),
    sa.Column("recalled_at", sa.Integer),
    _text("chain"),
    _text("digest", null=True),  # of what it says, folded: equal ones say the same (see ingest.digest_of)
    sa.Column("duplicate_of", sa.Integer),  # number of the earlier turn that says the same
    sa.Column("purged", sa.Boolean, nullable=False, server_default=sa.false()),  # only its page's picture is left
    _when("created_at", null=True),
    _when("stored_at"),
    sa.UniqueConstraint("branch_id", "number"),
    sa.Index(
        "ix_turn_repeatable",
        "thread_id",
        "digest",
        sqlite_where=sa.text(REPEATABLE),
        postgresql_where=sa.text(REPEATABLE),
    ),
    sa.Index("ix_turn_marked", "branch_id", "number", sqlite_where=sa.text(MARKED), postgresql_where=sa.text(MARKED)),
)
message = _table(
    "message",
    sa.Column("thread_id", Id, nullable=False),
    _of("turn"),
    _int("position"),
    _text("external_id", null=True),
    _text("role"),
    _text("hash"),
    _text("chain"),
    _text("form"),
    sa.Column("data", Json, nullable=False),
    sa.Index(None, "turn_id", "position", unique=True),
    sa.Index(None, "thread_id", "external_id"),
    sa.Index(None, "thread_id", "chain"),
)
page = _table(
    "page",
    sa.Column("thread_id", Id, nullable=False),
    _of("branch"),
    _int("number"),
    _int("first"),
    _int("last"),
    _text("tier"),
    _int("chars"),
    _int("tokens"),
    _text("card", null=True),
    sa.Column("facts", Json),
    _when("created_at"),
    _text("sealed_as", null=True),
    sa.Column("purged", sa.Boolean, nullable=False, server_default=sa.false()),  # its picture is the record
    # a page belongs to the branch of its last turn, so "is it on this path" is a question about `last`
    sa.Index(None, "branch_id", "last"),
    sa.UniqueConstraint("thread_id", "number"),
)
view = _table(
    "view",
    _of("page"),
    _text("look"),
    _int("part", 0),
    _int("width"),
    _int("height"),
    _text("sha256", null=True),
    _int("bytes", 0),
    sa.UniqueConstraint("page_id", "look", "part"),
)
image = sa.Table(  # bytes in a narrow table of their own: nothing that is listed drags them along
    "image",
    metadata,
    sa.Column("view_id", Id, sa.ForeignKey("view.id"), primary_key=True, autoincrement=False),
    sa.Column("png", sa.LargeBinary, nullable=False),
)
plan = _table(
    "plan",
    sa.Column("thread_id", Id, nullable=False),
    _of("branch"),
    _int("anchor"),
    _int("head"),
    _text("key"),
    sa.Column("body", Json, nullable=False),
    _text("reason"),
    _int("tokens"),
    _when("created_at"),
    sa.Index(None, "branch_id", "key", "anchor"),
)
recalled = _table(
    "recalled",
    sa.Column("thread_id", Id, nullable=False),
    _of("branch"),
    _int("anchor"),
    _text("key"),
    sa.Column("turns", Json, nullable=False),
    _int("tokens"),
    _when("created_at"),
    sa.Index(None, "branch_id", "key", "anchor"),
)
step = _table(
    "step",
    sa.Column("thread_id", Id, nullable=False),
    _of("branch"),
    _int("at"),
    _text("reason"),
    sa.Column("plan_id", Id),
    _when("created_at"),
    sa.Column("undone", sa.Boolean, nullable=False, server_default=sa.false()),
    _int("purged", 0),
    sa.Index(None, "branch_id", "at"),
)
change = _table(
    "change",
    _of("step"),
    sa.Column("page_id", Id),  # the log outlives its page
    _int("first"),
    _int("last"),
    _text("before"),
    _text("after"),
    _int("tokens_before"),
    _int("tokens_after"),
    sa.Column("readable_before", sa.Double, nullable=False),
    sa.Column("readable_after", sa.Double, nullable=False),
    sa.Index(None, "step_id"),
)
embedding = _table(  # vectors of turns, by the name of the model that made them: float16, little-endian, of length 1
    "embedding",
    sa.Column("thread_id", Id, nullable=False),
    _of("turn"),
    _int("part"),
    _text("model"),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("turn_id", "model", "part"),
    sa.Index(None, "thread_id", "model"),
)
usage = _table(
    "usage",
    _of("thread"),
    _text("model"),
    _int("predicted"),
    sa.Column("billed", sa.Integer),  # NULL until somebody says what the provider billed
    sa.Column("cache_read", sa.Integer),
    sa.Column("cache_write", sa.Integer),
    _int("output", 0),
    _int("at", 0),
    _int("prefix", 0),
    _int("recalled", 0),
    _int("reserved", 0),
    sa.Column("would", sa.Integer),
    _int("would_prefix", 0),
    _when("created_at"),
    sa.Index(None, "thread_id"),
    sa.Index(None, "model"),
)
erasure = _table("erasure")  # deletions whose text is still to be overwritten in the file


def columns(table: sa.Table, row: Callable[..., Any]) -> list[sa.Column[Any]]:
    """The table's columns in the order of the row type's fields, so that `row(*values)` is all it takes."""
    return [table.c[field.name] for field in fields(cast("type[DataclassInstance]", row)) if field.name in table.c]
