"""A thread goes out into a folder and comes back as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory import HashMismatchError, OpticalMemory, SchemaError, StoreError, TranscriptError
from optical_memory.inspection.archive import export, restore
from tests.inspection.conftest import BUDGET, MODEL, Command, talk, write_lines

Told = Callable[..., Any]
SMALL: dict[str, Any] = {"model": MODEL, "budget": 2_000, "keep": ("turns", 2)}


def everything(place: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(f.relative_to(place)): f.read_bytes() for f in sorted(place.rglob("*")) if f.is_file()}


def test_a_thread_comes_back_as_it_was(harbour: str, database: Path, tmp_path: Path) -> None:
    """Its next context has the same bytes, its log and its ledger are there, and it goes out again as the same files."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET) as memory, OpticalMemory(
        tmp_path / "other.db", model=MODEL, budget=BUDGET
    ) as other:  # fmt: skip
        memory.pin(harbour, [3, 4])
        memory.recall(harbour, "crate CR-001-03")
        export(memory, harbour, tmp_path / "out")
        restore(other, tmp_path / "out")
        assert other.context(harbour).to_openai() == memory.context(harbour).to_openai()
        assert other.turns(harbour) == memory.turns(harbour)
        assert other.steps(harbour) == memory.steps(harbour)
        assert [h.turn for h in other.search(harbour, "CR-001-03")] == [
            h.turn for h in memory.search(harbour, "CR-001-03")
        ]
        assert not other.store.check()
        restored = everything(tmp_path / "out")
    with OpticalMemory(tmp_path / "third.db") as third:
        restore(third, tmp_path / "out")
        export(third, harbour, tmp_path / "again")
    assert everything(tmp_path / "again") == restored


def test_a_restored_step_can_be_taken_back(harbour: str, database: Path, tmp_path: Path) -> None:
    """The plans came along, so undo leads to the same state on both sides."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET) as memory, OpticalMemory(
        tmp_path / "other.db", model=MODEL, budget=BUDGET
    ) as other:  # fmt: skip
        export(memory, harbour, tmp_path / "out")
        restore(other, tmp_path / "out")
        assert other.undo(harbour).changes == memory.undo(harbour).changes
        assert [t.tier for t in other.turns(harbour)] == [t.tier for t in memory.turns(harbour)]


CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 8)),
        st.tuples(st.just("edit"), st.integers(1, 6)),
        st.tuples(st.just("forget"), st.integers(1, 12)),
        st.tuples(st.just("pin"), st.integers(1, 12)),
        st.tuples(st.just("recall"), st.integers(1, 12)),
        st.tuples(st.just("context"), st.just(0)),
        st.tuples(st.just("undo"), st.just(0)),
    ),
    min_size=2,
    max_size=10,
)


def played(memory: OpticalMemory, calls: list[tuple[str, int]]) -> None:
    """A thread with a past: grown, edited, forgotten in part, pinned, recalled, faded, taken back."""
    memory.remember("t", talk(9))
    for what, n in calls:
        length = len(memory.turns("t"))
        if what == "say":
            memory.remember("t", [{"role": "user", "content": f"{n} more \ud800 words {'x' * 400}\x00"}] * n)
        elif what == "edit":
            memory.remember("t", [*talk(6)[:n], {"role": "user", "content": f"No, {n}."}])
        elif what == "forget":
            memory.forget("t", turns=[min(n, length)])
        elif what == "pin":
            memory.pin("t", [min(n, length)])
        elif what == "recall":
            memory.recall("t", str(min(n, length)))
        elif what == "undo" and any(not s.undone for s in memory.steps("t")):
            memory.undo("t")
        else:
            memory.context("t")


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=CALLS)
def test_whatever_happened_to_a_thread_it_comes_back(calls: list[tuple[str, int]], tmp_path: Path) -> None:
    """Branches, holes, pins, recalls, plans and log: what is stored again is the same, row for row."""
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir()
    with OpticalMemory(tmp_path / "a.db", **SMALL) as memory, OpticalMemory(tmp_path / "b.db", **SMALL) as other:
        played(memory, calls)
        export(memory, "t", tmp_path / "out")
        restore(other, tmp_path / "out")
        export(other, "t", tmp_path / "again")
        assert everything(tmp_path / "again") == everything(tmp_path / "out")
        assert not other.store.check()
    assert context_of(tmp_path / "b.db") == context_of(tmp_path / "a.db")


def context_of(database: Path) -> list[dict[str, Any]]:
    """The next call in a process that has made none yet: what the provider has cached is another process's knowledge."""
    with OpticalMemory(database, **SMALL) as memory:
        return memory.context("t", dry_run=True).to_openai()


def test_the_commands_go_out_and_back(harbour: str, run: Command, told: Told, tmp_path: Path) -> None:
    """`export` writes a folder, `import` takes it back, under another name where one is given."""
    done = told("export", harbour, tmp_path / "out")
    assert (done["thread"], done["turns"]) == (harbour, 60)
    assert done["images"] == len(list((tmp_path / "out" / "pages").glob("*.png"))) > 0
    assert run("import", tmp_path / "out").exit_code == 1  # it is there already
    assert run("import", tmp_path / "out", "--thread", "copy").exit_code == 0
    assert told("show", "copy") == told("show", harbour)


def test_the_messages_alone_are_a_transcript(harbour: str, run: Command, told: Told, tmp_path: Path) -> None:
    """Other programs read them, and so does `import`."""
    run("export", harbour, tmp_path / "out")
    assert run("import", tmp_path / "out" / "messages.jsonl", "--thread", "plain").exit_code == 0
    assert [r["text"] for r in told("show", "plain")] == [r["text"] for r in told("show", harbour)]


