"""What the page shows, gathered from the running server: bounded, names and counts only."""

from __future__ import annotations

import socket
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tidewaiter.rules.record import record

if TYPE_CHECKING:
    from tidewaiter.webhook.serving import Serving
    from tidewaiter.webhook.ui.activity import Activity

    Rows = list[tuple[str | int, ...]]

SOON = 30
"""Days in which an exemption ends that is shown."""
_MOST = 100


@record
class View:
    """The content of each table, by row."""

    replica: str
    now: float
    since: float
    health: Rows
    notes: Rows
    policy: Rows
    audited: float | None
    ready: int
    left_out: int
    namespaces: Rows
    rules: Rows
    exemptions: Rows
    decisions: Rows


def gather(serving: Serving, activity: Activity) -> View:
    """Return what there is to show now."""
    loaded = serving.policy.current
    audit = serving.background_audit.latest if serving.background_audit is not None else None
    by_namespace = audit.namespaces if audit is not None else ()
    worst = [each for each in by_namespace if any(each[1:])][:_MOST]
    plain = loaded.policy.plain
    return View(
        replica=socket.gethostname(),
        now=time.time(),
        since=activity.since,
        health=list(serving.readiness().items()),
        notes=list(serving.notes().items()),
        policy=[
            ("name", loaded.name),
            ("hash", loaded.hash),
            ("profiles", ", ".join(plain.get("profiles") or ("recommended",))),
            ("mode", str(plain.get("admission", {}).get("mode", "enforce"))),
            ("exemptions", len(loaded.policy.exemptions)),
        ],
        audited=audit.ended if audit is not None else None,
        ready=sum(not each[1] for each in by_namespace),
        left_out=sum(any(each[1:]) for each in by_namespace) - len(worst),
        namespaces=[(each[0], "not ready" if each[1] else "ready", *each[1:]) for each in worst],
        rules=list(activity.most_violated()),
        exemptions=_ending(serving),
        decisions=[
            (
                time.strftime("%H:%M:%S", time.gmtime(row.time)),
                row.verdict,
                row.operation or row.gate,
                " ".join(filter(None, (row.kind, row.object))),
                row.username,
                ", ".join(row.rules),
            )
            for row in activity.latest()
        ],
    )


def _ending(serving: Serving) -> Rows:
    today = serving.today()
    last = (date.fromisoformat(today) + timedelta(days=SOON)).isoformat()
    found = [
        each
        for each in serving.policy.current.policy.plain.get("exemptions", ())
        if each.get("expires") and str(each["expires"]) <= last
    ]
    found.sort(key=lambda each: str(each["expires"]))
    return [
        (
            str(each["expires"]),
            "expired" if str(each["expires"]) < today else "ends soon",
            ", ".join(each.get("rules", ())),
            each.get("reason", ""),
        )
        for each in found[:_MOST]
    ]
