"""Where threads are kept: SQLite by default, PostgreSQL by URL, the same code for both.

rows (values), schema (tables) <- search <- bulk <- reader <- writer <- archive;  engine, migrate, care <- store
"""

from __future__ import annotations

from .reader import Reader
from .rows import (
    BranchRow,
    ChangeRow,
    Counts,
    ForgottenRows,
    Found,
    MessageRow,
    NewChange,
    NewMessage,
    NewPage,
    NewTurn,
    NewUsage,
    PageRow,
    Path,
    PlacedMessage,
    PlanRow,
    PurgedPage,
    Range,
    RecalledRow,
    StepRow,
    ThreadRow,
    TurnRow,
    TurnSums,
    ViewRow,
    clip,
    end,
    owner,
)
from .store import Store
from .writer import Writer

__all__ = [
    "BranchRow",
    "ChangeRow",
    "Counts",
    "ForgottenRows",
    "Found",
    "MessageRow",
    "NewChange",
    "NewMessage",
    "NewPage",
    "NewTurn",
    "NewUsage",
    "PageRow",
    "Path",
    "PlacedMessage",
    "PlanRow",
    "PurgedPage",
    "Range",
    "Reader",
    "RecalledRow",
    "StepRow",
    "Store",
    "ThreadRow",
    "TurnRow",
    "TurnSums",
    "ViewRow",
    "Writer",
    "clip",
    "end",
    "owner",
]
