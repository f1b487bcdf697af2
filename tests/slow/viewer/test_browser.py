"""The viewer in a real Chromium: every pane and dialog, by keyboard, under its strict policy, against other sites."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator

import pytest

from optical_memory import OpticalMemory
from optical_memory.inspection.web.shapes import slug
from tests.slow.viewer.browsing import entered, press_until, running
from tests.web.conftest import BUDGET, MODEL, THREAD
from tests.web.routes import addresses
from tests.web.test_hostile import NAME

pytestmark = pytest.mark.slow

expect = pytest.importorskip("playwright.sync_api", reason='pip install "optical-memory[browser]"').expect
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason='pip install "optical-memory[browser]"')
RULES = {"resultTypes": ["violations"], "preload": False, "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


# --------------------------------------------------------------------------------------------- looking

PANES = (
    "/", "/?match=nothing", "/t/harbour", "/t/harbour/turn/5", "/t/harbour/turn/5?tier=clear&show=readable",
    "/t/harbour/turn/5?tier=card&show=diff", "/t/harbour/turn/58", "/t/harbour/call", "/t/harbour/fading", "/t/harbour/ledger",
    "/t/harbour/log", "/search?q=order", "/search?q=zebra", "/help", "/t/harbour/ask/forget?turns=1-30", "/t/harbour/ask/undo",
)  # fmt: skip


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 700), ("light", 400)])
def test_every_pane_is_sound_and_accessible(browser, shared, scheme, width):
    """No console message, no request elsewhere, nothing serious for axe, no sideways scrolling, in light and dark, wide and narrow."""
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}, "reduced_motion": "reduce"}
    serious: list[tuple[str, ...]] = []
    with entered(browser, shared, **options) as window:
        for path in PANES:
            assert window.go(path).status == 200, path
            found = axe.Axe().run(window.page, options=RULES).response["violations"]
            bad = [v for v in found if v["impact"] in ("serious", "critical")]
            serious += [(path, v["id"], v["nodes"][0]["html"][:160], v["nodes"][0]["any"][0]["message"]) for v in bad]
            assert window.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert serious == []
        window.clean()


def test_large_figures_stay_in_their_row_on_a_small_screen(browser, tmp_path):
    """What is too much for one line goes on in the next; neither a figure nor the river reaches beyond the others."""
    with OpticalMemory(tmp_path / "long.db", model=MODEL, budget=BUDGET) as memory:
        memory.remember("long", [("user", f"{n} " + "word " * 100) for n in range(1_200)])
        memory.remember("short", [("user", "hello")])
    small = {"viewport": {"width": 360, "height": 800}}
    with running(tmp_path / "long.db") as viewer, entered(browser, viewer, **small) as window:
        window.go("/")
        rows = window.page.locator(".threads .row")
        rights = {round(b["x"] + b["width"]) for b in (r.bounding_box() for r in rows.locator(".river").all())}
        assert len(rights) == 1
        ends = [b["x"] + b["width"] for b in (r.bounding_box() for r in rows.locator(".n").all())]
        assert len(ends) == 6
        assert max(ends) <= max(rights) + 1


def test_a_page_is_shown_at_its_true_pixels(looking):
    """The image has as many pixels as its place, zooms in whole steps, and changes with the tier."""
    looking.go("/t/harbour/turn/5?tier=vivid")
    image = looking.page.locator(".sheet img").first
    expect(image).to_have_js_property("complete", True)
    width = image.evaluate("i => i.naturalWidth")
    assert width > 0
    assert image.evaluate("i => [i.width, i.height]") == image.evaluate("i => [i.naturalWidth, i.naturalHeight]")
    looking.page.get_by_role("button", name="×2").click()
    expect(image).to_have_js_property("width", 2 * width)
    assert image.evaluate("i => getComputedStyle(i).imageRendering") == "pixelated"
    looking.page.locator(".tiers a", has_text="clear").click()
    expect(looking.page.locator(".look")).to_have_attribute("data-tier", "clear")
    looking.clean()


def test_the_slider_fades_a_page_quickly(looking, shared):
    """Dragging asks once it rests; what comes is fainter, and the row of tiers follows; nothing was posted."""
    looking.go("/t/harbour/turn/5")
    slider = looking.page.locator("#after")
    with looking.page.expect_response(re.compile("after=")) as answer:
        slider.fill(slider.get_attribute("max"))
    assert answer.value.status == 200
    expect(looking.page.locator("#look .look")).to_have_attribute("data-tier", re.compile("card|handle|dense"))
    expect(looking.page.locator(".tiers [aria-current]")).to_have_count(1)
    assert not any(method == "POST" for method, _, _ in shared.answered)
    looking.clean()


def test_panes_change_without_a_reload_and_the_way_back_works(looking):
    """Choosing a turn changes the address; back and forward bring the turn before again."""
    looking.go("/t/harbour")
    looking.page.locator("#t60 a").click()
    expect(looking.page.locator("#detail-title")).to_contain_text("Turn 60")
    looking.page.locator("#t59 a").click()
    expect(looking.page.locator("#detail-title")).to_contain_text("Turn 59")
    assert looking.page.url.endswith("/t/harbour/turn/59")
    looking.page.go_back()
    expect(looking.page.locator("#detail-title")).to_contain_text("Turn 60")
    looking.clean()


def test_reading_works_without_a_script(browser, shared):
    """Threads, turns, tiers, the slider with its button, the next call and search, with JavaScript switched off."""
    with entered(browser, shared, java_script_enabled=False) as quiet:
        quiet.page.get_by_role("link", name="harbour").first.click()
        quiet.page.locator("#t58 a").click()
        expect(quiet.page.locator("#detail-title")).to_contain_text("Turn 58")
        quiet.page.locator(".tiers a", has_text="vivid").click()
        expect(quiet.page.locator(".sheet img").first).to_be_visible()
        expect(quiet.page.locator(".js:visible")).to_have_count(0)
        quiet.page.get_by_role("button", name="Look").click()
        expect(quiet.page.locator("#look")).to_contain_text("as it is shown now")
        quiet.go("/t/harbour/turn/5?after=200")
        expect(quiet.page.locator("#look")).to_contain_text("By the schedule")
        quiet.page.get_by_role("link", name="Next call").click()
        expect(quiet.page.locator(".message").first).to_be_visible()
        quiet.page.get_by_label("Search all threads").fill("order 30")
        quiet.page.keyboard.press("Enter")
        expect(quiet.page.locator(".hits li").first).to_be_visible()
        quiet.clean()


# --------------------------------------------------------------------------------------------- changing


def test_pin_and_unpin_ask_and_do(window, memory):
    """Cancel changes nothing; confirm pins, says so, and the timeline shows it; unpin takes it back."""
    window.go("/t/harbour/turn/5")
    window.page.get_by_role("link", name="Pin…").last.click()
    expect(window.page.get_by_role("heading", name="Pin turn 5?")).to_be_visible()
    window.page.get_by_role("button", name="Leave as it is").click()
    assert not memory.turns(THREAD)[4].pinned
    window.page.get_by_role("link", name="Pin…").last.click()
    window.page.get_by_role("button", name="Pin", exact=True).click()
    expect(window.page.locator("#said")).to_contain_text("1 turn pinned")
    expect(window.page.locator("#t5 .pinned")).to_be_visible()
    assert memory.turns(THREAD)[4].pinned
    window.page.get_by_role("link", name="Unpin…").last.click()
    window.page.get_by_role("button", name="Unpin", exact=True).click()
    expect(window.page.locator("#t5 .pinned")).to_have_count(0)
    assert window.posted() == ["/t/harbour/pin", "/t/harbour/unpin"]  # what was cancelled asked for nothing
    window.clean()


def test_forgetting_a_range_needs_its_number(window, memory):
    """Twenty-five chosen turns: a wrong number is refused in the dialog, the right one lets them go."""
    window.go("/t/harbour")
    window.page.locator("#t30 .pick").check()
    window.page.locator("#t6 .pick").click(modifiers=["Shift"])
    expect(window.page.locator("#chosen-words")).to_have_text("25 turns")
    window.page.locator("#forget-chosen").click()
    expect(window.page.locator("#ask")).to_contain_text("backups")
    window.page.get_by_label("Type 25").fill("24")
    window.page.get_by_role("button", name="Forget them").click()
    expect(window.page.locator(".wrong")).to_contain_text("type 25")
    assert memory.turns(THREAD)[5].text
    window.errors.clear()  # the refusal itself is logged by the browser
    window.page.get_by_label("Type 25").fill("25")
    window.page.get_by_role("button", name="Forget them").click()
    expect(window.page.locator("#said")).to_contain_text("25 turns")
    assert [t.number for t in memory.turns(THREAD) if not t.text] == list(range(6, 31))
    window.clean()


def test_a_step_is_taken_and_taken_back(window, memory):
    """Let it fade, see it in the log, take it back."""
    memory.remember(THREAD, [("user", "and now? " * 400), ("assistant", "wait " * 800)])
    window.go("/t/harbour/fading")
    window.page.get_by_role("link", name="Let it fade now…").click()
    window.page.get_by_role("button", name="Let it fade").click()
    expect(window.page.locator("#said")).to_contain_text("changed their tier")
    window.page.get_by_role("link", name="Log").click()
    window.page.get_by_role("link", name="Take back…").click()
    window.page.get_by_role("button", name="Take it back").click()
    expect(window.page.locator(".steps li").first).to_contain_text("taken back")
    assert memory.steps(THREAD)[-1].undone
    window.clean()


def test_everything_can_be_done_with_the_keyboard(window, memory):
    """From the list to a turn, its tiers, the slider, the difference, the next call, help, search, a pin, and forgetting all."""
    page, keys = window.page, window.page.keyboard
    page.evaluate("document.activeElement.blur()")
    keys.press("j")
    while "harbour" not in page.evaluate("document.activeElement.textContent"):
        keys.press("j")
    keys.press("Enter")
    page.wait_for_url("**/t/harbour")
    keys.press("j")
    expect(page.locator("#detail-title")).to_contain_text("Turn 60")
    keys.press("j")
    expect(page.locator("#detail-title")).to_contain_text("Turn 59")
    keys.press("k")
    expect(page.locator("#detail-title")).to_contain_text("Turn 60")
    keys.press("x")
    expect(page.locator("#chosen-words")).to_have_text("Turn 60")
    keys.press("Escape")
    expect(page.locator("#chosen")).to_be_hidden()
    keys.press("d")
    expect(page.locator(".w.kept").first).to_be_visible(timeout=20_000)
    keys.press("s")
    expect(page.locator("[data-show=source]")).to_have_attribute("aria-current", "page")
    press_until(page, ".tiers a")
    keys.press("Enter")
    press_until(page, "#after")
    keys.press("End")
    expect(page.locator("#look")).to_contain_text("By the schedule")
    keys.press("?")
    expect(page.locator("#help")).to_be_visible()
    keys.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    keys.press("m")
    page.wait_for_url("**/t/harbour/call")
    keys.press("t")
    page.wait_for_url("**/t/harbour")
    keys.press("/")
    keys.type("harbour")
    keys.press("Enter")
    page.wait_for_url("**/search?*")
    keys.press("j")
    keys.press("Enter")
    page.wait_for_url("**/turn/*")
    press_until(page, ".detail [data-ask]")
    keys.press("Enter")
    expect(page.locator("#ask")).to_be_visible()
    keys.press("Tab")
    page.locator("#ask .primary").focus()
    keys.press("Enter")
    expect(page.locator("#said")).to_contain_text("pinned")
    assert any(t.pinned for t in memory.turns(THREAD))
    press_until(page, ".head [data-ask]")
    keys.press("Enter")
    expect(page.locator("#ask")).to_contain_text("the whole thread")
    press_until(page, "[name=typed]", 4)
    keys.type("60")
    keys.press("Enter")
    page.wait_for_url(window.viewer.base + "/")
    expect(page.locator("#said")).to_contain_text("60 turns")
    assert [t.thread for t in memory.threads()] == [NAME]
    window.clean()


def test_a_read_only_viewer_offers_no_change(browser, database):
    """Nothing to choose, pin, forget, fade or take back."""
    with running(database, read_only=True) as viewer, entered(browser, viewer) as window:
        for path in ("/t/harbour", "/t/harbour/turn/5", "/t/harbour/fading", "/t/harbour/log"):
            window.go(path)
            assert window.page.locator("[data-ask]:visible, .pick").count() == 0
            expect(window.page.get_by_text("read-only")).to_be_visible()
        window.clean()


# --------------------------------------------------------------------------------------------- hostile


def test_stored_attacks_do_not_run(looking):
    """Scripts, handlers, links and frames in names and turns stay text on every page of the thread."""
    at = f"/t/{slug(NAME)}"
    turns = [f"{at}/turn/{n}{q}" for n in (121, 130, 138) for q in ("", "?show=readable", "?tier=card&show=diff")]
    for path in (
        "/",
        at,
        f"{at}?upto=60",
        *turns,
        f"{at}/call",
        f"{at}/fading",
        f"{at}/log",
        "/search?q=alert",
        "/?match=%3Cscript%3Ealert(1)%3C/script%3E",
    ):
        looking.go(path)
        assert looking.page.locator("script").count() == 1
        assert looking.page.locator("iframe, object, embed, style").count() == 0
    looking.go(f"{at}/turn/140")
    looking.page.keyboard.press("j")
    expect(looking.page.locator("#detail-title")).to_contain_text("Turn 139")
    looking.clean()


def test_an_inline_script_would_not_run_even_if_it_got_in(looking):
    """The policy is the second wall: a handler and a script put into the page by hand do nothing."""
    page, policy = looking.page, "Content Security Policy"
    with page.expect_console_message(lambda m: policy in m.text):
        page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=/nowhere.png onerror=\"window.ran = 1\">')"
        )
    with page.expect_console_message(lambda m: policy in m.text):
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 2'}))"
        )
    assert page.evaluate("window.ran") is None


def test_a_rebound_name_reads_and_changes_nothing(window, memory):
    """A name of another site that points to this machine gets 403 on every route, in a real browser."""
    cookie = window.context.cookies()[0]
    window.context.add_cookies([{**cookie, "domain": "rebind.example"}])
    for method, path in sorted(addresses(window.viewer.gate)):  # pages first: changes are asked for from one of them
        url = f"http://rebind.example:{window.viewer.port}{path}"
        if method == "GET":
            assert window.page.goto(url).status == 403, path
        else:
            told = {"method": "POST", "headers": {"optical-memory": "x"}, "body": '{"turns": "1"}'}
            assert window.page.evaluate("([u, t]) => fetch(u, t).then(a => a.status)", [url, told]) == 403, path
    assert len(memory.turns(THREAD)) == 60


@contextlib.contextmanager
def another_site() -> Iterator[str]:
    """A page on another port, as another site would serve it."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><body>")

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield str(server.server_address[1])
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1"])
def test_other_sites_and_ports_change_and_read_nothing(window, memory, host):
    """Forms and scripts of another site, and of another port of this machine, on every changing route: refused."""
    posts = [path for method, path in addresses(window.viewer.gate) if method == "POST"]
    pictures = ["/t/harbour/turn/5/vivid.0.png", "/static/icon.svg"]
    with another_site() as port:
        there = f"http://{host}:{port}/"
        for path in posts:
            window.page.goto(there)
            window.page.evaluate(
                """url => { const f = document.createElement('form'); f.method = 'POST'; f.action = url;
                f.append(Object.assign(document.createElement('input'), {name: 'turns', value: '1'})); document.body.append(f); f.submit(); }""",
                window.viewer.base + path,
            )
            window.page.wait_for_url(window.viewer.base + path)
        window.page.goto(there)
        for path in posts:
            for mode in ("no-cors", "cors"):
                window.page.evaluate(
                    """([url, mode]) => fetch(url, {method: 'POST', mode, credentials: 'include',
                    body: JSON.stringify({turns: '1', whole: true, typed: '60'})}).catch(() => 0)""",
                    [window.viewer.base + path, mode],
                )
        read = window.page.evaluate(
            """async urls => { const got = []; for (const url of urls) { const i = new Image(); i.src = url;
            got.push(await i.decode().then(() => i.naturalWidth, () => 0)); } return got; }""",
            [window.viewer.base + path for path in pictures],
        )
    assert read == [0, 0]
    assert {status for method, _, status in window.viewer.answered if method == "POST"} <= {401, 403}
    assert sum(method == "POST" for method, _, _ in window.viewer.answered) >= 2 * len(posts)
    assert len(memory.turns(THREAD)) == 60
    assert not any(t.pinned for t in memory.turns(THREAD))


def test_the_cookie_is_strict_and_out_of_reach(window):
    """HttpOnly, SameSite=Strict; the address that is left has no token; a second use of the link fails."""
    (cookie,) = window.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert window.page.evaluate("document.cookie") == ""
    assert "token" not in window.page.url
    assert window.viewer.gate.token is None