def test_a_block_that_has_no_form_there_stops_no_export(run: Command, told: Told, tmp_path: Path) -> None:
    """It is told by its words, beside the calls; its rows have it as it came, and it comes back."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    odd: list[dict[str, Any]] = [
        {"role": "user", "content": [{"text": "no type"}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "I look"}, {"type": "image_url"}],
            "tool_calls": [call],
        },
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text"}]},
    ]
    run("import", write_lines(tmp_path / "odd.jsonl", odd))
    told("export", "odd", tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "messages.jsonl").read_text().splitlines()]
    assert [line["role"] for line in lines] == ["user", "assistant", "tool"]
    assert lines[1]["content"] == [{"type": "text", "text": "I look"}, {"type": "text", "text": "[image: image]"}]
    assert [c["id"] for c in lines[1]["tool_calls"]] == [lines[2]["tool_call_id"]] == ["c"]
    assert run("import", tmp_path / "out", "--thread", "again").exit_code == 0
    assert told("show", "again") == told("show", "odd")
    assert run("import", tmp_path / "out" / "messages.jsonl", "--thread", "words").exit_code == 0


@pytest.mark.parametrize("key", ["format", "version", "schema", "thread", "files"])
def test_a_manifest_that_lacks_something_is_no_manifest(harbour: str, run: Command, tmp_path: Path, key: str) -> None:
    """Whichever key it is, the folder is refused in words, and the next one still comes in."""
    for name in ("bad", "good"):
        run("export", harbour, tmp_path / name)
    manifest = tmp_path / "bad" / "manifest.json"
    manifest.write_text(json.dumps({k: v for k, v in json.loads(manifest.read_text()).items() if k != key}))
    done = run("import", tmp_path / "bad", tmp_path / "good", "--thread", "copy")
    assert done.exit_code == 1
    assert "is no exported thread" in done.stderr
    assert "thread copy" in done.stdout


def test_nothing_is_written_over(harbour: str, run: Command, tmp_path: Path) -> None:
    """A folder that holds something is refused."""
    (tmp_path / "kept.txt").write_text("mine")
    done = run("export", harbour, tmp_path)
    assert done.exit_code == 2
    assert "give a new folder" in done.stderr


def test_a_damaged_folder_is_refused_whole(harbour: str, database: Path, tmp_path: Path) -> None:
    """A changed byte, a missing file, a newer format or a path that leads out: nothing is stored."""
    with OpticalMemory(database, model=MODEL) as memory, OpticalMemory(tmp_path / "other.db") as other:
        export(memory, harbour, tmp_path / "out")
        place, manifest = tmp_path / "out", tmp_path / "out" / "manifest.json"
        kept, rows = manifest.read_text(), (place / "rows.jsonl").read_bytes()
        (place / "rows.jsonl").write_bytes(rows.replace(b"harbour", b"hXrbour", 1))
        with pytest.raises(HashMismatchError):
            restore(other, place)
        (place / "rows.jsonl").unlink()
        with pytest.raises(TranscriptError):
            restore(other, place)
        (place / "rows.jsonl").write_bytes(rows)
        manifest.write_text(json.dumps(json.loads(kept) | {"schema": "9999"}))
        with pytest.raises(SchemaError):
            restore(other, place)
        manifest.write_text(kept.replace('"pages/', '"../pages/', 1))
        with pytest.raises(HashMismatchError):
            restore(other, place)
        manifest.write_text("{}")
        with pytest.raises(TranscriptError):
            restore(other, place)
        assert other.threads() == []


def test_a_thread_is_not_restored_over_another(harbour: str, database: Path, tmp_path: Path) -> None:
    """What is stored stays."""
    with OpticalMemory(database, model=MODEL) as memory:
        export(memory, harbour, tmp_path / "out")
        with pytest.raises(StoreError, match="there already"):
            restore(memory, tmp_path / "out")


@pytest.mark.slow
def test_pictures_that_are_all_that_is_left_come_along(tmp_path: Path) -> None:
    """With retain= the text of faded pages is gone for good; a restored thread shows the same pictures, and no text comes back."""
    kept: dict[str, Any] = SMALL | {"retain": "vivid"}
    with OpticalMemory(tmp_path / "a.db", **kept) as memory, OpticalMemory(tmp_path / "b.db", **kept) as other:
        memory.remember("t", talk(30))
        memory.step("t")
        memory.context("t")
        gone = [t.number for t in memory.turns("t") if t.purged]
        assert gone
        export(memory, "t", tmp_path / "out")
        restore(other, tmp_path / "out")
        assert [t.number for t in other.turns("t") if t.purged] == gone
        assert other.context("t", dry_run=True).to_openai() == memory.context("t", dry_run=True).to_openai()
        assert [p.sha256 for p in other.pages("t")] == [p.sha256 for p in memory.pages("t")]
        assert other.remember("t", talk(30)).added == 0
        export(other, "t", tmp_path / "again")
    assert everything(tmp_path / "again") == everything(tmp_path / "out")


class Letters:
    """Embeddings that count letters."""

    model = "letters"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text."""
        return [[text.count(c) + 0.1 for c in "aeiourst"] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """The same for a query."""
        return self.embed_documents([text])[0]


def test_embeddings_come_along(tmp_path: Path) -> None:
    """A restored thread need not be embedded again: the same vectors, and the same files when it goes out again."""
    with OpticalMemory(tmp_path / "a.db", embeddings=Letters()) as memory, OpticalMemory(tmp_path / "b.db") as other:
        memory.remember("t", talk(9))
        memory.recall("t", "crates in the harbour")
        told = export(memory, "t", tmp_path / "out")
        assert b'"table":"embedding"' in (tmp_path / "out" / "rows.jsonl").read_bytes()
        restore(other, tmp_path / "out")
        assert export(other, "t", tmp_path / "again")["files"] == told["files"]
