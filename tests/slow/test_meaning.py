"""Recall with real embeddings over a real conversation, beside recall by words."""

from __future__ import annotations

import json

import pytest

from optical_memory import OpticalMemory
from tests.data import data_dir
from tests.slow.minilm import MiniLM

pytestmark = pytest.mark.slow


def test_embeddings_find_more_of_what_is_asked_for(tmp_path):
    """LoCoMo conv-26: a labelled turn is among the first five for at least three more questions in a hundred."""
    folder = data_dir() / "locomo"
    rows, questions = (
        [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("locomo-conv-26.jsonl", "locomo-conv-26.qa.jsonl")
    )
    found = {}
    for name, embeddings in (("words", None), ("both", MiniLM.load())):
        with OpticalMemory(tmp_path / f"{name}.db", model="ocr:tesseract", embeddings=embeddings) as memory:
            numbers = memory.remember("t", rows).turns
            where = {row["id"]: number for row, number in zip(rows, numbers, strict=True)}
            memory.embed("t")
            asked = [(q["question"], {where[e] for e in q["evidence"] if e in where}) for q in questions]
            asked = [(question, wanted) for question, wanted in asked if wanted]
            hits = sum(bool(wanted & {h.turn for h in memory.search("t", q, limit=5)}) for q, wanted in asked)
            found[name] = hits / len(asked)
    assert found["both"] >= found["words"] + 0.03, found
