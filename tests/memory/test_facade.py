"""The facade: contexts, steps, recall, pins, forgetting, previews, and the twins for asyncio."""

from __future__ import annotations

import inspect
import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime

import pytest

from optical_memory import BudgetError, ConfigError, OpticalMemory, StoreError, ThreadNotFoundError, staircase
from optical_memory.errors import ReadOnlyError
from optical_memory.planning.tiers import DRAWN


def talk(n: int, start: int = 0) -> list[dict]:
    """n dated messages with ids; every tenth holds an id string of its own."""
    return [
        {
            "role": ("user", "assistant")[i % 2], "id": f"m{i}", "created_at": f"2026-01-{1 + i // 24 % 28:02d}T{i % 24:02d}:00:00Z",
            "content": f"In message {i} we spoke of the harbour, the weather and supper" + f", ticket HX-{1000 + i}." * (i % 10 == 0),
        }
        for i in range(start, start + n)
    ]  # fmt: skip


def text_of(context) -> str:
    """All text of a context."""
    found = []
    for message in context.messages:
        blocks = message.content if isinstance(message.content, list) else [{"type": "text", "text": message.content}]
        found += [b["text"] for b in blocks if b["type"] == "text"]
    return "\n".join(found)


def test_a_short_thread_is_its_own_messages(make):
    """Text is the answer when in doubt: nothing of ours is added."""
    memory = make()
    memory.remember("t", talk(5))
    assert [m.content for m in memory.context("t").messages] == [m["content"] for m in talk(5)]


def test_old_turns_become_pages_and_recent_ones_stay_text(make):
    """The images are in marked human messages only, exact strings ride beside them."""
    memory = make(model="claude-opus-5", budget=6_000)
    memory.remember("t", talk(301))
    context = memory.context("t")
    assert context.tokens <= 6_000
    assert {s.kind for s in context.segments} & set(DRAWN)
    assert context.messages[-1].content == talk(301)[-1]["content"]
    for message in context.messages:
        if any(isinstance(b, dict) and b["type"] == "image" for b in message.content):
            assert message.type == "human"
            assert message.additional_kwargs["lc_source"] == "optical_memory"
    unsafe = [s for s in context.segments if s.kind == "clear"]
    assert unsafe
    assert f"HX-{1000 + (unsafe[0].turns[0] + 9) // 10 * 10}" in text_of(context)


def test_an_unknown_thread_is_named_with_what_is_near(make):
    """The error says what to type next."""
    memory = make()
    memory.remember("trip-2", talk(1))
    with pytest.raises(ThreadNotFoundError, match="trip-2"):
        memory.context("trip")


def test_what_does_not_fit_at_all_is_a_budget_error_with_three_numbers(make):
    """And nothing stored is lost."""
    memory = make(budget=50)
    memory.remember("t", [*talk(4), {"role": "user", "content": "word " * 400, "id": "long"}])
    with pytest.raises(BudgetError) as caught:
        memory.context("t", reserved=10)
    assert (caught.value.reserved, caught.value.budget) == (10, 50)
    assert caught.value.needed > 400
    assert len(memory.turns("t")) == 5
    with pytest.raises(ConfigError):
        memory.context("t", budget=0)


def test_the_first_message_of_a_long_run_is_cut_rather_than_refused(make):
    """The newest tool round stays whole, the task it serves is shown head and tail with its handle."""
    memory = make(budget=300)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    memory.remember("t", [
        {"role": "user", "content": "BEGIN " + "word " * 800 + "END", "id": "1"},
        {"role": "assistant", "content": None, "tool_calls": [call], "id": "2"},
        {"role": "tool", "tool_call_id": "c", "content": "the result", "id": "3"},
    ])  # fmt: skip
    context = memory.context("t")
    assert context.tokens <= 300
    assert "BEGIN" in text_of(context)
    assert "END" in text_of(context)
    assert "recall_memory('1')" in text_of(context)
    assert context.messages[-1].content == "the result"


def test_a_task_that_was_cut_stays_in_sight_as_long_as_its_run_goes_on(make):
    """Also where later steps have room for pages again: the model would not know what it works on."""
    memory = make(model="claude-opus-5", budget=1_200, keep=("turns", 2))

    def round_of(number, words):
        call = {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": f"result {number} " * words},
        ]

    memory.remember("t", [{"role": "user", "content": "BEGIN " + "task " * 1_500 + "END"}, *round_of(1, 20)])
    for number in range(2, 12):
        context = memory.context("t")
        assert context.tokens <= 1_200
        assert ("BEGIN" in text_of(context), "END" in text_of(context)) == (True, True), number
        memory.remember("t", round_of(number, 20))
    assert len(memory.steps("t")) <= 4, "what is shown of the task leaves room for rounds to come"


