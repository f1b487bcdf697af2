"""The first schema: threads, branches, turns, messages, pages and their images, plans, log, and search index.

Revision 0001. Frozen once released; imports nothing of ours.
"""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# the words of a turn that the search index sees on PostgreSQL, where one document must stay below a megabyte
INDEXED_CHARS = 100_000
INDEXED_GRAM_CHARS = 150_000
LOG = ("usage", "change", "step", "recalled", "plan")
CHILDREN_FIRST = (*LOG, "embedding", "image", "view", "page", "message", "turn", "branch", "thread")


def upgrade() -> None:
    for make in (_threads, _turns, _messages, _pages, _views, _embeddings, _plans, _log, _usage, _search):
        make()


def downgrade() -> None:
    _drop_search()
    for table in CHILDREN_FIRST:
        op.drop_table(table)


def _drop_search() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX ix_turn_words")
        return
    op.execute("DROP TABLE turn_fts")


def _id(name: str, *, null: bool = False, **options: object) -> sa.Column:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=null, **options)


def _int(name: str, default: str | None = None, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Integer(), nullable=null, server_default=default)


def _text(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=null)


def _double(name: str, default: str | None = None, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Double(), nullable=null, server_default=default)


def _flag(name: str) -> sa.Column:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def _table(name: str, *items: sa.Column | sa.Constraint) -> None:
    key = sa.PrimaryKeyConstraint("id", name=f"pk_{name}")
    op.create_table(name, _id("id"), *items, key, sqlite_autoincrement=True)


def _to(table: str, column: str, target: str) -> sa.Constraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}")


def _unique(table: str, *columns: str) -> sa.Constraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _index(table: str, *columns: str, unique: bool = False) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns), unique=unique)


def _partial(name: str, columns: list[str], which: str) -> None:
    where = sa.text(which)
    op.create_index(f"ix_turn_{name}", "turn", columns, sqlite_where=where, postgresql_where=where)


def _threads() -> None:
    _table(
        "thread",
        _text("key"),
        _id("branch_id"),
        _int("length", "0"),
        _int("pages", "0"),
        _int("version", "0"),
        _text("config", null=True),
        _double("created_at"),
        _double("touched_at", null=True),
        _unique("thread", "key"),
    )
    _table(
        "branch",
        _id("thread_id"),
        _id("parent_id", null=True),
        _int("after", "0"),
        _double("created_at"),
        _to("branch", "thread_id", "thread"),
        _to("branch", "parent_id", "branch"),
    )
    _index("branch", "thread_id")
    _index("branch", "parent_id")


def _turns() -> None:
    _table(
        "turn",
        _id("thread_id"),
        _id("branch_id"),
        _int("number"),
        _text("role"),
        _text("name", null=True),
        _text("text"),
        _text("grams", null=True),
        _int("chars"),
        _int("tokens"),
        _int("messages"),
        _int("calls", "0"),
        _text("attachments", null=True),
        _flag("open"),
        _double("importance", "0"),
        _double("weight", null=True),
        _flag("pinned"),
        _int("recalls", "0"),
        _int("recalled_at", null=True),
        _text("chain"),
        _text("digest", null=True),
        _int("duplicate_of", null=True),
        _flag("purged"),
        _double("created_at", null=True),
        _double("stored_at"),
        _to("turn", "branch_id", "branch"),
        _unique("turn", "branch_id", "number"),
    )
    _partial("marked", ["branch_id", "number"], "pinned OR recalls > 0")
    _partial("repeatable", ["thread_id", "digest"], "digest IS NOT NULL")


def _messages() -> None:
    _table(
        "message",
        _id("thread_id"),
        _id("turn_id"),
        _int("position"),
        _text("external_id", null=True),
        _text("role"),
        _text("hash"),
        _text("chain"),
        _text("form"),
        _text("data"),
        _to("message", "turn_id", "turn"),
    )
    _index("message", "turn_id", "position", unique=True)
    _index("message", "thread_id", "external_id")
    _index("message", "thread_id", "chain")


