"""The commands that measure: `calibrate`, `simulate` and the group `bench`. What they do lives in `readers` and `bench`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import optical_memory.inspection.opening as opening
import optical_memory.inspection.output as output
from optical_memory.errors import ConfigError
from optical_memory.inspection.options import Db, Json, ProfileFile, Yes

if TYPE_CHECKING:
    from optical_memory.bench.command import Outcome, Scene
    from optical_memory.readers import Calibration

bench_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure on this machine what we claim.")

Model = Annotated[str, typer.Option("--model", help="Whose reading, counting and prices are used.")]
MODEL = "claude-opus-5"


def amount(text: str | None, option: str) -> tuple[str, int] | None:
    """The unit and number of "turns:12". Raises ConfigError."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*([a-z]+)\s*[:=]\s*(\d{1,12})\s*", text)
    if match is None:
        raise ConfigError(f"{option} {text!r} cannot be read: give tokens:4000 or turns:12")
    return match[1], int(match[2])


# --------------------------------------------------------------------------------------------- calibrate


def calibrate(
    model: Annotated[str, typer.Option("--model", help="ocr:tesseract, ocr:rapidocr, or a chat model of LangChain.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The profile; else calibrated-MODEL.json.")
    ] = None,
    pages: Annotated[int, typer.Option(min=1, help="Pages of each style.")] = 4,
    sizes: Annotated[
        str | None,
        typer.Option(metavar="A-B", help="Line pitches in pixels or styles, such as 20-6 or 16,12,narrow9b."),
    ] = None,
    seed: Annotated[int, typer.Option(help="What is drawn depends on it alone.")] = 0,
    yes: Yes = False,
    no_resume: Annotated[bool, typer.Option("--no-resume", help="Read again what an earlier run has read.")] = False,
    json: Json = False,
) -> None:
    """Let a model read test pages, and keep what it can read. It writes a profile; what it costs is asked first."""
    from optical_memory.readers import Trial, report, styles_of
    from optical_memory.readers.command import run

    to = out or Path(f"calibrated-{re.sub('[^a-z0-9.]+', '-', model.lower()).strip('-')}.json")
    trial = Trial(seed, styles_of(sizes), pages) if sizes else Trial(seed, pages=pages)
    with _reading(trial.pages * len(trial.falling())) as advance:
        found = run(
            model, to, trial=trial, yes=yes, resume=not no_resume, agree=lambda what: _agreed(what, yes),
            note=output.note, progress=lambda *_: advance(), date=datetime.now(UTC).date().isoformat(),
        )  # fmt: skip
    output.show(_calibrated(found, to) if json else found, json, lambda one: output.say(report(one)))
    output.note(f"{to}: for --profile here, and OpticalMemory(profile={str(to)!r})")


@contextmanager
def _reading(total: int) -> Iterator[Callable[[], None]]:
    """Something to call for each page read; progress begins with the first, so that no bar stands over a question."""
    from optical_memory.inspection.progress import Progress, progress

    with ExitStack() as stack:
        shown: list[Progress] = []

        def advance() -> None:
            if not shown:
                shown.append(stack.enter_context(progress("reading pages", total)))
            shown[0].advance()

        yield advance


def _agreed(what: str, yes: bool) -> None:
    opening.confirmed(what, yes, lambda question: typer.confirm(question, err=True))


def _calibrated(found: Calibration, to: Path) -> dict[str, Any]:
    """What the file holds, and where it is."""
    import json

    told: dict[str, Any] = json.loads(found.to_json())
    return {"file": str(to)} | told


# --------------------------------------------------------------------------------------------- simulate


