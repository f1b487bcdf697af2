"""What is lost, what it cost, and when it happened: the commands beyond the plain lists."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, staircase
from optical_memory.inspection import ageing, looking, reread
from optical_memory.pages import scripts_at_hand
from optical_memory.planning.tiers import TIERS
from tests.inspection.conftest import BUDGET, MODEL, Command, talk, write_lines

Told = Callable[..., Any]
needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="the program tesseract is not here")


class Blind:
    """A reader that reads nothing but every second word of what it is told to know."""

    name = "half"

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, png: bytes) -> str:
        """Every second word."""
        return " ".join(self._text.split()[::2])


def test_the_grid_has_a_square_for_each_percent(harbour: str, run: Command, told: Told) -> None:
    """A hundred letters, in the shares of the call, and their names beside them."""
    report, shown = told("context", harbour), run("context", harbour, "--grid").stdout
    squares = re.findall(r"^((?:\S ){10})", shown, re.MULTILINE)
    assert len(squares) == 10
    letters = "".join(squares).replace(" ", "")
    assert abs(letters.count(".") - 100 * report["free"] / report["budget"]) <= 3
    assert all(s["kind"] in shown for s in report["segments"])


def test_diff_of_text_keeps_every_word(harbour: str, told: Told) -> None:
    """What is shown as text is there word for word, and no reader is needed."""
    found = told("diff", harbour, "59-60")
    assert [s["tier"] for s in found["spans"]] == ["text", "text"]
    assert found["reader"] is None
    assert found["sum"]["words"]["changed"] == found["sum"]["words"]["lost"] == found["sum"]["unread_turns"] == 0
    assert found["sum"]["words"]["kept"] > 0


def test_diff_does_not_go_ahead_of_the_step_that_is_due(tmp_path: Path) -> None:
    """A turn is compared as `show` lists it: text before the step that makes a card of it, the card's words after it."""
    soon = staircase(card=("turns", 9))
    with OpticalMemory(tmp_path / "m.db", model=MODEL, budget=BUDGET, schedule=soon, keep=("turns", 4)) as memory:
        memory.remember("port", talk(60))
        for tier in ("text", "card"):
            assert tier in {t.tier for t in memory.turns("port")}
            found = reread.stretches(memory, "port", 1, 60, None)
            held = {n: s.tier for s in found for n in s.shown}
            assert held == {t.number: t.tier for t in memory.turns("port") if t.number in held}
            assert all(s.words for s in found if s.tier == "card")
            memory.step("port")


