"""How densely each tier is drawn and what two OCR engines read of it, beside the nearest other package in the same run.

corpus (chat, agent, tool) -> samples of a seed -> pages of a style -> read line by line -> characters, exact strings, turned
phrases -> `Report`

Density counts the characters of full pages, laid out and not read; what is read are smaller pages of the same text. An OCR
engine has no bottleneck of tokens: this says what is still on the page, not what a vision model reads.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from optical_memory.bench.render import PEER, PEER_SIDE, peer_pages, peer_shown
from optical_memory.cost import profile
from optical_memory.errors import ConfigError
from optical_memory.pages import Layout, Sheet, Style, TurnText, drawable, layout, render_page
from optical_memory.planning.facts import exact_strings
from optical_memory.readers import Reader, Share, Strings, reader
from optical_memory.readers.blind import NAMES
from optical_memory.readers.blind import turns as blind_turns
from optical_memory.readers.scoring import Truth, judge, plain, truth

KINDS = ("chat", "agent", "tool")
READERS = ("ocr:tesseract", "ocr:rapidocr")
SEEDS = (0, 1, 2)  # what is reported; styles are chosen on others, from 11 on
CHARS = 2_400  # of source text on a page that is read
PAGES: Mapping[str, int] = {"chat": 1, "agent": 1, "tool": 4}  # read for each seed: exact strings are in what tools say
LONGEST = 2_000  # characters of a turn that is sampled: a longer one would be most of a sample
FULL = 200_000  # characters that are laid out to find the density of a kind
PER_PHRASE = 300  # characters of chat and agent turns to each planted phrase
BARS: Mapping[str, tuple[float, float, float]] = {  # characters per 1000 px2, share of characters, of exact strings
    "vivid": (23.0, 0.99, 0.85),
    "clear": (31.0, 0.96, 0.0),
    "dense": (50.0, 0.88, 0.0),
}
TIMES_PEER = 3.4  # as dense as the peer, at least
STYLES: Mapping[str, Style] = {  # what `bench legibility` draws unless told otherwise: the best of those tried
    "vivid": Style(9, "slim", bold=True),
    "clear": Style(8, "narrow", bold=True),
    "dense": Style(6, "tall", bold=True),
}
OURS = re.compile(r"⟪[^⟫]*⟫|¬")  # marks that stand for no character of the source

Said = tuple[str, str]  # role, text
Corpus = Mapping[str, Sequence[Said]]  # by kind
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reader made of one page: all characters, exact strings, planted turned phrases."""

    tier: str
    kind: str
    seed: int
    reader: str
    shuffled: bool
    chars: Share
    strings: Strings
    phrases: Strings


@dataclass(frozen=True, slots=True)
class Density:
    """Characters per 1000 px2 of full pages of one kind: of the source that is shown, and as drawn without our marks.

    `lost` is the share of the text that is on no page although it was given to be drawn.
    """

    tier: str
    kind: str
    seed: int
    source: float
    drawn: float
    lost: float = 0.0