def simulate(
    thread: Annotated[str | None, typer.Argument(help="A stored thread; else a made conversation.")] = None,
    transcript: Annotated[Path | None, typer.Option(metavar="FILE", help="A conversation in JSON Lines.")] = None,
    turns: Annotated[int, typer.Option(min=1, help="Turns of a made conversation.")] = 200,
    chars: Annotated[int, typer.Option(min=1, help="Characters of each of them.")] = 4_000,
    model: Annotated[str | None, typer.Option("--model", help="Whose prices and pages; else the thread's own.")] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="Tokens of a whole call.")] = None,
    schedule: Annotated[str | None, typer.Option(help="staircase, half_life or never.")] = None,
    keep: Annotated[str | None, typer.Option(metavar="UNIT:N", help="tokens:4000 or turns:12.")] = None,
    cold: Annotated[str | None, typer.Option(metavar="N|never", help="Cold cache at every N-th call.")] = None,
    reserved: Annotated[int, typer.Option(min=0, help="Tokens of system prompt and tools before every call.")] = 3_000,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it too.")] = None,
    profile: ProfileFile = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Price a conversation call by call, here and in other ways. It also says how much stays readable."""
    from optical_memory.bench.command import outcome
    from optical_memory.inspection import tables

    if thread is not None and transcript is not None:
        raise ConfigError("a thread and --transcript do not go together: give one of them")
    settings = {"model": model, "budget": budget, "schedule": schedule, "keep": amount(keep, "--keep")}
    every = _cold(cold)
    scene = _scene(thread, transcript, turns, chars, settings, profile, db)
    done = outcome(scene, every, reserved)
    output.show(done.to_json(), json, tables.simulation)
    if svg is not None:
        _draw(done, svg)


def _scene(
    thread: str | None, transcript: Path | None, turns: int, chars: int, settings: dict[str, Any],
    profile: Path | None, db: str | None,
) -> Scene:  # fmt: skip
    from optical_memory.bench.command import scene_made, scene_of

    if thread is not None:
        with opening.reading(db, thread, profile=profile, **settings) as memory:
            return scene_of(memory, thread)
    given = {"model": MODEL, **{k: v for k, v in settings.items() if v is not None}}
    with opening.passing(profile, **given) as memory:
        if transcript is None:
            return scene_made(memory.profile, memory.config, turns, chars)
        return scene_of(memory, _remembered(memory, transcript))


def _remembered(memory: Any, file: Path) -> str:
    from optical_memory.transcripts import transcript

    memory.remember(file.stem, transcript(file))
    return file.stem


def _cold(text: str | None) -> int | str | None:
    """The option --cold: a number of calls, "never", or nothing. Raises ConfigError."""
    if text is None or text == "never":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"--cold {text!r} cannot be read: give a number of calls such as 10, or never")
    return int(text)


def _draw(done: Outcome, to: Path) -> None:
    from optical_memory.bench.plot import svg
    from optical_memory.inspection.saving import write

    title = f"{done.scene.name}, {done.scene.profile.name}, budget {done.scene.budget:,}"
    data = svg(done.comparison, done.scene.budget, title[0].upper() + title[1:]).encode("utf-8")
    write(to, data)
    output.note(f"{to}: {output.size(len(data))}")


# --------------------------------------------------------------------------------------------- bench


@bench_app.command("recall")
def bench_recall(
    file: Annotated[Path, typer.Argument(help="A conversation in JSON Lines.")],
    budget: Annotated[int, typer.Option(min=1, help="Tokens of a whole call.")] = 32_000,
    model: Model = MODEL,
    profile: ProfileFile = None,
    json: Json = False,
) -> None:
    """Say what one context of a conversation keeps. Counted are turns as text, as pages, left out."""
    from optical_memory.bench.command import kept
    from optical_memory.inspection import tables
    from optical_memory.transcripts import transcript

    found = kept(transcript(file), model=model, budget=budget, profile=opening.calibrated(profile, model))
    output.show({"file": str(file)} | found, json, tables.kept)


@bench_app.command("context")
def bench_context(
    turns: Annotated[int, typer.Option(min=1, help="Turns of the larger database.")] = 10_000,
    model: Model = MODEL,
    json: Json = False,
) -> None:
    """Time how long a context takes in a made database. Unchanged, and after one new turn."""
    from optical_memory.bench.command import times
    from optical_memory.inspection import tables
    from optical_memory.inspection.progress import progress

    with tempfile.TemporaryDirectory() as folder, progress("timing", 2) as shown:
        found = times((1_000, turns), Path(folder), model, shown.advance)
    output.show(found, json, tables.times)


@bench_app.command("render")
def bench_render(
    size: Annotated[int, typer.Option(min=5, max=24, help="Line pitch in pixels.")] = 8,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each; the best and the median are told.")] = 15,
    json: Json = False,
) -> None:
    """Time drawing a page against Pillow's own text. Against un-locc too, where it is installed."""
    from optical_memory.bench.render import command

    _told(command(size, runs), json)


@bench_app.command("legibility")
def bench_legibility(
    data: Annotated[
        Path | None, typer.Option("--data", help="A folder of conversations; else text of Python's own.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=9, help="Samples of each kind of text.")] = 3,
    json: Json = False,
) -> None:
    """Measure how dense pages are and what OCR engines read. It needs the extra ocr, and takes minutes."""
    from optical_memory.bench.legibility import command

    _told(command(data, seeds=seeds, progress=output.note), json)


def _told(report: Any, json: bool) -> None:
    """A report as it prints itself, or its rows as one JSON document."""
    output.show({"rows": report.rows()}, json, lambda _: output.say(str(report)))
