"""The command asks before it pays, can be repeated, and leaves a file that a memory can use."""

from __future__ import annotations

from pathlib import Path

import pytest

from optical_memory.errors import ConfigError
from optical_memory.readers import Trial, load_profile
from optical_memory.readers.command import readings_beside, run
from tests.readers.knowing import Knowing

TRIAL = Trial(1, (18, 14), 2, 700)
PAID = "claude-opus-5"


class Declined(Exception):
    """Nobody agreed."""


def decline(what: str) -> None:
    raise Declined(what)


def test_a_run_that_costs_money_is_priced_and_can_be_declined(tmp_path: Path) -> None:
    reader = Knowing(TRIAL, name=PAID)
    with pytest.raises(Declined, match=r"send 4 pages to claude-opus-5: .* at most about \$0\.\d\d"):
        run(reader, tmp_path / "p.json", trial=TRIAL, agree=decline)
    assert reader.seen == []
    assert list(tmp_path.iterdir()) == []


def test_without_anybody_to_ask_only_yes_counts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--yes"):
        run(Knowing(TRIAL, name=PAID), tmp_path / "p.json", trial=TRIAL)


def test_yes_runs_and_still_says_the_price(tmp_path: Path) -> None:
    said: list[str] = []
    found = run(Knowing(TRIAL, name=PAID), tmp_path / "p.json", trial=TRIAL, yes=True, note=said.append)
    assert "$" in said[0]
    assert load_profile(tmp_path / "p.json").tiers == found.profile(load_profile(tmp_path / "p.json")).tiers


def test_an_ocr_engine_costs_nothing_and_nobody_is_asked(tmp_path: Path) -> None:
    run(Knowing(TRIAL), tmp_path / "p.json", trial=TRIAL, agree=decline)
    assert {path.name for path in tmp_path.iterdir()} == {"p.json", "p.readings.jsonl"}


def test_what_was_read_is_not_paid_for_again(tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    run(Knowing(TRIAL, name=PAID), out, trial=TRIAL, yes=True)
    again = Knowing(TRIAL, name=PAID)
    run(again, out, trial=TRIAL, agree=decline)
    assert again.seen == []


def test_without_resume_everything_is_read_again(tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    run(Knowing(TRIAL), out, trial=TRIAL)
    again = Knowing(TRIAL)
    run(again, out, trial=TRIAL, resume=False)
    assert len(again.seen) == 4


def test_readings_are_not_thrown_away_before_the_price_is_agreed_to(tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    run(Knowing(TRIAL, name=PAID), out, trial=TRIAL, yes=True)
    with pytest.raises(Declined):
        run(Knowing(TRIAL, name=PAID), out, trial=TRIAL, resume=False, agree=decline)
    assert readings_beside(out).exists()


@pytest.mark.parametrize("name", ["folder", "missing/p.json", "p"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    reader = Knowing(TRIAL)
    with pytest.raises(ConfigError, match="give a file"):
        run(reader, tmp_path / name, trial=TRIAL)
    assert reader.seen == []


def test_an_unknown_engine_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no OCR engine"):
        run("ocr:nonesuch", tmp_path / "p.json", trial=TRIAL)
    assert list(tmp_path.iterdir()) == []
