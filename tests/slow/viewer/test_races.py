"""Answers that come late, keys that come quickly, clicks that come twice: the viewer in Chromium with its network held back."""

from __future__ import annotations

import re

import pytest

from tests.slow.viewer.browsing import press_until
from tests.web.conftest import THREAD

pytestmark = pytest.mark.slow

expect = pytest.importorskip("playwright.sync_api", reason='pip install "optical-memory[browser]"').expect


class Held:
    """Requests that match a pattern wait until they are let through."""

    def __init__(self, page, pattern: str) -> None:
        self.page, self.pattern, self.routes = page, re.compile(pattern), []
        page.route(self.pattern, self._hold)

    def _hold(self, route) -> None:
        self.routes.append(route)

    def asked_for(self, what: str) -> None:
        """Wait until such a request is held."""
        for _ in range(1_000):
            if any(what in route.request.url for route in self.routes):
                return
            self.page.evaluate("new Promise(done => setTimeout(done, 10))")
        raise AssertionError(f"{what} was not asked for")

    def let_go(self) -> None:
        """All of them go on, and later ones are not held."""
        for route in self.routes:
            route.continue_()
        self.page.unroute(self.pattern)


def settled(page) -> None:
    """Whatever was due within the slider's pause has been done, however slow the machine is: timers keep their order."""
    page.evaluate("new Promise(done => setTimeout(done, 300))")
    page.wait_for_load_state("networkidle")


def open_is(page, turn: int) -> None:
    """The pane is this turn's, and it is the one that is marked."""
    expect(page.locator("#detail-title")).to_contain_text(f"Turn {turn}")
    expect(page.locator(".turn.chosen")).to_have_attribute("id", f"t{turn}")


# --------------------------------------------------------------------------------------------- turns and panes


def test_keys_that_come_before_the_answer_are_not_lost(looking):
    """Three times j while nothing is answered leads three turns on; the pane, the mark and the address agree."""
    looking.go("/t/harbour/turn/60")
    page, held = looking.page, Held(looking.page, r"/turn/5\d$")
    for turn in (59, 58, 57):
        page.keyboard.press("j")
        held.asked_for(f"/turn/{turn}")
        expect(page.locator(".turn.chosen")).to_have_attribute("id", f"t{turn}")
    held.let_go()
    expect(page.locator("#detail-title")).to_contain_text("Turn 57")
    assert page.url.endswith("/turn/57")
    page.keyboard.press("k")
    expect(page.locator("#detail-title")).to_contain_text("Turn 58")
    looking.clean()


def test_turns_that_were_passed_over_are_no_way_back(looking):
    """Back leads to the turn that was seen before, not through those whose answer nobody waited for."""
    looking.go("/t/harbour/turn/60")
    page, held = looking.page, Held(looking.page, r"/turn/5[89]$")
    for turn in (59, 58):
        page.keyboard.press("j")
        held.asked_for(f"/turn/{turn}")
    held.let_go()
    expect(page.locator("#detail-title")).to_contain_text("Turn 58")
    page.go_back()
    open_is(page, 60)
    looking.clean()


def test_back_and_forward_while_a_pane_is_fetched_end_where_the_address_is(looking):
    """The pane is that of the address, whatever order the answers come in."""
    looking.go("/t/harbour/turn/60")
    page = looking.page
    for turn in (59, 58):
        page.locator(f"#t{turn} a").click()
        expect(page.locator("#detail-title")).to_contain_text(f"Turn {turn}")
    held = Held(page, r"/turn/(59|60)$")
    for back_to in (59, 60):
        page.evaluate("history.back()")
        held.asked_for(f"/turn/{back_to}")
    page.evaluate("history.forward()")
    page.wait_for_url("**/turn/59")
    held.let_go()
    expect(page.locator("#detail-title")).to_contain_text("Turn 59")
    settled(page)
    open_is(page, 59)
    looking.clean()


def test_the_same_turn_twice_is_one_step_back(looking):
    """Choosing the turn that is open adds no address to the way back."""
    looking.go("/t/harbour/turn/60")
    page = looking.page
    page.locator("#t59 a").click()
    expect(page.locator("#detail-title")).to_contain_text("Turn 59")
    page.locator("#t59 a").dblclick()
    settled(page)
    page.go_back()
    expect(page.locator("#detail-title")).to_contain_text("Turn 60")
    looking.clean()


