"""Settings, frozen once made: `MemoryConfig`, from keywords or from a TOML file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from optical_memory.errors import ConfigError

DEFAULT_BUDGET = 32_000  # tokens: what we use at most unless told otherwise


class MemoryConfig(BaseModel):
    """How a memory behaves. Unknown fields are refused; every default is one that we would ship.

    model      the model that will read the memory, such as "claude-opus-5"; decides page sizes, tiers and costs
    budget     tokens of a whole model call by the model's own price rules; None: 32,000, or what the model takes by its
               LangChain profile where that is less and the memory is an agent's
    keep       how many of the newest turns stay text: ("turns", n) or ("tokens", n); at most a
               third of the tokens that a step fills
    schedule   how age lowers the tier: "staircase", "half_life", "never", a DecaySchedule (its JSON) or a callable
    tiers      styles of your own for drawn tiers, such as {"vivid": "sans10", "dense": "wide6b"} (or Style values): they
               stand above the profile's
    retain     "forever", or the tier at which the text of a page goes for good and its picture is all that is kept:
               "vivid", "clear", "dense" or "card" (see OpticalMemory.explain); none goes with mode="observe"
    recall     tokens that automatic recall may spend on a call: ("tokens", n); 0 switches it off; None: 1,500,
               and no more than a sixteenth of the budget
    low_mark   a step fills the budget up to this share, so that the next step is far away (0.3 to 1)
    facts      share of the budget for the fact sheet (0 to 0.5)
    horizon    turns over which a step must pay for the provider's rewritten cache
    mode       "observe": remember, plan and price each call, but send what the caller has (see OpticalMemory.project)
    strict     raise ConfigError for a model that is not known, instead of counting high and warning once
    profile    the file of a calibration (JSON), whose tiers stand above those of the tables
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    model: str | None = None
    budget: int | None = Field(default=None, ge=1)
    keep: tuple[Literal["turns", "tokens"], int] = ("tokens", 4_000)
    schedule: Any = "staircase"
    tiers: dict[Literal["vivid", "clear", "dense"], str] = Field(default_factory=dict)
    retain: Literal["forever", "vivid", "clear", "dense", "card"] = "forever"
    recall: tuple[Literal["tokens"], int] | None = None
    low_mark: float = Field(default=0.6, ge=0.3, le=1.0)
    facts: float = Field(default=0.08, ge=0.0, le=0.5)
    horizon: float = Field(default=20, gt=0)
    mode: Literal["context", "observe"] = "context"
    strict: bool = False
    profile: str | None = None

    def recall_tokens(self, budget: int) -> int:
        """Tokens that automatic recall may spend on a call of this budget."""
        return min(1_500, budget // 16) if self.recall is None else self.recall[1]

    @field_validator("profile", mode="before")
    @classmethod
    def _whole_path(cls, value: Any) -> Any:
        """From the root on: the settings are stored, and read again from other folders."""
        return str(Path(value).expanduser().absolute()) if isinstance(value, str | Path) else value

    @field_validator("keep", "recall")
    @classmethod
    def _not_negative(cls, value: tuple[str, int] | None) -> tuple[str, int] | None:
        if value is not None and value[1] < 0:
            raise ValueError("give 0 or more")
        return value

    @field_validator("schedule", mode="before")
    @classmethod
    def _schedule(cls, value: Any) -> Any:
        """A table of stairs, as in TOML ({"clear": ["turns", 60]}), becomes the text that a schedule is written as."""
        if isinstance(value, Mapping):
            return _stairs(value)
        if not callable(value) and not isinstance(value, str):
            raise ValueError("give staircase, half_life, never, a DecaySchedule, a table of stairs or a callable")
        return value

    @field_validator("tiers", mode="before")
    @classmethod
    def _tiers(cls, value: Any) -> Any:
        """Styles by their keys."""
        return (
            {tier: getattr(style, "key", style) for tier, style in value.items()}
            if isinstance(value, Mapping)
            else value
        )

    def public(self) -> dict[str, Any]:
        """The settings as JSON-safe values; a callable schedule is given by its name."""
        schedule = self.schedule
        if hasattr(schedule, "to_json"):
            schedule = schedule.to_json()
        elif callable(schedule):
            schedule = f"callable {getattr(schedule, '__qualname__', type(schedule).__name__)}"
        given = self.model_dump(exclude={"schedule"})  # pydantic would take a DecaySchedule apart
        recall = list(self.recall) if self.recall else None
        return given | {"schedule": schedule, "keep": list(self.keep), "recall": recall}


def make(**fields: Any) -> MemoryConfig:
    """A MemoryConfig from keywords; what is None is left at its default. Raises ConfigError naming field, value and reason."""
    try:
        return MemoryConfig(**{k: v for k, v in fields.items() if v is not None})
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def from_toml(path: str | Path) -> MemoryConfig:
    """A MemoryConfig from the table [optical_memory] of a TOML file, or from its top level if it has no such table.

    A `profile` in it is looked for beside the file.

    Raises ConfigError if the file cannot be read or has a field that is unknown or cannot be used.
    """
    try:
        given: Mapping[str, Any] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    table = given.get("optical_memory", given)
    try:
        return make(**_beside(Path(path), _tupled(table)))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _stairs(table: Mapping[str, Any]) -> str:
    """A table of tiers and the ages at which they begin, one or several each, as the JSON text of a schedule."""
    several = {
        tier: after if isinstance(after, list | tuple) and after and isinstance(after[0], list | tuple) else [after]
        for tier, after in table.items()
    }
    return json.dumps(
        {"name": "staircase", "stairs": [[tier, after] for tier, many in several.items() for after in many]}
    )


def _tupled(table: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}


def _beside(file: Path, table: dict[str, Any]) -> dict[str, Any]:
    named = table.get("profile")
    return table | {"profile": file.absolute().parent / Path(named).expanduser()} if isinstance(named, str) else table


def _explain(error: ValidationError) -> str:
    problems = []
    for e in error.errors():
        field = ".".join(map(str, e["loc"]))
        if e["type"] == "extra_forbidden":
            problems.append(f"unknown setting {field!r}; the settings are {', '.join(MemoryConfig.model_fields)}")
        else:
            problems.append(f"{field} = {e['input']!r}: {e['msg']}")
    return "; ".join(problems)