@dataclass(frozen=True)
class Report:
    """All readings and densities of a run; `styles` says how each tier was drawn, `skipped` what could not be done."""

    styles: Mapping[str, str]
    readings: tuple[Reading, ...]
    densities: tuple[Density, ...]
    skipped: tuple[str, ...] = ()

    def density(self, tier: str, which: str = "source", kind: str | None = None) -> float:
        """Mean over kinds and seeds, characters per 1000 px2."""
        found = [d for d in self.densities if d.tier == tier and kind in (None, d.kind)]
        return fmean(getattr(d, which) for d in found) if found else 0.0

    def lost(self, tier: str, kind: str) -> float:
        """Share of a kind's text, 0 to 1, that is on no page."""
        return fmean([d.lost for d in self.densities if (d.tier, d.kind) == (tier, kind)] or [0.0])

    def total(self, tier: str, **where: Any) -> tuple[Share, Strings, Strings]:
        """Characters, exact strings and phrases of the readings for which `where` holds, words in their order unless told."""
        where = {"tier": tier, "shuffled": False, **where}
        found = [r for r in self.readings if all(getattr(r, name) == value for name, value in where.items())]
        chars = sum((r.chars for r in found), Share(0, 0))
        return chars, sum((r.strings for r in found), Strings()), sum((r.phrases for r in found), Strings())

    def chars(self, tier: str, **where: Any) -> float:
        """Share of characters read, mean of the readers and kinds: each kind counts as much as it does in the density."""
        found = (self.total(tier, **{"reader": n, "kind": kind, **where})[0] for n in self.readers for kind in KINDS)
        return fmean([chars.value for chars in found if chars.of] or [0.0])

    def hard(self, tier: str, **where: Any) -> float:
        """Share of exact strings read right, mean of the readers."""
        return fmean(self.total(tier, reader=name, **where)[1].share("right").value for name in self.readers)

    def spread(self, tier: str) -> tuple[float, float]:
        """Standard deviations over the seeds of `chars` and `hard`."""
        return (
            pstdev(self.chars(tier, seed=seed) for seed in self.seeds),
            pstdev(self.hard(tier, seed=seed) for seed in self.seeds),
        )

    @cached_property
    def readers(self) -> tuple[str, ...]:
        """The readers' names."""
        return tuple(dict.fromkeys(r.reader for r in self.readings))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the samples."""
        return tuple(dict.fromkeys(r.seed for r in self.readings))

    def verdicts(self) -> list[dict[str, Any]]:
        """Each bar with what was reached."""
        return [verdict for tier in BARS if tier in self.styles for verdict in self._verdicts(tier)]

    def _verdicts(self, tier: str) -> Iterator[dict[str, Any]]:
        density, chars, hard = BARS[tier]
        yield _verdict(tier, "characters per 1000 px2", self.density(tier), density)
        yield _verdict(tier, "as drawn", self.density(tier, "drawn"), density)
        yield _verdict(tier, "characters", self.chars(tier), chars)
        if hard:
            yield _verdict(tier, "exact strings", self.hard(tier), hard)
        if PEER in self.styles:
            yield _verdict(tier, f"times {PEER}", self.density(tier) / self.density(PEER), TIMES_PEER)
            yield _verdict(
                tier, f"times {PEER}, as drawn", self.density(tier, "drawn") / self.density(PEER), TIMES_PEER
            )

    def rows(self) -> list[dict[str, Any]]:
        """JSON values: a row for each tier, kind, reader and order of words, then the bars."""
        orders = [(tier, name, shuffled) for tier in self.styles for name in self.readers for shuffled in (False, True)]
        return [row for order in orders for kind in KINDS if (row := self._row(*order, kind))] + self.verdicts()

    def _row(self, tier: str, name: str, shuffled: bool, kind: str) -> dict[str, Any] | None:
        chars, strings, phrases = self.total(tier, reader=name, shuffled=shuffled, kind=kind)
        if not chars.of:
            return None
        return {
            "tier": tier, "style": self.styles[tier], "kind": kind, "reader": name, "shuffled": shuffled,
            "density_source": self.density(tier, "source", kind), "density_drawn": self.density(tier, "drawn", kind),
            "chars": chars.value, "chars_of": chars.of, "strings": [strings.right, strings.unread, strings.wrong],
            "phrases": [phrases.right, phrases.unread, phrases.wrong], "lost": self.lost(tier, kind),
        }  # fmt: skip

    def __str__(self) -> str:
        head = (f"{'tier':8} {'style':9} {'kind':6} {'d src':>6} {'drawn':>6} {'reader':13} {'chars':>7} {'n':>7} "
                f"{'strings right/unread/wrong':>27} {'phrases':>11} {'shuffled: chars':>15} {'strings':>12}")  # fmt: skip
        lines = [self._line(tier, kind, name) for tier in self.styles for kind in KINDS for name in self.readers]
        tiers = [self._summary(tier) for tier in self.styles]
        bars = [
            f"{v['tier']}: {v['what']} {v['value']:.3f}, bar {v['bar']:g} {'reached' if v['reached'] else 'MISSED'}"
            for v in self.verdicts()
        ]
        lost = [f"{PEER} drops {self.lost(PEER, kind):.1%} of the {kind} text" for kind in KINDS if PEER in self.styles]
        return "\n".join([head, *lines, *tiers, *bars, *lost, *(f"not measured: {reason}" for reason in self.skipped)])

    def _line(self, tier: str, kind: str, name: str) -> str:
        chars, strings, phrases = self.total(tier, reader=name, kind=kind)
        mixed, mixed_strings, _ = self.total(tier, reader=name, kind=kind, shuffled=True)
        return (
            f"{tier:8} {self.styles[tier]:9} {kind:6} {self.density(tier, 'source', kind):>6.1f} "
            f"{self.density(tier, 'drawn', kind):>6.1f} {name:13} {chars.value:>7.2%} {chars.of:>7,} "
            f"{_counts(strings):>27} {_counts(phrases):>11} {mixed.value:>15.2%} {_counts(mixed_strings):>12}"
        )

    def _summary(self, tier: str) -> str:
        strings = self.total(tier)[1]
        sd_chars, sd_hard = self.spread(tier)
        return (
            f"{tier} ({self.styles[tier]}): {self.density(tier):.1f} source and {self.density(tier, 'drawn'):.1f} drawn "
            f"characters per 1000 px2; {self.chars(tier):.2%} of characters (sd over seeds {sd_chars:.2%}), "
            f"{self.hard(tier):.1%} of exact strings right (sd {sd_hard:.1%}, "
            f"n {strings.of // max(1, len(self.readers))} for each reader); shuffled {self.chars(tier, shuffled=True):.2%} "
            f"and {self.hard(tier, shuffled=True):.1%}"
        )


def _verdict(tier: str, what: str, value: float, bar: float) -> dict[str, Any]:
    return {"tier": tier, "what": what, "value": value, "bar": bar, "reached": value >= bar}


def _counts(strings: Strings) -> str:
    return f"{strings.right}/{strings.unread}/{strings.wrong}"


def corpus(folder: Path | None = None) -> Corpus:
    """Turns by kind, from the conversations (JSON Lines) below a folder; text that ships with Python without one.

    Chat is a conversation without tools, agent what is said in one with tools, tool what its tools answer. Turns that the
    shipped glyphs or the readers' English cannot do are left out. Raises ConfigError for a folder that lacks a kind.
    """
    made: dict[str, list[Said]] = {kind: [] for kind in KINDS}
    for said in _files(folder) if folder else _shipped():
        tools = any(role == "tool" for role, _ in said)
        for role, text in said:
            made["tool" if role == "tool" else "agent" if tools else "chat"].append((role, text))
    lacking = [kind for kind, turns in made.items() if sum(len(text) for _, text in turns) < CHARS]
    if lacking:
        raise ConfigError(f"data={str(folder)!r}: too little {' and '.join(lacking)} text of turns up to {LONGEST:,} "
                          "characters: give a folder of JSON Lines conversations, some with tools")  # fmt: skip
    return made


def _files(folder: Path) -> Iterator[list[Said]]:
    for path in sorted(p for p in folder.glob("**/*.jsonl") if not p.name.endswith(".qa.jsonl")):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        said = [(str(row.get("role")), row.get("content")) for row in rows]
        yield [(role, text) for role, text in said if role != "system" and isinstance(text, str) and _usable(text)]


def _usable(text: str) -> bool:
    return 8 <= len(text) <= LONGEST and drawable(text) == 1.0 and sum(c < "\u0250" for c in text) > 0.97 * len(text)


def _shipped() -> Iterator[list[Said]]:
    """What the blind test is made of: prose and records, its paragraphs once as chat and once as an agent's."""
    said = [[(turn.role, turn.text) for turn in blind_turns(0, page, 8_000)[0]] for page in range(1, 9)]
    yield from ([(role, text) for role, text in page if role != "tool" and _usable(text)] for page in said[:4])
    yield from ([(role, text) for role, text in page if _usable(text)] for page in said[4:])


