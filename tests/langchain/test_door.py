"""The door of the package: light to import, and clear about what is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from optical_memory.errors import ConfigError
from optical_memory.langchain import OpticalMemoryMiddleware, pin_memory, recall_memory
from optical_memory.langchain.middleware import bare_name, other_model
from tests.langchain.scripted import Scripted


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_package_does_not_load_agents():
    """Importing optical_memory, or this door, loads no langchain.agents."""
    code = "import sys, optical_memory, optical_memory.langchain; print('langchain.agents' in sys.modules)"
    assert run(code) == "False"


@pytest.mark.slow
def test_without_langchain_the_middleware_names_the_extra_and_the_tool_works():
    """MissingExtraError says what to install; the tool needs langchain-core only."""
    code = (
        "import sys; sys.modules['langchain'] = None\n"
        "from optical_memory import MissingExtraError, OpticalMemory\n"
        "from optical_memory.langchain import recall_memory\n"
        "print(recall_memory(OpticalMemory(':memory:', model='claude-opus-4-5')).name)\n"
        "try:\n    from optical_memory.langchain import OpticalMemoryMiddleware\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    assert run(code).splitlines() == [
        "recall_memory",
        'langchain is not installed: pip install "optical-memory[agents]"',
    ]


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("anthropic:claude-opus-4-5", "claude-opus-4-5"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
        ("models/gemini-3-pro", "gemini-3-pro"),
        ("gpt-5.2-2025-12-11", "gpt-5.2"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
    ],
)
def test_a_models_name_is_known_in_every_providers_spelling(name, bare):
    """Provider and date do not make another model."""
    assert bare_name(name) == bare


def test_the_memorys_own_model_under_a_dated_name_is_no_other_model():
    """The same model with its date keeps the memory's own plan; a known other one gets its own, an unknown one none."""
    named = [Scripted(play=len, model=m) for m in ("claude-opus-4-5-20251101", "scripted", "gpt-5.2")]
    assert [other_model("claude-opus-4-5", m) for m in named] == [None, None, "gpt-5.2"]
    assert other_model(None, named[2]) is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"cache": "2h"}, 'pass "5m", "1h" or None'), ({"subagents": "isolated"}, 'pass "skip" or "isolate"')],
)
def test_an_option_that_cannot_be_is_refused(make, wrong, told):
    """ConfigError names what can be passed."""
    with pytest.raises(ConfigError, match=told):
        OpticalMemoryMiddleware(make(), **wrong)


@pytest.mark.parametrize("made", [OpticalMemoryMiddleware, recall_memory, pin_memory])
def test_what_is_no_memory_is_refused_when_the_agent_is_made(made):
    """Not at the first call, where a failing memory is only logged."""
    with pytest.raises(ConfigError, match="pass a memory, such as OpticalMemory"):
        made("sqlite:///memory.db")
