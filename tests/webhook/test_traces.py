"""Spans are sent by OTLP when the environment asks for them, and a collector that is silent delays nothing."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.webhook.running import pod, review_of, running, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "hunter2-in-a-variable"


def test_each_review_makes_a_span_without_values(tmp_path: Path) -> None:
    bodies: list[bytes] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            bodies.append(body)
            self.send_response(200)
            self.end_headers()

        def log_request(self, *_: Any) -> None:
            """Log nothing."""

    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{collector.server_port}"
    try:
        with running(
            tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="100"
        ) as server:
            value = pod(
                env=[{"name": "PASSWORD", "value": SECRET}], securityContext={"privileged": True}
            )
            server.post(
                "/validate", review_of(value), traceparent=f"00-{TRACE}-b7ad6b7169203331-01"
            )
            server.post("/validate", review_of(value))
            until(lambda: len(_spans(bodies)) == 2)
            first, second = _spans(bodies)
            assert first.trace_id.hex() == TRACE
            assert first.parent_span_id.hex() == "b7ad6b7169203331"
            found = {each.key: each.value for each in first.attributes}
            assert found["tidewaiter.verdict"].string_value == "denied"
            assert found["k8s.object.kind"].string_value == "Pod"
            rules = {each.string_value for each in found["tidewaiter.rules"].array_value.values}
            assert "no-privileged" in rules
            assert SECRET.encode() not in b"".join(bodies)
            until(lambda: len(server.audit) == 2)
            assert server.audit[0]["traceId"] == TRACE
            assert server.audit[1]["traceId"] == second.trace_id.hex()
    finally:
        collector.shutdown()
        collector.server_close()


def test_a_collector_that_cannot_be_reached_delays_nothing(tmp_path: Path) -> None:
    with running(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as server:
        for _ in range(20):
            assert "allowed" in server.review(pod())
        assert "traces are sent" in server.log


def test_without_the_variables_there_are_no_traces(tmp_path: Path) -> None:
    with running(tmp_path, OTEL_SERVICE_NAME="x") as server:
        assert "traces" not in server.log


def _spans(bodies: list[bytes]) -> list[Any]:
    spans = []
    for body in list(bodies):
        message = ExportTraceServiceRequest()
        message.ParseFromString(body)
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                spans += scope.spans
    return spans
