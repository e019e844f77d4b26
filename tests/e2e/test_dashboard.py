"""The dashboard in headless Chromium, against a real worker and the sandbox. DRAY_SCREENSHOTS=DIR keeps what it looked like."""

import json
import os
import time

import pytest

from lib.admin import TOKEN, AdminWorld
from lib.browser import MISSING
from lib.page import DESK, PHONE, Page
from lib.wait import wait_until

pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")


@pytest.fixture
def world(empty_redis, sandbox):
    with AdminWorld(empty_redis, base_url=sandbox.url, accounts={"second": {"rate": "100/s", "burst": "10"}}) as one:
        yield one


def test_nothing_wrong_says_so_and_shows_figures(world, browser):
    for n in range(20):
        world.send(f"fine-{n}", f"{time.monotonic_ns()}-{n}")
    world.results(20)
    page = Page(browser, world)
    page.wait_text("#attention", "Nothing needs attention")
    page.wait_text("#queues", "orders")
    page.wait_text("#accounts", "second")
    page.wait_text("#workers", "running")
    page.wait_text("#dead", "No dead letters")
    assert len(page.all("#charts svg")) == 5
    assert browser.console() == []


def test_figures_are_live(world, browser):
    page = Page(browser, world)
    page.wait_text("#attention", "Nothing needs attention")
    for n in range(30):
        world.send(f"live-{n}", f"{time.monotonic_ns()}-{n}")
    world.results(30)
    wait_until(lambda: float(page.text("#charts .now").split()[0]) > 0, 20, "the chart to see the orders")
    world.push("no json")
    page.wait_text("#attention", "1 dead letter")


def test_the_token_is_asked_for_and_kept_for_the_tab(world, browser):
    page = Page(browser, world, token=None)
    field = page.one("#ask input[type=password]")
    field.send_keys("wrong\n")
    page.wait_text("#ask-error", "not the token")
    field.clear()
    field.send_keys(TOKEN + "\n")
    page.wait_text("#queues", "orders")
    page.driver.refresh()
    page.wait_text("#queues", "orders")
    assert not page.one("#ask").is_displayed()
    assert TOKEN not in page.driver.current_url
    page.press("#token-open", "Sign out")
    page.one("#ask input[type=password]")


def test_nothing_comes_from_outside_and_no_script_but_its_own_runs(world, browser):
    page = Page(browser, world)
    page.wait_text("#queues", "orders")
    loaded = page.driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert loaded and all(name.startswith((world.admin_url, "data:")) for name in loaded), loaded
    ran = page.driver.execute_async_script("""
        const done = arguments[0], s = document.createElement('script');
        s.textContent = 'window.hacked = true';
        document.body.append(s);
        setTimeout(() => done(!!window.hacked), 200);""")
    assert ran is False
    assert any("Content Security Policy" in m for m in browser.console())


def test_what_a_provider_says_is_only_text(world, browser):
    """Hostile texts of producers and providers are shown, never run."""
    hostile = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"
    world.push(json.dumps({"id": hostile, "order": {"customOrderId": hostile}}))
    world.wait_dead(1)
    page = Page(browser, world)
    page.wait_text("#dead", "<img src=x")
    page.press("#dead button.link")
    page.wait_text("#letter", "<script>")
    assert page.all("#letter img, #dead img, #letter script") == []
    assert "hacked" not in page.driver.title


def plant(world, answer, job, id="\u202e1001", more=()):
    """A dead letter as a worker writes it."""
    entry = {"dead_id": "1-1.1f", "reason": "unknown_outcome", "queue": "orders", "account": "shop", "order_key": "K", "id": id, "died_at": 1,
             "error": {"reason": "unknown_outcome", "code": "unreadable_answer", "message": "no \x9b id", "faults": []},
             "attempts": [{"at": 1, "http_status": 200, "code": "unreadable_answer", "ms": 9, "answer": answer}, *more], "job": job}
    world.db.hset(world.key("dead:entries"), "1-1.1f", json.dumps(entry))
    world.db.zadd(world.key("dead"), {"1-1.1f": 1})


def test_answers_and_jobs_are_shown_digit_for_digit_in_their_own_order(world, browser):
    answer = '{"zeta":1,"data":1853726451928473601,"price":9.990,"10":{},"2":[1E+2,"a } b"]}'
    plant(world, answer, '{"id":"x","order":{"b":0.10,"a":12345678901234567890}}')
    page = Page(browser, world)
    page.press("#dead button.link")
    page.wait_text("#letter", "1853726451928473601")
    seen = page.text("#letter .history pre")
    assert [line.strip() for line in seen.splitlines()] == [
        "{", '"zeta": 1,', '"data": 1853726451928473601,', '"price": 9.990,', '"10": {},', '"2": [', "1E+2,", '"a } b"', "]", "}"]
    assert '"b": 0.10,' in page.text("#letter") and '"a": 12345678901234567890' in page.text("#letter")


