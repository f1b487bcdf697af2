"""Settings are frozen, checked, and the same from keywords and from a file."""

from __future__ import annotations

import pytest

from optical_memory import ConfigError, MemoryConfig, OpticalMemory
from optical_memory.config import from_toml, make


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
