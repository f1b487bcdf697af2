"""What the pages show: the same values as their twins, and as the memory itself."""

from __future__ import annotations

import hashlib
import re
import time

import pytest
from typer.testing import CliRunner

from optical_memory import OpticalMemory, staircase
from optical_memory.inspection import looking
from optical_memory.inspection.cli import app
from tests.inspection.conftest import talk
from tests.web.conftest import BUDGET, MODEL, THREAD
from tests.web.routes import addresses


def test_every_page_opens(client):
    """Every reading route answers with a page, a picture or JSON (a picture of a context that nobody made is not found)."""
    for method, path in addresses(client.app):
        if method == "GET":
            answer = client.get(path)
            assert answer.status_code == (404 if "/call/" in path else 200), (path, answer.text[:300])


def test_twins_have_the_keys_of_the_command_line(client, memory):
    """Threads, turns, steps and the context have in JSON the keys that --json has."""
    assert client.get("/index.json").json()["threads"][0].keys() >= looking.threads(memory, None, None, False)[0].keys()
    assert client.get("/t/harbour.json").json()["turns"][0].keys() >= looking.turns(memory, THREAD, 1, 1)[0].keys()
    assert client.get("/t/harbour/log.json").json()["steps"][0].keys() >= looking.step(memory.steps(THREAD)[0]).keys()
    made = memory.context(THREAD, dry_run=True)
    assert client.get("/t/harbour/call.json").json().keys() >= looking.context_report(made, 0).keys()


def test_the_timeline_comes_in_windows_by_number(tmp_path, view):
    """200 turns a page, newest first, and links to what is older and newer; every turn is on exactly one page."""
    with OpticalMemory(tmp_path / "long.db") as memory:
        memory.remember("long", [("user" if n % 2 else "assistant", f"message {n}") for n in range(1, 452)])
    client = view(tmp_path / "long.db")
    seen, upto = [], None
    while True:
        page = client.get("/t/long.json", params={"upto": upto} if upto else {}).json()
        assert len(page["turns"]) <= 200
        seen += [t["turn"] for t in reversed(page["turns"])]
        upto = page["older"]
        if upto is None:
            break
    assert seen == list(range(451, 0, -1))
    assert page["newer"] == 251
    html = client.get("/t/long").text
    assert html.index("message 451") < html.index("message 300")
    assert "?upto=251" in html


def test_a_turn_is_shown_at_every_tier(client, memory, drawn):
    """Each tier that the model reads has its picture at true pixels, with the bytes that the memory itself would send."""
    told = client.get(f"/t/harbour/turn/{drawn}.json").json()["span"]
    for tier in told["tiers"]:
        page = client.get(f"/t/harbour/turn/{drawn}", params={"tier": tier["tier"]})
        assert page.status_code == 200
        for part, (width, height) in enumerate(tier["sizes"]):
            assert f'width="{width}" height="{height}"' in page.text
            png = client.get(f"/t/harbour/turn/{drawn}/{tier['tier']}.{part}.png").content
            assert looking.pixels(png) == (width, height)
    pages = [p for p in memory.pages(THREAD) if p.turns == tuple(told["turns"])]
    assert [p.sha256 for p in pages] == [i["sha256"] for i in told["images"]]
    png = client.get(f"/t/harbour/turn/{drawn}/{told['tier_now']}.0.png").content
    assert hashlib.sha256(png).hexdigest() == pages[0].sha256


def test_a_turn_that_is_not_on_a_page_yet_can_be_looked_at_too(client, memory):
    """The newest turn is text; at another tier it is drawn alone, and nothing is stored for it."""
    before = memory.stats()
    told = client.get("/t/harbour/turn/60.json", params={"tier": "vivid"}).json()["span"]
    assert told["page"] is None
    assert told["images"][0]["width"] > 0
    assert memory.stats() == before


def test_an_unknown_tier_or_a_bad_number_is_said_so(client):
    """A sentence that names the value, not a failure."""
    for path in ("?tier=blurry", "?after=-1", "?after=x", "?after=99999999999"):
        answer = client.get("/t/harbour/turn/5" + path)
        assert answer.status_code == 400
        assert "give" in answer.text or "use one of" in answer.text


