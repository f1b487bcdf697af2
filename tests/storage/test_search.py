"""Search finds words, phrases, ids and unspaced scripts, and takes any text for text."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory.storage import Store
from optical_memory.storage.terms import Term, extra_words, terms

from .makers import NOW, begun, turn

TURNS = [
    "We land in Oslo on the 14th, gate B22.",
    "The café at Tromsø is called Ærlig talt.",
    "order ORD-2024-00117 failed: see /srv/app/main.py:88 and get_user_name()",
    "東京タワーの近くのホテルを予約しました",
    "我们明天去北京,航班号CA1234",
    "서울에서 부산까지 KTX를 탔어요",
    "mail anna.berg+news@example.org about 3.14159 and #42",
    "The landing page says hello hello hello",
    "กรุงเทพมหานคร is Bangkok",
    "हिन्दी भाषा में लिखना",
    "une crème froide",
]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("Oslo", [1]),
        ("oslo LAND", [1, 8]),  # "landing" is another form of it
        ('oslo "LAND"', [1]),
        ("landed", [1, 8]),
        ("Where is it that we did land?", [1, 8]),  # the other words hold a sentence together
        ("where is it", [2, 9]),
        ("app.get_user_name", [3]),  # as one thing it is nowhere; its names are
        ("land*", [1, 8]),
        ('"in Oslo on"', [1]),
        ('"Oslo in"', []),
        ("cafe", [2]),
        ("CAFÉ", [2]),
        ("tromsø", [2]),
        ("ORD-2024-00117", [3]),
        ("00117", [3]),
        ("2024-001", [3]),  # no word: found as a bare substring
        ("main.py", [3]),
        ("/srv/app/main.py:88", [3]),
        ("user_name", [3]),
        ("東京", [4]),
        ("京", [4, 5]),
        ("タワー", [4]),
        ("ホテル 北京", [4, 5]),
        ('"東京タワー"', [4]),
        ('"京東"', []),
        ("航班号CA1234", [5]),
        ("CA1234", [5]),
        ("부산", [6]),
        ("서울", [6]),
        ("anna.berg+news@example.org", [7]),
        ("3.14159", [7]),
        ("กรุงเทพ", [9]),
        ("लेख हिन्दी", [10]),
        ('"हिन्दी भाषा" लेख', [10]),
        ('"भाषा हिन्दी"', []),
        ('"crème froide" sorbet', [11]),
        ("Oslo hello", [1, 8]),
        ("nothing", []),
        ("", []),
        ("!?", []),
    ],
)
def test_what_was_said_is_found(store: Store, query: str, numbers: list[int]) -> None:
    """Each query finds exactly these turns, whatever their rank."""
    thread = begun(store, *TURNS)
    with store.read() as reader:
        hits = reader.search(reader.path(thread), query, limit=9)
    assert sorted(hit.number for hit in hits) == numbers
    assert all(hit.snippet for hit in hits)


def test_the_best_come_first_and_only_as_many_as_asked(store: Store) -> None:
    """More of the asked words rank higher; excluded numbers make room for the next."""
    filler = [f"filler {i}" for i in range(30)]
    thread = begun(store, "red", "red green", "red green blue", *filler)
    with store.read() as reader:
        path = reader.path(thread)
        assert [hit.number for hit in reader.search(path, "red green blue", limit=9)] == [3, 2, 1]
        hits = reader.search(path, "red green blue", limit=1, exclude={3})
        assert [hit.number for hit in hits] == [2]
        scores = [hit.score for hit in reader.search(path, "red green blue", limit=9)]
        assert scores == sorted(scores, reverse=True)


def test_who_spoke_is_found(store: Store) -> None:
    """A name is searched like a word of the turn, also after results arrived for it."""
    with store.write() as writer:
        told = [turn("I paint.", name="Melanie"), turn("Me too.", name="Ærlig Özil", open=True)]
        thread = writer.append(writer.new_thread("trip", NOW), told, NOW)
        path = writer.path(thread)
        row = writer.turns(path)[1]
        writer.extend(row.id, [], text="Me too!", chars=7, tokens=2, open=False, importance=0)
        assert [hit.number for hit in writer.search(path, "What does Melanie do?", limit=1)] == [1]
        assert [hit.number for hit in writer.search(path, "özil", limit=1)] == [2]
        writer.forget_turns(thread, path, [1])
        assert writer.search(path, "Melanie", limit=1) == []


def test_a_snippet_shows_the_place(store: Store) -> None:
    """One line around the first hit, cut with an ellipsis."""
    thread = begun(store, "before " * 50 + "the NEEDLE\nis here " + "after " * 50)
    with store.read() as reader:
        (hit,) = reader.search(reader.path(thread), "needle", limit=1)
    assert "the NEEDLE is here" in hit.snippet
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert len(hit.snippet) < 160


def test_search_stays_on_its_path(store: Store) -> None:
    """No other thread, no abandoned branch, no turn after the path's end."""
    thread = begun(store, "shared secret", "old secret")
    begun(store, "foreign secret", key="theirs")
    with store.write() as writer:
        forked = writer.append(writer.fork(thread, 1, NOW), [turn("new secret"), turn("last secret")], NOW)
        path = writer.path(forked)
        assert sorted(hit.number for hit in writer.search(path, "secret", limit=9)) == [1, 2, 3]
        assert {hit.snippet for hit in writer.search(path, "secret", limit=9)} == {
            "shared secret",
            "new secret",
            "last secret",
        }
        early = writer.path(forked, upto=1)
        assert [hit.number for hit in writer.search(early, "ecre", limit=9)] == [1]


