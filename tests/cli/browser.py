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


_CONTRASTS = """
const parts = color => color.match(/[0-9.]+/g).map(Number);
const linear = part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
};
const behind = element => {
    for (; element; element = element.parentElement) {
        const found = parts(getComputedStyle(element).backgroundColor);
        if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
};
document.querySelectorAll("details").forEach(each => each.open = true);
const found = [];
for (const element of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(element);
    const text = [...element.childNodes].filter(each => each.nodeType === 3).map(each => each.data).join("").trim();
    if (text) found.push([text, 4.5, ratio(parts(style.color), behind(element))]);
    if (element.matches("input, button")) {
        found.push([element.outerHTML, 3, ratio(parts(style.borderTopColor), behind(element.parentElement))]);
        element.focus();
    }
    if (document.activeElement === element && style.outlineStyle !== "none")
        found.push([`outline of ${element.outerHTML}`, 3, ratio(parts(style.outlineColor), behind(element.parentElement))]);
}
return found;
"""


def contrasts(browser: webdriver.Chrome) -> list[tuple[str, float, float]]:
    """Return every text, edge of a control and mark of the focus with the contrast that it must have and that it has.

    Text needs 4.5 to 1, the rest 3 to 1: https://www.w3.org/TR/WCAG22/#contrast-minimum and #non-text-contrast
    """
    return [(text, least, has) for text, least, has in browser.execute_script(_CONTRASTS)]


def requests(browser: webdriver.Chrome) -> list[str]:
    """Return the addresses that the browser has asked for over a network since it was last asked."""
    import re

    log = " ".join(row["message"] for row in browser.get_log("performance"))  # type: ignore[no-untyped-call]
    asked = re.findall(r'"Network\.requestWillBeSent".*?"url":"([^"]*)"', log)
    return [url for url in asked if url.startswith(("http", "ws"))]


def messages(browser: webdriver.Chrome) -> list[str]:
    """Return what the browser's console said since it was last asked."""
    return [row["message"] for row in browser.get_log("browser")]  # type: ignore[no-untyped-call]
