"""Erasures that are owed have a table of their own.

SQLite's `user_version` held them before, which belongs to the program whose file it is, and may be another's than ours.

Revision 0002. Frozen once released; imports nothing of ours.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "sqlite" and op.get_bind().exec_driver_sql("PRAGMA user_version").scalar():
        op.execute("INSERT INTO erasure DEFAULT VALUES")  # ours or not: to erase once more harms nothing


def downgrade() -> None:
    op.drop_table("erasure")