def test_the_slider_never_sharpens_and_never_writes(client, memory, drawn):
    """The further ahead, the fainter; the answer comes with its reason, and the database stays byte for byte the same."""
    from optical_memory.planning.tiers import RANK

    before = (memory.stats(), [t.tier for t in memory.turns(THREAD)])
    ranks = []
    for after in (0, 10, 50, 100, 200, 1_000, 5_000, 100_000):
        span = client.get(f"/t/harbour/turn/{drawn}.json", params={"after": after}).json()["span"]
        assert span["why"]
        ranks.append(RANK[span["shown"]["tier"]])
    assert ranks == sorted(ranks)
    assert ranks[-1] >= RANK["card"]
    assert (memory.stats(), [t.tier for t in memory.turns(THREAD)]) == before


def test_the_next_fall_is_where_the_slider_changes(client, drawn):
    """The turn says what it falls to next and when: one turn earlier the slider still shows today's tier."""
    span = client.get(f"/t/harbour/turn/{drawn}.json").json()["span"]
    told = span["next"]
    shown = [
        client.get(f"/t/harbour/turn/{drawn}.json", params={"after": n}).json()["span"]["shown"]["tier"]
        for n in (told["in_turns"] - 1, told["in_turns"])
    ]
    assert shown == [span["tier_now"], told["tier"]]
    assert "Falls to" in client.get(f"/t/harbour/turn/{drawn}").text


def test_a_pin_holds_in_the_future_as_well(client, memory):
    """A pinned turn is told to stay text, however far the slider goes."""
    memory.pin(THREAD, 60)
    span = client.get("/t/harbour/turn/60.json", params={"after": 100_000}).json()["span"]
    assert span["shown"]["tier"] == "text"
    assert "pinned" in span["why"]


def test_the_next_call_is_what_the_memory_would_send(client, memory):
    """Messages, images and tokens of the page are those of `context`, letter for letter and byte for byte."""
    made = memory.context(THREAD, dry_run=True)
    told = client.get("/t/harbour/call.json").json()
    assert told["messages"] == made.to_openai()
    assert (told["tokens"], told["budget"]) == (made.tokens, made.budget)
    page = client.get("/t/harbour/call").text
    shas = re.findall(r"/call/([0-9a-f]{64})\.png", page)
    assert shas == [i["sha256"] for i in told["images"]]
    for sha in shas:
        assert hashlib.sha256(client.get(f"/t/harbour/call/{sha}.png").content).hexdigest() == sha


def test_the_next_call_can_be_previewed_for_another_model(client, memory):
    """Model and budget of the query are those of `context`; nothing is kept for it."""
    made = memory.context(THREAD, model="gpt-5", budget=6_000, dry_run=True)
    told = client.get("/t/harbour/call.json", params={"model": "gpt-5", "budget": 6_000}).json()
    assert (told["model"], told["tokens"], told["messages"]) == ("gpt-5", made.tokens, made.to_openai())
    memory.remember(THREAD, [("user", "and this? " * 200)])
    assert client.get("/t/harbour/call", params={"budget": "100"}).status_code == 422


