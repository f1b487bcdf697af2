"""What `--json` of each command looks like: a JSON Schema for each, and what is needed to make and check them.

`python -m tests.inspection.outputs` makes them anew from real outputs, after a change that is meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optical_memory.planning.tiers import TIERS

FOLDER = Path(__file__).parent
KINDS = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}
FREE = {  # objects whose keys are data: tiers, models, packages
    "tiers", "packages", "extras", "readers", "instead", "saved", "calls", "chars_per_image_token", "correction",
    "rows",
}  # fmt: skip


def schema(values: list[Any], name: str = "") -> dict[str, Any]:
    """A schema that all these values keep to; no key may be missing or come besides, but where keys are data."""
    kinds = sorted({KINDS[type(v)] for v in values})
    made: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
    objects = [v for v in values if isinstance(v, dict)]
    items = [item for v in values if isinstance(v, list) for item in v]
    if objects and (name in FREE or all(set(o) <= set(TIERS) for o in objects)):
        inner = [v for o in objects for v in o.values()]
        made |= {"additionalProperties": schema(inner) if inner else True}
    elif objects:
        keys = list(dict.fromkeys(key for o in objects for key in o))
        parts = {key: schema([o[key] for o in objects if key in o], key) for key in keys}
        required = [key for key in keys if all(key in o for o in objects)]
        made |= {"properties": parts, "required": required, "additionalProperties": False}
    if items:
        made |= {"items": schema(items)}
    return made


def wrong(value: Any, kept: dict[str, Any], place: str = "$") -> Iterator[str]:
    """Where a value does not keep to a schema."""
    kinds = kept["type"] if isinstance(kept["type"], list) else [kept["type"]]
    kind = KINDS[type(value)]
    if kind not in kinds and not (kind == "integer" and "number" in kinds):
        yield f"{place} is {kind}, not {' or '.join(kinds)}"
    elif isinstance(value, dict):
        yield from _keys(value, kept, place)
    elif isinstance(value, list) and "items" in kept:
        for number, item in enumerate(value):
            yield from wrong(item, kept["items"], f"{place}[{number}]")


def _keys(value: dict[str, Any], kept: dict[str, Any], place: str) -> Iterator[str]:
    known, others = kept.get("properties", {}), kept.get("additionalProperties", True)
    yield from (f"{place}.{key} is missing" for key in kept.get("required", ()) if key not in value)
    for key, item in value.items():
        if key in known:
            yield from wrong(item, known[key], f"{place}.{key}")
        elif others is False:
            yield f"{place}.{key} is new: it is not in the schema"
        elif isinstance(others, dict):
            yield from wrong(item, others, f"{place}.{key}")


def file_of(name: str) -> Path:
    """Where the schema of a command is."""
    return FOLDER / f"{name}.json"


def write(name: str, values: list[Any]) -> None:
    """Keep the schema of these outputs."""
    told = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"optical-memory {name} --json"}
    file_of(name).write_text(json.dumps(told | schema(values), indent=1) + "\n", encoding="utf-8")
