"""A calibration can be stopped and gone on with, is the same for one seed, and ends in a profile that a memory uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optical_memory import OpticalMemory
from optical_memory.cost import profile
from optical_memory.errors import ConfigError
from optical_memory.pages import Style
from optical_memory.readers import Calibration, Chosen, Trial, calibrate, estimate, load_profile, styles_of
from optical_memory.readers.calibrate import page_sheet
from tests.readers.knowing import Knowing, honestly_unread, silently_wrong

TRIAL = Trial(1, (16, 12, 10), 2, 700)
ALL = [(size, page) for size in (16, 12, 10) for page in (1, 2)]


def test_sizes_are_read_from_the_largest_page_by_page() -> None:
    reader, told = Knowing(TRIAL), []
    calibrate(reader, trial=TRIAL, progress=lambda done, total, label: told.append((done, total, label)))
    assert reader.seen == ALL
    assert told[0] == (1, 6, "sans16, page 1")
    assert told[-1] == (6, 6, "sans10, page 2")


def test_tiers_come_from_what_was_read() -> None:
    sights = {12: honestly_unread, 10: silently_wrong}
    found = calibrate(Knowing(Trial(1, (16, 12, 10), 3, 900), sights), trial=Trial(1, (16, 12, 10), 3, 900))
    assert found.chosen.tiers["vivid"] == Style(16)
    assert found.rows[1].score.strings.wrong == 0
    assert found.rows[2].score.strings.right == 0
    assert Style(10) not in found.chosen.tiers.values()


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    kept = tmp_path / "readings.jsonl"
    with pytest.raises(ConnectionError):
        calibrate(Knowing(TRIAL, breaks_after=3), trial=TRIAL, readings=kept)
    later = Knowing(TRIAL)
    resumed = calibrate(later, trial=TRIAL, readings=kept)
    assert later.seen == ALL[3:]
    assert resumed == calibrate(Knowing(TRIAL), trial=TRIAL)


def test_a_line_that_was_cut_off_is_read_again(tmp_path: Path) -> None:
    kept = tmp_path / "readings.jsonl"
    calibrate(Knowing(TRIAL), trial=TRIAL, readings=kept)
    kept.write_text(kept.read_text("utf-8")[:-40], "utf-8")
    again, third = Knowing(TRIAL), Knowing(TRIAL)
    calibrate(again, trial=TRIAL, readings=kept)
    assert again.seen == [(10, 2)]
    calibrate(third, trial=TRIAL, readings=kept)
    assert third.seen == []


@pytest.mark.parametrize("other", [Trial(2, (16,), 2, 700), Trial(1, (16,), 2, 1_500)])
def test_readings_of_another_test_are_not_taken(tmp_path: Path, other: Trial) -> None:
    kept = tmp_path / "readings.jsonl"
    calibrate(Knowing(TRIAL), trial=TRIAL, readings=kept)
    reader = Knowing(other)
    calibrate(reader, trial=other, readings=kept)
    assert reader.seen == [(16, 1), (16, 2)]


def test_readings_of_another_reader_are_not_taken(tmp_path: Path) -> None:
    kept = tmp_path / "readings.jsonl"
    calibrate(Knowing(TRIAL), trial=TRIAL, readings=kept)
    other = Knowing(TRIAL, name="ocr:rapidocr")
    calibrate(other, trial=TRIAL, readings=kept)
    assert len(other.seen) == 6


def test_what_was_read_is_kept_for_people_to_look_at(tmp_path: Path) -> None:
    kept = tmp_path / "readings.jsonl"
    calibrate(Knowing(TRIAL), trial=TRIAL, readings=kept)
    first = json.loads(kept.read_text("utf-8").splitlines()[0])
    assert (first["model"], first["size"], first["page"]) == ("ocr:tesseract", 16, 1)
    assert len(first["text"]) > 500


def test_no_smaller_size_is_tried_once_reading_is_hopeless() -> None:
    reader = Knowing(TRIAL, {12: lambda _: "nothing but grey"})
    found = calibrate(reader, trial=TRIAL)
    assert [row.style.size for row in found.rows] == [16, 12]
    assert (10, 1) not in reader.seen


def test_a_model_that_cannot_see_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match="cannot see images"):
        page_sheet(profile("gpt-3.5-turbo"))


def test_a_model_kept_from_pages_for_want_of_measurements_can_be_calibrated() -> None:
    assert not profile("gemma-3-27b").vision
    assert page_sheet(profile("gemma-3-27b")).width == 896


def test_the_price_is_known_before_and_falls_with_what_was_read(tmp_path: Path) -> None:
    kept, of = tmp_path / "readings.jsonl", profile("claude-opus-5")
    whole = estimate(of, TRIAL, kept)
    with pytest.raises(ConnectionError):
        calibrate(Knowing(TRIAL, name="claude-opus-5", breaks_after=4), trial=TRIAL, readings=kept)
    rest = estimate(of, TRIAL, kept)
    assert (whole.calls, rest.calls) == (6, 2)
    assert 0 < rest.usd < whole.usd < 1
    pages = [s for group in TRIAL.drawn(page_sheet(of)).values() for s in group]
    assert whole.asked >= sum(of.image(s.page.width, s.page.height) for s in pages)


def test_a_memory_draws_with_the_calibrated_tiers(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    chosen = Chosen(
        {"vivid": Style(14), "clear": Style(11), "dense": None}, {"vivid": True, "clear": False, "dense": False}
    )
    rows = calibrate(Knowing(TRIAL, name="claude-opus-5"), trial=TRIAL).rows
    file.write_text(Calibration("claude-opus-5", 1, rows, chosen).to_json(), "utf-8")
    with OpticalMemory(f"sqlite:///{tmp_path}/m.db", profile=load_profile(file), budget=6_000) as memory:
        memory.remember(
            "t", [("user" if n % 2 == 0 else "assistant", f"{n} " + "walked on and on. " * 90) for n in range(40)]
        )
        memory.context("t")
        styles = {page.tier for page in memory.pages("t")}
        assert memory.profile.tiers == {"vivid": Style(14), "clear": Style(11), "dense": None}
    assert "dense" not in styles


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="optical-memory calibrate --model MODEL --out"):
        load_profile(tmp_path / "none.json")


def test_a_calibration_of_another_renderer_warns(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(Calibration("ocr:tesseract", 1, (), Chosen({}, {}), renderer="0-old").to_json(), "utf-8")
    with pytest.warns(UserWarning, match="calibrate again"):
        load_profile(file)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("20,16", ["sans20", "sans16"]),
        ("12, 15-17", ["sans17", "sans16", "sans15", "sans12"]),
        ("9", ["sans9", "narrow9b"]),
        ("narrow8b, sans12b", ["sans12b", "narrow8b"]),
        ("narrow8bg1, sans8g1, 9", ["sans9", "narrow9b", "sans8g1", "narrow8bg1"]),
    ],
)
def test_type_can_be_listed_and_ranged_and_named(text: str, keys: list[str]) -> None:
    """A bare line pitch stands for the faces that are tried there."""
    assert [style.key for style in styles_of(text)] == keys


@pytest.mark.parametrize("text", ["", "x", "8-", "4.5", "-3", "4", "huge9b", "sans8g9"])
def test_type_that_cannot_be_drawn_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="line pitch|use one of|pixels between lines"):
        styles_of(text)


def test_a_trial_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one page"):
        Trial(pages=0)


def test_the_file_of_a_calibration_is_enough_for_a_memory_and_for_its_settings(tmp_path: Path) -> None:
    """By keyword, in a configuration, and in a TOML file beside which it lies; costs are the model's own."""
    file = tmp_path / "seen.json"
    chosen = Chosen({"vivid": Style(15), "clear": None, "dense": None}, {})
    file.write_text(Calibration("claude-opus-5", 1, (), chosen).to_json(), "utf-8")
    toml = tmp_path / "memory.toml"
    toml.write_text('[optical_memory]\nmodel = "claude-opus-5"\nprofile = "seen.json"\n', "utf-8")
    for given in ({"profile": file}, {"profile": str(file), "model": "claude-opus-5"}, {"config": toml}):
        with OpticalMemory("sqlite://", **given) as memory:
            assert memory.profile.tiers["vivid"] == Style(15)
            assert memory.profile.price == profile("claude-opus-5").price
            assert json.loads(json.dumps(memory.config.public()))["profile"] == str(file)


def test_a_profile_that_cannot_be_read_is_told_of_when_the_memory_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="optical-memory calibrate --model MODEL --out"):
        OpticalMemory("sqlite://", model="claude-opus-5", profile=tmp_path / "none.json")
