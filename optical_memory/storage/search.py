"""Full-text search over the source text, on both engines, for any text that a person or a model may type.

Words are OR-ed and ranked, with their other forms (`terms`); "quoted phrases" and prefix* are understood, everything else is
data. SQLite's tokenizer takes a run of Chinese or Japanese for one word, so every turn also keeps pairs of such characters
(`terms.extra_words`): a query of two or more characters is a phrase of pairs, one character begins a pair.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container
from dataclasses import dataclass

import sqlalchemy as sa

from .rows import Found, Path, Range, chunks, clip, end
from .schema import safe_text, turn
from .terms import WORD, Term, folded, terms

MOST_CHARS = 2_000
"""Characters of a query that are looked at."""
MOST_POSTINGS = 2_000
"""Turns, newest first, that are looked at for one word."""
RANKED_AT_ONCE = 100
"""Turns whose length is fetched together; longer lists are cut by weight alone."""
SCANNED_TURNS = 20_000
"""How many of the newest turns are scanned for a bare substring when no word is found."""

_INDEX = sa.table("turn_fts", *(sa.column(n) for n in ("turn_fts", "rowid", "text", "grams", "thread_id")))
_INDEXED = (turn.c.id, turn.c.text, turn.c.grams, turn.c.thread_id)


def index(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Put these turns into the index; PostgreSQL does so by itself, by a generated column.

    No trigger does it: with trusted_schema=OFF, which keeps a hostile file from running code, old versions of
    SQLite (3.40 was tried) let none touch an FTS5 table.
    """
    if connection.dialect.name == "sqlite":
        rows = sa.select(*_INDEXED).where(which)
        connection.execute(sa.insert(_INDEX).from_select(["rowid", "text", "grams", "thread_id"], rows))


