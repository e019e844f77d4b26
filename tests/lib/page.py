"""The dashboard of a worker in a browser, as a person uses it."""

import base64
import os

from .admin import TOKEN
from .wait import wait_until

PHONE, DESK = (390, 844), (1280, 900)


class Page:
    def __init__(self, browser, world, token=TOKEN):
        self.browser, self.driver, self.world = browser, browser.driver, world
        self.driver.get(world.admin_url + "/healthz")
        browser.console()
        self.driver.execute_script("sessionStorage.clear()")
        if token:
            self.driver.execute_script("sessionStorage.setItem('dray-token', arguments[0])", token)
        self.driver.get(world.admin_url + "/")

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return wait_until(lambda: next(iter(self.all(selector)), None), 15, f"{selector} to be there")

    def text(self, selector):
        return self.driver.execute_script("return document.querySelector(arguments[0])?.innerText || ''", selector)

    def wait_text(self, selector, words, deadline=20):
        return wait_until(lambda: words in self.text(selector), deadline,
                          lambda: f"{words!r} in {selector}, which says {self.text(selector)!r}")

    def press(self, selector, words=None):
        """Presses the button with these words, as soon as it is there and nothing lies above it."""
        from selenium.common.exceptions import WebDriverException

        def pressed():
            try:
                for b in self.all(selector):
                    if b.is_displayed() and b.is_enabled() and (words is None or words in (b.text or b.get_attribute("aria-label") or "")):
                        b.click()
                        return True
            except WebDriverException:  # drawn anew meanwhile, or a dialog is still closing
                return False
        wait_until(pressed, 15, lambda: f"a button {selector} {words} to be pressed; the page says {self.text('main')}")

    def keep(self, name):
        """A picture of the whole page, where $DRAY_SCREENSHOTS says."""
        folder = os.environ.get("DRAY_SCREENSHOTS")
        if folder:
            os.makedirs(folder, exist_ok=True)
            width, height = self.driver.execute_script("return [innerWidth, document.documentElement.scrollHeight]")
            whole = {"x": 0, "y": 0, "width": width, "height": min(height, 6000), "scale": 1}
            shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": whole})
            with open(os.path.join(folder, name + ".png"), "wb") as f:
                f.write(base64.b64decode(shot["data"]))