def test_the_focus_stays_on_the_slider_when_its_pane_is_replaced(looking):
    """The answer takes the place of the pane with the slider in it, and the slider still has the focus and still moves."""
    looking.go("/t/harbour/turn/59")
    page = looking.page
    held = Held(page, r"/turn/59\?.*tier=")
    press_until(page, ".tiers a")
    page.evaluate("document.getElementById('after').dataset.old = ''")
    page.keyboard.press("Enter")
    held.asked_for("tier=")
    press_until(page, "#after")
    held.let_go()
    expect(page.locator("#after[data-old]")).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "after"
    page.keyboard.press("End")
    expect(page.locator("#look")).to_contain_text("By the schedule")
    looking.clean()


def test_the_skip_link_reloads_nothing(looking):
    """A place within the page is no other page: the pane stays, and so does what the script knows."""
    looking.go("/t/harbour/turn/59")
    page = looking.page
    page.evaluate("window.same = true")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    settled(page)
    assert page.evaluate("window.same")
    assert sum("/turn/59" in url and not url.endswith(".png") for url in looking.asked) == 1
    looking.clean()


# --------------------------------------------------------------------------------------------- the slider


def test_a_slider_that_rests_too_late_does_not_draw_into_another_turn(looking):
    """Moved, and another turn chosen before the slider's pause is over: nothing of the first turn is asked for any more."""
    looking.go("/t/harbour/turn/5")
    page = looking.page
    page.evaluate(
        """() => { const s = document.getElementById("after"); s.value = s.max;
        s.dispatchEvent(new Event("input", { bubbles: true })); document.querySelector("#t4 a").click(); }"""
    )
    expect(page.locator("#detail-title")).to_contain_text("Turn 4")
    settled(page)
    assert not [url for url in looking.asked if "after=" in url]
    expect(page.locator("#look")).not_to_contain_text("By the schedule")
    looking.clean()


def overtaken(window, asked: str, first, then, place: str, seen: str) -> None:
    """`first` asks for something that is not answered, `then` shows something else: the late answer takes nothing of it away."""
    window.go("/t/harbour/turn/5")
    held = Held(window.page, asked)
    first()
    held.asked_for(asked)
    then()
    expect(window.page.locator(place)).to_contain_text(seen)
    held.let_go()
    settled(window.page)
    expect(window.page.locator(place)).to_contain_text(seen)


def test_a_late_answer_to_the_slider_is_let_go(looking):
    """Its answer comes when another turn is open: that turn stays as it is."""
    page, slider = looking.page, looking.page.locator("#after")
    overtaken(looking, "after=200", lambda: slider.fill("200"), page.locator("#t4 a").click, "#detail-title", "Turn 4")
    expect(page.locator("#look")).not_to_contain_text("By the schedule")
    looking.clean()


def test_only_the_last_place_of_the_slider_counts(looking):
    """Answers to earlier places do not overtake it."""
    slider, now = looking.page.locator("#after"), "as it is shown now"
    overtaken(looking, "after=150", lambda: slider.fill("150"), lambda: slider.fill("0"), "#look", now)
    looking.clean()


def test_the_slider_is_stronger_than_a_tier_that_was_asked_for_before(looking):
    """Tier chosen, not answered yet, slider moved: the slider's answer is shown, and the late pane does not undo it."""
    page, slider = looking.page, looking.page.locator("#after")
    vivid = page.locator(".tiers a", has_text="vivid")
    overtaken(looking, "tier=vivid", vivid.click, lambda: slider.fill("200"), "#look", "By the schedule")
    expect(page.locator("#detail")).not_to_have_class(re.compile("busy"))
    looking.clean()


def test_what_is_said_below_the_picture_is_of_the_same_tier(looking):
    """Where the slider reaches another tier, what was read of the first one is taken away, until it is asked for again."""
    looking.go("/t/harbour/turn/5?tier=vivid&show=readable")
    page = looking.page
    expect(page.locator("#below")).to_be_visible()
    slider = page.locator("#after")
    slider.fill(slider.get_attribute("max"))
    expect(page.locator("#look .look")).to_have_attribute("data-tier", re.compile("card|handle"))
    expect(page.locator("#below")).to_be_hidden()
    page.keyboard.press("s")
    expect(page.locator("#below")).to_contain_text("CR-004-11")
    looking.clean()


