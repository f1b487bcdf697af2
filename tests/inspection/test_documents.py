"""What is made of the documentation is as it would be made now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from optical_memory import OpticalMemory

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """The script that makes it."""
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("name", ["commands", "schema"])
def test_a_reference_is_as_the_program_is(make: ModuleType, name: str) -> None:
    """Every command and option, every table and column; `python docs/make.py` writes them anew."""
    assert (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") == getattr(make, name)()


def test_the_readme_shows_pictures_that_are_there() -> None:
    """None is missing, none is left over, none is large."""
    shown = set(re.findall(r"docs/pictures/[\w.-]+", README))
    files = {str(f.relative_to(ROOT)) for f in (ROOT / "docs" / "pictures").iterdir()}
    assert shown == files
    assert all((ROOT / f).stat().st_size < 300_000 for f in files)


def headings(text: str) -> set[str]:
    """The places of a Markdown file that a link can lead to."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h.lower()).strip().replace(" ", "-") for h in found}


def test_the_readme_links_lead_somewhere() -> None:
    """To headings and files that exist, and to headings in those files."""
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert any(target.startswith("LOG.md#") for target in targets)
    for target in targets:
        name, _, place = target.partition("#")
        file = ROOT / (name or "README.md")
        assert file.exists(), target
        assert not place or place in headings(file.read_text(encoding="utf-8")), target


def test_the_made_conversation_is_the_same_each_time(make: ModuleType) -> None:
    """So the pictures and outputs change only with the program."""
    assert list(make.talk()) == list(make.talk())


def test_marks_are_filled_and_nothing_else_is_touched(make: ModuleType) -> None:
    """Text around the marks stays."""
    told = {"pays": "P", "grid": "A", "steps": "B", "models": "C"}
    once = make.filled(README, told)
    assert make.filled(once, told) == once
    assert [found[2] for found in make.MARK.finditer(README)] == ["pays", "grid", "steps", "models"]
    assert make.MARK.sub("", once) == make.MARK.sub("", README)


@pytest.mark.slow
def test_what_the_readme_shows_is_what_the_program_says(make: ModuleType, tmp_path: Path) -> None:
    """Outputs and the table of models; `python docs/make.py` writes them anew."""
    memory: OpticalMemory
    with make.played(tmp_path / "memory.db") as memory:
        assert make.filled(README, make.shown(memory)) == README
