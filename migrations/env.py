"""Runs the migrations over the connection that optical_memory hands in, inside the transaction it has begun.

There is no other way in: `optical-memory db upgrade` prepares the connection (locks, pragmas, one transaction
for all steps), which a bare `alembic upgrade` would not.
"""

from alembic import context

# SQLite keeps the full-text index in tables of its own, and PostgreSQL in a column: no drift, by design.
OURS_TO_MANAGE = "turn_fts"


def include_name(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
    """Whether the drift check looks at this object."""
    if kind == "table":
        return not (name or "").startswith(OURS_TO_MANAGE)
    return not (parents.get("table_name") == "turn" and name in {"words", "ix_turn_words"})


connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit(
        "run `optical-memory db upgrade --db URL`: migrations need a connection prepared by optical_memory"
    )

context.configure(
    connection=connection,
    target_metadata=context.config.attributes.get("metadata"),
    include_name=include_name,
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
