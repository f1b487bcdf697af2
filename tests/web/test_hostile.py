"""Stored text is data: it does not become markup, an address, a script, or a turned-around line."""

from __future__ import annotations

import re
import urllib.parse
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory import OpticalMemory
from optical_memory.inspection.web.shapes import begins, boxed, picture, slug, unslug

ATTACKS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<svg onload=alert(1)>", "javascript:alert(1)",
    "<iframe src=http://evil.example>", "{{ 7 * 7 }}{% raw %}", "</pre></textarea><b>out", "<a href='javascript:alert(1)'>x</a>",
    "<link rel=stylesheet href=//evil.example/x.css>", "![x](http://evil.example/x.png)", "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>", "\u202eevil\u202c \u200b \u0007 \ud800", "' onmouseover='alert(1)",
    "<template><script>1</script></template>", "<!--", "]]>", "&lt;script&gt;", "<style>*{display:none}</style>", "\x00<\x1b[31m",
)  # fmt: skip


TAGS = (
    "img src=x",
    "svg",
    "body",
    "input autofocus",
    "details open",
    "video src=x",
    "a href=# autofocus",
    "math",
    "object data=x",
)
EVENTS = ("onerror", "onload", "onfocus", "ontoggle", "onpointerover")
WRAPS = ("{}", '">{}', "'>{}", "</script>{}", "<!--{}-->")
ATTACKS += tuple(
    w.format(f"<{tag} {event}=window.ran=1>") for tag in TAGS for event in EVENTS for w in WRAPS
)  # 225 more
NAME = '<script>alert("name")</script>'


class Seen(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def harmless(page: str) -> None:
    """Only our own tags, no inline handler or style, no address outside of this viewer."""
    for tag, attributes in Seen(page).tags:
        assert tag not in ("iframe", "object", "embed", "base", "style", "template"), tag
        assert not any(name.startswith("on") or name == "style" for name in attributes), attributes
        for name in ("href", "src", "action", "formaction"):
            value = attributes.get(name)
            assert value is None or re.match(r"(/(?!/)|#)", value), (tag, value)
        if tag == "script":
            assert attributes == {"src": "/static/viewer.js", "defer": None}
        if tag == "img":
            assert re.fullmatch(
                r"/t/[\w~-]+/(turn/\d+/\w+\.\d+|call/[0-9a-f]{64})\.png(\?.*)?", attributes["src"] or ""
            )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A thread whose name, roles, turns, tool calls and tool results are all attacks; long enough to be drawn."""
    file = tmp_path_factory.mktemp("hostile") / "memory.db"
    rows = []
    for n, attack in enumerate(ATTACKS[:20] * 2):
        rows.append({"role": "user", "content": f"{attack} {n}", "name": re.sub(r"[\x00-\x1f\ud800]", "", attack)[:60]})
        call = {
            "id": f"c{n}",
            "type": "function",
            "function": {"name": "look", "arguments": '{"x": "<script>1</script>"}'},
        }
        rows.append({"role": "assistant", "content": attack, "tool_calls": [call]})
        rows.append({"role": "tool", "tool_call_id": f"c{n}", "content": f"{attack}\n" * 5})
    rows += [{"role": "user", "content": attack} for attack in ATTACKS]
    with OpticalMemory(file, model="claude-opus-5", budget=4_000) as memory:
        memory.remember(NAME, rows)
        memory.context(NAME)
    return file


@pytest.mark.slow
def test_no_page_turns_stored_text_into_markup(hostile, view):
    """Every page of the hostile thread has our own tags only; no control or bidi character is sent as it is."""
    client = view(hostile)
    at = f"/t/{slug(NAME)}"
    turns = [
        f"{at}/turn/{n}{q}"
        for n in (1, 2, 30, 79, 200, 320)
        for q in ("", "?tier=card&show=readable", "?show=readable", "?tier=handle&show=diff")
    ]
    asks = [f"{at}/ask/{a}?turns=1-3" for a in ("pin", "unpin", "forget")]
    paths = ["/", "/?match=%3Cscript%3E", at, *turns, f"{at}/call", f"{at}/fading", f"{at}/log", f"{at}/ledger", *asks]
    paths += ["/search?q=%3Cscript%3Ealert(1)%3C/script%3E", "/search?q=evil", "/t/%3Cscript%3E", "/%22%3E%3Cscript%3E"]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code in (200, 404), (path, answer.status_code)
        harmless(answer.text)
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069\u200b]", answer.text), path


def test_hidden_characters_are_boxed_codes(hostile, view):
    """A turned-around line reads as it was stored: its control characters are shown."""
    client = view(hostile)
    at = f"/t/{slug(NAME)}"
    page = client.get(f"{at}/turn/25").text
    assert '<span class="code">U+202E</span>evil' in page
    assert '<span class="code">U+200B</span>' in page


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_any_text_is_harmless(text):
    """No text gets a tag, an attribute or an active character through; what is visible is all there."""
    for made in (boxed(text), begins(text, 40)):
        assert {tag for tag, _ in Seen(str(made)).tags} <= {"span"}
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", str(made))


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_name_survives_an_address(name):
    """A thread's name comes back letter for letter from letters, digits, - _ and ~."""
    assert re.fullmatch(r"[A-Za-z0-9_~-]+", slug(name))
    assert unslug(slug(name)) == name


@pytest.mark.parametrize("piece", ["", "a/b", "~", "~z1", "a b", "~A0", "../x", "~80"])
def test_an_address_that_no_name_has_is_refused(piece):
    """Only what `slug` gives is understood."""
    if piece == "~":
        assert unslug(piece) == ""
    else:
        with pytest.raises(ValueError, match=re.escape(piece) or "^$"):
            unslug(piece)


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/x.png",
        "data:text/html;base64,PGI+",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "file:///etc/passwd",
    ],
)
def test_only_our_own_pngs_are_pictures(url):
    """Whatever address a message holds, it is never loaded."""
    assert picture(url) is None


