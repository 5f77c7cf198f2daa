"""One OpenTelemetry span for each review, when the environment asks for traces.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ names the variables. Spans are
made after the answer, from what was measured, and are sent by a thread of the SDK. They carry names and the verdict,
no value of an object.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.version import __version__
from tidewaiter.webhook.log import logger

if TYPE_CHECKING:
    from tidewaiter.webhook.decision import Decision

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_RULES = 50


class Tracer:
    """Makes spans and has them sent."""

    def __init__(self) -> None:
        """Set the SDK up from the environment. Raises ImportError where it is not installed."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "tidewaiter"}
        self._provider = TracerProvider(
            resource=Resource.create({**named, "service.version": __version__})
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("tidewaiter.webhook", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._kind = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)

    def record(
        self, gate: str, decision: Decision, policy_hash: str, seconds: float, traceparent: bytes
    ) -> str:
        """Make the span of a decision and return its trace id."""
        carrier = {"traceparent": traceparent.decode("ascii", "replace")} if traceparent else {}
        end = time.time_ns()
        span = self._tracer.start_span(
            gate,
            context=self._propagator.extract(carrier),
            kind=self._kind,
            attributes=_attributes(gate, decision, policy_hash),
            start_time=end - int(seconds * 1e9),
        )
        if decision.verdict == "error":
            span.set_status(self._failed)
        span.end(end)
        return f"{span.get_span_context().trace_id:032x}"

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def tracer_from_environment() -> Tracer | None:
    """Return a tracer where the environment asks for one and the packages are there."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip() == "none":
        return None
    if not any(os.environ.get(name) for name in (*_ENDPOINTS, "OTEL_TRACES_EXPORTER")):
        return None
    try:
        tracer = Tracer()
    except ImportError:
        logger.error(
            "no traces: OTEL_* asks for them, and their packages are missing: pip install 'tidewaiter[traces]'"
        )
        return None
    logger.info("traces are sent by OTLP over HTTP")
    return tracer


def _attributes(gate: str, decision: Decision, policy_hash: str) -> dict[str, Any]:
    subject = decision.subject
    found = sorted({rule for rule, _, effect in decision.tally() if effect != "none"})
    return {
        "http.request.method": "POST",
        "http.route": f"/{gate}",
        "http.response.status_code": 200,
        "tidewaiter.verdict": decision.verdict,
        "tidewaiter.allowed": decision.allowed,
        "tidewaiter.policy.hash": policy_hash,
        "tidewaiter.rules": found[:_RULES],
        "tidewaiter.operation": subject.operation,
        "tidewaiter.dry_run": subject.dry_run,
        "k8s.object.api_version": subject.api_version,
        "k8s.object.kind": subject.kind,
        "k8s.object.name": subject.name,
        "k8s.namespace.name": subject.namespace,
    }