def test_what_look_ups_said_is_shown_and_their_control(world, browser):
    look = {"at": 2, "lookup": True, "http_status": 404, "code": "not_found", "ms": 3, "answer": '{"errors":"[API] no such order"}'}
    plant(world, "", "{}", more=[look, {**look, "control": True, "http_status": 200, "code": "control_found", "answer": ""}])
    page = Page(browser, world)
    page.press("#dead button.link")
    page.wait_text("#letter", "look-up of another order, as a control")
    seen = page.text("#letter .history")
    assert "[API] no such order" in seen and "code control_found" in seen


def test_an_answer_that_is_cut_or_no_json_is_shown_as_it_came(world, browser):
    plant(world, '{"data":18537264519284736', "no json  at all")
    page = Page(browser, world)
    page.press("#dead button.link")
    page.wait_text("#letter", '{"data":18537264519284736')
    page.wait_text("#letter", "no json  at all")


def test_text_that_turns_itself_around_is_shown_escaped(world, browser):
    plant(world, "{}", "{}")
    page = Page(browser, world)
    page.wait_text("#dead", "\\u202e1001")
    page.press("#dead button.link")
    page.wait_text("#letter", "no \\u009b id")
    assert "\u202e" not in page.driver.page_source


def test_a_letter_is_retried_dropped_and_resolved(world, browser):
    world.send("bad", "a-FAIL400")
    world.send("hang", "b-HANGUP")
    world.push('{"id": "broken", "order": {}}')
    world.results(3)
    world.wait_dead(3)
    page = Page(browser, world)
    for words in ("bad", "hang", "broken", "rejected", "unknown outcome", "invalid"):
        page.wait_text("#dead", words)

    page.press("#dead button.link", "bad")
    page.wait_text("#letter", "a-FAIL400")
    assert "HTTP 400" in page.text("#letter .history") and "told to answer" in page.text("#letter .history")
    page.keep("letter")
    page.press("#letter-actions button", "Retry")
    page.driver.find_element("css selector", "#ask input[type=checkbox]").click()
    area = page.one("#ask textarea")
    page.driver.execute_script("arguments[0].value = arguments[0].value.replace('a-FAIL400', 'a-corrected')", area)
    page.press("#ask-yes")
    result = world.result()
    assert (result["id"], result["status"], result["order_key"]) == ("bad", "created", "a-corrected")

    page.press("#dead button.link", "hang")
    page.wait_text("#letter-title", "hang")
    assert "Retry" not in page.text("#letter-actions")
    page.press("#letter-actions button", "Resolve")
    page.press("#ask-yes")
    page.wait_text("#ask-error", "order id is missing")
    page.one("#ask input[name=created]").send_keys("4711\n")
    result = world.result()
    assert (result["id"], result["status"], result["order_id"]) == ("hang", "created", "4711")

    page.press("#dead button.link", "broken")
    page.wait_text("#letter .faults", "required")
    page.press("#letter-actions button", "Drop")
    page.press("#ask button", "Cancel")
    assert len(world.dead_ids()) == 1
    page.press("#letter-actions button", "Drop")
    page.press("#ask-yes")
    wait_until(lambda: world.dead_ids() == [], 10, "the letter to be dropped")
    page.wait_text("#dead", "No dead letters")


def test_pause_and_resume_with_the_keyboard_alone(world, browser):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    page = Page(browser, world)
    page.wait_text("#queues", "orders")

    def focused():
        return page.driver.execute_script("const a = document.activeElement; return a.getAttribute('aria-label') || a.innerText || a.name || ''")

    def tab_to(words):
        for _ in range(60):
            ActionChains(page.driver).send_keys(Keys.TAB).perform()
            if words in focused():
                return
        raise AssertionError(f"Tab never came to {words!r}")

    def press(*keys):
        ActionChains(page.driver).send_keys(*keys).perform()

    tab_to("Pause queue orders")
    press(Keys.ENTER)
    wait_until(lambda: focused() != "" and page.one("#ask").is_displayed(), 10, "the dialog")
    tab_to("reason")
    press("audit", Keys.ENTER)
    page.wait_text("#attention", "orders is paused: audit")
    assert world.db.hget(world.key("pauses"), "") == b"0 audit"
    tab_to("Resume queue orders")
    press(Keys.ENTER)
    wait_until(lambda: page.one("#ask").is_displayed(), 10, "the dialog")
    press(Keys.ESCAPE)
    wait_until(lambda: not page.one("#ask").is_displayed(), 10, "Escape to close it")
    assert world.db.hexists(world.key("pauses"), "")
    tab_to("Resume queue orders")
    press(Keys.ENTER)
    wait_until(lambda: focused() == "Resume", 10, "the dialog's button")
    press(Keys.ENTER)
    wait_until(lambda: not world.db.hexists(world.key("pauses"), ""), 10, "the queue to go on")


