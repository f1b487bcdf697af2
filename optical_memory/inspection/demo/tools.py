"""Tools over real material of this machine: the installed Python's standard library and packages. They only read."""

from __future__ import annotations

import ast
import re
import sysconfig
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
MOST = 3_000  # characters of one result
HIDDEN = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}


def _cut(text: str) -> str:
    return text if len(text) <= MOST else text[:MOST].rsplit("\n", 1)[0] + f"\n... cut at {MOST} characters"


def _inside(path: str) -> Path:
    """A path below the standard library; what points elsewhere is refused."""
    found = (LIBRARY / path).resolve()
    if not found.is_relative_to(LIBRARY.resolve()):
        raise ValueError(f"{path} is not in the standard library")
    return found


def _sources(folder: str) -> Iterator[Path]:
    root = _inside(folder)
    files = [root] if root.is_file() else sorted(root.rglob("*.py"))
    return (f for f in files if not HIDDEN & set(f.relative_to(LIBRARY.resolve()).parts))


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines()


def _name(file: Path) -> str:
    return file.relative_to(LIBRARY.resolve()).as_posix()


def list_modules(folder: str) -> str:
    """List the Python files of a folder of the standard library, with their lines and bytes."""
    rows = [f"{_name(f):<40} {len(_lines(f)):>6} lines {f.stat().st_size:>8} bytes" for f in _sources(folder)]
    return _cut("\n".join(rows)) or f"no Python files in {folder}"


def read_module(path: str, first: int, last: int) -> str:
    """Read lines first..last of a file of the standard library."""
    rows = _lines(_inside(path))[first - 1 : last]
    return _cut("\n".join(f"{n:>5}  {row}" for n, row in enumerate(rows, start=first)))


def outline(path: str) -> str:
    """List the classes and functions of a file of the standard library, with their lines and arguments."""
    tree = ast.parse("\n".join(_lines(_inside(path))))
    return _cut("\n".join(_outlined(tree, 0))) or "nothing is defined there"


def _outlined(node: ast.AST, depth: int) -> Iterator[str]:
    for item in ast.iter_child_nodes(node):
        if isinstance(item, ast.ClassDef):
            bases = ", ".join(ast.unparse(b) for b in item.bases)
            yield f"{item.lineno:>5}  {'  ' * depth}class {item.name}({bases})"
            yield from _outlined(item, depth + 1)
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{item.lineno:>5}  {'  ' * depth}def {item.name}({ast.unparse(item.args)})"


def grep(pattern: str, folder: str) -> str:
    """Search a folder of the standard library by a regular expression: file, line, text."""
    wanted = re.compile(pattern)
    rows = (
        f"{_name(f)}:{n}: {line.strip()[:160]}"
        for f in _sources(folder)
        for n, line in enumerate(_lines(f), start=1)
        if wanted.search(line)
    )
    return _cut("\n".join(rows)) or f"nothing matches {pattern}"


def list_packages() -> str:
    """List the installed packages and their versions."""
    found = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}
    return _cut("\n".join(f"{name}=={found[name]}" for name in sorted(found, key=str.lower)))


def package_metadata(name: str) -> str:
    """Tell what an installed package says of itself: version, licence, what it requires, its commands."""
    found = metadata.distribution(name)
    about = found.metadata
    rows = [
        f"{key}: {about[key]}"
        for key in ("Name", "Version", "Summary", "License-Expression", "Requires-Python")
        if about[key]
    ]
    rows += [f"Requires: {r}" for r in found.requires or ()]
    rows += [f"Entry point: [{e.group}] {e.name} = {e.value}" for e in found.entry_points]
    return _cut("\n".join(rows))


def package_record(name: str, contains: str) -> str:
    """List files of an installed package whose path contains a text, with size and recorded SHA-256."""
    files = [f for f in metadata.files(name) or () if contains in str(f) and f.hash]
    return (
        _cut("\n".join(f"{f} size={f.size} {f.hash.mode}={f.hash.value}" for f in files if f.hash)) or "no such files"
    )


TOOLS: tuple[Callable[..., str], ...] = (
    list_modules,
    read_module,
    outline,
    grep,
    list_packages,
    package_metadata,
    package_record,
)
