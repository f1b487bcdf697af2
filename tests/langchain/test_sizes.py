"""What stands beside the memory in a call is counted, so that the whole call keeps to the budget."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from langchain.agents.structured_output import AutoStrategy, ProviderStrategy, ToolStrategy
from pydantic import BaseModel, TypeAdapter
from typing_extensions import TypedDict

from optical_memory.langchain.sizes import Reserved


class Berth(BaseModel):
    """Where a ship lies, by the harbour's own names."""

    harbour_of_arrival: str
    number_of_the_berth: int


class Dated(TypedDict):
    """When a ship is due, by the harbour's own clock."""

    day_of_arrival: str
    hour_of_arrival: int


@dataclass
class Crew:
    """Who is aboard a ship, by the captain's own list."""

    name_of_the_captain: str
    number_of_sailors: int


ONE = [Berth, Dated, Crew, TypeAdapter(Crew).json_schema()]
ASKED = [(by, s) for by in (AutoStrategy, ToolStrategy, lambda s: s) for s in (*ONE, Berth | Dated)]


@pytest.mark.parametrize(("strategy", "schema"), [*ASKED, *((ProviderStrategy, s) for s in ONE)])
def test_the_schema_of_an_answer_is_counted_whatever_it_is_written_as(make, schema, strategy):
    """As a model, a TypedDict, a dataclass, one of several, or JSON; as the host gave it or by its strategy."""
    request = SimpleNamespace(tools=[], response_format=strategy(schema), system_message=None)
    settings = make().settings()
    whole = TypeAdapter(schema).json_schema() if not isinstance(schema, dict) else schema
    assert Reserved().tokens(request, settings) >= settings.text(str(whole)) * 0.8
