"""`bench legibility` counts what is on the pages, and scores what a reader says of them; the reader here knows every page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from optical_memory.bench import legibility as bench
from optical_memory.bench.legibility import Plan, Report, corpus, drawn_pages, measure, planted, sample, shuffled
from optical_memory.bench.render import PEER_SIDE, peer_shown
from optical_memory.errors import ConfigError
from optical_memory.pages import Style, TurnText

PLAN = Plan(
    {"vivid": Style(9), "dense": Style(6, bold=True)},
    seeds=(1, 2),
    chars=900,
    pages=dict.fromkeys(bench.KINDS, 1),
    full=20_000,
)


class Knowing:
    """Reads the pages of a plan as they are, digits as something else if it is told to."""

    name = "ocr:tesseract"

    def __init__(self, plan: Plan, digits: str = "0123456789") -> None:
        table = str.maketrans("0123456789", digits)
        self.known = {told.pngs[0]: told.whole.text.translate(table) for told in drawn_pages(plan)}

    def read(self, png: bytes) -> str:
        """The text of a page; KeyError for one that is not of the plan."""
        return self.known[png]


def measured(*digits: str) -> Report:
    return measure(replace(PLAN, readers=(Knowing(PLAN, *digits),)), peer=False)


@pytest.fixture(scope="module")
def perfect() -> Report:
    return measured()


def test_a_perfect_reader_reaches_every_bar_of_reading(perfect):
    reached = {(v["tier"], v["what"]): v["reached"] for v in perfect.verdicts()}
    assert perfect.chars("vivid") == perfect.hard("vivid") == perfect.chars("dense", shuffled=True) == 1.0
    assert reached["vivid", "exact strings"]
    assert reached["dense", "characters"]


def test_a_reader_of_wrong_digits_has_no_bare_number_right_and_all_of_them_wrong(perfect):
    wrong = measured("1234567890")
    assert wrong.total("vivid")[1].right < perfect.total("vivid")[1].right
    assert wrong.total("vivid")[1].wrong > 20
    assert wrong.total("vivid")[1].of == perfect.total("vivid")[1].of
    assert 0.7 < wrong.chars("vivid") < 1.0


def test_small_type_is_denser_and_compact_json_shows_more_source_than_is_drawn(perfect):
    assert perfect.density("dense") > 1.8 * perfect.density("vivid")
    assert perfect.density("vivid", "source", "tool") > perfect.density("vivid", "drawn", "tool")
    assert perfect.density("vivid", "drawn", "chat") == pytest.approx(
        perfect.density("vivid", "source", "chat"), rel=0.01
    )


def test_every_tier_kind_and_order_has_a_row_and_the_table_says_what_was_missed(perfect):
    rows = [row for row in perfect.rows() if "kind" in row]
    assert {(row["tier"], row["kind"], row["shuffled"]) for row in rows} == {
        (tier, kind, mixed) for tier in PLAN.styles for kind in bench.KINDS for mixed in (False, True)
    }
    assert json.loads(json.dumps(perfect.rows())) == perfect.rows()
    assert "vivid: characters per 1000 px2" in str(perfect)


def test_planted_phrases_stand_in_the_text_and_are_the_same_for_a_seed():
    turns = [TurnText(1, "user", "plain words " * 100), TurnText(2, "assistant", "other words " * 100)]
    made, phrases = planted(turns, 3)
    assert phrases
    assert all(any(phrase in turn.text for turn in made) for phrase in phrases)
    assert (made, phrases) == planted(turns, 3)
    assert phrases != planted(turns, 4)[1]


def test_shuffling_keeps_every_word():
    turns = [TurnText(1, "user", "one two three four five six seven")]
    mixed = shuffled(turns, 1)[0].text
    assert mixed != turns[0].text
    assert sorted(mixed.split()) == sorted(turns[0].text.split())


def test_a_sample_is_neighbouring_turns_of_about_the_size_that_was_asked_for():
    turns = [("user", f"turn {n} " * 10) for n in range(50)]
    found = sample(turns, 7, 0, 500)
    assert 350 < sum(len(turn.text) for turn in found) <= 500
    numbers = [int(turn.text.split()[1]) for turn in found]
    assert all((b - a) % 50 == 1 for a, b in zip(numbers, numbers[1:], strict=False))


def test_conversations_are_sorted_into_what_people_agents_and_tools_say(tmp_path: Path):
    def written(name: str, *said: tuple[str, str]) -> None:
        rows = [json.dumps({"role": role, "content": text}) for role, text in said]
        (tmp_path / name).write_text("\n".join(rows))

    long = "Words that say little but are many. " * 40
    written("a.jsonl", ("user", long), ("assistant", long))
    written(
        "b.jsonl", ("user", long), ("assistant", long), ("tool", long + "7"), ("tool", long), ("user", "你好" * 900)
    )
    found = corpus(tmp_path)
    assert {kind: len(turns) for kind, turns in found.items()} == {"chat": 2, "agent": 2, "tool": 2}
    (tmp_path / "b.jsonl").unlink()
    with pytest.raises(ConfigError, match="agent and tool"):
        corpus(tmp_path)


@pytest.mark.slow
def test_what_the_peer_drops_is_not_counted_as_text_on_its_pages():
    """Long words make more lines than its pages hold: it draws as many as there is room for, and says nothing."""
    pytest.importorskip("un_locc")
    prose, records = "word " * 2_000, '"transaction-identifier-0123456789": ' * 2_000
    pages, shown, placed = peer_shown(prose)
    assert (pages, shown) == (3, placed)
    pages, shown, placed = peer_shown(records)
    assert shown < 0.6 * placed
    assert 1000 * shown / (pages * PEER_SIDE**2) < 9