def test_every_control_has_a_name(world, browser):
    world.push('{"id": "broken", "order": {}}')
    world.wait_dead(1)
    page = Page(browser, world)
    page.wait_text("#dead", "broken")
    page.press("#dead button.link")
    page.wait_text("#letter", "No attempt")
    nameless = page.driver.execute_script("""
        return [...document.querySelectorAll('button, input, select, textarea')].filter(e =>
            !(e.innerText || e.getAttribute('aria-label') || (e.labels && e.labels.length) || e.hidden || e.closest('[hidden]') ||
              e.closest('dialog:not([open])'))).map(e => e.outerHTML);""")
    assert nameless == []
    assert page.driver.execute_script("return document.documentElement.lang") == "en"
    assert page.one("#toast").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_can_be_read(world, browser, size, dark):
    for n in range(3):
        world.send(f"bad-{n}", f"{n}-FAIL400", account="second")
    world.results(3)
    browser.look(*size, dark)
    try:
        page = Page(browser, world)
        page.wait_text("#dead", "bad-2")
        page.wait_text("#attention", "3 dead letters")
        page.keep(f"{'phone' if size is PHONE else 'desk'}-{'dark' if dark else 'light'}")
        wide, inner = page.driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= inner, "the page scrolls sideways"
        light = page.driver.execute_script("""
            const rgb = getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number);
            return rgb[0] + rgb[1] + rgb[2] > 380;""")
        assert light is not dark
        # WCAG AA: text on its ground, chips and buttons included
        poor = page.driver.execute_script("""
            const lum = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                                 return .2126 * r + .7152 * g + .0722 * b; };
            const rgb = (s) => s.match(/[0-9.]+/g).map(Number);
            const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
                                    if (c.length < 4 || c[3] > .99) return c.slice(0, 3); } return [255, 255, 255]; };
            return [...document.querySelectorAll('header *, main *, footer *')].filter((e) => e.checkVisibility() && !e.disabled &&
                [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())).map((e) => {
                const a = lum(rgb(getComputedStyle(e).color).slice(0, 3)), b = lum(ground(e));
                return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.outerHTML.slice(0, 90)]; }).filter(([c]) => c < 4.5);""")
        assert poor == []
    finally:
        browser.look(*DESK)


def test_a_hundred_thousand_letters_are_searched_without_slowing_the_worker(world, browser):
    pipe = world.db.pipeline(transaction=False)
    now = int(time.time() * 1000)
    for n in range(100_000):
        id = f"{now - n}-{n}.1f"
        pipe.hset(world.key("dead:entries"), id, json.dumps({
            "dead_id": id, "reason": "rejected", "queue": "orders", "account": "shop", "order_key": f"K{n}", "id": f"many-{n}",
            "died_at": now - n, "error": {"reason": "rejected", "code": "1001", "message": "no such sku", "faults": []},
            "attempts": [{"at": now, "http_status": 400, "code": "1001", "ms": 9, "answer": "x" * 200}], "job": "{}"}))
        pipe.zadd(world.key("dead"), {id: now - n})
        if n % 5000 == 4999:
            pipe.execute()
    page = Page(browser, world)
    page.wait_text("#dead-total", "100,000")
    page.wait_text("#dead", "many-0")
    page.press("#dead-more")
    page.wait_text("#dead-note", "100 shown")
    page.one("#dead-text").send_keys("many-99999\n")
    began, worst, orders = time.monotonic(), 0, 0
    while "all" not in page.text("#dead-note"):
        sent = time.monotonic()
        world.alive()
        worst, orders = max(worst, time.monotonic() - sent), orders + 1
        assert time.monotonic() - began < 60, page.text("#dead-note")
    assert orders > 0 and worst < 5
    assert "many-99999" in page.text("#dead") and "1 shown" in page.text("#dead-note")


def test_without_a_token_it_shows_and_says_why_it_cannot_act(empty_redis, sandbox, browser):
    with AdminWorld(empty_redis, base_url=sandbox.url, token=None) as world:
        page = Page(browser, world, token=None)
        page.wait_text("#queues", "orders")
        page.press("#queues button", "Pause")
        page.wait_text("#toast", "No token is configured")
        assert not page.one("#ask").is_displayed()


def test_a_worker_that_is_gone_is_said(world, browser):
    page = Page(browser, world)
    page.wait_text("#beat-text", "Live")
    world.daemon.stop()
    page.wait_text("#beat-text", "does not answer")
