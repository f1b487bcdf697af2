"""Makes what can be made of the documentation, from the program itself: `python docs/make.py`.

pictures/    a page at each tier at its true pixels; the decay curve, a call's budget, tokens by tier, money
commands.md  the help of every command
schema.md    the tables of the database
README.md    what stands between `<!-- made: NAME -->` and `<!-- end -->`

The conversation in it is made up by a seed, so that the same program makes the same files. `--check` says which of the text
files (plots are text) are not as they would be made now; `--viewer` takes the picture of the viewer too (Playwright, Chromium).
"""

from __future__ import annotations

import argparse
import io
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402

from optical_memory import MemoryConfig, OpticalMemory, staircase  # noqa: E402
from optical_memory.bench.command import outcome, scene_made  # noqa: E402
from optical_memory.bench.simulate import density  # noqa: E402
from optical_memory.cost import profile  # noqa: E402
from optical_memory.inspection import looking, tables  # noqa: E402
from optical_memory.inspection.plots import Bars, BudgetBar, DecayCurve, TokensByTier, as_file  # noqa: E402
from optical_memory.planning.tiers import DRAWN  # noqa: E402

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
THREAD, BUDGET, TURNS = "harbour", 12_000, 240
MODEL = "claude-fable-5-1"  # reads three sizes of type by published tests, so every tier can be seen
OPENED = 120  # the turn at which the viewer is shown
ACROSS, HEIGHT = 270, 150  # pixels of a page that are shown at most
MODELS = (
    "claude-opus-5", "claude-fable-5", "claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5", "gpt-5.6-sol", "gpt-5.6",
    "gpt-5", "gpt-4o", "gpt-4.1-mini", "gemini-3-pro", "gemini-2.5-pro", "qwen3-vl", "grok-4", "mistral-large", "any other",
)  # fmt: skip
UNWISE = ("falls every turn", "frozen pages", "equal tokens")  # policies that only show why ours is not like them
PLACES = ("Bergen", "Aarhus", "Turku", "Gdynia", "Rostock", "Visby", "Tallinn", "Malmo", "Lysekil", "Ronne")
GOODS = ("coffee", "paper rolls", "bicycle parts", "salt cod", "pine boards", "ceramics", "lamp oil", "wool")
TROUBLE = (
    "was delayed by fog",
    "has a broken seal",
    "is short by two crates",
    "was unloaded at the wrong quay",
    "is fine",
)


# --------------------------------------------------------------------------------------------- a conversation


