"""Tiers follow from readings: the smallest size that keeps its promise, never inside the band where strings are made up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.cost import profile
from optical_memory.errors import ConfigError
from optical_memory.pages import Style
from optical_memory.readers import Calibration, Chosen, Row, Score, Share, Strings, choose, report
from optical_memory.readers.calibration import monotone


def row(size: int, chars: float, codes: float = 1.0, wrong: float = 0.0, n: int = 200) -> Row:
    """A row of 10,000 characters and `n` strings; codes are right or unread, strings right, wrong or (the rest) unread."""
    right = round(codes * n)
    bad = round(wrong * n)
    strings = Strings(right=min(right, n - bad), wrong=bad, unread=n - bad - min(right, n - bad))
    return Row(
        Style(size),
        4,
        10_000,
        10_000 // size,
        Score(Share(round(chars * 10_000), 10_000), Strings(right, n - right), strings),
    )


CLIFF = [row(16, 1), row(12, 0.998), row(10, 0.993, 0.9), row(9, 0.97, 0.7), row(8, 0.90, 0.4), row(7, 0.6, 0.1)]


def tiers(rows: list[Row]) -> dict[str, int | None]:
    """The line pitches chosen."""
    return {tier: style and style.size for tier, style in choose(rows).tiers.items()}


def calibration(rows: list[Row]) -> Calibration:
    return Calibration("ocr:tesseract", 3, tuple(rows), choose(rows), "2026-11-22", "924x1680/28")


def test_each_tier_is_the_smallest_size_above_the_cliff() -> None:
    assert tiers(CLIFF) == {"vivid": 10, "clear": 9, "dense": 8}


def test_the_order_of_the_rows_does_not_matter() -> None:
    assert choose(CLIFF[::-1]) == choose(CLIFF)


def test_nothing_is_chosen_from_the_size_on_at_which_strings_are_made_up() -> None:
    rows = [row(16, 1), row(12, 0.995, 0.95), row(10, 0.97, 0.6, wrong=0.4), row(9, 0.965, 0.5), row(8, 0.9, 0.2)]
    assert tiers(rows) == {"vivid": 12, "clear": None, "dense": None}


def test_a_reader_that_owns_what_it_cannot_read_may_go_lower() -> None:
    rows = [row(16, 1), row(10, 0.97, 0.55, wrong=0.2), row(8, 0.9, 0.35, wrong=0.3)]
    assert tiers(rows) == {"vivid": 16, "clear": 10, "dense": 8}


def test_codes_that_are_lost_keep_a_size_from_being_vivid() -> None:
    assert tiers([row(16, 1, 0.9), row(12, 0.999, 0.7)]) == {"vivid": 16, "clear": 12, "dense": None}


def test_a_few_codes_prove_nothing() -> None:
    assert tiers([row(16, 1, n=8)])["vivid"] is None
    assert tiers([row(16, 1, n=80)])["vivid"] == 16


def test_a_lucky_small_size_is_pooled_with_the_larger_one_that_failed() -> None:
    rows = [row(16, 1), row(12, 0.95), row(10, 0.985, 0.9), row(8, 0.5, 0.1)]
    assert tiers(rows) == {"vivid": 16, "clear": 12, "dense": 10}
    assert tiers([row(16, 1), row(12, 0.90), row(10, 0.985), row(8, 0.5)])["clear"] is None


def test_where_the_smallest_type_is_sharp_enough_for_two_tiers_the_next_larger_is_the_upper_one() -> None:
    rows = [row(16, 1), row(12, 0.98, 0.7), row(10, 0.975, 0.7), row(9, 0.97, 0.7), row(8, 0.5, 0.1)]
    assert tiers(rows) == {"vivid": 16, "clear": 10, "dense": 9}
    assert tiers([rows[0], rows[3], rows[4]]) == {"vivid": 16, "clear": 9, "dense": None}


def test_no_larger_type_is_taken_of_which_less_is_read() -> None:
    """Tight type that passes lies between the others, but less of it is read than of the smaller one with paper between lines."""
    loose = [with_turns(gapped(row(size, 0.99, codes)), 39) for size, codes in ((10, 0.95), (9, 0.9), (8, 0.84))]
    tight = with_turns(row(9, 0.97, 0.8), 30)
    assert loose[2].style.area < tight.style.area < loose[1].style.area
    chosen = choose([row(16, 1), *loose, tight]).keys()
    assert chosen == {"vivid": "sans9g1", "clear": "sans8g1", "dense": None}
    vague = [replace(loose[1], score=replace(loose[1].score, codes=Strings(140, 60)))]
    assert choose([row(16, 1), loose[0], *vague, loose[2], tight]).keys()["clear"] == "sans9g1"


def test_type_with_paper_between_lines_is_taken_where_more_of_it_is_read_for_its_pixels() -> None:
    """Smaller type that runs together is passed over for larger type that does not, and never mixed up with it as chance."""
    tight = [with_turns(row(12, 0.985, 0.95), 30), with_turns(row(8, 0.94, 0.6), 26)]
    loose = [with_turns(gapped(row(10, 0.997, 0.95)), 40), with_turns(gapped(row(8, 0.99, 0.8)), 39)]
    assert choose([row(16, 1), *tight]).keys() == {"vivid": "sans16", "clear": "sans12", "dense": "sans8"}
    assert choose([row(16, 1), *tight, *loose]).keys() == {"vivid": "sans10g1", "clear": "sans8g1", "dense": None}


def with_turns(one: Row, hits: int) -> Row:
    """The row, and of forty turns so many read whole."""
    return replace(one, score=replace(one.score, turns=Share(hits, 40)))


def gapped(one: Row) -> Row:
    return replace(one, style=replace(one.style, gap=1))


def test_a_tier_no_smaller_than_the_one_above_is_left_out() -> None:
    assert tiers([row(16, 1), row(12, 1), row(10, 0.5)]) == {"vivid": 12, "clear": None, "dense": None}


def test_a_reader_that_reads_nothing_gets_no_tier() -> None:
    assert set(tiers([row(20, 0.4, 0.0)]).values()) == {None}
    assert set(tiers([]).values()) == {None}


def test_exact_is_told_only_where_nearly_no_string_is_wrong_and_nearly_all_are_right() -> None:
    assert choose([row(16, 1, wrong=0.01)]).exact == {"vivid": True, "clear": False, "dense": False}
    assert not choose([row(16, 1, wrong=0.03)]).exact["vivid"]
    assert not choose([row(16, 1, 0.9)]).exact["vivid"]
    assert not choose([row(16, 1, n=40)]).exact["vivid"]


def test_a_lower_tier_is_not_exact_below_one_that_is_not() -> None:
    rows = [row(16, 1, wrong=0.05), row(12, 0.97, wrong=0.0)]
    assert choose(rows).exact == {"vivid": False, "clear": False, "dense": False}


@given(st.lists(st.tuples(st.integers(5, 24), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5)), max_size=8))
def test_tiers_always_fall_and_are_sizes_that_were_read(given_rows: list[tuple[int, float, float, float]]) -> None:
    rows = [row(*values) for values in {v[0]: v for v in given_rows}.values()]
    chosen = choose(rows)
    areas = [style.area for style in chosen.tiers.values() if style is not None]
    assert areas == sorted(set(areas), reverse=True)
    assert set(chosen.tiers.values()) <= {*(r.style for r in rows), None}


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), max_size=12))
def test_pooling_never_rises_and_loses_nothing(given_shares: list[tuple[int, int]]) -> None:
    shares = [Share(min(hits, of), of) for hits, of in given_shares]
    pooled = monotone(shares)
    values = [share.value for share in pooled]
    assert len(pooled) == len(shares)
    assert values == sorted(values, reverse=True)
    assert sum(share.of for share in dict.fromkeys(pooled)) <= sum(share.of for share in shares)


def test_a_calibration_survives_its_file() -> None:
    before = calibration([with_turns(one, 30) for one in CLIFF])
    assert Calibration.from_json(before.to_json()) == before


def test_a_file_from_before_turns_were_counted_is_read_without_them() -> None:
    told = json.loads(calibration(CLIFF).to_json())
    old = told | {"version": 2, "rows": [{k: v for k, v in one.items() if k != "turns"} for one in told["rows"]]}
    assert Calibration.from_json(json.dumps(old)) == calibration(CLIFF)


def test_the_profile_takes_tiers_exactness_and_density_from_the_readings() -> None:
    found = calibration(CLIFF).profile(profile("ocr:tesseract"))
    assert found.tiers == {"vivid": Style(10), "clear": Style(9), "dense": Style(8)}
    assert found.exact == {"vivid": False, "clear": False, "dense": False}
    assert found.chars_per_token == pytest.approx(10, abs=0.1)
    assert found.shares["vivid"] == pytest.approx((0.993 + 0.9) / 2, abs=1e-4)
    assert found.date == "2026-11-22"
    assert "calibrated on ocr:tesseract, seed 3" in found.source


def test_of_two_faces_at_one_pitch_the_narrower_is_the_smaller_type() -> None:
    wide, narrow = (replace(row(9, 0.995), style=Style(9, face, bold=True)) for face in ("sans", "narrow"))
    assert choose([narrow, wide, row(16, 1)]).tiers["vivid"] == Style(9, "narrow", bold=True)
    lost = replace(narrow, score=row(9, 0.97).score)
    assert choose([lost, wide]).tiers == {"vivid": wide.style, "clear": narrow.style, "dense": None}


def test_a_file_of_the_first_version_is_read_as_it_was_meant() -> None:
    """There a tier and a row were told by their line pitch alone, in the plain face."""
    told = json.loads(calibration(CLIFF).to_json())
    old = told | {"version": 1, "tiers": {"vivid": 10, "clear": 9, "dense": 8}}
    old["rows"] = [
        {k: v for k, v in one.items() if k != "style"} | {"size": Style.of(one["style"]).size} for one in told["rows"]
    ]
    assert Calibration.from_json(json.dumps(old)) == calibration(CLIFF)


def test_a_model_that_reads_no_page_keeps_text() -> None:
    found = calibration([row(20, 0.4, 0.0)]).profile(profile("claude-opus-5"))
    assert not found.vision
    assert "no size" in found.note


def test_what_costs_are_known_stays() -> None:
    base = profile("claude-opus-5")
    found = calibration(CLIFF).profile(base)
    assert (found.name, found.price, found.image(924, 280)) == (base.name, base.price, base.image(924, 280))


def test_an_engine_does_not_raise_what_a_model_was_published_to_read() -> None:
    base = profile("claude-opus-5")
    found = calibration(CLIFF).profile(base)
    assert found.chars_per_token == base.chars_per_token
    sheet = base.sheet_steps[-1]
    densest = min(style.area for style in found.tiers.values() if style)
    assert sheet.width * sheet.height / base.image(sheet.width, sheet.height) / densest <= base.chars_per_token
    own = replace(calibration(CLIFF), model="claude-opus-5").profile(base)
    assert own.tiers == {"vivid": Style(10), "clear": Style(9), "dense": Style(8)}
    assert "ocr:tesseract" in found.note


def test_tiers_may_be_edited_by_hand_to_sizes_that_were_not_read() -> None:
    told = json.loads(calibration(CLIFF).to_json())
    told["tiers"] = {"vivid": 14, "clear": 9, "dense": None}
    found = Calibration.from_json(json.dumps(told)).profile(profile("ocr:tesseract"))
    assert found.tiers == {"vivid": Style(14), "clear": Style(9), "dense": None}
    assert found.vision


@pytest.mark.parametrize(
    "wanted",
    [{"vivid": 9, "clear": 9}, {"vivid": 8, "clear": "narrow9b"}, {"vivid": 3}, {"vivid": "big9"}, {"vivid": "9b"}],
)
def test_tiers_that_cannot_be_are_refused(wanted: dict[str, int | str]) -> None:
    told = json.loads(calibration(CLIFF).to_json())
    with pytest.raises(ConfigError, match="give each tier smaller type|5 to 24|use one of|give a line pitch"):
        Calibration.from_json(json.dumps(told | {"tiers": wanted}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', "null", '{"version": 1, "tiers": 3}'])
def test_what_is_not_a_calibration_says_how_to_make_one(text: str) -> None:
    with pytest.raises(ConfigError, match="optical-memory calibrate"):
        Calibration.from_json(text)


def test_another_version_is_refused() -> None:
    with pytest.raises(ConfigError, match="calibrate again"):
        Calibration.from_json(calibration(CLIFF).to_json().replace('"version": 3', '"version": 99'))


def test_the_report_names_size_interval_and_tier() -> None:
    exact = replace(calibration(CLIFF), chosen=Chosen({"vivid": Style(16)}, {"vivid": True}))
    lines = report(exact).splitlines()
    assert len(lines) == len(CLIFF) + 1
    assert lines[1].endswith("vivid, exact")
    assert "100.0%" in lines[1]
