"""What stands beside the memory in a model call, in tokens: system prompt, tools, the schema of the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PydanticUserError, TypeAdapter

from optical_memory.cost import Profile, token_counter
from optical_memory.planning.spans import Settings

PER_TOOL = 12  # tokens around each tool's schema; providers do not publish theirs
KEPT = 256  # texts whose tokens are kept: system prompts and tool lists hardly change


class Reserved:
    """Counts what the caller spends beside the memory, and remembers the counts of what does not change."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}

    def tokens(self, request: Any, settings: Settings) -> int:
        """Tokens of the system prompt, of each tool's JSON schema, and of the answer's schema."""
        parts = [_dump(tool) for tool in request.tools] + _answer(request.response_format)
        total = sum(self._text(part, settings) + PER_TOOL for part in parts)
        system = request.system_message
        if system is not None:
            total += self._text(_said(system), settings) + settings.profile.message_overhead
        return total

    def _text(self, text: str, settings: Settings) -> int:
        key = (settings.profile.name, text)
        tokens = self._known.get(key)
        if tokens is None:
            tokens = settings.text(text)
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[key] = tokens
        return tokens


def message_counter(profile: Profile) -> Any:
    """Tokens of plain messages by this profile's model."""
    return token_counter(profile.name)


def _said(message: BaseMessage) -> str:
    return message.content if isinstance(message.content, str) else _json(message.content)


def _dump(tool: Any) -> str:
    """A tool as a provider gets it; a provider's own tools are dicts already."""
    try:
        return _json(convert_to_openai_tool(tool))
    except (ValueError, TypeError, KeyError):
        return _json(tool)


def _answer(form: Any) -> list[str]:
    """The schema that the answer has to follow, if any: a strategy's, a type's or a JSON schema itself."""
    schema = form if isinstance(form, type) else getattr(form, "schema", form)
    if schema is None:
        return []
    try:
        return [_json(schema if isinstance(schema, Mapping) else TypeAdapter(schema).json_schema())]
    except PydanticUserError:  # of a type without a JSON schema, which no provider can be sent
        return [_json(schema)]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
