"""Settings are frozen, checked, and the same from keywords and from a file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optical_memory import ConfigError, MemoryConfig, OpticalMemory
from optical_memory.config import from_toml, make
from optical_memory.cost import profile
from optical_memory.pages import Style
from optical_memory.planning.decay import half_life, named, staircase


def test_a_toml_file_says_the_same_as_keywords(tmp_path):
    """From its own table, or from the top level."""
    file = tmp_path / "memory.toml"
    file.write_text(
        '[optical_memory]\nmodel = "claude-opus-5"\nbudget = 9000\nkeep = ["tokens", 500]\nschedule = "never"\n'
    )
    assert from_toml(file) == make(model="claude-opus-5", budget=9_000, keep=("tokens", 500), schedule="never")
    file.write_text("budget = 7")
    assert from_toml(file).budget == 7


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("budgett = 3", "budgett"),
        ("budget = 0", "budget"),
        ('keep = ["weeks", 3]', "keep"),
        ("budget = [", "memory.toml"),
        ("low_mark = 7.0", "low_mark"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_name(tmp_path, text, named):
    """The error names the file, the field and what would be right."""
    file = tmp_path / "memory.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=named):
        from_toml(file)
    with pytest.raises(ConfigError, match="absent"):
        from_toml(tmp_path / "absent.toml")


def test_a_keyword_stands_over_the_configuration():
    """`OpticalMemory(config=..., budget=...)`."""
    with OpticalMemory("sqlite://", config=MemoryConfig(model="gpt-4o", budget=5_000), budget=6_000) as memory:
        assert (memory.config.model, memory.budget) == ("gpt-4o", 6_000)


def test_an_unknown_setting_or_model_is_refused_when_asked_to_be_strict():
    """Unknown fields always, unknown models with strict=True."""
    with pytest.raises(ConfigError, match="unknown setting 'bugdet'"):
        OpticalMemory("sqlite://", bugdet=3)
    with pytest.raises(ConfigError, match="register"):
        OpticalMemory("sqlite://", model="nobody-knows-1", strict=True)


def test_an_unknown_model_counts_high_and_warns_once():
    """Never a surprise on the bill."""
    with (
        pytest.warns(UserWarning, match="nobody-knows-2"),
        OpticalMemory("sqlite://", model="nobody-knows-2") as memory,
    ):
        assert memory.profile.text_factor >= 1.5


def test_the_configuration_is_kept_with_the_thread(tmp_path):
    """Whoever opens the database later sees what the agent sends."""
    with OpticalMemory(tmp_path / "m.db", model="gpt-4o", budget=4_000, schedule=lambda age: "clear") as memory:
        memory.remember("t", [("user", "hello")])
        with memory.store.read() as reader:
            kept = reader.thread("t").config
    assert (kept["model"], kept["budget"]) == ("gpt-4o", 4_000)
    assert kept["schedule"].startswith("callable")


@pytest.mark.parametrize("schedule", [staircase(card=("hours", 5)), half_life(30)], ids=["staircase", "half_life"])
def test_a_schedule_of_ones_own_is_kept_with_the_thread_and_made_again(schedule, tmp_path):
    """From the settings as they were stored, and from a configuration that is handed on."""
    config = MemoryConfig(model="gpt-4o", schedule=schedule)
    with OpticalMemory(tmp_path / "m.db", config=config, budget=9_000) as memory:
        assert memory.config.schedule == schedule
        memory.remember("t", [("user", "hello")])
        with memory.store.read() as reader:
            kept = reader.thread("t").config
    assert named(make(**kept).schedule) == schedule


def test_what_is_kept_with_the_thread_follows_whoever_plans(tmp_path):
    """A memory with other settings that takes a step leaves these; one that only remembers does not."""
    rows = [{"role": "user", "content": f"{n} " + "words " * 40, "id": f"m{n}"} for n in range(30)]
    with OpticalMemory(tmp_path / "m.db", model="ocr:tesseract", budget=900) as memory:
        memory.remember("t", rows[:10])
    for budget, count in ((800, 20), (700, 30)):
        with OpticalMemory(tmp_path / "m.db", model="ocr:tesseract", budget=budget) as memory:
            memory.remember("t", rows[:count])
            if budget == 800:
                assert memory.context("t").reason
            with memory.store.read() as reader:
                assert reader.thread("t").config["budget"] == 800


def test_tiers_of_ones_own_stand_above_the_models(tmp_path):
    """By keyword as names or styles, in a file, and again from what is stored with the thread."""
    file = tmp_path / "memory.toml"
    file.write_text('model = "ocr:tesseract"\n[tiers]\nvivid = "sans12"\nclear = "narrow9"\n')
    told = [{"config": file}, {"model": "ocr:tesseract", "tiers": {"vivid": Style(12), "clear": "narrow9"}}]
    for number, options in enumerate(told):
        with OpticalMemory(tmp_path / f"{number}.db", **options) as memory:
            memory.remember("t", [("user", "hello")])
            with memory.store.read() as reader:
                kept = reader.thread("t").config
            assert memory.profile.tiers["vivid"] == Style(12)
            assert memory.profile.tiers["clear"] == Style(9, "narrow")
            assert kept["tiers"] == {"vivid": "sans12", "clear": "narrow9"}
            assert make(**{k: tuple(v) if isinstance(v, list) else v for k, v in kept.items()}) == memory.config


SMALL = {"vivid": "narrow8b", "clear": "narrow7b", "dense": "wide5b"}


def test_pages_are_drawn_in_the_tiers_of_ones_own(tmp_path):
    """The names of their looks say so."""
    rows = [{"role": "user", "content": f"{n} " + "words and more of them " * 20, "id": f"m{n}"} for n in range(40)]
    with OpticalMemory(tmp_path / "m.db", model="ocr:tesseract", budget=900, tiers=SMALL) as memory:
        memory.remember("t", rows)
        looks = {(s.kind, s.look) for s in memory.context("t").segments if s.kind in SMALL}
        assert looks
        assert all(look.startswith(f"{SMALL[kind]}|") for kind, look in looks)


def test_ids_are_not_taken_to_be_safe_in_smaller_type_than_was_measured():
    """But they are in larger type."""
    measured = replace(profile("ocr:tesseract"), exact={"vivid": True, "clear": True, "dense": False})
    with OpticalMemory(
        "sqlite://", profile=measured, tiers={"vivid": "sans18", "clear": "sans5", "dense": "sans5"}
    ) as memory:
        assert dict(memory.profile.exact) == {"vivid": True, "clear": False, "dense": False}


@pytest.mark.parametrize(
    ("tiers", "words"),
    [
        ({"vivid": "sans8", "clear": "sans9"}, "coarser"),
        ({"dense": "wide24"}, "coarser"),
        ({"vivid": "sans99"}, "line pitch"),
        ({"vivid": "gothic9"}, "face"),
        ({"vivid": "small"}, "give a line pitch"),
        ({"huge": "sans9"}, "tiers.huge"),
        ({"vivid": 3.5}, "tiers.vivid"),
        ("sans9", "tiers"),
    ],
)
def test_tiers_that_cannot_be_are_refused_at_once(tmp_path, tiers, words):
    """With what is wrong, before anything is stored."""
    with pytest.raises(ConfigError, match=words):
        OpticalMemory(tmp_path / "m.db", model="ocr:tesseract", tiers=tiers)
    assert not (tmp_path / "m.db").exists()


def test_a_schedule_may_be_a_table_of_stairs(tmp_path):
    """In a file or by keyword, with one age or several for a tier."""
    file = tmp_path / "memory.toml"
    file.write_text('[schedule]\nclear = ["turns", 6]\ncard = [["turns", 90], ["hours", 2.5]]\n')
    stairs = staircase(clear=("turns", 6), card=[("turns", 90), ("hours", 2.5)])
    assert from_toml(file) == make(schedule={"clear": ["turns", 6], "card": [["turns", 90], ["hours", 2.5]]})
    with OpticalMemory(tmp_path / "m.db", config=file) as memory:
        assert memory.settings().schedule == stairs


@pytest.mark.parametrize(
    "schedule", ["sometimes", "{", {"clear": 5}, {"clear": ["turns"]}, {"text": ["turns", 1]}, {"clear": ["days", 1]},
                 {"clear": ["turns", -1]}, {"clear": ["turns", 9], "dense": ["turns", 3]}, 7],
)  # fmt: skip
def test_a_schedule_that_cannot_be_is_refused_at_once(tmp_path, schedule):
    """When the memory is made, not when the first page fades."""
    with pytest.raises(ConfigError, match="schedule"):
        OpticalMemory(tmp_path / "m.db", schedule=schedule)
