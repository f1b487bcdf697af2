"""Text on its way into the database, which on either engine refuses lone surrogates, and on one also NUL."""

from __future__ import annotations

import hashlib
import re

from ..errors import ConfigError

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
LONGEST_KEY = 500
"""Characters of a thread's name or a message's id: both are indexed, and an index entry has an upper size."""


def safe_text(text: str) -> str:
    """The text with NUL and lone surrogates shown as U+FFFD; the messages keep the original, as JSON escapes."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


def safe_id(given: str) -> str:
    """A host's id as it is indexed: different ids stay different, whatever they hold and however long they are."""
    clean = given.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    if len(clean) <= LONGEST_KEY:
        return clean
    return "sha256:" + hashlib.sha256(clean.encode()).hexdigest()


def checked_key(key: str) -> str:
    """A thread's name, unchanged; ConfigError when no database could keep it as it is."""
    if not key or len(key) > LONGEST_KEY or safe_text(key) != key:
        raise ConfigError(
            f"{ascii(key[:60])} cannot be a thread's name: it needs 1 to {LONGEST_KEY} characters, "
            f"without NUL or lone surrogates"
        )
    return key
