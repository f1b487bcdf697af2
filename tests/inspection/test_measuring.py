"""calibrate, simulate and bench: what they print, what they ask first, and profiles by file."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optical_memory.bench.command import scene_of, times
from optical_memory.bench.plot import svg
from optical_memory.bench.simulate import Comparison, Ours, compare, made
from optical_memory.cost import price_of
from optical_memory.memory import OpticalMemory
from optical_memory.readers import Trial, calibrate
from optical_memory.readers.command import readings_beside
from tests.inspection.conftest import BUDGET, MODEL, Command, talk, write_lines
from tests.readers.knowing import Knowing

Told = Callable[..., Any]
SVG = "{http://www.w3.org/2000/svg}"
TRIAL = Trial(0, (16, 9), 1)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A calibration of a reader that reads 9 pixel type perfectly."""
    file = tmp_path / "tesseract.json"
    file.write_text(calibrate(Knowing(TRIAL), trial=TRIAL).to_json(), "utf-8")
    return file


# --------------------------------------------------------------------------------------------- calibrate


def test_a_run_that_costs_money_is_refused_where_nobody_can_be_asked(run: Command, tmp_path: Path) -> None:
    """Exit code 6, the cost and --yes are named, and nothing is written."""
    out = tmp_path / "claude.json"
    result = run("calibrate", "--model", MODEL, "--pages", 1, "--sizes", "16", "--out", out, db=None)
    assert result.exit_code == 6
    assert "send 1 pages" in result.stderr
    assert "$" in result.stderr
    assert "--yes" in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [["--model", "ocr:nobody"], ["--model", "ocr:tesseract", "--sizes", "x"], ["--model", "deepseek-chat"]]
)
def test_what_cannot_be_calibrated_is_a_usage_error(run: Command, tmp_path: Path, options: list[str]) -> None:
    """Exit code 2, and no profile is written."""
    result = run("calibrate", *options, "--pages", 1, "--out", tmp_path / "x.json", db=None)
    assert result.exit_code == 2
    assert not (tmp_path / "x.json").exists()


def test_pages_that_were_read_before_are_not_read_again(run: Command, tmp_path: Path) -> None:
    """A finished run costs nothing to repeat: the file holds the tiers, stdout the same as one JSON document."""
    pytest.importorskip("pytesseract")
    out = tmp_path / "t.json"
    calibrate(Knowing(TRIAL), trial=TRIAL, readings=readings_beside(out))
    result = run(
        "calibrate",
        "--model",
        "ocr:tesseract",
        "--sizes",
        "sans16,sans9",
        "--pages",
        1,
        "--out",
        out,
        "--json",
        db=None,
    )
    assert result.exit_code == 0, result.stderr
    assert "0 pages to read" in result.stderr
    told = json.loads(result.stdout)
    assert told.pop("file") == str(out)
    assert told == json.loads(out.read_text("utf-8"))
    assert told["tiers"]["vivid"] == "sans9"


@pytest.mark.slow
def test_an_ocr_engine_is_calibrated_here_end_to_end(run: Command, tmp_path: Path) -> None:
    """One page of large type is read, its table is on stdout, and the profile serves a context."""
    pytest.importorskip("pytesseract")
    if shutil.which("tesseract") is None:
        pytest.skip("the program tesseract is not installed")
    out = tmp_path / "t.json"
    result = run("calibrate", "--model", "ocr:tesseract", "--sizes", "16", "--pages", 1, "--out", out, db=None)
    assert result.exit_code == 0, result.stderr
    assert "strings right" in result.stdout
    assert "1 pages to read" in result.stderr
    assert json.loads(out.read_text("utf-8"))["rows"][0]["style"] == "sans16"


# --------------------------------------------------------------------------------------------- profiles by file


