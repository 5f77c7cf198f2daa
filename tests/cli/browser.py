"""A real browser for the pages that tidewaiter writes: Debian's Chromium, driven by its chromedriver."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NEEDS_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CHROMIUM or not DRIVER,
        reason="needs Chromium and its driver: apt-get install chromium chromium-driver",
    ),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = Options()
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def media(browser: webdriver.Chrome, **features: str) -> None:
    """Emulate media features, `prefers_color_scheme="dark"` for example; without any as they are."""
    rows = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": rows})


def requests(browser: webdriver.Chrome) -> list[str]:
    """Return the addresses that the browser has asked for over a network since it was last asked."""
    import re

    log = " ".join(row["message"] for row in browser.get_log("performance"))  # type: ignore[no-untyped-call]
    asked = re.findall(r'"Network\.requestWillBeSent".*?"url":"([^"]*)"', log)
    return [url for url in asked if url.startswith(("http", "ws"))]


def messages(browser: webdriver.Chrome) -> list[str]:
    """Return what the browser's console said since it was last asked."""
    return [row["message"] for row in browser.get_log("browser")]  # type: ignore[no-untyped-call]