def test_another_model_or_budget_is_a_preview_that_writes_nothing(make, tmp_path):
    """The ladder belongs to the memory's own model and budget."""
    memory = make(budget=1_500)
    memory.remember("t", talk(120))
    memory.context("t")
    before = (memory.steps("t"), memory.stats("t"))
    for options in ({"model": "gpt-4o"}, {"budget": 700}, {"dry_run": True}):
        assert memory.context("t", **options).tokens <= options.get("budget", 1_500)
    assert (memory.steps("t"), memory.stats("t")) == before


def test_a_read_only_memory_shows_what_a_writing_one_would(make):
    """Looking needs no right to write; what changes something says that it cannot, rather than that it was done."""
    memory = make(budget=1_500)
    memory.remember("t", talk(120))
    with OpticalMemory(
        memory.store.path, model="ocr:tesseract", budget=1_500, clock=memory._clock, read_only=True
    ) as looking:
        seen = [m.content for m in looking.context("t").messages]
        assert looking.recall("t", "harbour")
        assert looking.step("t", dry_run=True).changes
        for change in (looking.step, looking.undo, looking.forget, lambda t: looking.pin(t, 1)):
            with pytest.raises(ReadOnlyError):
                change("t")
    assert seen == [m.content for m in memory.context("t").messages]


@pytest.mark.slow
def test_the_same_bytes_in_another_process(make):
    """A page is a function of text, look and renderer version."""
    memory = make(budget=1_500)
    memory.remember("t", talk(120))
    memory.context("t")
    hashes = [p.sha256 for p in memory.pages("t")]
    code = (
        "import sys; from optical_memory import OpticalMemory\n"
        "m = OpticalMemory('sqlite://', model='ocr:tesseract', budget=1500)\n"
        "import json; m.remember('t', json.loads(sys.stdin.read())); m.context('t'); print([p.sha256 for p in m.pages('t')])"
    )
    import json

    other = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(talk(120)), capture_output=True, text=True, check=True
    )
    assert hashes
    assert other.stdout.strip() == str(hashes)


def test_a_dry_step_names_exactly_what_the_step_then_does(make):
    """And the log keeps it, and undo takes it back."""
    memory = make(budget=1_500)
    memory.remember("t", talk(120))
    shown = memory.step("t", dry_run=True)
    assert memory.step("t") == shown
    assert [s.changes for s in memory.steps("t")] == [shown.changes]
    sharp = {t.tier for t in memory.turns("t")}
    assert sharp != {"text"}
    memory.undo("t")
    assert {t.tier for t in memory.turns("t")} == {"text"}
    assert memory.steps("t")[0].undone
    with pytest.raises(StoreError, match="no step"):
        memory.undo("t")
    assert memory.step("t").changes == shown.changes


@pytest.mark.parametrize("why", ["turns were forgotten", "another budget"])
def test_after_an_undo_the_next_step_stands_where_no_plan_does(make, why):
    """Whatever became of the older plans: the call after it takes one step, and those after that none."""
    memory = make(budget=1_500)
    memory.remember("t", talk(120))
    memory.context("t")
    if why == "another budget":
        memory = make(budget=1_400)
    else:
        memory.forget("t", turns=[3])
    memory.undo("t")
    made = memory.context("t")
    assert {t.tier for t in memory.turns("t")} != {"text"}
    again = make(budget=memory.budget)
    assert again.context("t").segments == made.segments
    assert [step.undone for step in again.steps("t")] == [True, False]


def test_a_warm_cache_is_left_alone_and_a_cold_one_is_used(make, clock):
    """Between steps the prefix stays; after the provider's cache has gone cold a change costs nothing extra."""
    memory = make(model="claude-opus-5", budget=30_000, keep=("turns", 4))
    reasons = []
    for n in range(1, 60):
        memory.remember("t", talk(n))
        reasons.append(memory.context("t").reason)
        clock.move(seconds=5)
    taken = [r for r in reasons if r]
    assert taken[0] == "first"
    assert set(taken[1:]) <= {"pays"}
    assert len(taken) <= 4
    clock.move(hours=1)
    memory.remember("t", talk(61))
    assert memory.context("t").reason == "cold"


def test_explain_says_in_words_why_and_why_not(make):
    """With the figures that decide."""
    memory = make(budget=1_500)
    memory.remember("t", talk(3))
    assert "No step" in memory.explain("t")
    memory.remember("t", talk(200))
    assert "forced" in memory.explain("t")
    assert "1,500" in memory.explain("t")
    assert "in use" not in memory.explain("t")  # more than there is cannot be