# --------------------------------------------------------------------------------------------- questions and changes


def test_a_question_that_is_asked_twice_is_one_dialog(looking):
    """A double click opens it once and leaves no error behind."""
    looking.go("/t/harbour/turn/5")
    page = looking.page
    page.get_by_role("link", name="Pin…").last.dblclick()
    expect(page.locator("#ask")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Leave as it is").click()
    expect(page.locator("#ask")).to_be_hidden()
    looking.clean()


@pytest.mark.parametrize("key", ["j", "Escape"])
def test_a_question_comes_no_more_when_one_has_gone_on(looking, key):
    """Asked to forget turn 5, then moved on before the dialog is there: it does not jump up over another turn."""
    looking.go("/t/harbour/turn/5")
    page, held = looking.page, Held(looking.page, "/ask/forget")
    page.get_by_role("link", name="Forget…").last.click()
    held.asked_for("/ask/forget")
    page.keyboard.press(key)
    held.let_go()
    settled(page)
    expect(page.locator("#ask")).to_be_hidden()
    looking.clean()


def test_a_question_does_not_stop_a_pane(looking):
    """A turn is on its way when something is asked: both come."""
    looking.go("/t/harbour/turn/5")
    page, held = looking.page, Held(looking.page, "/turn/4$")
    page.locator("#t4 a").click()
    held.asked_for("/turn/4")
    page.get_by_role("link", name="Forget thread…").click()
    expect(page.locator("#ask")).to_be_visible()
    held.let_go()
    expect(page.locator("#detail-title")).to_contain_text("Turn 4")
    looking.clean()


def test_a_confirmation_that_is_clicked_twice_is_one_change(window, memory):
    """A step is taken once, though its button is clicked twice and the answer is late."""
    memory.remember(THREAD, [("user", "and now? " * 400), ("assistant", "wait " * 800)])
    steps = len(memory.steps(THREAD))
    window.go("/t/harbour/fading")
    page, held = window.page, Held(window.page, "/t/harbour/decay$")
    page.get_by_role("link", name="Let it fade now…").click()
    page.get_by_role("button", name="Let it fade").dblclick()
    held.asked_for("/decay")
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_visible()  # what is being done is not hidden
    held.let_go()
    expect(page.locator("#said")).to_contain_text("changed their tier")
    settled(page)
    assert window.posted() == ["/t/harbour/decay"]
    assert len(memory.steps(THREAD)) == steps + 1
    window.clean()


def test_a_viewer_that_has_stopped_says_so(window):
    """The dialog tells it and can be tried again."""
    window.go("/t/harbour/turn/5")
    page = window.page
    page.route("**/pin", lambda route: route.abort())
    page.get_by_role("link", name="Pin…").last.click()
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.locator(".wrong")).to_contain_text("is it still running?")
    page.unroute("**/pin")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.locator("#said")).to_contain_text("1 turn pinned")


def test_a_question_on_a_page_of_its_own_leads_back_to_the_thread(window, memory):
    """Opened in a new tab, both answers lead to the thread, and the change is said there."""
    page = window.page
    window.go("/t/harbour/ask/pin?turns=5")
    page.get_by_role("button", name="Leave as it is").click()
    page.wait_for_url("**/t/harbour")
    window.go("/t/harbour/ask/pin?turns=5")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.wait_for_url("**/t/harbour")
    expect(page.locator("#said")).to_contain_text("1 turn pinned")
    assert memory.turns(THREAD)[4].pinned
    window.clean()


def test_what_is_chosen_is_told_after_coming_back(looking):
    """The browser may tick the boxes again when one comes back: the bar of actions says the same as they do."""
    looking.go("/t/harbour")
    page = looking.page
    page.locator("#t58 .pick").check()
    page.locator("#t57 .pick").check()
    page.get_by_role("link", name="Log").click()
    page.wait_for_url("**/log")
    page.go_back()
    page.wait_for_url("**/t/harbour")
    settled(page)
    ticked = page.locator(".pick:checked").count()
    assert page.locator("#chosen").is_visible() == (ticked > 0)
    assert ticked == 0 or page.locator("#chosen-words").inner_text() == "2 turns"
    looking.clean()
