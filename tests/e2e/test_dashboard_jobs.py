"""The dashboard in Chromium: an order wherever it is, lists of jobs, many dead letters at once, links that can be sent to somebody."""

import json
import time

import pytest

from lib.admin import AdminWorld
from lib.browser import MISSING
from lib.page import DESK, PHONE, Page
from lib.process import dray
from lib.wait import wait_until
from lib.world import QUEUE

pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")


@pytest.fixture
def world(empty_redis, sandbox):
    with AdminWorld(empty_redis, base_url=sandbox.url, accounts={"second": {}}) as one:
        yield one


def plant(world, count, reason="rejected", first=0):
    """Dead letters as a worker writes them, of orders that can be created."""
    pipe = world.db.pipeline(transaction=False)
    now = int(time.time() * 1000)
    for n in range(first, first + count):
        id = f"{now - n}-{n}.1f"
        entry = {"dead_id": id, "reason": reason, "queue": QUEUE, "account": "shop", "order_key": f"{id}-key", "id": f"planted-{n}", "died_at": now - n,
                 "error": {"reason": reason, "code": "1001", "message": "no such sku", "faults": []},
                 "attempts": [{"at": now, "http_status": 400, "code": "1001", "ms": 9, "answer": '{"data":1853726451928473601}'}],
                 "job": world.job(f"planted-{n}", f"{id}-key"), "worker": "w"}
        pipe.hset(world.key("dead:entries"), id, json.dumps(entry))
        pipe.zadd(world.key("dead"), {id: now - n})
    pipe.hincrby(world.key("stats"), "died", count)
    pipe.execute()


def test_all_that_a_search_found_is_retried(world, browser):
    plant(world, 230)
    plant(world, 7, reason="expired", first=1000)
    plant(world, 2, reason="unknown_outcome", first=2000)
    page = Page(browser, world)
    page.wait_text("#dead-total", "239")
    page.driver.execute_script("document.querySelector('#dead-form [name=reason]').value = 'rejected'")
    page.press("#dead-form button", "Search")
    page.wait_text("#dead-note", "50 shown")
    page.press("#bulk-retry")
    page.wait_text("#ask-title", "all that this search finds")
    page.press("#ask-yes")
    page.wait_text("#bulk-note", "230 retried")
    assert {r["status"] for r in world.results(230)} == {"created"}
    assert len(world.dead_ids()) == 9
    page.keep("bulk")
    page.press("#dead-form button", "Clear")
    page.wait_text("#dead-note", "that is all")
    page.press("#bulk-retry")
    page.wait_text("#ask-title", "all 9 dead letters")
    page.press("#ask-yes")
    page.wait_text("#bulk-note", "7 retried; 2 stay: nobody knows")
    world.results(7)
    assert len(world.dead_ids()) == 2
    assert browser.console() == []


def test_export_keeps_digits_and_drop_ends_them(world, browser):
    plant(world, 120)
    page = Page(browser, world)
    page.wait_text("#dead-total", "120")
    page.driver.execute_script("""
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { window.saved = blob; return make.call(URL, blob); };""")
    page.press("#bulk-export")
    page.wait_text("#bulk-note", "Save 120 letters")
    text = page.driver.execute_async_script("window.saved.text().then(arguments[0])")
    lines = text.splitlines()
    assert sorted(lines) == sorted(v.decode() for v in world.db.hvals(world.key("dead:entries")))
    page.press("#bulk-drop")
    page.press("#ask button", "Cancel")
    assert len(world.dead_ids()) == 120
    page.press("#bulk-drop")
    page.press("#ask-yes")
    page.wait_text("#bulk-note", "120 dropped")
    assert world.dead_ids() == []


def test_an_order_is_found_and_its_link_shows_it_to_somebody_else(world, browser):
    world.send("shop-7/1001", "a-FAIL400")
    world.result()
    page = Page(browser, world)
    page.wait_text("#queues", QUEUE)
    page.one("#find-text").send_keys("a-FAIL400\n")
    page.wait_text("#order-body", "shop-7/1001")
    assert "dead letter" in page.text("#order-body") and "rejected" in page.text("#order-body") and "HTTP 400" in page.text("#order-body")
    page.keep("order")
    link = page.driver.current_url
    assert link.endswith(f"#order?queue={QUEUE}&q=a-FAIL400")
    page.press("#order button", "Open the dead letter")
    page.wait_text("#letter-title", "shop-7/1001")
    letter = page.driver.current_url
    assert "#letter?" in letter
    for url, place, words in ((link, "#order-body", "shop-7/1001"), (letter, "#letter-title", "shop-7/1001")):
        page.driver.get("about:blank")
        page.driver.get(url)
        page.wait_text(place, words)
    page.driver.get("about:blank")
    page.driver.get(world.admin_url + f"/#dead?queue={QUEUE}&reason=expired")
    page.wait_text("#dead", "No dead letter fits")
    page.one("#find-text").send_keys("nothing-of-it\n")
    page.wait_text("#order-body", "has nothing of it")


def test_a_created_order_is_found_in_the_ledger(world, browser):
    world.send("one", "K-1")
    id = world.result()["order_id"]
    page = Page(browser, world)
    page.wait_text("#queues", QUEUE)
    page.one("#find-text").send_keys("K-1\n")
    page.wait_text("#order-body", id)
    assert "created" in page.text("#order-body")


def test_delayed_jobs_are_listed_and_run_now(world, browser):
    dray("pause", QUEUE, "second", "-c", world.daemon.path)
    world.send("waits", account="second")
    world.send("later", "L-1", not_before=int(time.time() * 1000) + 1_000)
    wait_until(lambda: world.db.zcard(world.key("delayed")) == 1 and world.db.zcard(world.key("waiting")) == 1, what="them to be put aside")
    [ticket] = world.db.zrange(world.key("delayed"), 0, 0)
    world.db.zadd(world.key("delayed"), {ticket: (time.time() + 3600) * 1000})
    page = Page(browser, world)
    page.wait_text("#queues", QUEUE)
    page.driver.execute_script("document.querySelector('#jobs-place').value = 'waiting'")
    page.press("#jobs-form button", "Show")
    page.wait_text("#jobs", "waits")
    page.driver.execute_script("document.querySelector('#jobs-place').value = 'delayed'")
    page.press("#jobs-form button", "Show")
    page.wait_text("#jobs", "later")
    page.keep("jobs")
    page.press("#jobs button", "Run now")
    page.press("#ask-yes")
    assert world.result()["id"] == "later"
    page.wait_text("#jobs", "No job is there")


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_it_fits(world, browser, size):
    plant(world, 3)
    world.send("one", "K-1")
    world.result()
    browser.look(*size)
    try:
        page = Page(browser, world)
        page.wait_text("#dead", "planted-2")
        page.one("#find-text").send_keys("planted-1\n")
        page.wait_text("#order-body", "planted-1")
        page.keep(f"order-{'phone' if size is PHONE else 'desk'}")
        wide, inner = page.driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= inner, "the page scrolls sideways"
    finally:
        browser.look(*DESK)
