"""Embeddings find what words do not, go wherever the text goes, and never cost a turn or a search."""

from __future__ import annotations

import logging
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from langchain_core.embeddings import Embeddings

from optical_memory import OpticalMemory
from optical_memory.memory.meaning import CATCH_UP, PIECES, Meant, fused, pieces
from optical_memory.storage import Found
from optical_memory.storage.schema import embedding

ALIKE = {"boat": "ferry", "vessel": "ferry", "departs": "leaves", "midday": "noon", "cash": "money", "paid": "money"}


class Hashing(Embeddings):
    """Vectors of hashed words, where words of one meaning share a place; counts what it was asked."""

    model = "hashing"

    def __init__(self, size: int = 64) -> None:
        self.size, self.texts = size, 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.texts += len(texts)
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self._vector(text)

    def _vector(self, text: str) -> list[float]:
        out = np.full(self.size, 1e-3)
        for word in re.findall(r"[a-z]+", text.lower()):
            seed = np.random.default_rng(zlib.crc32(ALIKE.get(word, word).encode()))
            out += seed.standard_normal(self.size)
        return out.tolist()


class Failing(Embeddings):
    """A service that is down, or answers nonsense."""

    def __init__(self, answer: object = None) -> None:
        self.answer, self.asked = answer, 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.asked += 1
        if self.answer is None:
            raise ConnectionError("no route to host")
        return self.answer  # type: ignore[return-value]


