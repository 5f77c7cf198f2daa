"""The HTML report in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.cli.browser import NEEDS_BROWSER, browser, media, messages, requests
from tests.cli.output.results import MALFORMED, finding, result
from tidewaiter.cli.main import main
from tidewaiter.cli.output import html

__all__ = ["browser"]

ROOT = Path(__file__).parents[3]
pytestmark = NEEDS_BROWSER
HOSTILE = """
apiVersion: v1
kind: Pod
metadata: {name: "<script>document.title='owned'</script>", namespace: "<img src=x onerror=document.title='owned'>"}
spec: {containers: [{name: "\\"onload=\\"x", image: "</script><script>document.title='owned'</script>"}]}
"""


def open_page(browser: webdriver.Chrome, page: Path) -> None:
    messages(browser)
    requests(browser)
    media(browser, prefers_reduced_motion="reduce")
    browser.get(page.as_uri())


def lint(manifests: Path, page: Path, *words: str) -> None:
    assert main(["lint", str(manifests), "--format=html", f"--output={page}", *words]) in {0, 1}


@pytest.fixture
def broken(browser: webdriver.Chrome, tmp_path: Path) -> webdriver.Chrome:
    page = tmp_path / "page.html"
    lint(ROOT / "deploy/examples/payments-broken", page)
    open_page(browser, page)
    return browser


def cards(browser: webdriver.Chrome) -> list[Any]:
    return browser.find_elements(By.CSS_SELECTOR, "details.finding")


def counted(browser: webdriver.Chrome, text: str) -> None:
    WebDriverWait(browser, 5).until(
        lambda driver: driver.find_element(By.ID, "count").text == text,
        f"the count is {browser.find_element(By.ID, 'count').text!r}, not {text!r}",
    )


def test_it_opens_without_errors_and_asks_for_nothing(broken: webdriver.Chrome) -> None:
    assert broken.title == "tidewaiter report"
    assert messages(broken) == []
    assert requests(broken) == []
    counted(broken, "21 findings")
    assert len(cards(broken)) == 21


def test_the_first_finding_shows_its_source_with_the_line_marked(broken: webdriver.Chrome) -> None:
    source = broken.find_element(By.CSS_SELECTOR, "details[open] .source")
    assert source.find_element(By.CSS_SELECTOR, ".hit .number").text == "10"
    assert source.find_element(By.TAG_NAME, "mark").text == '"*"'
    numbers = [each.text for each in source.find_elements(By.CSS_SELECTOR, ".number")]
    assert numbers == ["8", "9", "10", "11", "12"]


def test_a_finding_leads_to_the_remedy_of_its_rule(broken: webdriver.Chrome) -> None:
    link = broken.find_element(By.CSS_SELECTOR, "details[open] .pointer a")
    link.send_keys(Keys.ENTER)
    article = broken.find_element(By.CSS_SELECTOR, "article:target")
    assert article.text.startswith("rbac-no-wildcard")
    assert article.find_element(By.CSS_SELECTOR, "pre.remedy").text.startswith("rules:")
    assert article.find_elements(By.CSS_SELECTOR, "li a[href^='https://']")


def test_search_and_filters_narrow_the_list(broken: webdriver.Chrome) -> None:
    search = broken.find_element(By.NAME, "search")
    search.send_keys("WILDCARD role")
    counted(broken, "2 of 21 findings")
    assert len(cards(broken)) == 2
    search.send_keys(Keys.ESCAPE)
    counted(broken, "21 findings")
    broken.find_element(By.CSS_SELECTOR, ".legend button.warning").click()
    counted(broken, "5 of 21 findings")
    broken.find_element(By.CSS_SELECTOR, "[data-field=file]").click()
    pressed = broken.find_elements(By.CSS_SELECTOR, "[aria-pressed=true]")
    assert len(pressed) == 2
    broken.find_element(By.ID, "clear").click()
    counted(broken, "21 findings")
    search.send_keys("nothing has this")
    counted(broken, "0 of 21 findings")
    assert "No finding matches." in broken.find_element(By.ID, "findings").text


def test_everything_is_reached_by_keyboard(broken: webdriver.Chrome) -> None:
    keys = ActionChains(broken)
    keys.send_keys("/").perform()
    assert broken.switch_to.active_element.get_attribute("name") == "search"
    broken.switch_to.active_element.send_keys(Keys.ESCAPE)
    keys.send_keys("j").send_keys("j").perform()
    heads = broken.find_elements(By.CSS_SELECTOR, "details.finding summary")
    assert broken.switch_to.active_element == heads[1]
    heads[1].send_keys(Keys.ENTER)
    assert cards(broken)[1].get_attribute("open") is not None
    keys.send_keys("k").perform()
    assert broken.switch_to.active_element == heads[0]
    bar = broken.find_element(By.CSS_SELECTOR, "button[data-field=rule]")
    bar.send_keys(Keys.ENTER)
    counted(broken, "2 of 21 findings")


def test_the_charts_have_words_for_those_who_do_not_see_them(broken: webdriver.Chrome) -> None:
    donut = broken.find_element(By.CSS_SELECTOR, "svg[role=img]")
    assert donut.get_attribute("aria-label") == "16 errors, 5 warnings"
    titles = [each.text for each in broken.find_elements(By.CSS_SELECTOR, ".charts h3")]
    assert titles == ["By severity", "By rule", "By namespace", "By file"]
    for bar in broken.find_elements(By.CSS_SELECTOR, ".bars button"):
        said = bar.find_element(By.CSS_SELECTOR, ".visually-hidden").get_attribute("textContent")
        assert "error" in str(said) or "warning" in str(said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_both_schemes(broken: webdriver.Chrome, scheme: str) -> None:
    script = """
      const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
      const rgb = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data]; };
      const light = ([r, g, b]) => { [r, g, b] = [r, g, b].map(v => { v /= 255;
        return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
        return .2126 * r + .7152 * g + .0722 * b; };
      const behind = node => { for (let at = node; at; at = at.parentElement) {
        const color = getComputedStyle(at).backgroundColor; if (rgb(color)[3] === 255) return color; } };
      return ['h1', '.facts', '.totals b', '.totals span', '.badge.error', '.badge.warning', '.message', '.place',
              '.about', '.source .number', '.source .hit', '.details a', 'pre.remedy', '.bars .number', '.found']
        .map(name => { const node = document.querySelector(name);
          const [a, b] = [light(rgb(getComputedStyle(node).color)), light(rgb(behind(node)))];
          return [name, (Math.max(a, b) + .05) / (Math.min(a, b) + .05)]; });
    """
    media(broken, prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    try:
        ratios = dict(broken.execute_script(script))
        assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}
        background = broken.execute_script("return getComputedStyle(document.body).backgroundColor")
        broken.find_element(By.ID, "theme").click()
        changed = broken.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert changed != background
    finally:
        media(broken)


def test_a_narrow_screen_does_not_scroll_sideways(broken: webdriver.Chrome) -> None:
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    broken.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        broken.find_element(By.ID, "open").click()
        assert broken.execute_script(
            "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    finally:
        broken.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hostile_names_are_text(browser: webdriver.Chrome, tmp_path: Path) -> None:
    manifest = tmp_path / "hostile.yaml"
    manifest.write_text(HOSTILE, encoding="utf-8")
    lint(manifest, tmp_path / "page.html", "--profile=all")
    open_page(browser, tmp_path / "page.html")
    browser.find_element(By.ID, "open").click()
    assert browser.title == "tidewaiter report"
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 2
    assert browser.find_elements(By.CSS_SELECTOR, "img, [onload], [onerror]") == []
    assert "</script><script>" in browser.find_element(By.ID, "findings").text
    assert messages(browser) == []


def test_ten_thousand_findings_stay_smooth(browser: webdriver.Chrome, tmp_path: Path) -> None:
    found = result(
        *(
            finding(
                file=f"team-{n % 300}/app.yaml",
                line=20 + n % 40,
                end_line=20 + n % 40,
                rule=f"rule-{n % 60}",
                namespace=f"ns-{n % 50}",
                name=f"app-{n}",
                severity=("error", "warning", "info")[n % 3],
            )
            for n in range(10_000)
        ),
        errors=(MALFORMED,),
    )
    page = tmp_path / "page.html"
    page.write_text("".join(html.pieces(found)), encoding="utf-8")
    open_page(browser, page)
    counted(browser, "10,000 findings")
    assert browser.execute_script("return document.querySelectorAll('*').length") < 12_000
    script = """
      const done = arguments[0];
      const loaded = performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd;
      const frames = (number) => new Promise(resolve => { let worst = 0, last = performance.now();
        const frame = () => { const now = performance.now(); worst = Math.max(worst, now - last); last = now;
          scrollBy(0, 400); if (--number) requestAnimationFrame(frame); else resolve(worst); };
        requestAnimationFrame(frame); });
      (async () => {
        const search = document.getElementsByName('search')[0];
        const form = document.getElementById('filters');
        const start = performance.now();
        search.value = 'app-99';
        form.elements.order.dispatchEvent(new Event('change', {bubbles: true}));
        document.body.offsetHeight;
        const searched = performance.now() - start;
        search.value = '';
        form.elements.order.dispatchEvent(new Event('change', {bubbles: true}));
        done([loaded, searched, await frames(80)]);
      })();
    """
    # Other programs take their share of the machine: the best of a few rounds is the page's own.
    rounds = [browser.execute_async_script(script) for _ in range(5)]
    loaded, searched, scrolled = (min(each) for each in zip(*rounds, strict=True))
    print(f"loaded {loaded:.0f} ms, searched {searched:.0f} ms, longest frame {scrolled:.0f} ms")
    assert loaded < 5000
    assert searched < 500
    assert scrolled < 500


def test_the_number_at_a_rule_leads_to_its_findings(broken: webdriver.Chrome) -> None:
    rule = broken.find_element(By.CSS_SELECTOR, ".rule button")
    rule.send_keys(Keys.ENTER)
    counted(broken, "1 of 21 findings")
    assert broken.execute_script(
        "const top = document.getElementById('list').getBoundingClientRect().top;"
        "return top > -10 && top < innerHeight"
    )