def test_a_profile_by_file_decides_what_type_pages_are_drawn_in(
    told: Told, harbour: str, page: int, profile: Path
) -> None:
    """For a reader of 9 pixel type the same page costs less; the costs stay those of the thread's model, or of --model."""
    usual = told("page", harbour, page, "--tier", "vivid")
    given = told("page", harbour, page, "--tier", "vivid", "--profile", profile)
    assert sum(p["tokens"] for p in given) < 0.6 * sum(p["tokens"] for p in usual)
    report = told("context", harbour, "--profile", profile)
    assert (report["model"], report["budget"]) == (MODEL, BUDGET)
    assert report["tokens"] <= BUDGET
    assert told("context", harbour, "--profile", profile, "--model", "gpt-5.5")["model"] == "gpt-5.5"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["context harbour", "show harbour", "page harbour PAGE", "stats", "simulate harbour"]
)
def test_commands_that_look_take_a_profile(run: Command, harbour: str, page: int, profile: Path, command: str) -> None:
    """It is used, and what it was borrowed from is said on stderr; a file that is none is exit code 2."""
    words = command.replace("PAGE", f"{page} --tier vivid").split()
    result = run(*words, "--profile", profile)
    assert result.exit_code == 0, result.stderr
    assert "no model's eye" in result.stderr or command == "stats"
    assert run(*words, "--profile", profile.with_name("none.json")).exit_code == 2


# --------------------------------------------------------------------------------------------- simulate


def simulated(run: Command, *options: object, db: Any = None) -> dict[str, Any]:
    result = run("simulate", *options, "--json", db=db)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def test_simulate_needs_no_database_and_says_what_it_stands_on(run: Command, tmp_path: Path) -> None:
    """A table of every policy, the sentence at equal money, and the assumptions; no file is made."""
    result = run("simulate", "--turns", 60, "--budget", 16_000, db=None)
    assert result.exit_code == 0, result.stderr
    for policy in ("optical memory", "plain text", "trim 16000", "summary", "frozen pages", "equal tokens:"):
        assert policy in result.stdout
    assert "At equal money: " in result.stdout
    assert "characters for each image token: vivid " in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_made_conversation_is_no_denser_than_letters_on_a_grid(run: Command) -> None:
    """Repeated lines, which pages draw once, must not flatter what a page holds."""
    found = simulated(run, "--turns", 8)
    density = found["chars_per_image_token"]
    assert 4 < density["vivid"] < density["clear"] < 15
    assert found["chars_per_token"] == pytest.approx(2.9, abs=0.01)


@pytest.mark.slow
def test_a_cold_cache_costs_more_and_a_schedule_counts(run: Command) -> None:
    """--cold 1 pays the full price at each call; a memory that never falls by age still keeps its budget."""
    warm, cold = simulated(run, "--cold", "never"), simulated(run, "--cold", 1)
    money = [next(p["usd"] for p in s["policies"] if p["policy"] == "plain text") for s in (warm, cold)]
    assert money[1] > 5 * money[0]
    never = simulated(run, "--schedule", "never", "--keep", "turns:6", "--budget", 20_000)
    assert never["policies"][0]["peak"] <= 20_000


def test_a_stored_thread_is_simulated_by_its_own_sizes(run: Command, told: Told, harbour: str, database: Path) -> None:
    """Turns, text tokens, model and budget are the thread's; hourly turns find the cache cold."""
    before = database.read_bytes()
    found = simulated(run, harbour, db=database)
    assert (found["turns"], found["model"], found["budget"]) == (60, MODEL, BUDGET)
    assert found["text_tokens"] == told("context", harbour)["text_tokens"]
    assert all(call["read"] == 0 for call in found["ours"]["calls"])
    warm = simulated(run, harbour, "--cold", "never", db=database)
    assert any(call["read"] for call in warm["ours"]["calls"])
    assert database.read_bytes() == before


