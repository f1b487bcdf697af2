"""Real engines, end to end: they read large type nearly whole and 6 pixels not, and the memory takes their profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from optical_memory.errors import MissingExtraError
from optical_memory.readers import Reader, Trial, load_profile, reader
from optical_memory.readers.command import run

pytestmark = pytest.mark.slow
TRIAL = Trial(seed=5, styles=("sans16", "tall5b"), pages=2)


@pytest.fixture(params=["ocr:tesseract", "ocr:rapidocr"])
def engine(request: pytest.FixtureRequest) -> Reader:
    try:
        return reader(request.param)
    except MissingExtraError as error:
        pytest.skip(str(error))


def test_an_engine_reads_large_type_and_falls_off_the_cliff(engine: Reader, tmp_path: Path) -> None:
    found = run(engine, tmp_path / "p.json", trial=TRIAL)
    large, small = (row.score for row in found.rows)
    assert large.chars.value > 0.98
    assert large.strings.share("right").value > 0.8
    assert small.chars.value < 0.9
    assert found.chosen.tiers["dense"] is None
    assert load_profile(tmp_path / "p.json").readable("vivid") == (found.chosen.tiers["vivid"] is not None)
