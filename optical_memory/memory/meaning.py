"""Search by meaning: vectors from any LangChain `Embeddings`, kept in the database, beside the search by words.

Turns are embedded when somebody searches, newest first and outside of any transaction: remembering never waits for a model.
Where the model of the embeddings fails, the search by words stands alone, and one warning says so.

Both kinds of score are made alike in scale for each question, added, and spread to the turns beside (see `fused`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optical_memory.errors import StoreError
from optical_memory.memory.kept import Kept
from optical_memory.storage import Found, Path, Reader, Store, TurnRow, clip, end

log = logging.getLogger("optical_memory")

PIECE = 1_000  # characters of a turn in one vector: usual models read about 250 tokens and leave out the rest
PIECES = 8  # of a turn at most
BLANK = "[blank]"  # in place of a piece of blanks: many models refuse one, and with it all texts beside it
BATCH = 64  # texts given to the model at once
CATCH_UP = 256  # turns embedded before a search at most: an imported thread is done in several, or by `embed`
PAUSE = timedelta(seconds=60)  # after a failure, before the model is asked again
DEEP = 50  # turns found by their words that are fused, where fewer are asked for
NEAR = 2.0  # standard deviations above the path's mean from which a turn is found by its meaning alone
WEIGHT = 0.2  # of a standard deviation, as a share of the best score of the words; 0.15 and 0.25 find nearly as much
LEAST = 1.0  # a standard deviation counts at least this much, in scores of words, where words find nothing or little
BESIDE = 0.3  # what a turn's score counts for the turns before and after it; 0.2 to 0.5 find nearly as much
BLOCK = 8_192  # vectors multiplied at once

Vectors = NDArray[np.float16]


class Embedder(Protocol):
    """What is asked of embeddings: LangChain's `Embeddings` has both."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text."""
        ...

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a vector of length 1, and the name under which vectors of this kind are kept."""

    vector: NDArray[np.float32]
    model: str


@dataclass(frozen=True, slots=True)
class _Held:
    """The vectors of a thread, as they were when they had this mark."""

    mark: tuple[int, int]
    places: NDArray[np.int64]  # of each vector: turn id, branch id, turn number
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Meant:
    """How near in meaning each turn of a path is to a question; both arrays go by turn number, from 0, which no turn has."""

    ids: NDArray[np.int64]  # turn ids; 0 where a turn has no vector
    above: NDArray[np.float64]  # standard deviations above the mean of the path; 0 where a turn has no vector


class Meaning:
    """Searches threads by words and by meaning; without an embedder by words alone."""

    def __init__(self, embedder: Embedder | None, clock: Callable[[], datetime]) -> None:
        self._embedder, self._clock = embedder, clock
        self._held: Kept[tuple[int, str], _Held] = Kept(16)
        self._done: Kept[tuple[int, str], int] = Kept(1_024)  # number up to which all turns of a branch are embedded
        self._asked: Kept[str, Asked] = Kept(64)
        self._until: datetime | None = None
        self._warned = False

    @property
    def given(self) -> bool:
        """Is there an embedder?"""
        return self._embedder is not None

    def drop(self) -> None:
        """Forget what is kept in this process."""
        for kept in (self._held, self._done, self._asked):
            kept.drop()

    def search(
        self, reader: Reader, path: Path, query: str, limit: int, exclude: Container[int] = ()
    ) -> list[Found]:  # fmt: skip
        """The best turns on the path by words, fused with the nearest in meaning where the query was embedded by `prepare`."""
        asked = self._asked.get(query)
        if asked is None or not path:
            return reader.search(path, query, limit=limit, exclude=exclude)
        words = reader.search(path, query, limit=max(limit, DEEP), exclude=exclude)
        return fused(words, self._meant(reader, path, asked), exclude)[:limit]

    # ----------------------------------------------------------------------------------------- embedding

    def prepare(self, store: Store, thread: str, query: str | None) -> None:
        """Embed a query, and the turns that are not embedded yet, before a search; never raises for what the model does."""
        if not (query and query.strip()) or self._embedder is None or self._resting():
            return
        asked = self._asked.get(query) or self._ask(query)
        if asked is None:
            return
        self._asked.put(query, asked)
        try:
            if not store.read_only:
                self.catch_up(store, thread, asked.model, CATCH_UP)
        except StoreError as error:
            log.warning("thread %r: vectors cannot be stored: %s", thread, error)

    def catch_up(self, store: Store, thread: str, model: str | None = None, most: int | None = None) -> int:
        """Embed turns of a thread that are not embedded yet, at most so many; how many were."""
        if model is None:
            asked = self._ask("what was said?")
            model = asked.model if asked else None
        count = 0
        while model is not None and (most is None or count < most):
            done = self._batch(store, thread, model, BATCH if most is None else min(BATCH, most - count))
            if not done:
                break
            count += done
        return count

    def _batch(self, store: Store, thread: str, model: str, most: int) -> int:
        with store.read() as reader:
            row = reader.thread(thread)
            path = reader.path(row) if row else ()
            news = clip(path, (self._done.get(_place(path, model)) or 0) + 1)
            if row is None or not news:
                return 0
            turns = reader.without_vectors(news, model, limit=most)
            whole = end(path) - sum(t.open for t in reader.turns(path, end(path)))
        made = self._embedded(turns) if turns else {}
        if made:
            with store.write() as writer:
                writer.put_vectors(row.id, model, made)
        elif not turns:
            self._done.put(_place(path, model), whole)
        return len(made)

    def _embedded(self, turns: Sequence[TurnRow]) -> dict[int, tuple[str, list[bytes]]]:
        """Vectors by turn id; none where the model fails."""
        texts = [(t, piece) for t in turns for piece in pieces(t)]
        assert self._embedder is not None
        made: list[list[float]] = []
        try:
            for start in range(0, len(texts), BATCH):
                made += self._embedder.embed_documents([text for _, text in texts[start : start + BATCH]])
        except Exception as error:
            self._failed(error)
            return {}
        if len(made) != len(texts):
            self._failed(ValueError(f"{len(made)} vectors for {len(texts)} texts"))
            return {}
        out: dict[int, tuple[str, list[bytes]]] = {t.id: (t.chain, []) for t in turns}
        for (turn, _), vector in zip(texts, made, strict=True):
            out[turn.id][1].append(_unit(vector).astype("<f2").tobytes())
        return out

    def _ask(self, query: str) -> Asked | None:
        assert self._embedder is not None
        try:
            vector = _unit(self._embedder.embed_query(query))
        except Exception as error:
            self._failed(error)
            return None
        return Asked(vector, f"{_named(self._embedder)}/{len(vector)}")

    def _resting(self) -> bool:
        """Has the model failed a moment ago? A clock that was set back in the meantime does not prolong it."""
        return self._until is not None and self._until - PAUSE <= self._clock() < self._until

    def _failed(self, error: Exception) -> None:
        self._until = self._clock() + PAUSE
        if not self._warned:
            self._warned = True
            log.warning("embeddings failed, and search goes by words alone: %s: %s", type(error).__name__, error)

    # ----------------------------------------------------------------------------------------- searching

    def _meant(self, reader: Reader, path: Path, asked: Asked) -> Meant:
        """How near the turns on the path are in meaning; of a turn in several pieces, the nearest counts."""
        held = self._vectors(reader, reader.thread_of(path), asked)
        on = _on_path(held.places, path)
        ids, best = np.zeros(end(path) + 1, np.int64), np.full(end(path) + 1, -np.inf)
        turns, _, numbers = held.places[on].T
        ids[numbers] = turns
        np.maximum.at(best, numbers, _scores(held.vectors, asked.vector)[on])
        return Meant(ids, _above_mean(best))

    def _vectors(self, reader: Reader, thread_id: int, asked: Asked) -> _Held:
        """The thread's vectors: kept in this process, with what has come since."""
        key, mark = (thread_id, asked.model), reader.vector_mark(thread_id, asked.model)
        old = self._held.get(key)
        if old is not None and old.mark == mark:
            return old
        since = old.mark[1] if old is not None else 0
        new = reader.vectors(thread_id, asked.model, after=since)
        if old is None or len(old.places) + len(new) != mark[0]:  # some are gone: begin anew
            old, new = None, reader.vectors(thread_id, asked.model)
        places = np.array([place for *place, _ in new], np.int64).reshape(len(new), 3)
        rows = np.frombuffer(b"".join(row[-1] for row in new), "<f2").reshape(len(new), len(asked.vector))
        if old is not None:
            places, rows = np.concatenate([old.places, places]), np.concatenate([old.vectors, rows])
        return self._held.put(key, _Held(mark, places, rows))


