"""An API server, or what stands before it, that answers what no API server does."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.webhook.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

ANSWERS = {
    "a page of a proxy": ("text/html", b"<h1>We are back soon</h1>"),
    "nothing": ("application/json", b"{}"),
    "a list": ("application/json", b"[]"),
    "null": ("application/json", b"null"),
    "half an object": ("application/json", b'{"kind": "Lea'),
    "a Status": ("application/json", b'{"kind": "Status", "status": "Success"}'),
    "odd fields": (
        "application/json",
        json.dumps({"kind": 3, "metadata": [], "spec": "x", "items": {"a": 1}}).encode(),
    ),
    "a list of no objects": (
        "application/json",
        b'{"kind": "APIGroupDiscoveryList", "metadata": 1, "items": [1, null, {"versions": [2]}]}',
    ),
    "groups of no form": (
        "application/json",
        b'{"kind": "APIGroupList", "groups": [null, {"versions": 1}, {"versions": [1]}]}',
    ),
}


@contextmanager
def answering(content_type: str, body: bytes) -> Iterator[str]:
    """Answer every request with 200 and the same content; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815 - names of the library

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda name: name.replace(" ", "-"))
def test_an_api_server_that_answers_nonsense_ends_no_part_and_makes_nothing_ready(
    answer: str, tmp_path: Path
) -> None:
    with answering(*ANSWERS[answer]) as address:
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": address}}],
            "users": [{"name": "x", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
        options = ("--inventory", "cluster", "--kubeconfig", str(tmp_path / "kubeconfig"))
        with running(tmp_path, *options) as webhook:
            time.sleep(1)
            assert "defect" not in webhook.log
            assert webhook.request("GET", "/readyz").status == 503
            assert webhook.end() == 0