@pytest.mark.parametrize(("words", "tier"), [(None, "clear"), ("word5", "vivid")])
def test_a_page_of_which_a_turn_was_recalled_fades_later_also_after_the_next_step(make, words, tier):
    """Where the schedule asks for clear after 60 turns, and the recall was a step ago."""
    memory = make(
        model="claude-opus-5", budget=16_000, schedule=staircase(clear=("turns", 60)), keep=("turns", 2), horizon=1_000
    )
    turns = [
        {"role": ("assistant", "user")[n % 2], "content": f"word{n} beta gamma delta " * 12} for n in range(1, 112)
    ]
    for first, last in ((0, 41), (41, 67), (67, 111)):
        memory.remember("t", turns[first:last])
        memory.context("t")
        if words and last == 41:
            assert [hit.turn for hit in memory.recall("t", words, limit=1)] == [5]
    assert len(memory.steps("t")) == 3
    assert memory.turns("t")[4].tier == tier


def test_recall_returns_turns_word_for_word_and_makes_them_stronger(make):
    """By words, by exact id, by range; and what was recalled does not fade with the rest."""
    memory = make(budget=900)
    memory.remember("t", talk(301))
    memory.context("t")
    assert memory.recall("t", "HX-1010", limit=1)[0].text == talk(11)[-1]["content"]
    assert [h.turn for h in memory.recall("t", "turns 3-5")] == [3, 4, 5]
    assert memory.recall("t", '"message 42 we"')[0].turn == 43
    before = {t.number: t.tier for t in memory.turns("t")}
    memory.remember("t", talk(401))
    memory.context("t")
    after = {t.number: t.tier for t in memory.turns("t")}
    assert before != after
    with pytest.raises(ConfigError):
        memory.recall("t", "x", limit=0)


def test_what_the_newest_message_asks_for_comes_back_before_it_and_stays(make):
    """Automatic recall: within its own slice, in place until the next step, never raising strength."""
    memory = make(budget=1_500, recall=("tokens", 300))
    question = {"role": "user", "content": "What was ticket HX-1010 about?", "id": "q"}
    memory.remember("t", [*talk(200), question])
    memory.context("t")
    context = memory.context("t", query=question["content"])
    recalled = [s for s in context.segments if s.kind == "recalled"]
    assert len(recalled) == 1
    assert recalled[0].tokens <= 300
    assert "HX-1010" in text_of(context)
    assert context.tokens <= 1_500
    again = memory.context("t", query=question["content"])
    assert [m.content for m in again.messages] == [m.content for m in context.messages]
    memory.remember("t", [{"role": "assistant", "content": "It was about supper.", "id": "a"}])
    later = memory.context("t")
    assert [m.content for m in later.messages[: len(context.messages)]] == [m.content for m in context.messages]


