"""What was found out about texts is kept within a bound on characters, and always what the function says."""

from __future__ import annotations

import random

from optical_memory.pages import ByText


def test_a_text_is_looked_at_once_while_it_is_kept():
    """Asked for again, nothing is computed again."""
    seen: list[str] = []
    length = ByText(lambda text: seen.append(text) or len(text), 100)
    assert [length("four"), length("five "), length("four")] == [4, 5, 4]
    assert seen == ["four", "five "]


def test_no_more_than_the_bound_is_kept_however_many_texts_come():
    """Few long texts are bound like many short ones, and a text larger than the bound is answered too."""
    rng = random.Random(1)
    length = ByText(len, 1_000)
    for size in [*rng.choices(range(200), k=2_000), 5_000, 3]:
        assert length("x" * size) == size
        kept = {**length._old, **length._young}
        assert sum(map(len, kept)) <= 1_000


def test_what_was_asked_for_last_is_still_there():
    """Half of the bound at least: the newest texts of so many characters are not computed again."""
    seen: list[str] = []
    length = ByText(lambda text: seen.append(text) or len(text), 1_000)
    texts = [f"{n:010}" for n in range(500)]
    for text in texts:
        length(text)
    seen.clear()
    assert [length(text) for text in texts[-50:]] == [10] * 50
    assert seen == []
