"""The dated tables of models.toml, found by a model's name, and what users registered beside them."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Protocol, TypeVar

Row = Mapping[str, Any]


class _Clearable(Protocol):
    def cache_clear(self) -> None: ...


_Cached = TypeVar("_Cached", bound=_Clearable)

_registered: dict[str, Row] = {}
_dependent: list[Callable[[], None]] = []
UNNAMED = "unknown"  # stands for the model of a memory that names none
_warned: set[str] = set()


def forgets(cached: _Cached) -> _Cached:
    """Decorates a cached function whose values depend on the registered models: they are forgotten with each change."""
    _dependent.append(cached.cache_clear)
    return cached


@cache
def data() -> Row:
    """Everything in models.toml."""
    return tomllib.loads(resources.files(__package__).joinpath("models.toml").read_text("utf-8"))


@cache
def _by_prefix(kind: str, day: str) -> dict[str, Row]:
    """Prefix -> row of one list; of two rows for a prefix the later one that holds on `day` (ISO date)."""
    rows = [r for r in data()[kind] if r.get("since", "") <= day]
    return {p: r for r in sorted(rows, key=lambda r: r.get("since", "")) for p in r["models"]}


@lru_cache(1024)
def names(model: str) -> tuple[str, ...]:
    """The name and what is left of it without providers, regions and folders, in lower case.

    The bare name is among those of "anthropic:claude-opus-5", "models/gemini-3-pro" and
    "eu.anthropic.claude-opus-4-8-v1:0".
    """
    name = model.strip().lower()
    if "claude" in name:
        name = re.sub(r"(?<=\d)\.(?=\d)", "-", name)
    starts = [0, *(m.end() for m in re.finditer(r"[/:.]", name))]
    return tuple(name[start:] for start in starts if name[start:])


def _follows(name: str, prefix: str) -> bool:
    """Is `prefix` the beginning of `name`, without cutting a number in two (gpt-5 of gpt-5.4)?"""
    if not name.startswith(prefix):
        return False
    return not (prefix[-1].isdigit() and re.match(r"\.?\d", name[len(prefix) :]))


def longest(model: str, prefixes: Iterable[str]) -> str | None:
    """The longest of `prefixes` that a form of the model's name begins with."""
    bare = names(model)
    return max((p for p in prefixes if any(_follows(n, p) for n in bare)), key=len, default=None)


@lru_cache(4096)
def row(kind: str, model: str, day: str | None = None) -> Row | None:
    """The row of the list `kind` for this model on `day` (ISO; by default the tables' own date)."""
    rows = _by_prefix(kind, day or data()["date"])
    found = longest(model, rows)
    return None if found is None else rows[found]


def registered(model: str) -> Row | None:
    """What `register_model` was told about this model, if it was told no less exactly than the tables."""
    return _registered_for(model) if _registered else None


@forgets
@lru_cache(1024)
def _registered_for(model: str) -> Row | None:
    mine, theirs = longest(model, tuple(_registered)), longest(model, _by_prefix("image", data()["date"]))
    return None if mine is None or len(mine) < len(theirs or "") else _registered[mine]


def register(prefix: str, fields: Row) -> None:
    """Keeps `fields` for every model whose bare name begins with `prefix`; `like` may be a registered model."""
    like = registered(fields["like"]) if "like" in fields else None
    if like is not None:
        fields = {**like, **fields, "like": like.get("like", fields["like"])}
    _registered[names(prefix)[0]] = dict(fields)
    _changed()


def forget_registered() -> None:
    """Forgets everything that was registered."""
    _registered.clear()
    _changed()


def _changed() -> None:
    for clear in _dependent:
        clear()


def blind(model: str) -> bool:
    """Is this model known not to see images?"""
    dark = longest(model, _by_prefix("blind", data()["date"]))
    seen = longest(model, _by_prefix("image", data()["date"]))
    return dark is not None and len(dark) > len(seen or "")


def known(model: str) -> bool:
    """Is there a row for this model, or was it registered?"""
    return any((registered(model) is not None, blind(model), row("image", model) is not None))


def warn_once(model: str) -> None:
    """Says once for each name that its costs are guessed high."""
    if model in _warned:
        return
    _warned.add(model)
    which, then = (
        f"for the model {model!r}",
        f'Type register_model({model!r}, like="...") naming a model that counts alike',
    )
    if model == UNNAMED:
        which, then = "since no model is named", 'Name the one that reads the memory (model="...", --model)'
    warnings.warn(
        f"no costs are known {which}: tokens are counted high and only large type is drawn. {then}, or pass profile=",
        UserWarning,
        stacklevel=3,
    )
