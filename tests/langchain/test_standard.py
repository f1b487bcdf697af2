"""LangChain's own tests for tools, where they are installed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_tests", reason="pip install langchain-tests")

from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from optical_memory import OpticalMemory
from optical_memory.langchain import recall_memory


def made() -> BaseTool:
    """The tool on a memory with one turn."""
    memory = OpticalMemory(Path(tempfile.mkdtemp()) / "memory.db", model="claude-opus-4-5")
    memory.remember("t", [("user", "The word is heron.")])
    return recall_memory(memory, thread="t")


class Standard:
    """What both suites need to know."""

    @property
    def tool_constructor(self) -> Any:
        return made()

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"query": "heron"}


class TestRecallMemoryUnit(Standard, ToolsUnitTests):
    """`ToolsUnitTests` for recall_memory."""


class TestRecallMemoryIntegration(Standard, ToolsIntegrationTests):
    """`ToolsIntegrationTests` for recall_memory."""