@pytest.mark.slow
def test_what_came_back_by_itself_counts_only_while_it_is_shown(make):
    """After a step within the run has sealed its anchor's place, the figure and the messages agree again."""
    memory = make(budget=1_500, recall=("tokens", 300))
    question = {"role": "user", "content": "What was ticket HX-1010 about?", "id": "q"}
    rows = [*talk(200), question]
    memory.remember("t", rows)
    memory.context("t")
    assert any(s.kind == "recalled" for s in memory.context("t", query=question["content"]).segments)
    for n in range(12):
        call = {"id": f"c{n}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        rows.append({"role": "assistant", "content": None, "tool_calls": [call], "id": f"a{n}"})
        rows.append(
            {
                "role": "tool",
                "tool_call_id": f"c{n}",
                "content": f"supper was served at {n} o'clock " * 12,
                "id": f"r{n}",
            }
        )
        memory.remember("t", rows)
        context = memory.context("t")
        assert context.tokens <= 1_500
        assert f"{context.tokens:,} of" in memory.explain("t")
    assert memory.steps("t")[-1].reason == "forced"


def test_a_pinned_turn_stays_text_however_old(make):
    """Pinned before it is sealed, inside a page, or behind the handle: from the next user message on it is text."""
    memory = make(budget=1_500, keep=("turns", 4))
    memory.remember("t", talk(40))
    assert memory.pin("t", [3, 5]) == 2
    memory.remember("t", talk(801))
    assert talk(3)[-1]["content"] in text_of(memory.context("t"))
    tiers = {t.number: t.tier for t in memory.turns("t")}
    drawn = next(n for n, tier in tiers.items() if tier in DRAWN)
    hidden = next(n for n, tier in tiers.items() if tier == "handle")
    memory.pin("t", [drawn, hidden])
    memory.remember("t", talk(803))
    context = memory.context("t")
    assert context.tokens <= 1_500
    assert talk(drawn)[-1]["content"] in text_of(context)
    assert talk(hidden)[-1]["content"] in text_of(context)
    again = memory.context("t")
    assert (again.reason, [m.content for m in again.messages]) == ("", [m.content for m in context.messages])
    memory.unpin("t", [drawn, hidden])
    with pytest.raises(StoreError, match="no turn 9999"):
        memory.pin("t", 9999)


@pytest.mark.parametrize(("words", "reasons"), [(60, {"pinned"}), pytest.param(6_000, set(), marks=pytest.mark.slow)])
def test_a_pin_is_a_reason_for_a_step_only_where_its_turn_fits(make, words, reasons):
    """Else every message would bring a step that writes the provider's cache again and shows no more than before."""
    memory = make(model="claude-opus-5", budget=4_000, keep=("turns", 2))
    turns = talk(91)
    turns[4]["content"] = "a long harbour tale " * (words // 4)
    memory.remember("t", turns[:61])
    memory.context("t")
    memory.pin("t", 5)
    for n in range(63, 92, 2):
        memory.remember("t", turns[:n])
        memory.context("t")
    assert {step.reason for step in memory.steps("t")} & {"pinned"} == reasons


def test_a_recalled_turn_behind_the_handle_comes_back_into_view(make):
    """Recall makes stronger: the page that holds the turn is shown again from the next step on."""
    memory = make(budget=1_500, keep=("turns", 4))
    memory.remember("t", talk(801))
    memory.context("t")
    hidden = next(t.number for t in memory.turns("t") if t.tier == "handle")
    for _ in range(4):
        memory.recall("t", f"turn {hidden}")
    memory.remember("t", talk(901))
    memory.context("t")
    memory.step("t")
    assert {t.number: t.tier for t in memory.turns("t")}[hidden] != "handle"


@pytest.mark.slow
def test_every_sealed_page_can_be_looked_at_as_it_would_be_at_any_tier(make):
    """Also those behind the handle."""
    memory = make(budget=1_500, keep=("turns", 4))
    memory.remember("t", talk(801))
    memory.context("t")
    hidden = [t.number for t in memory.turns("t") if t.tier == "handle"]
    vivid = memory.pages("t", tier="vivid")
    assert any(p.turns[0] <= hidden[0] <= p.turns[1] for p in vivid)
    assert {p.tier for p in memory.pages("t")} <= set(DRAWN)


def test_what_the_host_says_matters_is_drawn_where_there_is_no_room_for_all(make):
    """Small talk that was weighed stays on its page, as long as the weight is not taken back; nonsense is refused."""
    rows = [{"role": ("user", "assistant")[n % 2], "id": f"m{n}", "content": f"Nice! Bye, {n}."} for n in range(300)]
    for n in range(0, 300, 3):
        rows[n]["content"] = (
            f"Last week I took the night train {n} from Vienna to Turin-{n * 7} and lost my umbrella-{n}."
        )

    def drawn(weight: float | None) -> int:
        memory = make(f"{weight}.db", budget=1_000, keep=("turns", 2), facts=0.0)
        memory.remember("t", rows)
        assert memory.weigh("t", range(2, 280, 9), 2.0) == 31
        assert memory.weigh("t", range(2, 280, 9), weight) == 31
        seen = {n for s in memory.context("t").segments if s.kind in DRAWN for a, b in s.shown for n in range(a, b + 1)}
        return len(seen & {*range(2, 280, 9)})

    assert drawn(9.0) > 1.5 * drawn(None)
    with pytest.raises(ConfigError, match="weight=-1"):
        make("9.0.db").weigh("t", 1, -1)


def test_forgetting_leaves_no_byte_behind(make):
    """A turn, or all of a thread: text, index, images, log."""
    memory = make(budget=1_500)
    rows = talk(120)
    rows[10]["content"] = "the needle is Zanzibar-4711"
    memory.remember("t", rows)
    memory.context("t")
    gone = memory.forget("t", turns=[11])
    assert (gone.turns, gone.held) == (1, False)
    assert memory.recall("t", "Zanzibar") == []
    memory.close()
    assert all(b"Zanzibar" not in f.read_bytes() for f in memory.store.path.parent.iterdir())
    assert memory.context("t").tokens <= 1_500
    memory.forget("t")
    with pytest.raises(ThreadNotFoundError):
        memory.turns("t")


def test_a_copy_is_a_thread_of_its_own(make):
    """To go beside LangGraph's copy_thread."""
    memory = make()
    memory.remember("t", talk(30))
    assert memory.copy("t", "u").turns == 30
    memory.remember("u", talk(31))
    assert (len(memory.turns("t")), len(memory.turns("u"))) == (30, 31)


def test_what_was_billed_is_kept_beside_what_was_predicted(make):
    """`observe` takes LangChain's usage_metadata."""
    memory = make()
    memory.remember("t", talk(5))
    context = memory.context("t", reserved=7)
    memory.observe({"input_tokens": 120, "output_tokens": 9, "input_token_details": {"cache_read": 100}}, context)
    assert memory.stats("t").calls == {"calls": 1, "predicted": context.tokens + 7, "billed": 120}


def test_the_forms_of_other_clients_say_the_same(make):
    """OpenAI's chat form and Anthropic's, images included."""
    memory = make(budget=1_500)
    memory.remember("t", talk(121))
    context = memory.context("t")
    openai = context.to_openai()
    images = [b for m in openai if isinstance(m["content"], list) for b in m["content"] if b["type"] == "image_url"]
    assert images
    assert all(b["image_url"]["url"].startswith("data:image/png;base64,") for b in images)
    system, anthropic = context.to_anthropic()
    assert system == ""
    assert sum(b["type"] == "image" for m in anthropic for b in m["content"]) == len(images)
    assert all(a["role"] != b["role"] for a, b in zip(anthropic, anthropic[1:], strict=False))


async def test_every_method_has_a_twin_for_asyncio_that_gives_the_same(make):
    """`aremember`, `acontext` and the others."""
    memory = make(budget=1_500)
    await memory.aremember("t", talk(121))
    asynchronous = await memory.acontext("t")
    assert [m.content for m in asynchronous.messages] == [m.content for m in memory.context("t").messages]
    public = {n for n, f in inspect.getmembers(OpticalMemory, inspect.isfunction) if not n.startswith("_")}
    plain = {n for n in public if f"a{n}" in public}
    assert public - plain - {f"a{n}" for n in plain} == {"adopt", "settings"}  # these ask no database
    for name in plain:
        assert inspect.signature(getattr(memory, f"a{name}")) == inspect.signature(getattr(memory, name))
        assert inspect.iscoroutinefunction(getattr(memory, f"a{name}"))


def test_a_damaged_image_is_never_shown(make, caplog):
    """Bytes are checked against their hash whenever they are read; the text is the record, so they are drawn again."""
    memory = make(budget=1_500)
    memory.remember("t", talk(121))
    memory.context("t")
    sound = [m.content for m in memory.context("t").messages]
    memory.close()
    with sqlite3.connect(memory.store.path) as raw:
        raw.execute("UPDATE image SET png = X'89504E47'")
    raw.close()
    assert [m.content for m in make(budget=1_500).context("t").messages] == sound
    assert "db check" in caplog.text


def test_forgetting_turns_and_a_time_takes_only_the_turns_that_are_both(make):
    """As on the command line: each narrows the other, and a slip removes too little rather than too much."""
    memory, four = make(), datetime(2026, 1, 1, 4, tzinfo=UTC)  # turn n was said at n - 1 o'clock
    memory.remember("t", talk(8))
    assert memory.forget("t", turns=[3, 4, 5], before=four, dry_run=True).turns == 2
    assert memory.forget("t", turns=[7], before=four).turns == 0
    assert memory.forget("t", turns=[3, 4, 5], before=four).turns == 2
    assert [t.number for t in memory.turns("t") if t.role == "forgotten"] == [3, 4]
    assert memory.forget("t", turns=8).turns == 1


@pytest.mark.parametrize("turns", ["3", "3-7", 1.5, ["3"], [1, None]])
def test_turns_that_are_no_numbers_are_refused_and_said_how(make, turns):
    memory = make()
    memory.remember("t", talk(8))
    for refused in (
        lambda: memory.pin("t", turns), lambda: memory.unpin("t", turns), lambda: memory.weigh("t", turns, 1),
        lambda: memory.forget("t", turns=turns),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=r"such as 3 or range\(3, 8\)"):
            refused()
    assert memory.stats("t").turns == 8


@pytest.mark.parametrize("before", ["2026-01-31", 3, date(2026, 1, 31), datetime(2026, 1, 31)])  # noqa: DTZ001
def test_a_time_without_a_zone_is_refused_before_anything_is_forgotten(make, before):
    memory = make()
    memory.remember("t", talk(8))
    with pytest.raises(ConfigError, match="tzinfo"):
        memory.forget("t", before=before)
    assert all(t.role != "forgotten" for t in memory.turns("t"))