def test_a_tool_round_is_told_from_an_answer(harbour: str, database: Path) -> None:
    """Tool output is known as such, so that clearing it is simulated as it would be."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET, read_only=True) as memory:
        user, tool, answer = scene_of(memory, harbour).turns[:3]
    assert (user.role, user.results) == ("user", 0)
    assert tool.role == "assistant"
    assert 0.7 * tool.tokens < tool.results <= tool.tokens
    assert (answer.role, answer.results, answer.calls) == ("assistant", 0, False)


def test_a_transcript_is_simulated_without_being_stored(run: Command, tmp_path: Path) -> None:
    """The file alone is enough."""
    file = write_lines(tmp_path / "talk.jsonl", talk(30))
    found = simulated(run, "--transcript", file, "--budget", 4_000)
    assert found["turns"] == 30
    assert list(tmp_path.iterdir()) == [file]


def test_what_pages_fold_does_not_make_them_look_dense(run: Command, tmp_path: Path) -> None:
    """A turn of blanks and one of equal lines, both long, leave the density of a page what letters make of it."""
    odd = [
        {"role": "user", "content": f"Here it is:{' ' * 90_000}, and so on."},
        {"role": "user", "content": "no\n" * 30_000},
    ]
    file = write_lines(tmp_path / "talk.jsonl", [*talk(30), *odd])
    assert simulated(run, "--transcript", file)["chars_per_image_token"]["clear"] < 15


@pytest.mark.parametrize(
    "options",
    [["--cold", "0"], ["--cold", "often"], ["--keep", "many"], ["--keep", "days:3"], ["--schedule", "x"], ["--turns", "0"],
     ["--model", "deepseek-chat"], ["harbour", "--transcript", "x.jsonl"]],
)  # fmt: skip
def test_a_simulation_that_makes_no_sense_is_a_usage_error(run: Command, harbour: str, options: list[str]) -> None:
    """Exit code 2 and a sentence."""
    result = run("simulate", *options)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


# --------------------------------------------------------------------------------------------- the picture


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(made(60), price_of(MODEL))


def test_the_picture_is_light_has_no_script_and_escapes_its_title(compared: Comparison) -> None:
    """Well-formed XML below 60 KB, of shapes and text alone, with its words for those who cannot see it."""
    made = svg(compared, 32_000, 'a <b>"title"</b>')
    root = ET.fromstring(made)
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds == {"svg", "title", "desc", "rect", "text", "tspan", "g", "line", "polyline"}
    assert root.findtext(f"{SVG}title") == 'a <b>"title"</b>'
    assert compared.words[1:] in str(root.findtext(f"{SVG}desc"))
    assert len(made) < 60_000


def test_every_line_stays_in_its_panel_and_names_do_not_overlap() -> None:
    """What grows out of the panel ends at its edge; the names beside the lines have room for both of their rows."""
    for panel in ET.fromstring(svg(compare(made(60), price_of(MODEL), Ours(4_000)), 4_000, "small")).iter(f"{SVG}g"):
        lines = [line.get("points", "").split() for line in panel.iter(f"{SVG}polyline")]
        assert len(lines) == 3
        points = [tuple(map(float, p.split(","))) for line in lines for p in line]
        assert all(64 <= x <= 592 and 34 <= y <= 180 for x, y in points)
        names = sorted(float(t.get("y", 0)) for t in panel.iter(f"{SVG}text") if t.find(f"{SVG}tspan") is not None)
        assert all(later - earlier >= 27 for earlier, later in zip(names, names[1:], strict=False))


def test_the_picture_is_written_on_request(run: Command, tmp_path: Path) -> None:
    """--svg FILE."""
    file = tmp_path / "money.svg"
    assert run("simulate", "--turns", 20, "--svg", file, db=None).exit_code == 0
    assert file.read_text("utf-8").startswith("<svg ")


# --------------------------------------------------------------------------------------------- bench


def test_bench_recall_accounts_for_every_turn(run: Command, tmp_path: Path) -> None:
    """Text, pages, and what is not shown: each turn once, tokens within the budget."""
    file = write_lines(tmp_path / "talk.jsonl", talk(60))
    result = run("bench", "recall", file, "--budget", 6_000, "--json", db=None)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["turns"] == 60
    assert sum(row["turns"] for row in told["shown"]) == 60
    assert sum(row["tokens"] for row in told["shown"]) == told["tokens"] <= 6_000
    assert told["as_pages"] > 0
    assert "as pages" in run("bench", "recall", file, "--budget", 6_000, db=None).stdout


@pytest.mark.slow
def test_bench_context_compares_sizes_in_one_run(tmp_path: Path) -> None:
    """Each size is timed in a database of its own; ratios are to the first."""
    first, second = times((30, 90), tmp_path)
    assert (first["turns"], second["turns"]) == (30, 90)
    assert first["warm_ratio"] == first["new_turn_ratio"] == 1.0
    assert 0 < second["warm_ms"] < second["new_turn_ms"]
    assert second["new_turn_ratio"] == pytest.approx(second["new_turn_ms"] / first["new_turn_ms"], abs=0.02)


def test_the_command_of_the_readme_runs_as_it_stands(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`simulate` with its picture."""
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (line,) = [row for row in readme.splitlines() if row.startswith("optical-memory simulate --turns")]
    assert run(*line.split()[1:], db=None).exit_code == 0
    assert (tmp_path / "money.svg").exists()
