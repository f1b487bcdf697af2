"""Pin, forget, undo, decay: told first, done after a yes, and said afterwards."""

from __future__ import annotations

import pytest

from optical_memory import OpticalMemory
from optical_memory.inspection import looking
from tests.inspection.conftest import talk
from tests.web.conftest import MODEL, POSTING, THREAD


def post(client, action: str, **body):
    return client.post(f"/t/harbour/{action}", headers=POSTING, json=body)


def test_pins_come_and_go(client, memory):
    """The dialog says what pins cost; the post sets them; the other takes them away."""
    asked = client.get("/t/harbour/ask/pin.json", params={"turns": "3-5,9"}).json()
    assert (asked["count"], asked["turns"]) == (4, [[3, 5], [9, 9]])
    assert asked["tokens"] == sum(t.tokens for t in memory.turns(THREAD) if t.number in (3, 4, 5, 9))
    assert post(client, "pin", turns="3-5,9").json()["count"] == 4
    assert [t.number for t in memory.turns(THREAD) if t.pinned] == [3, 4, 5, 9]
    assert post(client, "unpin", turns="3-9").status_code == 200
    assert not any(t.pinned for t in memory.turns(THREAD))


def test_the_dialog_of_forget_says_what_goes_and_where_copies_may_live(client, memory):
    """Turns, words, pages; backups, checkpoints, traces; and nothing is gone yet."""
    asked = client.get("/t/harbour/ask/forget.json", params={"turns": "2-4"}).json()
    texts = [t.text for t in memory.turns(THREAD, first=2, last=4)]
    assert (asked["count"], asked["words"]) == (3, sum(len(t.split()) for t in texts))
    assert asked["pages"] >= 1
    page = client.get("/t/harbour/ask/forget", params={"turns": "2-4"}).text
    for word in ("for good", "backups", "checkpoints", "traces", "no undo"):
        assert word in page
    assert [t.text for t in memory.turns(THREAD, first=2, last=4)] == texts


@pytest.mark.slow
def test_the_dialog_of_forget_names_those_who_go_along(tmp_path, view):
    """Of turns whose text was let go only a picture is left: forgetting one takes the others on it, and that is said first."""
    with OpticalMemory(tmp_path / "fading.db", model=MODEL, budget=3_000, retain="clear") as memory:
        memory.remember(THREAD, talk(120))
        memory.step(THREAD)
        number = next(t.number for t in memory.turns(THREAD) if t.purged)
        client = view(tmp_path / "fading.db")
        asked = client.get("/t/harbour/ask/forget.json", params={"turns": number}).json()
        page = client.get("/t/harbour/ask/forget", params={"turns": number}).text
        assert asked["lost"] > 0
        assert f"<b>{asked['lost']}</b> more turn" in page
        assert post(client, "forget", turns=str(number)).json()["lost"] == asked["lost"]


def test_forgotten_turns_are_gone_and_no_page_shows_them(client, memory):
    """Their words are in no page, twin or picture afterwards."""
    needle = memory.turns(THREAD, first=2, last=2)[0].text
    client.get("/t/harbour/turn/2", params={"tier": "vivid"})
    done = post(client, "forget", turns="2")
    assert done.status_code == 200
    assert "1 turn" in done.json()["done"]
    assert needle not in client.get("/t/harbour.json", params={"upto": 3}).text
    assert client.get("/t/harbour/turn/2.json").json()["text"] == ""
    assert "CR-001-07" not in client.get("/t/harbour/turn/2", params={"tier": "vivid"}).text


@pytest.mark.parametrize("typed", [None, "", "24", "26", "all"])
def test_more_than_twenty_turns_need_their_number_typed(client, memory, typed):
    """Without the right number nothing goes; with it they go."""
    asked = client.get("/t/harbour/ask/forget.json", params={"turns": "1-25"}).json()
    assert asked["asked_to_type"] is True
    refused = post(client, "forget", turns="1-25", **({} if typed is None else {"typed": typed}))
    assert refused.status_code >= 400
    assert "type 25" in refused.json()["error"]
    assert memory.turns(THREAD)[0].text
    assert post(client, "forget", turns="1-25", typed="25").json()["turns"] == 25


def test_a_whole_thread_goes_only_when_that_is_said(client, memory):
    """An empty post forgets nothing; the whole thread needs the word and the number."""
    for body in ({}, {"typed": "60"}, {"whole": True}, {"whole": True, "turns": "1-3"}, {"whole": True, "typed": "59"}):
        assert post(client, "forget", **body).status_code >= 400, body
    assert len(memory.turns(THREAD)) == 60
    done = post(client, "forget", whole=True, typed="60")
    assert done.json()["whole"] is True
    assert client.get("/t/harbour").status_code == 404


def test_a_step_is_told_taken_and_taken_back(client, memory):
    """What the dialog of decay names is what happens; undo takes exactly the step that was looked at."""
    memory.remember(THREAD, [("user", "and now? " * 400), ("assistant", "wait " * 800)])
    told = client.get("/t/harbour/ask/decay.json").json()["step"]
    done = post(client, "decay").json()["step"]
    assert done["changes"] == told["changes"]
    assert done["changes"]
    newest = client.get("/t/harbour/ask/undo.json").json()["step"]
    assert post(client, "undo", at_turn=newest["at_turn"], created_at="2020-01-01T00:00:00Z").status_code >= 400
    assert not memory.steps(THREAD)[-1].undone
    assert post(client, "undo", at_turn=newest["at_turn"], created_at=newest["created_at"]).status_code == 200
    assert memory.steps(THREAD)[-1].undone
    log = client.get("/t/harbour/log.json").json()
    assert log["steps"][0]["undone"] is True
    assert log["steps"] == [looking.step(s) for s in memory.steps(THREAD)][::-1]


@pytest.mark.parametrize("turns", ["0", "61", "1-999999999", "5-3", "x", "1;2", "1," * 20_000, "-1"])
def test_turns_that_are_not_there_are_refused_in_words(client, memory, turns):
    """No number brings the viewer down, and nothing is pinned by halves."""
    answer = post(client, "pin", turns=turns)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not any(t.pinned for t in memory.turns(THREAD))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 50_000, b"x" * 200_000])
def test_a_post_that_is_no_object_is_refused(client, memory, body):
    """Whatever is posted, the answer is a sentence and nothing changes."""
    for action in ("pin", "unpin", "forget", "undo"):
        answer = client.post(f"/t/harbour/{action}", headers=POSTING, content=body)
        assert 400 <= answer.status_code < 500, (action, answer.text)
    assert len(memory.turns(THREAD)) == 60


@pytest.mark.slow
def test_a_step_that_takes_text_for_good_says_so_first(tmp_path, view):
    """With retain the dialog names the turns whose words go, and that there is no way back; and so it is."""
    with OpticalMemory(tmp_path / "fading.db", model=MODEL, budget=3_000, retain="clear") as memory:
        memory.remember(THREAD, talk(120))
        client = view(tmp_path / "fading.db")
        asked = client.get("/t/harbour/ask/decay.json").json()
        page = client.get("/t/harbour/ask/decay").text
        assert "go for good" in page
        assert "cannot be taken back" in page
        assert "The text stays" not in page
        assert post(client, "decay").status_code == 200
        gone = {t.number for t in memory.turns(THREAD) if t.purged}
        assert gone >= {n for first, last in asked["lets_go"] for n in range(first, last + 1)} > set()
        newest = client.get("/t/harbour/log.json").json()["steps"][0]
        undone = post(client, "undo", at_turn=newest["at_turn"], created_at=newest["created_at"])
        assert undone.status_code >= 400 or not gone
