"""Full-text search over the source text, on both engines, for any text that a person or a model may type.

Words are OR-ed and ranked, "quoted phrases" and prefix* are understood, everything else is data. SQLite's
tokenizer takes a run of Chinese or Japanese for one word, so every turn also keeps pairs of such characters
(`extra_words`): a query of two or more characters is a phrase of pairs, one character begins a pair.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .rows import Found, Path, Range, clip, end
from .schema import safe_text, turn

MOST_TERMS = 40
"""Words of a query beyond this many are left out: each costs a walk through its postings."""
MOST_CHARS = 2_000
"""Characters of a query that are looked at."""
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


_INDEX = sa.table("turn_fts", *map(sa.column, ("turn_fts", "rowid", "text", "grams", "thread_id")))
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
    """The best turns on the path, best first; a substring scan of the newest turns when no word is found."""
    query = query[:MOST_CHARS]
    asked = terms(query)
    if not asked or not path or limit < 1:
        return []
    rank = _rank_sqlite if connection.dialect.name == "sqlite" else _rank_postgres
    hits = _take(connection.execute(rank(thread_id, asked)), path, limit, exclude)
    for span in reversed(clip(path, end(path) - SCANNED_TURNS + 1)) if not hits else ():
        hits += _take(connection.execute(_scan(span, query)), path, limit - len(hits), exclude)
    return _with_snippets(connection, hits, asked, query)


def _take(rows: sa.CursorResult[Any], path: Path, limit: int, exclude: Container[int]) -> list[Found]:
    """The first `limit` rows that lie on the path and are not excluded."""
    spans = {r.branch_id: r for r in path}
    found: list[Found] = []
    with rows:
        for row in rows:
            if len(found) >= limit:
                break
            span = spans.get(row.branch_id)
            if span and span.first <= row.number <= span.last and row.number not in exclude:
                found.append(Found(row.number, row.id, float(row.score), ""))
    return found


_PLACE: tuple[sa.ColumnElement[Any], ...] = tuple(
    sa.literal_column(f"turn.{name}", sa.Integer).label(name) for name in ("id", "branch_id", "number")
)
_NO_SCORE: sa.ColumnElement[Any] = sa.literal_column("0.0", sa.Double).label("score")


def _of(thread_id: int) -> sa.ColumnElement[bool]:
    return sa.literal_column("turn.thread_id", sa.Integer) == thread_id


def _rank_sqlite(thread_id: int, asked: list[Term]) -> sa.Executable:
    """Every matching turn of the thread by BM25; the thread is a word of the index: others cost nothing."""
    match = f'thread_id : "{thread_id}" AND {{text grams}} : ({" OR ".join(map(_fts5, asked))})'
    score = sa.literal_column("-bm25(turn_fts, 1.0, 1.0, 0.0)", sa.Double).label("score")
    return (
        sa.select(*_PLACE, score)
        # CROSS JOIN keeps the order, index first: the planner's own choice was 2,000 times slower
        .select_from(sa.text("turn_fts CROSS JOIN turn ON turn.id = turn_fts.rowid"))
        .where(sa.literal_column("turn_fts").op("MATCH")(match), _of(thread_id))
        .order_by(sa.desc("score"), _PLACE[2].desc())
    )


def _fts5(term: Term) -> str:
    """An FTS5 string: words hold letters and digits only, so nothing in it can be syntax."""
    return f'"{" ".join(term.words)}"' + (" *" if term.prefix else "")


def _rank_postgres(thread_id: int, asked: list[Term]) -> sa.Executable:
    words: sa.ColumnClause[Any] = sa.literal_column("turn.words")
    wanted = sa.func.to_tsquery(sa.literal_column("'simple'"), " | ".join(map(_tsquery, asked)))
    score = sa.func.ts_rank(words, wanted, 1).label("score")
    return (
        sa.select(*_PLACE, score)
        .select_from(turn)
        .where(words.op("@@")(wanted), _of(thread_id))
        .order_by(sa.desc("score"), _PLACE[2].desc())
    )


def _tsquery(term: Term) -> str:
    *head, last = (f"'{_unaccented(word)}'" for word in term.words)
    return "(" + " <-> ".join([*head, last + (":*" if term.prefix else "")]) + ")"


def _scan(span: Range, query: str) -> sa.Executable:
    """Turns of the span that hold the query anywhere as it stands, newest first."""
    return (
        sa.select(*_PLACE, _NO_SCORE)
        .select_from(turn)
        .where(
            turn.c.branch_id == span.branch_id,
            turn.c.number.between(span.first, span.last),
            turn.c.text.icontains(safe_text(query.strip(' \t\n"*')), autoescape=True),
        )
        .order_by(turn.c.number.desc())
    )


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