def _place(path: Path, model: str) -> tuple[int, str]:
    return (path[-1].branch_id if path else 0), model


def _named(embedder: Embedder) -> str:
    """What tells the vectors of one model from those of another."""
    told = (getattr(embedder, name, None) for name in ("model", "model_name", "model_id", "deployment"))
    return f"{type(embedder).__qualname__}:{next((str(t) for t in told if isinstance(t, str)), '')}"


def _unit(vector: Sequence[float]) -> NDArray[np.float32]:
    """The vector at length 1. Raises ValueError where it has no direction."""
    found = np.asarray(vector, np.float32)
    length = float(np.linalg.norm(found))
    if found.ndim != 1 or not np.isfinite(length) or length == 0:
        raise ValueError(f"a vector of shape {found.shape} and length {length} says nothing")
    return np.asarray(found / length, np.float32)


def _scores(vectors: Vectors, asked: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine of each vector with the question."""
    blocks = [vectors[i : i + BLOCK].astype(np.float32) @ asked for i in range(0, len(vectors), BLOCK)]
    return np.concatenate([np.zeros(0, np.float32), *blocks])


def _on_path(places: NDArray[np.int64], path: Path) -> NDArray[np.bool_]:
    """Which of the vectors belong to turns on the path."""
    on = np.zeros(len(places), np.bool_)
    _, branches, numbers = places.T
    for span in path:
        on |= (branches == span.branch_id) & (numbers >= span.first) & (numbers <= span.last)
    return on


def _above_mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores in standard deviations above their mean; 0 for those that are minus infinity, which count as none."""
    known = np.isfinite(scores)
    if not known.any():
        return np.zeros(len(scores))
    mean, spread = scores[known].mean(), scores[known].std() or 1.0
    return np.where(known, (scores - mean) / spread, 0.0)


def pieces(turn: TurnRow) -> Iterator[str]:
    """The texts that stand for a turn: with its speaker's name, cut between words."""
    text = f"{turn.name}: {turn.text}" if turn.name else turn.text
    for _ in range(PIECES):
        cut = len(text) if len(text) <= PIECE else (text.rfind(" ", PIECE // 2, PIECE) + 1 or PIECE)
        yield text[:cut] if text[:cut].strip() else BLANK
        text = text[cut:]
        if not text.strip():
            return


def fused(words: Sequence[Found], meant: Meant, exclude: Container[int] = ()) -> list[Found]:
    """All turns found by their words, and those near in meaning, as one list, best first.

    A turn scores s = w + u z, where w is the score of its words (0 if it has none of them), z how many standard deviations
    it is above the mean in meaning, and u = `WEIGHT` of the best w, at least `LEAST`: so the share of meaning does not
    change with the scale of the words' scores, which grows with the question, and what meaning alone finds is scored as
    words are. To s comes `BESIDE` of the s of the turns before and after, since an answer seldom repeats its question.

    A sum of scores of which each is brought to a scale of its own: Bruch, Gai and Ingber, An Analysis of Fusion Functions
    for Hybrid Retrieval, TOIS 2023, who found it better than reciprocal ranks, as it is here (LOG.md, Recall by meaning).
    """
    said = np.zeros(len(meant.above))
    for hit in words:
        said[hit.number] = hit.score
    unit = max(WEIGHT * said.max(), LEAST)
    scores, near = _with_beside(said + unit * meant.above), _above_mean(_with_beside(meant.above)) >= NEAR
    by_words = {hit.number: hit for hit in words}
    found = [replace(hit, score=float(scores[hit.number])) for hit in words]
    found += [
        Found(n, int(meant.ids[n]), float(scores[n]), "")
        for n in np.flatnonzero(near & (meant.ids > 0)).tolist()
        if n not in by_words and n not in exclude
    ]
    return sorted(found, key=lambda hit: (-hit.score, -hit.number))


def _with_beside(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    out = scores.copy()
    out[1:] += BESIDE * scores[:-1]
    out[:-1] += BESIDE * scores[1:]
    return out


__all__ = ["Asked", "Embedder", "Meaning", "Meant", "fused", "pieces"]