def test_diff_says_what_a_reader_did_not_recover(harbour: str, database: Path) -> None:
    """Each turn of a page is beside what was read of it; what was not read is lost, not forgotten about."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET, read_only=True) as memory:
        first, last = memory.pages(harbour)[0].turns
        (stretch,) = reread.stretches(memory, harbour, first, first, None)
    text = "\n".join(reread._source(t.text, stretch) for t in stretch.turns if t.number in stretch.shown)
    told = reread.report(stretch, reread.read(stretch, Blind(text)), first, last)
    assert [p["turn"] for p in told["parts"]] == list(range(first, last + 1))
    total = reread.summed([told | {"parts": [p for p in told["parts"] if not p["left_out"]]}])
    assert abs(total["words"]["kept"] - total["words"]["lost"]) <= 0.2 * total["words"]["kept"]
    assert total["exact"]["unread"] > 0


def test_diff_without_a_reader_guesses_nothing(
    harbour: str, page: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: Path
) -> None:
    """Where no engine is installed, pictures stay unread and are counted as such."""
    monkeypatch.setenv("PATH", str(tmp_path))  # no tesseract
    with OpticalMemory(database, model=MODEL, budget=BUDGET, read_only=True) as memory:
        first, last = memory.pages(harbour)[0].turns
        nobody = reread.engine(None, memory, ("ocr:tesseract",))
        (stretch,) = reread.stretches(memory, harbour, first, last, None)
    assert nobody is None
    told = reread.report(stretch, reread.read(stretch, nobody), first, last)
    assert {p["diff"] for p in told["parts"] if not p["left_out"]} == {None}
    assert reread.summed([told])["unread_turns"] == len(stretch.shown)


def test_diff_of_a_reader_that_is_not_here_is_an_error(harbour: str, run: Command, page: int) -> None:
    """A name without a reader is no reading."""
    done = run("diff", harbour, "1-60", "--reader", "ocr:nobody")
    assert done.exit_code == 2
    assert "ocr:tesseract" in done.stderr


@needs_tesseract
def test_diff_reads_a_page_with_the_engine_that_is_here(harbour: str, told: Told, database: Path) -> None:
    """Tesseract recovers most of a vivid page, and the ids on it are judged one by one."""
    pytest.importorskip("pytesseract")
    with OpticalMemory(database, model=MODEL, budget=BUDGET, read_only=True) as memory:
        first, last = memory.pages(harbour)[-1].turns
    found = told("diff", harbour, f"{first}-{last}", "--tier", "vivid", "--reader", "ocr:tesseract")
    assert found["reader"] == "ocr:tesseract"
    words = found["sum"]["words"]
    assert words["kept"] > 0.7 * sum(words.values())
    assert sum(found["sum"]["exact"].values()) > 0


def test_a_hit_says_how_its_turn_is_shown(harbour: str, told: Told) -> None:
    """Whoever finds a turn sees at which tier the model has it."""
    tiers = {t["turn"]: t["tier"] for t in told("show", harbour)}
    hits = told("search", "crates", "--thread", harbour)
    assert hits
    assert all(h["tier"] == tiers[h["turn"]] for h in hits)


def test_readable_search_leaves_out_what_only_a_recall_brings_back(harbour: str, told: Told, database: Path) -> None:
    """A turn behind a handle is found by its source, and not among what can still be read."""
    hidden = [t["turn"] for t in told("show", harbour) if t["tier"] in ("handle", "card") and t["role"] != "user"]
    assert hidden
    everywhere = told("search", "weight_kg", "--thread", harbour, "--limit", "60")
    readable = told("search", "weight_kg", "--thread", harbour, "--limit", "60", "--readable")
    assert {h["turn"] for h in readable} < {h["turn"] for h in everywhere}
    assert not {h["turn"] for h in readable} & set(hidden)


def test_steps_and_undo(harbour: str, run: Command, told: Told) -> None:
    """The log names each step; undo takes the newest back and says so."""
    (step,) = told("steps", harbour)
    assert step["step"] == 1
    assert not step["undone"]
    assert "takes it back" in run("steps", harbour).stdout
    assert told("undo", harbour)["taken_back"] is True
    assert [s["undone"] for s in told("steps", harbour)] == [True]
    assert run("undo", harbour).exit_code == 1


def test_the_ledger_of_a_thread_and_of_all(harbour: str, run: Command, told: Told, database: Path) -> None:
    """What was spent stands beside what plain text would have cost, with what the figures stand on."""
    assert told("ledger") == []
    assert "no calls are noted" in run("ledger").stderr
    with OpticalMemory(database, model=MODEL, budget=BUDGET) as memory:
        for n in range(3):
            memory.project([{"role": "user", "content": f"And order {n}?", "id": f"new-{n}"}], thread=harbour)
    (found,) = told("ledger", harbour)
    assert [found] == told("ledger")
    assert found["calls"] == 3
    assert found["spent"]["money"] > 0
    assert "plain text" in found["instead"]
    shown = run("ledger", harbour).stdout
    assert "plain text" in shown
    assert found["assumptions"][0][:40] in shown


@pytest.mark.slow
def test_threads_in_every_order(run: Command, told: Told, tmp_path: Path) -> None:
    """By last use, making, name, turns and tokens; another order is refused."""
    for name, length in (("b", 3), ("c", 9), ("a", 6)):
        run("import", write_lines(tmp_path / f"{name}.jsonl", talk(length)))
    orders = {s: [t["thread"] for t in told("threads", "--sort", s)] for s in looking.ORDERS}
    assert orders == {"used": ["a", "c", "b"], "made": ["a", "c", "b"], "name": ["a", "b", "c"],
                      "turns": ["c", "a", "b"], "tokens": ["c", "a", "b"]}  # fmt: skip
    assert [t["thread"] for t in told("threads", "--sort", "turns", "--limit", "1")] == ["c"]
    assert run("threads", "--sort", "colour").exit_code == 2


def test_a_list_of_very_many_turns_does_not_sum_them_up(harbour: str, told: Told, database: Path) -> None:
    """Beyond a limit the tokens are left out, but where they are the order."""
    with OpticalMemory(database, read_only=True) as memory:
        assert looking.threads(memory, None, None, False, most=10)[0]["tokens"] is None
        assert looking.threads(memory, None, None, False, "tokens", most=10) == told("threads")


@pytest.mark.slow
def test_a_page_in_so_many_turns(harbour: str, run: Command, told: Told, page: int, tmp_path: Path) -> None:
    """At 0 it is as it is shown now; later never sharper, until words are left, and looking changes nothing."""
    now = told("page", harbour, page)
    assert told("page", harbour, page, "--after", "0")["shown"]["tier"] == now[0]["tier"]
    tiers = [told("page", harbour, page, "--after", n)["shown"]["tier"] for n in (1, 100, 500, 5_000)]
    ranks = [TIERS.index(t) for t in tiers]
    assert ranks == sorted(ranks)
    assert tiers[-1] in ("card", "handle")
    assert run("page", harbour, page, "--after", "0", "-o", tmp_path / "p.png").exit_code == 0
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    words = run("page", harbour, page, "--after", "5000", "-o", tmp_path / "q.png")
    assert words.exit_code == 3
    assert "a smaller --after" in words.stderr
    assert run("page", harbour, "999", "--after", "3").exit_code == 3
    assert told("page", harbour, page) == now


@pytest.mark.parametrize(
    ("model", "why"), [(MODEL, "no font here draws its script"), ("gpt-3.5-turbo", "cannot see images")]
)
def test_what_cannot_be_drawn_says_why(tmp_path: Path, model: str, why: str) -> None:
    """Text in a script without a font, or for a model without eyes, stays text: not for its price, which nobody asked."""
    with OpticalMemory(tmp_path / "m.db", model=model, budget=BUDGET) as memory:
        memory.remember("t", [("user", "ஒளியியல் நினைவகம் பக்கங்களை வரைகிறது. " * 60)] * 20)
        memory.context("t")
        span = ageing.held(memory, "t", 2, datetime.now(UTC))
        assert span is not None
        settings = memory.settings()
        told = {
            t["tier"]: t["why_not"]
            for t in ageing.all_tiers(span, settings)
            if t["tier"] in ("vivid", "clear", "dense")
        }
        assert all(why in words for words in told.values()), told
        tier, words = ageing.tier_in(span, 40, settings)
    assert tier in ("text", "card")
    assert "cheaper" not in words


def test_what_is_drawn_in_another_script_can_be_read_there(tmp_path: Path) -> None:
    """The source that a reading is compared with has the characters that the page shows, not codes for them."""
    if not scripts_at_hand():
        pytest.skip('pip install "optical-memory[scripts]"')
    words = "我们在港口看到三艘船，编号 HX-4471。" * 30
    with OpticalMemory(tmp_path / "m.db", model="gemini-3-pro", budget=BUDGET) as memory:
        memory.remember("t", [("user" if n % 2 else "assistant", f"{n} {words}") for n in range(24)])
        memory.context("t")
        number = next(t.number for t in memory.turns("t") if t.tier in ("vivid", "clear", "dense"))
        (stretch,) = reread.stretches(memory, "t", number, number, None)
    source = "".join(t.text for t in stretch.turns if t.number in stretch.shown)
    told = reread.report(stretch, source, *stretch.pages[0].turns)
    read = [p["diff"] for p in told["parts"] if not p["left_out"]]
    assert len(read) == len(stretch.shown) > 0
    assert {d["share"] for d in read} == {1.0}
    assert "我们在港口看到三艘船" in str(read[0]["words"])


def test_a_hit_in_any_thread_is_told_as_its_own_agent_has_it(harbour: str, told: Told) -> None:
    """Without --thread the tiers are the same: each thread's own model and budget decide."""
    assert told("search", "crates", "--limit", "60") == told("search", "crates", "--thread", harbour, "--limit", "60")
    assert len({h["tier"] for h in told("search", "weight_kg", "--limit", "60")}) > 1


def test_one_page_is_that_of_all_pages(harbour: str, database: Path) -> None:
    """Looked at alone, a page has the same bytes, tier and tokens as among all others, at every tier."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET, read_only=True) as memory:
        for tier in (None, "vivid", "clear", "dense"):
            for page in memory.pages(harbour, tier=tier):  # type: ignore[arg-type]
                assert page in looking.page(memory, harbour, page.number, tier)
