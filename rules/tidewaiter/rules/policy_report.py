"""Findings as the PolicyReport objects of the Kubernetes policy working group, wgpolicyk8s.io/v1alpha2.

https://github.com/kubernetes-sigs/wg-policy-prototypes/tree/master/policy-report
A namespace has a PolicyReport, what belongs to none a ClusterPolicyReport. An object in etcd has 1.5 MB at
most, so a long report is cut into several.
"""

from __future__ import annotations

from tidewaiter.rules.finding import EXEMPTED, UNKNOWN, VIOLATION
from tidewaiter.rules.manifest.api_resource import CLUSTER_SCOPED
from tidewaiter.rules.manifest.credential import masked
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    Plain = dict[str, Any]

API_VERSION = "wgpolicyk8s.io/v1alpha2"
SOURCE = "tidewaiter"
NAME = "tidewaiter"
LABEL = "app.kubernetes.io/managed-by"
WRITER = "tidewaiter-lint"
"""Not `tidewaiter`: a scan of the cluster looks after the reports of that name, and removes what it does not know."""
RESULT_LIMIT = 500
"""Results in one object: some hundred kilobytes."""
SEVERITY_NAMES = {"error": "high", "warning": "medium", "info": "low"}
"""Those that every published version of the definitions accepts."""
_TEXT_LIMIT = 1000


@record
class Entry:
    """One finding on one object; `properties` are further details for people.

    `namespace` is None where the object names none. `status` and `severity` are those of a finding.
    """

    rule: str
    category: str
    severity: str
    status: str
    message: str
    api_version: str
    kind: str
    namespace: str | None
    name: str
    properties: Mapping[str, str]


def reports(
    entries: Iterable[Entry], *, policy: str = "default", timestamp: int | None = None
) -> list[Plain]:
    """Return the report objects on what a policy of that name found, the cluster's first and then by namespace.

    An object that names no namespace is in a PolicyReport that names none either, unless it is of a kind
    without namespaces. `timestamp` is in seconds since 1970.
    """
    by_place: dict[tuple[bool, str], list[Entry]] = {}
    for entry in entries:
        is_cluster = not entry.kind or kind_id(entry.api_version, entry.kind) in CLUSTER_SCOPED
        place = (not is_cluster, "" if is_cluster else entry.namespace or "")
        by_place.setdefault(place, []).append(entry)
    found = []
    for (namespaced, namespace), rows in sorted(by_place.items()):
        for number, part in enumerate(_parts(rows), 1):
            results = [_entry_result(row, policy, timestamp) for row in part]
            found.append(_report(namespaced, namespace, number, results))
    return found


def _parts(rows: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(rows), RESULT_LIMIT):
        yield rows[start : start + RESULT_LIMIT]


def _report(namespaced: bool, namespace: str, number: int, results: list[Plain]) -> Plain:
    metadata: Plain = {
        "name": NAME if number == 1 else f"{NAME}-{number}",
        "labels": {LABEL: WRITER},
    }
    if namespace:
        metadata["namespace"] = namespace
    summary = dict.fromkeys(("pass", "fail", "warn", "error", "skip"), 0)
    for each in results:
        summary[each["result"]] += 1
    return {
        "apiVersion": API_VERSION,
        "kind": "PolicyReport" if namespaced else "ClusterPolicyReport",
        "metadata": metadata,
        "summary": summary,
        "results": results,
    }


def _entry_result(entry: Entry, policy: str, timestamp: int | None) -> Plain:
    found = result(
        policy=policy,
        rule=entry.rule,
        category=entry.category,
        severity=entry.severity,
        status=entry.status,
        message=entry.message,
        properties=entry.properties,
    )
    if entry.kind:
        reference = {"apiVersion": entry.api_version, "kind": entry.kind, "name": entry.name}
        if entry.namespace:
            reference["namespace"] = entry.namespace
        found["resources"] = [reference]
    if timestamp is not None:
        found["timestamp"] = {"seconds": timestamp, "nanos": 0}
    return found


def result(
    *,
    policy: str,
    rule: str,
    category: str,
    severity: str,
    status: str,
    message: str,
    properties: Mapping[str, str],
) -> Plain:
    """Return one finding as a result of a report, whichever object the report is on; long texts are cut."""
    return {
        "source": SOURCE,
        "policy": policy,
        "rule": rule,
        "category": category,
        "severity": SEVERITY_NAMES[severity],
        "result": outcome(status, severity),
        "scored": status == VIOLATION and severity == "error",
        "message": short(masked(message)),
        "properties": {key: short(value) for key, value in properties.items() if value},
    }


def outcome(status: str, severity: str) -> str:
    """Return a finding's result: fail for an error, warn for less, error for what cannot be told."""
    if status == EXEMPTED:
        return "skip"
    if status == UNKNOWN:
        return "error"
    return "fail" if severity == "error" else "warn"


def short(text: str) -> str:
    """Return a text as long as a report should hold."""
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"