def sample(turns: Sequence[Said], seed: int, part: int, chars: int) -> list[TurnText]:
    """About `chars` characters of neighbouring turns from a place that the seed decides."""
    start = random.Random(f"{seed}/{part}").randrange(len(turns))  # noqa: S311 - made again from its seed
    found: list[TurnText] = []
    total = 0
    for role, text in islice(cycle(turns), start, start + len(turns)):
        if found and total + len(text) > chars:
            break
        found.append(TurnText(10 + len(found), role, text))
        total += len(text)
    return found


def planted(turns: Sequence[TurnText], seed: int) -> tuple[list[TurnText], list[str]]:
    """The turns with corrections and negations between their words, one for each `PER_PHRASE` characters."""
    rng = random.Random(f"{seed}/phrases")  # noqa: S311
    phrases: list[str] = []
    made = []
    for turn in turns:
        words = turn.text.split(" ")
        for _ in range(sum(rng.random() < 0.5 for _ in range(2 * len(turn.text) // PER_PHRASE))):
            phrases.append(_phrase(rng))
            words.insert(rng.randrange(len(words) + 1), phrases[-1])
        made.append(replace(turn, text=" ".join(words)))
    return made, phrases


def _phrase(rng: random.Random) -> str:
    """A correction or a negation, which is worth nothing if one word or number of it is lost."""
    one, other = (name.capitalize() for name in rng.sample(NAMES, 2))
    first, second = rng.sample(range(10, 100), 2)
    return rng.choice((
        f"ask {one}, not {other}", f"never pay {one}", f"{first} instead of {second}", f"no longer {first}",
        f"do not call {one}", f"not {first} but {second}", f"without {other}", f"{one} is wrong, take {other}",
    ))  # fmt: skip


def shuffled(turns: Sequence[TurnText], seed: int) -> list[TurnText]:
    """The words of each turn in a random order, which takes away what a reader knows of language."""
    rng = random.Random(f"{seed}/shuffled")  # noqa: S311
    return [replace(turn, text=" ".join(rng.sample(words := turn.text.split(), len(words)))) for turn in turns]


@dataclass(frozen=True)
class Plan:
    """What a run draws and reads. `styles` by tier; `data` a folder of conversations, None for text of Python's own."""

    styles: Mapping[str, Style]
    data: Path | None = None
    readers: tuple[str | Reader, ...] = READERS
    seeds: tuple[int, ...] = SEEDS
    chars: int = CHARS
    pages: Mapping[str, int] | None = None
    mixed: bool = True  # read some pages with their words shuffled, too
    cache: Path | None = None
    full: int = FULL

    @cached_property
    def corpus(self) -> Corpus:
        """The text that is drawn, by kind."""
        return corpus(self.data)

    @cached_property
    def sheet(self) -> Sheet:
        """The widest page in use, cropped to its lines."""
        first = self.readers[0]
        known = profile(first if isinstance(first, str) else first.name)
        widest = max(known.sheet_steps, key=lambda s: s.width * s.height)
        return Sheet(widest.width, widest.height)

    def samples(self) -> Iterator[tuple[str, int, bool, list[TurnText], list[str]]]:
        """Kind, seed, are words shuffled, turns, and phrases planted in them, for each page that is read.

        Shuffled is the first page of each kind and seed.
        """
        for kind in KINDS:
            for seed in self.seeds:
                for part in range((self.pages or PAGES)[kind]):
                    turns = sample(self.corpus[kind], seed, part, self.chars)
                    said, phrases = (turns, []) if kind == "tool" else planted(turns, seed)
                    yield kind, seed, False, said, phrases
                    if self.mixed and part == 0:
                        yield kind, seed, True, shuffled(said, seed), []


def measure(plan: Plan, *, peer: bool = True, progress: Progress = lambda told: None) -> Report:
    """Draw, read and score. Raises MissingExtraError without the readers' packages, ConfigError for data of no use."""
    engines = [reader(one, lines=True, cache=plan.cache) if isinstance(one, str) else one for one in plan.readers]
    densities = [d for tier, style in plan.styles.items() for d in _densities(plan, tier, style)]
    styles = {tier: style.key for tier, style in plan.styles.items()}
    readings = [_read(engine, told) for told in drawn_pages(plan, progress) for engine in engines]
    if not peer or peer_pages("a word") is None:
        return Report(
            styles, tuple(readings), tuple(densities), (f"{PEER}: pip install {PEER}==0.1.9",) if peer else ()
        )
    readings += [r for engine in engines for r in _peer_readings(plan, engine, progress)]
    return Report(styles | {PEER: "default"}, tuple(readings), (*densities, *_peer_densities(plan)))


@dataclass(frozen=True)
class Told:
    """A page to be read, as PNG, with what stands on it: all of it, its exact strings, its phrases."""

    tier: str
    kind: str
    seed: int
    shuffled: bool
    pngs: tuple[bytes, ...]
    whole: Truth
    strings: Truth
    phrases: Truth


def drawn_pages(plan: Plan, progress: Progress = lambda told: None) -> Iterator[Told]:
    """The pages that are read, with what stands on them."""
    for tier, style in plan.styles.items():
        for kind, seed, mixed, turns, phrases in plan.samples():
            progress(f"{tier} {style.key}, {kind}, seed {seed}")
            yield _told((tier, kind, seed, mixed), layout(turns, style, plan.sheet)[0], turns, phrases)


def _told(what: tuple[str, str, int, bool], page: Layout, turns: Sequence[TurnText], phrases: Iterable[str]) -> Told:
    strings = _strings(turns)
    return Told(*what, (render_page(page),), truth(page, ()), truth(page, strings), truth(page, phrases))


def _strings(turns: Sequence[TurnText]) -> list[str]:
    return list(dict.fromkeys(s for turn in turns for s in exact_strings(turn.text) if " " not in s))


def _read(engine: Reader, told: Told) -> Reading:
    text = "\n".join(engine.read(png) for png in told.pngs)
    return Reading(
        told.tier, told.kind, told.seed, engine.name, told.shuffled, judge(told.whole, text).chars,
        judge(told.strings, text).strings, judge(told.phrases, text).strings,
    )  # fmt: skip


def _densities(plan: Plan, tier: str, style: Style) -> Iterator[Density]:
    """Of whole pages, on the sheet that a memory uses."""
    for kind in KINDS:
        for seed in plan.seeds:
            pages = _full(plan, kind, seed, style)
            area = sum(page.width * page.height for page in pages) / 1000
            drawn = sum(len(OURS.sub("", line)) for page in pages for line in page.lines())
            yield Density(tier, kind, seed, sum(page.chars for page in pages) / area, drawn / area)


def _full(plan: Plan, kind: str, seed: int, style: Style) -> list[Layout]:
    """Pages without the last, which is not full, unless it is the only one."""
    pages = layout(_long(plan, kind, seed), style, plan.sheet)
    return pages[:-1] or pages


def _long(plan: Plan, kind: str, seed: int) -> list[TurnText]:
    """`plan.full` characters of a kind, from the place on where the seed's first sample starts."""
    turns = plan.corpus[kind]
    start = random.Random(f"{seed}/0").randrange(len(turns))  # noqa: S311
    found: list[TurnText] = []
    total = 0
    for role, text in islice(cycle(turns), start, None):
        if total >= plan.full:
            break
        found.append(TurnText(10 + len(found) % 90, role, text))
        total += len(text)
    return found


def _peer_densities(plan: Plan) -> Iterator[Density]:
    """Of its pages as they are, part-empty, and of what stands on them: what it drops is no text on a page."""
    for kind in KINDS:
        for seed in plan.seeds:
            text = "\n".join(turn.text for turn in _long(plan, kind, seed))[:60_000]
            pages, shown, placed = peer_shown(text)
            area = max(1, pages) * PEER_SIDE**2 / 1000
            held = shown / max(1, placed)
            yield Density(PEER, kind, seed, held * len(text) / area, shown / area, 1 - held)


def _peer_readings(plan: Plan, engine: Reader, progress: Progress) -> Iterator[Reading]:
    for kind, seed, mixed, turns, phrases in plan.samples():
        progress(f"{PEER}, {kind}, seed {seed}")
        text = "\n".join(turn.text for turn in turns)
        whole, strings, told = (_stands(text, s) for s in ((), _strings(turns), phrases))
        pages = tuple(peer_pages(text) or ())
        yield _read(engine, Told(PEER, kind, seed, mixed, pages, whole, strings, told))


def _stands(text: str, strings: Iterable[str]) -> Truth:
    """What stands on pages whose lines are not known: the text and each string once."""
    bare = plain(text)
    found = [(at, at + len(s)) for string in strings if (at := bare.find(s := plain(string))) >= 0]
    return Truth(bare, (True,) * len(bare), tuple(found))


def command(
    data: Path | None = None, *, styles: Mapping[str, Style] | None = None, seeds: int = len(SEEDS),
    readers: Sequence[str] = READERS, cache: Path | None = None, progress: Progress = lambda told: None,
) -> Report:  # fmt: skip
    """`optical-memory bench legibility`: the report; printed as it is, or its rows as JSON.

    `data` is a folder of conversations, `cache` an SQLite file of lines that were read before. Takes minutes.
    """
    return measure(Plan(styles or STYLES, data, tuple(readers), tuple(range(seeds)), cache=cache), progress=progress)
