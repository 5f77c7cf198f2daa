"""The page of the checklist in a real browser: Debian's Chromium, driven by its chromedriver."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.cli.browser import NEEDS_BROWSER, browser, media
from tidewaiter.cli.main import main

__all__ = ["browser"]

ROOT = Path(__file__).parents[3]
pytestmark = NEEDS_BROWSER
HOSTILE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: "<script>document.title='owned'</script>", namespace: "<img src=x onerror=document.title='owned'>"}
spec: {template: {spec: {containers: [{name: "\\"onload=\\"x", image: "</style><script>document.title='owned'</script>"}]}}}
"""


def _open(browser: webdriver.Chrome, manifests: Path, page: Path) -> None:
    code = main(["checklist", str(manifests), "--format=html", f"--output={page}"])
    assert code in {0, 1}
    browser.get_log("browser")  # type: ignore[no-untyped-call]
    browser.get_log("performance")  # type: ignore[no-untyped-call]
    browser.get(page.as_uri())


def _pages(browser: webdriver.Chrome) -> int:
    settings = {"preferCSSPageSize": True, "printBackground": True}
    answer: dict[str, Any] = browser.execute_cdp_cmd("Page.printToPDF", settings)
    return len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(answer["data"])))


@pytest.fixture
def broken(browser: webdriver.Chrome, tmp_path: Path) -> webdriver.Chrome:
    _open(browser, ROOT / "deploy/examples/payments-broken", tmp_path / "page.html")
    return browser


def test_it_opens_without_errors_and_asks_for_nothing(broken: webdriver.Chrome) -> None:
    assert broken.title.startswith("Release checklist")
    assert broken.get_log("browser") == []  # type: ignore[no-untyped-call]
    log = " ".join(row["message"] for row in broken.get_log("performance"))  # type: ignore[no-untyped-call]
    asked = re.findall(r'"Network\.requestWillBeSent".*?"url":"([^"]*)"', log)
    assert [url for url in asked if url.startswith(("http", "ws"))] == []


def test_the_map_has_a_cell_for_each_service_and_item(broken: webdriver.Chrome) -> None:
    rows = broken.find_elements(By.CSS_SELECTOR, "table.map tbody tr")
    assert len(rows) == 5
    for row in rows:
        assert len(row.find_elements(By.CSS_SELECTOR, "th[scope=row]")) == 1
        cells = row.find_elements(By.CSS_SELECTOR, "td > a.cell")
        assert len(cells) == 15
        assert all(cell.text in {"Y", "A", "N", "?", "-"} for cell in cells)
        assert all(cell.get_attribute("title") for cell in cells)
    assert len(broken.find_elements(By.CSS_SELECTOR, "table.map thead th[scope=col]")) == 17
    assert len(broken.find_elements(By.CSS_SELECTOR, "table.map a.cell.no")) == 15


def test_every_link_leads_to_something(broken: webdriver.Chrome) -> None:
    missing = broken.execute_script(
        "return [...document.querySelectorAll('a')].filter("
        "a => !document.getElementById(a.getAttribute('href').slice(1))).length"
    )
    assert missing == 0


def test_the_reasons_are_reached_by_keyboard(broken: webdriver.Chrome) -> None:
    first = broken.find_element(By.CSS_SELECTOR, "table.map a.cell.attested")
    target = str(first.get_attribute("href")).rpartition("#")[2]
    reasons = broken.find_element(By.ID, target)
    assert not reasons.is_displayed()
    seen = set()
    for _ in range(40):
        broken.switch_to.active_element.send_keys(Keys.TAB)
        active = broken.switch_to.active_element
        seen.add(active.tag_name)
        if active == first:
            break
    assert broken.switch_to.active_element == first
    first.send_keys(Keys.ENTER)
    assert reasons.is_displayed()
    assert "Release team, 2025-03-14" in reasons.text or "attested" in reasons.text


def test_a_summary_opens_by_keyboard(broken: webdriver.Chrome) -> None:
    details = broken.find_element(By.CSS_SELECTOR, "details:not([open])")
    details.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert details.get_attribute("open") is not None


def test_the_reasons_have_file_and_line(broken: webdriver.Chrome) -> None:
    text = broken.find_element(By.CSS_SELECTOR, "#services").text
    assert "api.yaml:62" in text
    assert "[image-digest]" in text


def test_it_prints_on_one_page(broken: webdriver.Chrome) -> None:
    assert _pages(broken) == 1


def test_sixty_services_print_on_one_page(browser: webdriver.Chrome, tmp_path: Path) -> None:
    job = "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: a-job-with-a-rather-long-name-{0}}}\n"
    pod = "spec: {{template: {{spec: {{containers: [{{name: a, image: a}}]}}}}}}\n"
    manifests = tmp_path / "many.yaml"
    manifests.write_text("---\n".join((job + pod).format(n) for n in range(60)), encoding="utf-8")
    _open(browser, manifests, tmp_path / "page.html")
    assert len(browser.find_elements(By.CSS_SELECTOR, "table.map tbody tr")) == 60
    assert _pages(browser) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_can_be_read_in_both_schemes(broken: webdriver.Chrome, scheme: str) -> None:
    media(broken, prefers_color_scheme=scheme)
    script = """
      const rgb = c => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
      const light = c => { const [r, g, b] = rgb(c).map(v => { v /= 255;
        return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
        return .2126 * r + .7152 * g + .0722 * b; };
      return ['yes', 'attested', 'no', 'unknown', 'not-applicable'].map(state => {
        const style = getComputedStyle(document.querySelector('.cell.' + state));
        const [a, b] = [light(style.color), light(style.backgroundColor)];
        return (Math.max(a, b) + .05) / (Math.min(a, b) + .05); });
    """
    try:
        assert min(broken.execute_script(script)) >= 4.5
    finally:
        media(broken)


def test_a_narrow_screen_scrolls_the_map_and_not_the_page(broken: webdriver.Chrome) -> None:
    size = {"width": 380, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    broken.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        wide = broken.execute_script(
            "const map = document.querySelector('.scroll');"
            "return [document.documentElement.scrollWidth <= innerWidth, map.scrollWidth > map.clientWidth]"
        )
        assert wide == [True, True]
    finally:
        broken.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hostile_names_are_text(browser: webdriver.Chrome, tmp_path: Path) -> None:
    manifest = tmp_path / "hostile.yaml"
    manifest.write_text(HOSTILE, encoding="utf-8")
    _open(browser, manifest, tmp_path / "page.html")
    assert browser.title.startswith("Release checklist")
    assert browser.find_elements(By.CSS_SELECTOR, "script, img, svg, [onload], [onerror]") == []
    assert (
        "<script>document.title='owned'</script>" in browser.find_element(By.TAG_NAME, "main").text
    )
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
