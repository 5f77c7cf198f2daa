"""The page at /ui: the real API server says who may look, and a real browser shows what they see."""

from __future__ import annotations

import http.client
import json
import signal
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import pytest

from tests.cli.browser import NEEDS_BROWSER, browser, contrasts, media, messages, requests
from tests.deploy.manifests import overlay_with
from tests.e2e.api_server import free_port
from tests.e2e.certificates import Authority
from tests.e2e.test_deploy import NAMESPACE, apply, clear, service_account_kubeconfig
from tests.webhook.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

    from tests.e2e.api_server import ApiServer

__all__ = ["browser"]

EVIL = "<script>alert(1)</script>"
SOON = (datetime.now(UTC) + timedelta(days=5)).strftime("%Y-%m-%d")
POLICY = f"""
apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {{name: shown}}
spec:
  exemptions:
    - match: {{namespaces: [legacy]}}
      rules: [no-latest-tag]
      reason: "{EVIL} until the vendor is gone"
      expires: {SOON}
"""


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    text: str


class Page:
    """A server with the page on, under the rights that deploy/ gives it."""

    def __init__(
        self, port: int, process: subprocess.Popen[bytes], viewer: str, other: str
    ) -> None:
        self.port = port
        self.process = process
        self.viewer = viewer
        """A token of one who may look."""
        self.other = other
        """A token of one who may not."""

    def ask(
        self, method: str = "GET", path: str = "/ui", body: str | None = None, **headers: str
    ) -> Answer:
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.port,
            timeout=20,
            context=ssl._create_unverified_context(),
        )
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def read(self, token: str) -> Answer:
        return self.ask(authorization=f"Bearer {token}")

    def review(self, name: str) -> None:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "nginx",
                        "env": [{"name": "PASSWORD", "value": "hunter2"}],
                    }
                ]
            },
        }
        request = {
            "uid": "1",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "name": name,
            "namespace": "shop",
            "userInfo": {"username": f"jane{EVIL}"},
            "object": pod,
        }
        review = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": request,
        }
        answer = self.ask("POST", "/validate", json.dumps(review), content_type="application/json")
        assert answer.status == 200, answer.text


@pytest.fixture(scope="module")
def page(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("ui")
    objects = overlay_with(folder, "ui")
    del objects["ValidatingWebhookConfiguration", "tidewaiter"]
    apply(api_server, objects)
    for name in ("viewer", "other"):
        metadata = {"name": name, "namespace": NAMESPACE}
        api_server.admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "viewer"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "tidewaiter-ui-viewer"},
        "subjects": [{"kind": "ServiceAccount", "name": "viewer", "namespace": NAMESPACE}],
    }
    api_server.admin.apply(binding)
    tokens = []
    for name in ("viewer", "other"):
        where = folder / name
        where.mkdir()
        content = json.loads(service_account_kubeconfig(api_server, where, name).read_text())
        tokens.append(content["users"][0]["user"]["token"])
    policy = folder / "tidewaiter.yaml"
    policy.write_text(POLICY)
    pair = Authority(folder).issue("webhook")
    port = free_port()
    command = [
        *(sys.executable, "-m", "tidewaiter.webhook", f"--bind=127.0.0.1:{port}", "--ui=cluster"),
        *(f"--policy={policy}", f"--tls-cert={pair.certificate}", f"--tls-key={pair.key}"),
        f"--kubeconfig={service_account_kubeconfig(api_server, folder)}",
        *("--background-audit=2s", "--drain-grace=0s", "--audit-log=none"),
    ]
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=output)
    served = Page(port, process, *tokens)

    def is_ready() -> bool:
        try:
            return served.ask(path="/readyz").status == 200
        except OSError:
            return False

    try:
        until(is_ready, timeout=60)
        served.review(f"web{EVIL}")
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        clear(api_server, {**objects, ("ClusterRoleBinding", "viewer"): binding})


def test_one_who_may_look_sees_decisions_policy_exemptions_and_health(page: Page) -> None:
    answer = page.read(page.viewer)
    assert answer.status == 200
    for told in ("Recent decisions", "image-digest", "shown", SOON, "ends soon", "inventory"):
        assert told in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_no_value_is_shown_and_nothing_that_a_name_holds_is_markup(page: Page) -> None:
    text = page.read(page.viewer).text
    assert "hunter2" not in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert page.viewer not in text


