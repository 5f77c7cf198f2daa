"""What Prometheus may ask. Every label has a bounded set of values, and none comes from an object unchecked.

docs/metrics.md lists them; a test holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from tidewaiter.rules import catalogue
from tidewaiter.rules.manifest.workload import POD_SPECS
from tidewaiter.rules.rule import ANY, EXEMPTION, WORKLOAD
from tidewaiter.rules.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.webhook.decision import Decision

OTHER = "other"
disable_created_metrics()  # type: ignore[no-untyped-call]

VALIDATE, IMAGE_POLICY = "validate", "image-policy"
GATES = (VALIDATE, IMAGE_POLICY)
_OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
REFUSALS = (
    "http",
    "method",
    "content_type",
    "too_large",
    "timeout_parameter",
    "json",
    "review",
    "slow_client",
    "overload",
    "disconnected",
    "headers_too_large",
    "too_many_connections",
)
"""Why a request got no verdict."""


class Metrics:
    """All metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        """Declare them, with the label values that are known from the start at zero."""
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tidewaiter_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"tidewaiter_{name}", text, labels, registry=registry)

        self.build = gauge("build_info", "The version that runs; always 1.", "version")
        self.build.labels(__version__).set(1)
        self.reviews = counter(
            "reviews_total",
            "Reviews answered, by endpoint, verdict, operation and kind.",
            "gate",
            "verdict",
            "operation",
            "kind",
        )
        self.rule_answers = counter(
            "rule_answers_total",
            "Violations and unknown answers found in reviews, by rule, status and what came of them.",
            "rule",
            "status",
            "effect",
        )
        self.rule_crashes = counter(
            "rule_crashes_total", "Rules that raised in a review; each is a defect.", "rule"
        )
        self.latency = Histogram(
            "tidewaiter_review_seconds",
            "Time from the first byte of a review to its answer.",
            ("gate",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.refused = counter(
            "requests_refused_total", "Requests that got no verdict, by reason.", "reason"
        )
        self.review_failures = counter(
            "review_failures_total",
            "Reviews answered without a verdict, because of a defect or for want of time.",
            "gate",
        )
        self.apart = counter(
            "reviews_apart_total",
            "Large and slow reviews, judged by a copy of the process, by whether it had an answer.",
            "result",
        )
        self.in_flight = gauge("requests_in_flight", "Reviews being received or answered.")
        self.connections = gauge("connections_open", "Open connections.")
        self.ready = gauge("ready", "Whether /readyz says ok.")
        self.inventory_objects = gauge("inventory_objects", "Objects known, by kind.", "kind")
        self.inventory_age = gauge(
            "inventory_age_seconds",
            "Time since the cluster was last heard of, by the watch that is silent for longest.",
        )
        self.inventory_synced = gauge(
            "inventory_synced", "Whether every kind has been read at least once."
        )
        self.inventory_stale = gauge(
            "inventory_stale", "Whether the inventory is older than --max-inventory-age."
        )
        self.watch_restarts = counter(
            "watch_restarts_total", "Times that a watch had to be begun again, by kind.", "kind"
        )
        self.policy_info = gauge("policy_info", "The policy that holds; always 1.", "name", "hash")
        self.policy_reloads = counter(
            "policy_reloads_total",
            "Changes of the policy file, by whether they are in force.",
            "result",
        )
        self.policy_valid = gauge(
            "policy_valid",
            "0 when the policy file as it stands is not in force, because of a mistake in it.",
        )
        self.policy_objects = gauge(
            "policy_objects",
            "Policies that are objects of the cluster, by kind and whether they are in force as they stand.",
            "kind",
            "state",
        )
        self.policy_loaded = gauge(
            "policy_loaded_timestamp_seconds", "When the policy that holds was loaded."
        )
        self.certificate_expiry = gauge(
            "certificate_expiry_timestamp_seconds", "When the certificate shown to clients ends."
        )
        self.certificate_reloads = counter(
            "certificate_reloads_total",
            "Changes of the certificate files, by whether they are in use.",
            "result",
        )
        self.audit_lines = counter("audit_log_lines_total", "Lines written to the audit log.")
        self.audit_failures = counter(
            "audit_log_write_failures_total", "Failed attempts to write to the audit log."
        )
        self.audit_lost = counter(
            "audit_log_lost_total",
            "Decisions whose line was given up, because the log could not be written.",
        )
        self.audit_waiting = gauge("audit_log_waiting", "Lines not yet written to the audit log.")
        self.background_audits = counter(
            "background_audits_total",
            "Audits of the cluster by this replica, by whether everything could be read and written.",
            "result",
        )
        self.background_audit_leader = gauge(
            "background_audit_leader", "Whether this replica is the one that audits the cluster."
        )
        self.background_audit_findings = gauge(
            "background_audit_findings",
            "Findings of the last audit, by rule and severity, or status where they are no violations.",
            "rule",
            "severity",
        )
        self.background_audit_objects = gauge(
            "background_audit_objects", "Objects that the last audit judged."
        )
        self.background_audit_seconds = gauge(
            "background_audit_seconds", "Time that the last audit took."
        )
        self.background_audit_success = gauge(
            "background_audit_success_timestamp_seconds",
            "When an audit last ended with everything read and written.",
        )
        self._kinds = _known_kinds()
        self._begin_at_zero()

    def count(
        self, gate: str, decision: Decision, seconds: float, pod_specs: Mapping[str, str]
    ) -> None:
        """Count a decision that has been answered."""
        subject = decision.subject
        operation = subject.operation if subject.operation in _OPERATIONS else OTHER
        kind = self._kind(gate, subject.api_version, subject.kind, pod_specs)
        self.reviews.labels(gate, decision.verdict, operation, kind).inc()
        self.latency.labels(gate).observe(seconds)
        if decision.verdict == "error":
            self.review_failures.labels(gate).inc()
        for labels, times in decision.tally().items():
            self.rule_answers.labels(*labels).inc(times)
        for rule in decision.crashed_rules:
            self.rule_crashes.labels(rule).inc()

    def show_policy(self, name: str, policy_hash: str, when: float) -> None:
        """Say which policy holds, in place of the one before."""
        self.policy_info.clear()
        self.policy_info.labels(name, policy_hash).set(1)
        self.policy_loaded.set(when)

    def page(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)

    def _kind(self, gate: str, api_version: str, kind: str, pod_specs: Mapping[str, str]) -> str:
        """Return a kind's name where a rule or the policy knows it."""
        if gate == IMAGE_POLICY:
            return "ImageReview"
        group = api_version.rpartition("/")[0]
        kind_id = f"{kind}.{group}" if group else kind
        return kind if kind_id in self._kinds or kind_id in pod_specs else OTHER

    def _begin_at_zero(self) -> None:
        """Make the series whose increase an alert asks for, which could not be told from none otherwise."""
        for gate in GATES:
            self.latency.labels(gate)
            self.review_failures.labels(gate)
        for reason in REFUSALS:
            self.refused.labels(reason)
        for result in ("success", "failure"):
            self.apart.labels(result)
            self.policy_reloads.labels(result)
            self.certificate_reloads.labels(result)
        for result in ("complete", "incomplete"):
            self.background_audits.labels(result)


def _known_kinds() -> frozenset[str]:
    marks = {WORKLOAD, ANY, EXEMPTION}
    named = {kind for entry in catalogue.entries().values() for kind in entry.applies_to}
    return frozenset(named - marks).union(POD_SPECS)