PIECES = st.text(max_size=30) | st.sampled_from(
    ["harbour", "harbour.json", "~", "..", "0", "-1", "9" * 40, "%00", "é", "\ud800", "a" * 3_000]
)
QUERIES = st.dictionaries(
    st.sampled_from(["turns", "tier", "after", "upto", "q", "thread", "model", "budget", "reserved", "show", "match"]),
    PIECES,
)


def assert_answered(client, start: str, rest: str, query: dict[str, str], pane: str | None) -> None:
    """Whatever is asked, the answer is a page or a sentence, and no failure."""
    quoted = urllib.parse.quote(f"{start}/{rest}" if rest else start or "/", safe="/", errors="replace")
    asked = urllib.parse.urlencode(query, errors="replace")
    answer = client.get(f"{quoted}?{asked}", headers={"optical-pane": pane} if pane else {})
    assert answer.status_code in (200, 400, 404, 405, 422), (answer.status_code, quoted, asked, answer.text[-300:])


FUZZ = (
    st.sampled_from(
        [
            "",
            "/t/harbour",
            "/t/harbour/turn",
            "/t/harbour/turn/5",
            "/t/harbour/call",
            "/t/harbour/ask",
            "/t",
            "/search",
            "/static",
        ]
    ),
    st.lists(PIECES, max_size=3).map("/".join),
    QUERIES,
    st.none() | st.sampled_from(["detail", "look", "ask", "state", "macros", "sprite", "../base", "x"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(*FUZZ)
def test_no_address_is_a_failure(shared, start, rest, query, pane):
    """Random paths, parameters and headers: found, not found or refused in words."""
    assert_answered(shared, start, rest, query, pane)


@pytest.mark.slow
@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(*FUZZ)
def test_no_address_is_a_failure_over_many(shared, start, rest, query, pane):
    """The same over many more."""
    assert_answered(shared, start, rest, query, pane)
