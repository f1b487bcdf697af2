"""Real conversations, whole: they come in, fit every budget, and come out as they were."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from optical_memory import OpticalMemory
from optical_memory.cost import image_size, profile, text_tokens
from tests.data import conversations, data_dir

MODELS = ("claude-opus-5", "gpt-5.6-sol", "gpt-4o", "gemini-3-pro")
pytestmark = pytest.mark.slow


def names() -> list[str]:
    try:
        return [str(p.relative_to(data_dir())) for p in conversations()]
    except pytest.skip.Exception:
        return ["(no conversations)"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conversations") / "memory.db"


@pytest.mark.parametrize("name", names())
def test_a_conversation_comes_back_whole_and_fits_every_budget_of_every_model(name: str, database: Path) -> None:
    """Messages in equal messages out, character for character; contexts keep to 1/2, 1/4, 1/8 and 1/16 of the text."""
    rows = [json.loads(line) for line in (data_dir() / name).read_text(encoding="utf-8").split("\n") if line]
    with OpticalMemory(database, model=MODELS[0]) as memory:
        assert memory.remember(name, rows).messages == len(rows)
        assert memory.remember(name, rows).added == 0
        turns = memory.turns(name)
        assert [m for t in turns for m in t.messages] == rows
        for model in MODELS:
            settings = memory.settings(model)
            with memory.store.read() as reader:
                path = reader.path(reader.thread(name))
                whole = sum(settings.turn(t) for t in reader.turns(path))
            for part in (2, 4, 8, 16):
                context = memory.context(name, budget=max(1, whole // part), model=model)
                assert context.tokens <= whole // part, (model, part)
                assert counted(context, model) <= context.tokens, (model, part)
                assert covered(context) == list(range(1, len(turns) + 1)), (model, part)


def counted(context, model: str) -> int:
    """The tokens of a context, counted anew from what is really in its messages."""
    used, rules = 0, profile(model)
    for message in context.messages:
        used += rules.message_overhead
        for block in message.content if isinstance(message.content, list) else [message.content]:
            if isinstance(block, str):
                used += text_tokens(block, model)
            elif block["type"] == "text":
                used += text_tokens(block["text"], model)
            elif "base64" in block:
                used += rules.image(*image_size(base64.b64decode(block["base64"])))
        used += sum(
            text_tokens(f"{c['name']}{json.dumps(c['args'], ensure_ascii=False)}", model)
            for c in getattr(message, "tool_calls", [])
        )
    return used


def covered(context) -> list[int]:
    """Every turn that is shown once or listed as left out, in order."""
    shown = [turns for s in context.segments if s.kind != "recalled" for turns in s.shown]
    spans = sorted([*shown, *context.left_out])
    return [n for first, last in spans for n in range(first, last + 1)]
