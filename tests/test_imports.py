"""Imports run one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in (ROOT / "optical_memory").rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}


def imported(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, anywhere in it, for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from parts & MODULES.keys() or {node.module}


def test_no_files_import_each_other_in_a_circle() -> None:
    """What is below knows nothing of what is above, not even inside of functions."""
    ties = {name: set(imported(path)) - {name} for name, path in MODULES.items()}
    assert len(ties) > 100
    order = list(TopologicalSorter(ties).static_order())  # raises CycleError, which names the circle
    assert order.index("optical_memory.errors") < order.index("optical_memory.inspection.cli")