def talk() -> Iterator[dict[str, Any]]:
    """A shipping clerk and an assistant with one tool, `TURNS` turns, the same each time."""
    dice = random.Random(7)
    for n in range(TURNS // 3):
        at = (START + timedelta(minutes=3 * n)).isoformat()
        order, place = f"HX-{4_000 + 37 * n}", dice.choice(PLACES)
        yield {"role": "user", "content": _asked(n, order, place), "created_at": at}
        call = {
            "id": f"c{n}",
            "type": "function",
            "function": {"name": "look_up", "arguments": json.dumps({"order": order})},
        }
        yield {"role": "assistant", "content": None, "tool_calls": [call], "created_at": at}
        rows = [_row(dice, order, r) for r in range(dice.randrange(4, 9))]
        yield {"role": "tool", "tool_call_id": f"c{n}", "content": json.dumps(rows)}
        told = f"Order {order} for {place} {dice.choice(TROUBLE)}: {len(rows)} lots, {sum(r['kg'] for r in rows)} kg in all."
        yield {"role": "assistant", "content": told, "created_at": at}


def _asked(n: int, order: str, place: str) -> str:
    if n == 2:
        return "From now on, never release salt cod without a health certificate."
    return f"What is the state of order {order} to {place}? Captain Lind asked about it this morning."


def _row(dice: random.Random, order: str, number: int) -> dict[str, Any]:
    return {
        "lot": f"{order}-{number:02d}", "goods": dice.choice(GOODS), "kg": dice.randrange(40, 900),
        "quay": dice.choice("ABCDE") + str(dice.randrange(1, 30)), "sealed": dice.random() < 0.8,
    }  # fmt: skip


def played(file: Path | None, part: float = 1) -> OpticalMemory:
    """The conversation as an agent would have it: a call after each message that the model answers, a minute apart."""
    clock = {"now": START}
    memory = OpticalMemory(file or "sqlite://", model=MODEL, budget=BUDGET, clock=lambda: clock["now"])
    said = list(talk())
    said = said[: int(part * len(said))]
    for end in range(1, len(said) + 1):
        if said[end - 1]["role"] != "assistant":
            clock["now"] += timedelta(minutes=1)
            memory.project(said[:end], thread=THREAD, reserved=1_000)
    memory.remember(THREAD, said)
    return memory


# --------------------------------------------------------------------------------------------- pictures


def pictures(memory: OpticalMemory, to: Path) -> None:
    """The page at its tiers, as PNG."""
    to.mkdir(parents=True, exist_ok=True)
    pages = {tier: memory.pages(THREAD, tier=tier) for tier in DRAWN}
    whole = set.intersection(*({page.number for page in some} for some in pages.values()))
    number = max((p for p in pages["dense"] if p.number in whole), key=lambda page: page.height).number  # the fullest
    shown = {tier: next(p for p in some if p.number == number) for tier, some in pages.items()}
    for tier, page in shown.items():
        _cropped(page.png, to / f"{tier}.png", min(HEIGHT, *(p.height for p in shown.values())))


def plots(memory: OpticalMemory) -> dict[str, str]:
    """The plots as SVG, by the names of their files."""
    report = looking.context_report(memory.context(THREAD, reserved=1_000, dry_run=True), 0)
    ledger = memory.ledger(THREAD)
    turns = [t["tokens"] for t in looking.turns(memory, THREAD, 1, None)]
    instead = {name: bill.money for name, bill in ledger.instead.items()}
    drawn = {
        "decay": DecayCurve.of(staircase()),
        "budget": BudgetBar.of(report),
        "tokens": TokensByTier.of(turns, looking.steps(memory, THREAD), BUDGET),
        "money": Bars.money(ledger.spent.money, instead, "optical memory"),
    }
    return {name: as_file(picture.svg()) for name, picture in drawn.items()}


def _cropped(png: bytes, to: Path, height: int) -> None:
    """The upper left corner of a page, at its true pixels."""
    with Image.open(io.BytesIO(png)) as image:
        image.crop((0, 0, ACROSS, height)).convert("L").quantize(16).save(to, optimize=True)


def viewer(file: Path, to: Path) -> None:
    """The viewer over a database as Chromium draws it, at a page: needs Playwright and the program chromium."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "optical_memory", "view", "--no-open", "--read-only", "--db", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as served, sync_playwright() as play:
        link = served.stdout.readline().strip() if served.stdout else ""
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 760})
        page.goto(link)
        page.goto(f"{page_of(link)}/t/{THREAD}/turn/{OPENED}")
        page.wait_for_load_state("networkidle")
        with Image.open(io.BytesIO(page.screenshot())) as image:
            image.convert("RGB").quantize(256).save(to / "viewer.png", optimize=True)
        browser.close()
        served.terminate()


def page_of(link: str) -> str:
    """The address that a link leads to."""
    return link.split("/enter", 1)[0]


# --------------------------------------------------------------------------------------------- text


def commands() -> str:
    """Every command with what it takes."""
    import typer.main

    from optical_memory.inspection.cli import app

    lines = [
        "# The command line",
        "",
        "Made from the program by `python docs/make.py`: `optical-memory COMMAND --help` says the same.",
        "",
    ]
    return "\n".join([*lines, *_group(typer.main.get_command(app), "optical-memory")]) + "\n"


def _group(group: Any, name: str) -> Iterator[str]:
    for key, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _group(command, f"{name} {key}")
        else:
            yield from _command(command, f"{name} {key}")


def _command(command: Any, name: str) -> Iterator[str]:
    told = [p for p in command.params if not getattr(p, "hidden", False)]
    arguments = [p for p in told if not p.opts[0].startswith("-")]
    yield from (f"## `{' '.join([name, *map(_argument, arguments)])}`", "", " ".join((command.help or "").split()), "")
    rows = [_option(p) for p in told if p.help]
    yield from ("| | |", "|---|---|", *rows, "") if rows else ()


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return name if param.required else f"[{name}]"


def _option(param: Any) -> str:
    named = ", ".join(param.opts) if param.opts[0].startswith("-") else _argument(param)
    value = "" if param.default in (None, False, True, ()) or callable(param.default) else f" (default {param.default})"
    return f"| `{named}`{_metavar(param)} | {' '.join(param.help.split())}{value} |"


def _metavar(param: Any) -> str:
    flag = getattr(param, "is_flag", False) or not param.opts[0].startswith("-")
    return "" if flag else f" {param.metavar or param.name.upper()}"


def schema() -> str:
    """The tables of the database."""
    from optical_memory.storage.schema import HEAD, metadata

    lines = [
        "# The database",
        "",
        f"Schema {HEAD}, made from the program by `python docs/make.py`. A column with \\* is never empty.",
        "",
    ]
    for table in metadata.sorted_tables:
        lines += [f"## `{table.name}`", "", "| column | holds | refers to |", "|---|---|---|"]
        lines += [*map(_column, table.c), ""]
    return "\n".join(lines)


def _column(column: Any) -> str:
    refers = ", ".join(f"`{key.column.table.name}`" for key in column.foreign_keys)
    return f"| `{column.name}`{'' if column.nullable else ' *'} | {type(column.type).__name__.lower()} | {refers} |"


def shown(memory: OpticalMemory) -> dict[str, str]:
    """What commands print of the conversation, by the names that the README's marks have."""
    report = looking.context_report(
        memory.context(THREAD, reserved=1_000, dry_run=True), looking.plain_tokens(memory, THREAD)
    )
    taken = looking.steps(memory, THREAD)[-4:]
    return {
        "grid": _printed(lambda: tables.grid(report)),
        "steps": _printed(lambda: tables.steps(taken)),
        "pays": pays(),
        "models": models(),
    }


def pays() -> str:
    """What `optical-memory simulate` says without options, but for the policies that nobody would choose."""
    done = outcome(scene_made(profile("claude-opus-5"), MemoryConfig(model="claude-opus-5"), 200, 4_000)).to_json()
    head = ["| way | USD | of plain text | turns readable, mean | at least |", "|---|---|---|---|---|"]
    wise = [r for r in done["policies"] if not r["policy"].startswith(UNWISE)]
    return "\n".join([*head, *map(_policy, wise)])


def _policy(row: dict[str, Any]) -> str:
    usd, share, mean, least = row["usd"], row["of plain text"], row["readable"], row["at least"]
    return f"| {row['policy']} | {usd:.2f} | {share:.2f} | {mean:.1f} | {least:.1f} |"


def models() -> str:
    """What is known of some models' reading, and how many times fewer tokens a page of prose costs than its text."""
    rows = ["| model | vivid | clear | dense | ids safe in pixels | what is known |", "|---|---|---|---|---|---|"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the model that is not known
        return "\n".join([*rows, *map(_model, MODELS)])


def _model(name: str) -> str:
    known = profile(name)
    scene = scene_made(known, MemoryConfig(model=name), 4, 4_000)
    gains = density(known, 32_000, scene.sample).tiers if known.vision else {}
    cells = (_gain(known.tiers[t], gains.get(t), scene.chars_per_token) for t in DRAWN)
    safe = ", ".join(t for t in DRAWN if known.exact[t]) or "none"
    return f"| {name} | {' | '.join(cells)} | {safe} | {known.note or 'published readings'} |"


def _gain(style: Any, chars: float | None, each: float) -> str:
    """`16 px, 1.9x`: the line pitch and the gain; nothing where the model reads no such page."""
    return f"{style.size} px, {chars / each:.1f}x" if style is not None and chars else "-"


def _printed(draw: Callable[[], None]) -> str:
    """What is printed, without blanks at the ends of lines."""
    out = io.StringIO()
    with redirect_stdout(out):
        draw()
    return "\n".join(["```", *(line.rstrip() for line in out.getvalue().strip("\n").splitlines()), "```"])


MARK = re.compile(r"(<!-- made: (\w+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def filled(readme: str, told: dict[str, str]) -> str:
    """The README with what commands print now between its marks."""
    return MARK.sub(lambda found: found[1] + told[found[2]] + found[3], readme)


# --------------------------------------------------------------------------------------------- all of it


def texts(memory: OpticalMemory) -> dict[Path, str]:
    """Every text file that can be made, and what would be in it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    drawn = {DOCS / "pictures" / f"{name}.svg": svg for name, svg in plots(memory).items()}
    return drawn | {
        DOCS / "commands.md": commands(), DOCS / "schema.md": schema(), ROOT / "README.md": filled(readme, shown(memory)),
    }  # fmt: skip


def main() -> int:
    """Make or check; how many files are not as they would be made."""
    parser = argparse.ArgumentParser(description="Make what can be made of the documentation.")
    parser.add_argument("--check", action="store_true", help="only say what differs")
    parser.add_argument("--viewer", action="store_true", help="the viewer's picture too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "memory.db"
        with played(file) as memory:
            made = texts(memory)
        if given.viewer:
            viewer(file, DOCS / "pictures")
    if not given.check:
        with played(None, 0.5) as young:  # pages that have never been laid out anew can be drawn at every tier
            pictures(young, DOCS / "pictures")
    stale = [p for p, text in made.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)} {'differs: run python docs/make.py' if given.check else 'written'}")
        if not given.check:
            path.write_text(made[path], encoding="utf-8")
    return len(stale) if given.check else 0


if __name__ == "__main__":
    sys.exit(main())