SYNTAX = [
    '"', '""', '"""', "*", "a*b", "-a", "^a", "a:b", "text:secret", "thread_id : 2", "{text}: a", "NEAR(a b)",
    "NEAR(", "a AND", "AND", "OR NOT", "(a", "a)", "'; DROP TABLE turn; --", "' OR '1'='1", "a & b | !c", "a <-> b",
    ":*", "\\", "%", "_", "%s %(x)s :x ?", "\0", "\ud800", "'", "a'b", "«»", "\u202e", "1e999", "0x10", "--",
    "/*", "$$",
]  # fmt: skip


@pytest.mark.parametrize("query", SYNTAX)
def test_query_syntax_is_text(store: Store, query: str) -> None:
    """Nothing that can be typed is an error, and none reaches another thread."""
    thread = begun(store, "plain words", "here")
    begun(store, "secret secret", key="theirs")
    with store.read() as reader:
        assert {hit.number for hit in reader.search(reader.path(thread), query, limit=9)} <= {1, 2}
        assert reader.search(reader.path(thread), f"secret {query}", limit=9) == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40) | st.text("\"*()':-^&|!<>\\{}% abé東京", max_size=40))
def test_no_text_is_an_error(store: Store, query: str) -> None:
    """Any string at all."""
    with store.read() as reader:
        thread = reader.thread("trip")
    thread = thread or begun(store, "plain words", "東京 été")
    with store.read() as reader:
        reader.search(reader.path(thread), query, limit=3)


def test_a_very_long_query_is_cut_not_refused(store: Store) -> None:
    """A whole document pasted as a query still finds by its beginning."""
    thread = begun(store, "alpha", "omega")
    with store.read() as reader:
        hits = reader.search(reader.path(thread), "alpha " + " ".join(f"w{i}" for i in range(50_000)), limit=3)
    assert [hit.number for hit in hits] == [1]


@pytest.mark.slow
def test_as_many_hits_as_are_asked_for_come_back(store: Store) -> None:
    """Also more than one statement has parameters, which are 65,535 on PostgreSQL."""
    with store.write() as writer:
        thread = writer.new_thread("trip", NOW)
        for _ in range(10):
            thread = writer.append(thread, [turn(f"kw{i % 35}x") for i in range(7_000)], NOW)
        hits = writer.search(writer.path(thread), " ".join(f"kw{i}x" for i in range(35)), limit=100_000)
    assert [hit.snippet for hit in hits if not hit.snippet] == []
    assert len(hits) == 70_000


def test_a_turn_of_a_million_characters_is_stored_and_found(store: Store) -> None:
    """Long tool output fits into the index of either engine."""
    thread = begun(store, "start " + " ".join(f"w{i}" for i in range(150_000)), "字" * 200_000)
    with store.read() as reader:
        assert [hit.number for hit in reader.search(reader.path(thread), "w777", limit=3)] == [1]
        assert [hit.number for hit in reader.search(reader.path(thread), "w149999", limit=3)] == [1]
        assert [hit.number for hit in reader.search(reader.path(thread), "字字", limit=3)] == [2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plain ascii", None),
        ("東京", "東京 京"),
        ("東京へ", "東京 京へ へ"),
        ("京", "京"),
        ("便CA1234号", "便 CA1234 号"),
        ("café", None),
    ],
)
def test_the_index_gets_pairs_of_unspaced_characters(text: str, words: str | None) -> None:
    """And the words glued to them; nothing for text that the tokenizer splits by itself."""
    assert extra_words(text) == words


def test_accents_are_folded_for_an_engine_that_does_not() -> None:
    """Kana keep their sound marks: those are letters of their own."""
    assert extra_words("café がく", fold=True) == "cafe がく く"


def test_a_question_asks_for_its_words_and_their_other_forms() -> None:
    """What holds the sentence together is left out where there is more; an id and what is quoted are looked for as they stand."""
    assert terms("What has Ann painted?") == [
        Term(("Ann",)), Term(("painted",)), Term(("paint",), prefix=True),
    ]  # fmt: skip
    assert terms("who are you") == [Term(("who",)), Term(("are",)), Term(("you",))]
    assert terms('"painted" A1B2C3D4') == [Term(("painted",)), Term(("A1B2C3D4",))]


def test_a_compound_asks_for_itself_its_names_and_their_words() -> None:
    asked = terms("flights[].flight_number")
    assert asked[:5] == [
        Term(("flights", "flight", "number")), Term(("flights",)), Term(("flight", "number")), Term(("flight",)),
        Term(("number",)),
    ]  # fmt: skip
    assert terms("mia_li_3668") == [Term(("mia", "li", "3668"))]


def test_terms_hold_letters_and_digits_only() -> None:
    """So no engine's query language can be reached."""
    words = [word for query in SYNTAX for term in terms(query) for word in term.words]
    assert words
    assert all(word.isalnum() for word in words)
