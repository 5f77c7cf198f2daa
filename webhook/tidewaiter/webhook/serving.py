"""What the endpoints share while the server runs: the policy, the inventory, and where decisions are recorded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidewaiter.webhook.log import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidewaiter.webhook.audit_log import AuditLog
    from tidewaiter.webhook.background_audit import BackgroundAudit
    from tidewaiter.webhook.decision import Decision
    from tidewaiter.webhook.images import Images
    from tidewaiter.webhook.inventory_source import InventorySource
    from tidewaiter.webhook.metrics import Metrics
    from tidewaiter.webhook.policy_objects import PolicyObjects
    from tidewaiter.webhook.policy_watch import LoadedPolicy, PolicyWatch
    from tidewaiter.webhook.settings import Settings
    from tidewaiter.webhook.traces import Tracer
    from tidewaiter.webhook.ui import Ui

_DAY = 86_400
_TOLD_EVERY = 60.0


class Serving:
    """The parts of one running server."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        inventory: InventorySource,
        policy: PolicyWatch,
        audit_log: AuditLog,
        tracer: Tracer | None,
        images: Images,
        background_audit: BackgroundAudit | None = None,
        policy_objects: PolicyObjects | None = None,
        ui: Ui | None = None,
    ) -> None:
        """Hold the parts."""
        self.settings = settings
        self.metrics = metrics
        self.inventory = inventory
        self.policy = policy
        self.audit_log = audit_log
        self.tracer = tracer
        self.images = images
        self.background_audit = background_audit
        self.policy_objects = policy_objects
        self.ui = ui
        self.draining = False
        self._told: dict[str, float] = {}
        self._day = -1
        self._today = ""

    def today(self) -> str:
        """Return the date in UTC as YYYY-MM-DD."""
        day = int(time.time() // _DAY)
        if day != self._day:
            self._day, self._today = day, time.strftime("%Y-%m-%d", time.gmtime(day * _DAY))
        return self._today

    def record(
        self,
        gate: str,
        decision: Decision,
        loaded: LoadedPolicy,
        seconds: float,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> None:
        """Count a decision that has been answered, write it to the audit log and trace it."""
        self.metrics.count(gate, decision, seconds, loaded.policy.pod_specs)
        for rule in decision.crashed_rules:
            self._tell_crash(rule, decision)
        parent = next((value for name, value in headers if name == b"traceparent"), b"")
        trace_id = trace_of(parent)
        if self.tracer is not None:
            trace_id = self.tracer.record(gate, decision, loaded.hash, seconds, parent) or trace_id
        if self.ui is not None:
            self.ui.activity.note(gate, decision)
        self.audit_log.write(gate, decision, loaded.hash, seconds, trace_id)

    def _tell_crash(self, rule: str, decision: Decision) -> None:
        """Log that a rule raised, once in a while for each rule; the metric counts them all."""
        now = time.monotonic()
        if now - self._told.get(rule, -_TOLD_EVERY) >= _TOLD_EVERY:
            self._told[rule] = now
            subject = decision.subject
            where = "/".join(filter(None, (subject.namespace, subject.name)))
            logger.error("rule %s raised on %s %s, which is a defect", rule, subject.kind, where)

    def measure(self, in_flight: int) -> None:
        """Bring up to date what is measured only when asked for."""
        self.metrics.in_flight.set(in_flight)
        self.metrics.ready.set(all(state == "ok" for state in self.readiness().values()))
        self.inventory.measure(self.metrics)

    def readiness(self) -> dict[str, str]:
        """Return what must hold before reviews are sent here: "ok", or what is missing."""
        objects = self.policy_objects
        return {
            "policy": "ok" if objects is None or objects.is_synced else "objects not read yet",
            "inventory": "ok" if self.inventory.is_synced else "not read yet",
            "running": "shutting down" if self.draining else "ok",
        }

    def notes(self) -> dict[str, str]:
        """Return what is worth knowing and does not keep the server from being ready."""
        notes = {"policy hash": self.policy.current.hash}
        if self.policy.mistake:
            notes["policy file"] = f"not in force: {self.policy.mistake}"
        if self.policy_objects is not None:
            notes |= self.policy_objects.notes()
        return {**notes, **self.inventory.notes()}


def trace_of(traceparent: bytes) -> str:
    """Return the trace id of a W3C traceparent, empty for what is none.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    parts = traceparent.split(b"-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2]:
        return ""
    version, trace_id, parent_id = parts[:3]
    if (
        b"".join(parts[:4]).strip(b"0123456789abcdef")
        or version == b"ff"
        or (version == b"00" and len(parts) > 4)
        or not trace_id.strip(b"0")
        or not parent_id.strip(b"0")
    ):
        return ""
    return trace_id.decode()
