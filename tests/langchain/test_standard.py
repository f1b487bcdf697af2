"""LangChain's own tests for tools, where they are installed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_tests", reason="pip install langchain-tests")

from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from optical_memory import OpticalMemory
from optical_memory.langchain import pin_memory, recall_memory


def memory() -> OpticalMemory:
    """A memory with one turn."""
    made = OpticalMemory(Path(tempfile.mkdtemp()) / "memory.db", model="claude-opus-4-5")
    made.remember("t", [("user", "The word is heron.")])
    return made


class Recall:
    """What both suites need to know of recall_memory."""

    @property
    def tool_constructor(self) -> Any:
        return recall_memory(memory(), thread="t")

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"query": "heron"}


class Pin:
    """What both suites need to know of pin_memory."""

    @property
    def tool_constructor(self) -> Any:
        return pin_memory(memory(), thread="t")

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"turns": "1"}


class TestRecallMemoryUnit(Recall, ToolsUnitTests):
    """`ToolsUnitTests` for recall_memory."""


class TestRecallMemoryIntegration(Recall, ToolsIntegrationTests):
    """`ToolsIntegrationTests` for recall_memory."""


class TestPinMemoryUnit(Pin, ToolsUnitTests):
    """`ToolsUnitTests` for pin_memory."""


class TestPinMemoryIntegration(Pin, ToolsIntegrationTests):
    """`ToolsIntegrationTests` for pin_memory."""