def talk(count: int) -> list[dict]:
    rows = [
        {"role": "user", "content": f"Crate {n} holds spices from shelf {n * 7} of the red warehouse.", "id": f"m{n}"}
        for n in range(count)
    ]
    rows[count // 3]["content"] = "The ferry leaves at noon."
    rows[count // 2]["content"] = "Nobody had any money on them."
    return rows


def vectors(memory: OpticalMemory, thread: str = "t") -> int:
    """How many vectors the database has of a thread."""
    with memory.store.read() as reader:
        row = reader.thread(thread)
        query = sa.select(sa.func.count()).select_from(embedding).where(embedding.c.thread_id == (row.id if row else 0))
        return reader._connection.scalar(query)


def test_turns_are_found_by_their_meaning(make):
    """Though no word of the question is in them; without embeddings they are not."""
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", talk(30))
        assert memory.recall("t", "when does the boat depart, midday?")[0].turn == 11
        assert memory.recall("t", "cash paid")[0].turn == 16
    with make() as memory:
        assert 16 not in [hit.turn for hit in memory.recall("t", "cash paid")]


def test_words_still_count(make):
    """An exact word is found first, as before, and scores fall from hit to hit."""
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", talk(30))
        hits = memory.recall("t", "shelf 154")
        assert hits[0].turn == 23
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_an_answer_is_found_by_the_question_before_it(make):
    """It often holds nothing of what is asked for, neither in words nor in meaning."""
    rows = talk(30)
    rows[11] = {"role": "assistant", "content": "Half past nine, I think.", "id": "answer"}
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", rows)
        assert [hit.turn for hit in memory.search("t", "when does the boat depart, midday?", limit=2)] == [11, 12]


def test_turns_of_another_branch_are_not_found_by_meaning(make):
    """Nor does their number lend its score to the turn that has it now."""
    rows = talk(30)
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", rows)
        assert memory.search("t", "cash paid")[0].turn == 16
        memory.remember("t", [*rows[:14], {"role": "user", "content": "Nothing.", "id": "x"}, *rows[20:25]])
        hits = memory.search("t", "cash paid")
        assert not any("money" in hit.text for hit in hits)
        assert 16 not in [hit.turn for hit in hits]


@pytest.mark.parametrize("scale", [0.5, 10.0])
def test_the_scale_of_the_words_does_not_change_the_order(scale):
    """A longer question scores higher in words; meaning keeps its share."""
    rng = np.random.default_rng(7)
    meant = Meant(np.arange(41), np.r_[0.0, rng.standard_normal(40)])
    scores = dict(zip(range(1, 21), rng.uniform(10, 20, 20).tolist(), strict=True))
    orders = [
        [hit.number for hit in fused([Found(n, n, score * by, "") for n, score in scores.items()], meant)]
        for by in (1.0, scale)
    ]
    assert orders[0] == orders[1] != sorted(scores, key=lambda n: -scores[n])


def test_a_turn_is_embedded_once(make):
    """Over searches, processes and new turns; the model is asked for what is new."""
    embedder = Hashing()
    with make(embeddings=embedder) as memory:
        memory.remember("t", talk(30))
        assert embedder.texts == 0  # remembering waits for no model
        memory.search("t", "boat")
        assert (embedder.texts, vectors(memory)) == (30, 30)
        memory.search("t", "vessel")
        memory.remember("t", [{"role": "user", "content": "The vessel is back.", "id": "new"}])
        assert 31 in [hit.turn for hit in memory.search("t", "boat")]
        assert embedder.texts == 31
    again = Hashing()
    with make(embeddings=again) as memory:
        assert memory.search("t", "cash")[0].turn == 16
        assert again.texts == 0


def test_results_that_arrive_late_are_embedded_with_their_turn(make):
    """A turn that waits is left out until it is whole."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", [*talk(9), {"role": "assistant", "content": "", "tool_calls": [call], "id": "a"}])
        memory.search("t", "boat")
        assert vectors(memory) == 9
        memory.remember("t", [{"role": "tool", "tool_call_id": "c", "content": "A sleeping cat.", "id": "r"}])
        memory.search("t", "boat")
        assert vectors(memory) == 10


def test_a_long_thread_is_caught_up_in_portions(make):
    """A search embeds some hundreds of turns, the newest first; `embed` all of them."""
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", talk(CATCH_UP + 100))
        memory.search("t", "boat")
        assert vectors(memory) == CATCH_UP
        assert memory.embed("t") == 100
        assert memory.embed("t") == 0
    with make() as memory:
        assert memory.embed("t") == 0


def test_long_turns_have_several_vectors(make):
    """Cut between words, none lost up to the limit."""
    text = " ".join(f"word{n}" for n in range(500))
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", [("user", text), ("user", "x" * 99_999)])
        with memory.store.read() as reader:
            one, other = reader.turns(reader.path(reader.thread("t")))
        assert "".join(pieces(one)) == text
        assert all(piece.startswith("word") for piece in pieces(one))
        assert len(list(pieces(other))) == PIECES


class Strict(Hashing):
    """A model that refuses blanks, as services do."""

    def _vector(self, text: str) -> list[float]:
        if not text.strip():
            raise ValueError("input cannot be empty")
        return super()._vector(text)


def test_turns_and_questions_of_blanks_do_not_end_the_search_by_meaning(make, caplog):
    """A model that refuses them would refuse all the texts beside them too, with every search anew."""
    with make(embeddings=Strict()) as memory:
        memory.remember("t", [*talk(9), ("user", " \n "), ("assistant", "x" * 600 + " " * 4_000 + "y")])
        memory.search("t", " ")
        assert memory.search("t", "When is the vessel off?")[0].turn == 4
        assert memory.embed("t") == 0, "all of them are"
        assert vectors(memory) > 10
    assert caplog.text == ""


@pytest.mark.parametrize("answer", [None, [], [0.0, 0.0], [float("nan")] * 3])
def test_a_model_that_fails_costs_no_search(make, clock, caplog, answer):
    """Words answer alone, one warning says so, and the model is asked again after a while."""
    embedder = Failing(answer)
    with make(embeddings=embedder) as memory, caplog.at_level(logging.WARNING, "optical_memory"):
        memory.remember("t", talk(30))
        for _ in range(3):
            assert memory.recall("t", "ferry")[0].turn == 11
        assert memory.context("t", query="ferry").messages
        assert [r.message for r in caplog.records if "by words alone" in r.message] != []
        assert len(caplog.records) == 1
        assert embedder.asked == 1
        clock.move(seconds=61)
        memory.recall("t", "ferry")
        assert embedder.asked == 2
        clock.move(days=-400)  # set back: the pause does not last until the old time comes again
        memory.recall("t", "ferry")
        assert embedder.asked == 3


def test_a_model_that_loses_vectors_is_not_believed(make):
    """Fewer vectors than texts belong to nobody."""

    class Short(Hashing):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return super().embed_documents(texts)[:-1]

    with make(embeddings=Short()) as memory:
        memory.remember("t", talk(30))
        assert memory.recall("t", "ferry")[0].turn == 11
        assert vectors(memory) == 0


def test_vectors_of_another_model_are_left_alone(make):
    """Another size or name is another model: both kinds stand beside each other."""
    for size in (64, 32):
        with make(embeddings=Hashing(size)) as memory:
            memory.remember("t", talk(30))
            assert memory.search("t", "cash paid")[0].turn == 16
    assert vectors(memory) == 60


def test_a_read_only_memory_searches_with_what_is_there(make):
    """And writes none."""
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", talk(30))
        memory.embed("t")
    with make(embeddings=Hashing(), read_only=True) as memory:
        assert memory.search("t", "cash paid")[0].turn == 16


def test_vectors_go_where_the_text_goes(make):
    """Copied with a thread, forgotten with a turn or a thread, and not left in the file."""
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", talk(30))
        memory.embed("t")
        memory.copy("t", "copy")
        assert vectors(memory, "copy") == 30
        memory.forget("t", turns=[16])
        assert vectors(memory) == 29
        assert 16 not in [hit.turn for hit in memory.search("t", "cash paid")]
        assert memory.search("copy", "cash paid")[0].turn == 16
        gone = np.array(Hashing().embed_query(talk(30)[3]["content"]), np.float32)
        needle = (gone / np.linalg.norm(gone)).astype("<f2").tobytes()
        memory.forget("copy")
        path = Path(str(memory.store.path))
        assert needle in path.read_bytes()
        memory.forget("t")
        memory.close()
        assert needle not in path.read_bytes()
        assert memory.store.check() == []


def test_vectors_go_when_text_fades_for_good(make):
    """What only a picture is left of is not found by its meaning either."""
    with make(embeddings=Hashing(), retain="vivid", budget=900) as memory:
        memory.remember("t", talk(60))
        memory.embed("t")
        memory.context("t")
        memory.step("t")
        gone = [t.number for t in memory.turns("t") if t.purged]
        assert gone
        assert vectors(memory) == 60 - len(gone)
        assert not set(gone) & {hit.turn for hit in memory.search("t", "boat cash", limit=60)}


def test_a_branch_finds_its_own_turns_only(make):
    """A turn that was edited away is not near any more."""
    with make(embeddings=Hashing()) as memory:
        memory.remember("t", talk(30))
        memory.embed("t")
        memory.remember("t", [*talk(30)[:12], {"role": "user", "content": "Something else.", "id": "other"}])
        found = {hit.turn for hit in memory.search("t", "cash paid boat", limit=40)}
        assert 11 in found
        assert max(found) <= 13


def test_automatic_recall_finds_by_meaning(make):
    """The question brings an old turn back though they share no word."""
    with make(embeddings=Hashing(), budget=1_200) as memory:
        rows = talk(90)
        memory.remember("t", rows)
        memory.context("t")
        memory.remember("t", [{"role": "user", "content": "Who paid cash?", "id": "q"}])
        context = memory.context("t", query="Who paid cash?")
        recalled = [s for s in context.segments if s.kind == "recalled"]
        assert any("Nobody had any money" in (s.text or "") or s.look for s in recalled)


async def test_embeddings_work_in_worker_threads(make):
    """The twin for asyncio."""
    with make(embeddings=Hashing()) as memory:
        await memory.aremember("t", talk(30))
        assert await memory.aembed("t") == 30
        assert (await memory.arecall("t", "cash paid"))[0].turn == 16