def test_others_see_nothing(page: Page) -> None:
    answers = {
        page.ask().status: 401,
        page.read("wrong").status: 401,
        page.read("bad token\u00e9").status: 401,
        page.read(page.other).status: 403,
        page.ask(cookie="tidewaiter-token=wrong").status: 401,
    }
    assert all(found == expected for found, expected in answers.items())
    assert "Recent decisions" not in page.read(page.other).text


def test_a_form_of_another_site_signs_nobody_in_or_out(page: Page) -> None:
    form = urlencode({"token": page.viewer})
    kind = "application/x-www-form-urlencoded"
    for path in ("/ui/login", "/ui/logout"):
        for headers in (
            {"origin": "https://evil.example"},
            {"Sec_Fetch_Site": "cross-site"},
            {"origin": "null"},
        ):
            answer = page.ask("POST", path, form, content_type=kind, **headers)
            assert answer.status == 403
            assert "Set-Cookie" not in answer.headers


def test_the_cookie_is_out_of_the_reach_of_scripts_and_other_sites(page: Page) -> None:
    form = urlencode({"token": page.viewer})
    answer = page.ask("POST", "/ui/login", form, content_type="application/x-www-form-urlencoded")
    assert answer.status == 303
    cookie = answer.headers["Set-Cookie"].lower()
    for attribute in ("httponly", "samesite=strict", "secure", "path=/ui"):
        assert attribute in cookie
    value = answer.headers["Set-Cookie"].partition(";")[0]
    assert page.ask(cookie=value).status == 200


def test_a_page_that_is_off_is_not_there(page: Page) -> None:
    assert page.ask(path="/ui/other").status == 404
    assert page.ask("POST", "/ui", "").status == 405


def test_namespaces_are_shown_by_readiness_after_an_audit(page: Page) -> None:
    until(lambda: "the least ready first" in page.read(page.viewer).text, timeout=60)


def test_guessing_wears_nobody_out_and_reviews_go_on(page: Page) -> None:
    found = {page.read(f"guess-{number}").status for number in range(40)}
    assert found == {401, 429}
    page.review("meanwhile")
    time.sleep(2)
    assert page.read(page.viewer).status == 200


def weak(shown: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    return [each for each in shown if each[2] < each[1]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
class TestInABrowser:
    pytestmark = NEEDS_BROWSER

    def test_a_person_signs_in_by_keyboard_and_reads(
        self, page: Page, browser: Chrome, tmp_path: Path, scheme: str
    ) -> None:
        time.sleep(2)
        browser.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
        browser.delete_all_cookies()
        media(browser, prefers_color_scheme=scheme)
        messages(browser)
        address = f"https://127.0.0.1:{page.port}/ui"
        browser.get(address)
        assert weak(contrasts(browser)) == []
        assert browser.execute_script("return document.documentElement.lang") == "en"
        field = browser.switch_to.active_element
        for _ in range(3):
            if field.get_attribute("id") == "token":
                break
            field.send_keys("\ue004")
            field = browser.switch_to.active_element
        field.send_keys(page.viewer, "\ue007")
        until(lambda: bool(browser.find_elements("tag name", "table")))
        assert [each.text for each in browser.find_elements("tag name", "h1")] == ["tidewaiter"]
        assert browser.title == "What the gate does - tidewaiter"
        shown = contrasts(browser)
        assert {"Recent decisions", "denied", "ok", "Sign out"} <= {text for text, _, _ in shown}
        assert weak(shown) == []
        for landmark in ("header", "nav", "main", "footer"):
            assert len(browser.find_elements("tag name", landmark)) == 1
        for table in browser.find_elements("tag name", "table"):
            assert table.find_element("tag name", "caption").get_attribute("textContent")
            assert table.find_elements("css selector", "thead th[scope=col]")
        assert browser.execute_script("return document.cookie") == ""
        assert all(each.startswith(address.removesuffix("/ui")) for each in requests(browser))
        # The form in front answers 401, which Chromium notes.
        assert [
            each for each in messages(browser) if "401" not in each and "favicon" not in each
        ] == []
        for width in (1200, 360):
            browser.set_window_size(width, 900)
            narrow = "return document.documentElement.scrollWidth <= window.innerWidth"
            assert browser.execute_script(narrow)
            browser.save_screenshot(str(tmp_path / f"{scheme}-{width}.png"))
        browser.find_element("css selector", "footer button").click()
        until(lambda: bool(browser.find_elements("id", "token")))