def _pages() -> None:
    _table(
        "page",
        _id("thread_id"),
        _id("branch_id"),
        _int("number"),
        _int("first"),
        _int("last"),
        _text("tier"),
        _int("chars"),
        _int("tokens"),
        _text("card", null=True),
        _text("facts", null=True),
        _double("created_at"),
        _text("sealed_as", null=True),
        _flag("purged"),
        _to("page", "branch_id", "branch"),
        _unique("page", "thread_id", "number"),
    )
    _index("page", "branch_id", "last")


def _views() -> None:
    _table(
        "view",
        _id("page_id"),
        _text("look"),
        _int("part", "0"),
        _int("width"),
        _int("height"),
        _text("sha256", null=True),
        _int("bytes", "0"),
        _to("view", "page_id", "page"),
        _unique("view", "page_id", "look", "part"),
    )
    op.create_table(
        "image",
        _id("view_id", autoincrement=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        _to("image", "view_id", "view"),
        sa.PrimaryKeyConstraint("view_id", name="pk_image"),
    )


def _embeddings() -> None:
    _table(
        "embedding",
        _id("thread_id"),
        _id("turn_id"),
        _int("part"),
        _text("model"),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        _to("embedding", "turn_id", "turn"),
        _unique("embedding", "turn_id", "model", "part"),
    )
    _index("embedding", "thread_id", "model")


def _plans() -> None:
    _table(
        "plan",
        _id("thread_id"),
        _id("branch_id"),
        _int("anchor"),
        _int("head"),
        _text("key"),
        _text("body"),
        _text("reason"),
        _int("tokens"),
        _double("created_at"),
        _to("plan", "branch_id", "branch"),
    )
    _table(
        "recalled",
        _id("thread_id"),
        _id("branch_id"),
        _int("anchor"),
        _text("key"),
        _text("turns"),
        _int("tokens"),
        _double("created_at"),
        _to("recalled", "branch_id", "branch"),
    )
    for table in ("plan", "recalled"):
        _index(table, "branch_id", "key", "anchor")


def _log() -> None:
    _table(
        "step",
        _id("thread_id"),
        _id("branch_id"),
        _int("at"),
        _text("reason"),
        _id("plan_id", null=True),
        _double("created_at"),
        _flag("undone"),
        _int("purged", "0"),
        _to("step", "branch_id", "branch"),
    )
    _index("step", "branch_id", "at")
    _table(
        "change",
        _id("step_id"),
        _id("page_id", null=True),
        _int("first"),
        _int("last"),
        _text("before"),
        _text("after"),
        _int("tokens_before"),
        _int("tokens_after"),
        _double("readable_before"),
        _double("readable_after"),
        _to("change", "step_id", "step"),
    )
    _index("change", "step_id")


def _usage() -> None:
    _table(
        "usage",
        _id("thread_id"),
        _text("model"),
        _int("predicted"),
        _int("billed", null=True),
        _int("cache_read", null=True),
        _int("cache_write", null=True),
        _int("output", "0"),
        _int("at", "0"),
        _int("prefix", "0"),
        _int("recalled", "0"),
        _int("reserved", "0"),
        _int("would", null=True),
        _int("would_prefix", "0"),
        _double("created_at"),
        _to("usage", "thread_id", "thread"),
    )
    _index("usage", "thread_id")
    _index("usage", "model")


def _search() -> None:
    make: dict[str, Callable[[], None]] = {"sqlite": _search_sqlite, "postgresql": _search_postgres}
    make[op.get_bind().dialect.name]()


def _search_sqlite() -> None:
    # kept in step by the writer: under trusted_schema=OFF, old SQLite lets no trigger touch an FTS5 table
    op.execute(
        "CREATE VIRTUAL TABLE turn_fts USING fts5(text, grams, thread_id, content='turn', "
        "content_rowid='id', tokenize='unicode61 remove_diacritics 2')"
    )


def _search_postgres() -> None:
    marks = "!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"  # else "a/b.py" and "x-12" become one word each
    spaces = " " * (len(marks) - 1)
    op.execute(
        "ALTER TABLE turn ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', "
        f"translate(left(text, {INDEXED_CHARS}), '{marks}', '{spaces}') || ' ' || "
        f"coalesce(left(grams, {INDEXED_GRAM_CHARS}), ''))) STORED"
    )
    op.execute("CREATE INDEX ix_turn_words ON turn USING gin (words)")
