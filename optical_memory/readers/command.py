"""`optical-memory calibrate`, without the terminal's own library: what it does is one function."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from optical_memory.cost import profile
from optical_memory.errors import ConfigError
from optical_memory.readers.base import Reader, reader
from optical_memory.readers.calibrate import Progress, Trial, calibrate, estimate
from optical_memory.readers.calibration import Calibration

Agree = Callable[[str], None]  # is told what would be done, and raises if nobody agrees to it
Note = Callable[[str], None]


def readings_beside(out: Path) -> Path:
    """Where the readings of a calibration are kept: `profile.json` has `profile.readings.jsonl` beside it."""
    return out.with_suffix(".readings.jsonl")


def _refuse(what: str) -> None:
    raise ConfigError(f"this would {what}: agree beforehand with --yes")


def _quiet(_: str) -> None:
    return


def run(
    model: str | Reader,
    out: Path,
    *,
    trial: Trial | None = None,
    yes: bool = False,
    resume: bool = True,
    agree: Agree = _refuse,
    note: Note = _quiet,
    progress: Progress | None = None,
    date: str = "",
) -> Calibration:
    """Calibrate a model and write its profile to `out`; what it read stays in a file beside that.

    A run that costs money is told to `agree` first (with `yes` it is only noted). With `resume=False` pages that were read
    by an earlier run are read again. Raises ConfigError for a model or a file that cannot be used.
    """
    trial, kept = trial or Trial(), readings_beside(out)
    _writable(out)
    name = model if isinstance(model, str) else model.name
    _priced(name, trial, kept if resume else None, yes, agree, note)
    if not resume:
        kept.unlink(missing_ok=True)
    found = calibrate(
        reader(model) if isinstance(model, str) else model, trial=trial, readings=kept, progress=progress, date=date
    )
    _write(out, found.to_json())
    return found


def _priced(name: str, trial: Trial, kept: Path | None, yes: bool, agree: Agree, note: Note) -> None:
    """Say what the run would cost, and ask if it costs anything."""
    cost = estimate(profile(name), trial, kept)
    if name.startswith("ocr:") or not cost.calls:
        note(f"{cost.calls} pages to read")
        return
    what = (f"send {cost.calls} pages to {name}: about {cost.asked:,} tokens and {cost.answered:,} answered, "
            f"at most about ${cost.usd:.2f}")  # fmt: skip
    note(what) if yes else agree(what)


def _writable(out: Path) -> None:
    """Raises ConfigError before anything is paid for, if the result could not be written."""
    if not out.suffix:
        raise ConfigError(f"out={str(out)!r}: give a file name that ends in .json")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigError(f"cannot write {str(out)!r}: give a file in a folder that exists and can be written")


def _write(out: Path, text: str) -> None:
    """All at once, so that a stopped run leaves the older profile whole."""
    new = out.with_suffix(".new")
    new.write_text(text, "utf-8")
    new.replace(out)