@pytest.mark.parametrize(
    "block",
    [
        {"type": "file", "file": {"file_id": "f1"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,abc"}},
    ],
)
def test_a_block_that_nobody_can_open_does_not_stop_the_page(tmp_path, view, block):
    """What an agent's own message brings along is named, whatever it is; the rest of the call is shown."""
    with OpticalMemory(tmp_path / "odd.db", model=MODEL, budget=BUDGET) as memory:
        memory.remember("odd", [{"role": "user", "content": [block, {"type": "text", "text": "What is this?"}]}])
    answer = view(tmp_path / "odd.db").get("/t/odd/call")
    assert answer.status_code == 200
    assert "not opened here" in answer.text
    assert "What is this?" in answer.text


def test_what_a_model_cannot_read_is_told(client, memory):
    """Every turn behind a handle is named, and every exact string that only a picture carries is one of its page."""
    told = client.get("/t/harbour/fading.json").json()
    behind = {n for first, last in told["unreadable"] for n in range(first, last + 1)}
    assert behind == {t.number for t in memory.turns(THREAD) if t.tier == "handle"}
    facts = "\n".join(s.text or "" for s in memory.context(THREAD, dry_run=True).segments if s.kind == "facts")
    texts = {t.number: t.text for t in memory.turns(THREAD)}
    for risk in told["at_risk"]:
        for string in risk["strings"]:
            assert string not in facts
            assert any(string in texts[n] for n in range(risk["turns"][0], risk["turns"][1] + 1))


def test_one_page_has_one_readable_share_everywhere(client, memory):
    """The list by tier, the head of the thread and the pane of a turn reckon with the type that a page is really drawn in."""
    told = client.get("/t/harbour/fading.json").json()
    by_tier = {t["tier"]: t for t in told["by_tier"]}
    assert sum(t["turns"] for t in told["by_tier"]) == told["length"]
    whole = sum(t["turns"] * t["readable"] for t in told["by_tier"]) / told["length"]
    assert abs(whole - told["readable"]) < 1e-3
    for stretch in told["stretches"]:
        if stretch["tier"] in ("vivid", "clear", "dense") and not stretch["left_out"]:
            span = client.get(f"/t/harbour/turn/{stretch['turns'][0]}.json").json()["span"]
            assert span["shown"]["readable"] == round(stretch["readable"], 4)
    assert any(by_tier.get(t) for t in ("vivid", "clear", "dense"))


def test_a_page_that_shows_fewer_turns_in_larger_type_is_read_like_that_type(tmp_path, view):
    """Where a model reads no smaller type, the dense look leaves turns out; what it shows counts as the type it is shown in."""
    fading = staircase(clear=("turns", 10), dense=("turns", 20), card=("turns", 4_000), handle=("turns", 9_000))
    with OpticalMemory(tmp_path / "few.db", model=MODEL, budget=8_000, schedule=fading) as memory:
        memory.remember(THREAD, talk(120))
        memory.context(THREAD)
        profile = memory.settings().profile
    assert profile.tiers["dense"] is None
    told = view(tmp_path / "few.db").get("/t/harbour/fading.json").json()
    dense = [t for t in told["by_tier"] if t["tier"] == "dense"]
    smallest = min(profile.shares[t] for t in ("vivid", "clear"))
    assert dense
    assert dense[0]["readable"] >= smallest > profile.shares["dense"]


def test_what_is_left_of_a_card_and_a_handle_is_words(client, drawn):
    """Below the pictures the page shows the words that are left, and how much of the source they keep."""
    card = client.get(f"/t/harbour/turn/{drawn}.json", params={"tier": "card", "show": "diff"}).json()
    handle = client.get(f"/t/harbour/turn/{drawn}.json", params={"tier": "handle", "show": "diff"}).json()
    assert "extract" in card["span"]["shown"]["words"]
    assert "recall_memory" in handle["span"]["shown"]["words"]
    assert handle["span"]["images"] == card["span"]["images"] == []
    assert 0 < card["difference"]["sum"]["words"]["kept"] < sum(card["difference"]["sum"]["words"].values())
    assert handle["difference"]["sum"]["words"]["kept"] == 0


def test_search_says_how_a_hit_is_held(client, memory):
    """A hit has its thread, its turn, its words and its tier."""
    hits = client.get("/search.json", params={"q": "harbour 30"}).json()["hits"]
    tiers = {t.number: t.tier for t in memory.turns(THREAD)}
    assert hits
    assert all(h["tier"] == tiers[h["turn"]] and h["thread"] == THREAD for h in hits)
    assert client.get("/search.json", params={"q": "zebra"}).json()["hits"] == []
    assert "Nothing found" in client.get("/search", params={"q": "zebra", "thread": THREAD}).text


def test_the_ledger_is_the_memory_s_own(client, memory):
    """Empty it says so; with a call it has the memory's own figures."""
    assert "No calls are noted" in client.get("/t/harbour/ledger").text
    context = memory.project([], thread=THREAD)
    memory.observe({"input_tokens": context.tokens, "output_tokens": 10, "total_tokens": context.tokens + 10}, context)
    told = client.get("/t/harbour/ledger.json").json()["ledger"]
    assert told == memory.ledger(THREAD).to_json()
    assert "plain text" in client.get("/t/harbour/ledger").text


def test_a_name_of_any_kind_is_an_address(tmp_path, view):
    """Slashes, dots, quotes, other scripts, line breaks and names like those of our own pages."""
    names = [
        "a/b/../c",
        "x.json",
        "café ☕",
        'quote"<b>',
        "new\nline",
        "~7e",
        "call",
        "%2e%2e",
        "日本語",
        "a?b#c",
        "ask",
    ]
    with OpticalMemory(tmp_path / "names.db") as memory:
        for name in names:
            memory.remember(name, [("user", f"hello from {len(name)}")])
    client = view(tmp_path / "names.db")
    listed = client.get("/").text
    links = re.findall(r'<a class="row" href="(/t/[^"]+)"', listed)
    assert len(links) == len(names)
    assert {client.get(link + ".json").json()["thread"] for link in links} == set(names)
    assert {client.get(link).status_code for link in links} == {200}


def test_looking_at_everything_changes_nothing(client, database):
    """After every page was opened the file has the same bytes."""
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    for method, path in addresses(client.app):
        if method == "GET":
            client.get(path)
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    assert [f.stat().st_size for f in database.parent.glob("*-wal")] in ([], [0])


def test_one_of_a_kind_is_told_as_one(tmp_path, view):
    """On pages, in a notebook and by the command that brought it in."""
    (tmp_path / "one.jsonl").write_text('{"role": "user", "content": "hello"}')
    database = tmp_path / "one.db"
    said = CliRunner().invoke(app, ["import", str(tmp_path / "one.jsonl"), "--model", MODEL, "--db", str(database)])
    assert "1 message, 1 new turn in thread one" in said.stdout
    with OpticalMemory(database, model=MODEL) as memory:
        memory.project([], thread="one")
        assert "1 turn, 1 token as text" in memory.threads()[0]._repr_html_()
        assert "1 call, " in memory.ledger("one")._repr_html_()
    client = view(database)
    pages = [client.get(p).text for p in ("/", "/t/one", "/t/one/call", "/t/one/ledger", "/t/one/ask/forget?turns=1")]
    told = [re.sub(r"<[^>]+>", "", page) for page in pages]
    assert "1 token as text" in told[0]
    assert "spent in 1 call," in told[3]
    assert not [
        found for page in told for found in re.findall(r"(?<![\d.,])1 (?:turn|token|message|word|segment)s\b", page)
    ]


def test_a_twin_is_quick(client):
    """A page of the timeline is made in well under the tenth of a second that a person waits without noticing."""
    client.get("/t/harbour")
    began = time.perf_counter()
    client.get("/t/harbour")
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("model", [None, "text-only-model"])
def test_a_thread_without_a_model_or_eyes_opens_as_well(tmp_path, view, model):
    """No picture is promised where no model could see one."""
    with OpticalMemory(tmp_path / "plain.db", model=model, budget=BUDGET) as memory:
        memory.remember("plain", [("user", "hello"), ("assistant", "hi " * 3_000)] * 6)
        memory.context("plain")
    client = view(tmp_path / "plain.db")
    for path in ("/t/plain", "/t/plain/turn/2", "/t/plain/call", "/t/plain/fading", "/t/plain/turn/2?after=500"):
        assert client.get(path).status_code == 200


@pytest.mark.slow
def test_a_turn_whose_text_was_let_go_is_told_so(tmp_path, view):
    """With retain the picture is the record: the page says that the words are gone, and shows what is left."""
    with OpticalMemory(tmp_path / "fading.db", model=MODEL, budget=3_000, retain="clear") as memory:
        memory.remember(THREAD, talk(150))
        memory.context(THREAD)
        memory.remember(THREAD, talk(200))
        memory.context(THREAD)
        memory.step(THREAD)
        gone = next(t.number for t in memory.turns(THREAD) if t.purged)
    client = view(tmp_path / "fading.db")
    page = client.get(f"/t/{THREAD}/turn/{gone}")
    assert page.status_code == 200
    assert "was let go" in page.text
    tiers = {t["tier"]: t for t in client.get(f"/t/{THREAD}/turn/{gone}.json").json()["span"]["tiers"]}
    assert not tiers["text"]["available"]
    assert client.get(f"/t/{THREAD}/turn/{gone}/clear.0.png").status_code == 200
    for path in ("", "/call", "/fading", "/log", f"/turn/{gone}?show=diff&tier=handle", f"/turn/{gone}?after=500"):
        assert client.get(f"/t/{THREAD}{path}").status_code == 200
