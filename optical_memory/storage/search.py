"""Full-text search over the source text, on both engines, for any text that a person or a model may type.

Words are OR-ed and ranked, "quoted phrases" and prefix* are understood, everything else is data. SQLite's
tokenizer takes a run of Chinese or Japanese for one word, so every turn also keeps pairs of such characters
(`extra_words`): a query of two or more characters is a phrase of pairs, one character begins a pair.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Container, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from .rows import Found, Path, Range, clip, end
from .schema import safe_text, turn

MOST_TERMS = 40
"""Words of a query beyond this many are left out: each costs a walk through its postings."""
MOST_CHARS = 2_000
"""Characters of a query that are looked at."""
MOST_POSTINGS = 2_000
"""Turns, newest first, that are looked at for one word."""
RANKED_AT_ONCE = 100
"""Turns whose length is fetched together; longer lists are cut by weight alone."""
SCANNED_TURNS = 20_000
"""How many of the newest turns are scanned for a bare substring when no word is found."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005\u3007\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul: spaced, but with particles glued on
)
_RUN = re.compile(f"[{_UNSPACED}]+")
_WORD = re.compile("(?:[^\\W_][\u0300-\u036f]*)+")  # an accent may follow its letter
_PIECES = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Term:
    """Adjacent words to be found; `prefix` lets the last go on."""

    words: tuple[str, ...]
    prefix: bool = False


def extra_words(text: str, *, fold: bool = False) -> str | None:
    """What the index needs beside the text: character pairs of unspaced scripts, and the words glued to them.

    `fold` adds accented words without their accents, for an engine that cannot do that by itself.
    """
    if text.isascii():
        return None
    words = [word for token in _WORD.findall(text) for word in _token_extras(token, fold)]
    return " ".join(words) or None


def _token_extras(token: str, fold: bool) -> Iterator[str]:
    if _RUN.search(token):
        for piece in _split(token):
            # the last character too, so that every one begins a word of the index
            yield from (*_pairs(piece), piece[-1]) if _RUN.match(piece) and len(piece) > 1 else (piece,)
    elif fold and (plain := _unaccented(token)) != token:
        yield plain


def _split(token: str) -> list[str]:
    return [piece for piece in re.split(f"([{_UNSPACED}]+)", token) if piece]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _unaccented(word: str) -> str:
    if word.isascii() or _RUN.search(word):  # the sound marks of kana are not accents
        return word
    plain = "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", plain)


def terms(query: str) -> list[Term]:
    """What a query asks for; an empty list when it holds no letter or digit."""
    found: dict[Term, None] = {}
    for phrase, bare in _PIECES.findall(query):
        for term in _phrase(phrase) if phrase else _bare(bare):
            found[term] = None
    return list(found)[:MOST_TERMS]


def _phrase(text: str) -> Iterator[Term]:
    words: list[str] = []
    for token in _WORD.findall(text):
        for piece in _split(token):
            words += _pairs(piece) if _RUN.match(piece) else [piece]
    if words:
        yield Term(tuple(words))


def _bare(text: str) -> Iterator[Term]:
    if not _RUN.search(text):
        if words := tuple(_WORD.findall(text)):
            yield Term(words, prefix=text.endswith("*"))
        return
    for piece in (p for token in _WORD.findall(text) for p in _split(token)):
        yield from _unspaced(piece) if _RUN.match(piece) else (Term((piece,)),)


def _unspaced(run: str) -> Iterator[Term]:
    """The whole run, then its pairs: a sentence of such a script is rarely repeated whole."""
    pairs = tuple(_pairs(run))
    yield Term(pairs, prefix=len(run) == 1)
    if len(pairs) > 1:
        yield from (Term((pair,)) for pair in pairs)


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

    A turn scores BM25 (k1 = 1.2, b = 0.4) with every word counted once and frequencies taken within its own
    thread: so a score means the same on both engines, and no other thread can change it.
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
        rarity = max(1e-6, math.log((max(0.0, turns - count) + 0.5) / (count + 0.5)))
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
    *head, last = (f"'{_unaccented(word)}'" for word in term.words)
    return " <-> ".join([*head, last + (":*" if term.prefix else "")])


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
    rows = connection.execute(sa.select(turn.c.id, turn.c.text).where(turn.c.id.in_([hit.turn_id for hit in hits])))
    texts: dict[int, str] = {row.id: row.text for row in rows}
    wanted = _pattern(asked, query)
    return [Found(h.number, h.turn_id, h.score, _snippet(texts[h.turn_id], wanted)) for h in hits]


def _pattern(asked: list[Term], query: str) -> re.Pattern[str]:
    bare = [re.escape(piece) for piece in re.split(r'[\s"*]+', query) if _WORD.search(piece)]
    words = [re.escape(word) for term in asked for word in term.words]
    return re.compile("|".join(sorted(dict.fromkeys(bare + words), key=len, reverse=True)), re.IGNORECASE)


def _snippet(text: str, wanted: re.Pattern[str], around: int = 70) -> str:
    """The first place where the text shows what was asked, in one line, with an ellipsis where it was cut."""
    match = wanted.search(text)
    start = max(0, match.start() - around) if match else 0
    stop = min(len(text), (match.end() if match else 0) + around)
    cut = " ".join(text[start:stop].split())
    return ("…" if start else "") + cut + ("…" if stop < len(text) else "")