def unindex(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Take these turns out of the index; to be called while they still have the text that is in it."""
    if connection.dialect.name == "sqlite":
        rows = sa.select(sa.literal("delete"), *_INDEXED).where(which)
        names = ["turn_fts", "rowid", "text", "grams", "thread_id"]
        connection.execute(sa.insert(_INDEX).from_select(names, rows))


def search(
    connection: sa.Connection, thread_id: int, path: Path, query: str, *, limit: int, exclude: Container[int]
) -> list[Found]:
    """The best turns on the path, best first; a substring scan of the newest turns when no word is found.

    A turn scores BM25 (k1 = 1.2, b = 0.4) with every term that it holds counted once and frequencies taken within its own
    thread: so a score means the same on both engines, and no other thread can change it. Rarity is ln(1 + ...), as in
    Lucene, and so never negative: a word in most turns still counts a little.
    """
    query = query[:MOST_CHARS]
    asked = terms(query)
    if not asked or not path or limit < 1:
        return []
    wanted = _Wanted(connection, path, limit, exclude)
    hits = _rank(wanted, _weights(connection, thread_id, asked, end(path)))
    return _with_snippets(connection, hits or _scan(wanted, query), asked, query)


@dataclass(frozen=True, slots=True)
class _Wanted:
    connection: sa.Connection
    path: Path
    limit: int
    exclude: Container[int]

    def holds(self, branch_id: int, number: int) -> bool:
        on_path = any(r.branch_id == branch_id and r.first <= number <= r.last for r in self.path)
        return on_path and number not in self.exclude


def _weights(connection: sa.Connection, thread_id: int, asked: list[Term], turns: int) -> dict[int, float]:
    """Turn ids of the thread with the summed rarity of the terms that they hold."""
    query, ask = (_IN_SQLITE, _fts5) if connection.dialect.name == "sqlite" else (_IN_POSTGRES, _tsquery)
    sums: dict[int, float] = {}
    for term in asked:
        ids = connection.scalars(query, {"asked": ask(thread_id, term), "thread": thread_id}).all()
        # a word in more turns than are looked at says little: it is taken to be in half of them
        count = len(ids) if len(ids) < MOST_POSTINGS else max(len(ids), turns / 2)
        rarity = math.log(1 + (max(0.0, turns - count) + 0.5) / (count + 0.5))
        for turn_id in ids:
            sums[turn_id] = sums.get(turn_id, 0.0) + rarity
    return sums


def _rank(wanted: _Wanted, sums: dict[int, float]) -> list[Found]:
    """The best by weight, long turns marked down against the usual length of the path's newest."""
    best = sorted(sums, key=lambda turn_id: (-sums[turn_id], -turn_id))
    usual = _usual_length(wanted) if best else 1.0
    found: list[Found] = []
    for start in range(0, len(best), RANKED_AT_ONCE):
        portion = best[start : start + RANKED_AT_ONCE]
        for turn_id, branch_id, number, chars in wanted.connection.execute(_PLACES.where(turn.c.id.in_(portion))).all():
            if wanted.holds(branch_id, number):
                score = sums[turn_id] * 2.2 / (1 + 1.2 * (0.6 + 0.4 * chars / usual))
                found.append(Found(number, turn_id, score, ""))
        if len(found) >= wanted.limit:
            break
    return sorted(found, key=lambda hit: (-hit.score, -hit.number))[: wanted.limit]


_PLACES = sa.select(turn.c.id, turn.c.branch_id, turn.c.number, turn.c.chars)


def _usual_length(wanted: _Wanted) -> float:
    spans = clip(wanted.path, end(wanted.path) - 99)
    on = sa.or_(*(_on(span) for span in spans))
    return max(1.0, float(wanted.connection.scalar(sa.select(sa.func.avg(turn.c.chars)).where(on)) or 1))


def _on(span: Range) -> sa.ColumnElement[bool]:
    return sa.and_(turn.c.branch_id == span.branch_id, turn.c.number.between(span.first, span.last))


_IN_SQLITE = (
    sa.select(_INDEX.c.rowid)
    .where(sa.literal_column("turn_fts").op("MATCH")(sa.bindparam("asked")))
    .order_by(_INDEX.c.rowid.desc())
    .limit(MOST_POSTINGS)
)
_IN_POSTGRES = (
    sa.select(turn.c.id)
    .where(
        sa.literal_column("turn.words").op("@@")(sa.text("to_tsquery('simple', :asked)")),
        turn.c.thread_id == sa.bindparam("thread"),
    )
    .order_by(turn.c.id.desc())
    .limit(MOST_POSTINGS)
)


def _fts5(thread_id: int, term: Term) -> str:
    """A query of FTS5. Words hold letters and digits only, so nothing in it can be syntax.

    The thread is a word of the index, so what other threads hold costs nothing.
    """
    phrase = f'"{" ".join(term.words)}"' + (" *" if term.prefix else "")
    return f'thread_id : "{thread_id}" AND {{text grams}} : ({phrase})'


def _tsquery(_: int, term: Term) -> str:
    """A query of PostgreSQL, as the term stands and folded: the index holds both, but apart."""
    plain = tuple(map(folded, term.words))
    return " | ".join(f"({_adjacent(words, term.prefix)})" for words in dict.fromkeys([term.words, plain]))


def _adjacent(words: tuple[str, ...], prefix: bool) -> str:
    return " <-> ".join(f"'{word}'" for word in words) + (":*" if prefix else "")


def _scan(wanted: _Wanted, query: str) -> list[Found]:
    """The newest turns that hold the query anywhere as it stands; they score nothing."""
    bare = turn.c.text.icontains(safe_text(query.strip(' \t\n"*')), autoescape=True)
    found: list[Found] = []
    for span in reversed(clip(wanted.path, end(wanted.path) - SCANNED_TURNS + 1)):
        query_span = _PLACES.where(_on(span), bare).order_by(turn.c.number.desc())
        for row in wanted.connection.execute(query_span):
            if row.number not in wanted.exclude:
                found.append(Found(row.number, row.id, 0.0, ""))
            if len(found) == wanted.limit:
                return found
    return found


def _with_snippets(connection: sa.Connection, hits: list[Found], asked: list[Term], query: str) -> list[Found]:
    stored = sa.select(turn.c.id, turn.c.text)
    found = (connection.execute(stored.where(turn.c.id.in_(some))) for some in chunks(hit.turn_id for hit in hits))
    texts: dict[int, str] = {row.id: row.text for rows in found for row in rows}
    wanted = _pattern(asked, query)
    return [Found(h.number, h.turn_id, h.score, _snippet(texts[h.turn_id], wanted)) for h in hits]


def _pattern(asked: list[Term], query: str) -> re.Pattern[str]:
    bare = [re.escape(piece) for piece in re.split(r'[\s"*]+', query) if WORD.search(piece)]
    words = [re.escape(word) for term in asked for word in term.words]
    return re.compile("|".join(sorted(dict.fromkeys(bare + words), key=len, reverse=True)), re.IGNORECASE)


def _snippet(text: str, wanted: re.Pattern[str], around: int = 70) -> str:
    """The first place where the text shows what was asked, in one line, with an ellipsis where it was cut."""
    match = wanted.search(text)
    start = max(0, match.start() - around) if match else 0
    stop = min(len(text), (match.end() if match else 0) + around)
    cut = " ".join(text[start:stop].split())
    return ("…" if start else "") + cut + ("…" if stop < len(text) else "")
