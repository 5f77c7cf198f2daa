"""Writing what a scan found into the cluster, where dashboards read it.

Two forms of the same: PolicyReport and ClusterPolicyReport of wgpolicyk8s.io/v1alpha2, Report and ClusterReport of
openreports.io/v1alpha1; each is written where the cluster serves it. There is one report for each object with
findings, named after the object's uid and owned by it, so that Kubernetes deletes it with the object. An object
that has come into order loses its report at the next scan, and a report that says the same is not written again.
https://github.com/kubernetes-sigs/wg-policy-prototypes/tree/master/policy-report
https://github.com/openreports/reports-api
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tidewaiter.rules import policy_report
from tidewaiter.rules.cluster.client import METADATA_ONLY, PAGE_COST, PAGE_LIMIT, Refused
from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.finding import SEVERITIES
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.record import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidewaiter.rules.cluster.client import Client
    from tidewaiter.rules.cluster.discovery import ApiResource, Discovery
    from tidewaiter.rules.cluster.scan import Scan
    from tidewaiter.rules.cluster.shard import Shard
    from tidewaiter.rules.finding import Finding
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import Policy

    Place = tuple[str, str]
    """Namespace, empty for none, and name."""

MANAGER = "tidewaiter"
"""The field manager, the source of each result, and the value of the label that marks our reports."""
LABEL = "app.kubernetes.io/managed-by"
POLICY_REPORT = "tidewaiter-policy"
"""The cluster's report on the policy itself, such as an exemption of no use."""
CONTENT = "tidewaiter.dev/content"
KIND = "tidewaiter.dev/kind"
OMITTED = "tidewaiter.dev/omitted-results"
MOST_BYTES = 1_000_000
"""Of the results of one report; etcd takes objects of 1.5 MB."""
_WRITERS = 8
_UNCHECKED = {"fieldValidation": "Ignore"}
"""A field that some version of the definitions lacks is dropped without a word."""


@record
class Form:
    """A group that reports may be written in."""

    api_version: str
    namespaced: str
    cluster_wide: str
    states_source: bool


FORMS = (
    Form("wgpolicyk8s.io/v1alpha2", "PolicyReport", "ClusterPolicyReport", states_source=False),
    Form("openreports.io/v1alpha1", "Report", "ClusterReport", states_source=True),
)


@record
class Existing:
    """One of our reports in the cluster: what it says, by a hash, and the object that it is on."""

    content: str
    kind: str
    namespace: str
    """That of the object, or the object itself where it is a Namespace; empty for what is in none."""


@dataclass(slots=True)
class Written:
    """What came of writing: reports by what was done with them, and what the server refused."""

    applied: int = 0
    unchanged: int = 0
    removed: int = 0
    errors: list[ClusterError] = field(default_factory=list)


async def write_reports(
    client: Client,
    scan: Scan,
    policy: Policy,
    *,
    now: int,
    namespaces: Sequence[str] = (),
    shard: Shard | None = None,
) -> Written:
    """Make the cluster's reports say what a scan found; `now` is in seconds since 1970.

    `namespaces` or `shard` are what the scan was restricted to: the reports on other objects stay. So do those on
    kinds that could not be read. Raises ClusterError where the cluster serves no reports.
    """
    served = _served(scan.discovery)
    if not served:
        raise ClusterError(
            "the cluster serves no reports: install the CustomResourceDefinitions of wgpolicyk8s.io/v1alpha2 "
            "or openreports.io/v1alpha1"
        )
    written = Written()
    for form, kind in served:
        reports = _reports(scan, policy, form, now, namespaced=kind.namespaced)
        there = await _existing(client, kind, scan, shard)
        removable = _removable(there, scan, namespaces, shard)
        await _write(client, kind, reports, there, removable, written)
    return written


def serves_reports(discovery: Discovery) -> bool:
    """Say whether a cluster has the definitions of reports, in one form at least."""
    return bool(_served(discovery))


def _served(discovery: Discovery) -> list[tuple[Form, ApiResource]]:
    kinds = [
        (form, discovery.find(kind_id(form.api_version, kind), form.api_version))
        for form in FORMS
        for kind in (form.namespaced, form.cluster_wide)
    ]
    return [(form, kind) for form, kind in kinds if kind is not None]


def _reports(
    scan: Scan, policy: Policy, form: Form, now: int, *, namespaced: bool
) -> Iterator[dict[str, Any]]:
    """Yield the reports of one form: those on objects in namespaces, or those on the others."""
    for subject in scan.subjects:
        if (subject.resource.namespace is not None) == namespaced:
            yield _report(subject.resource, subject.findings, subject.rules, policy, form, now)
    if scan.findings and not namespaced:
        yield _report(None, scan.findings, len(scan.findings), policy, form, now)


def _report(
    scope: Resource | None,
    findings: Sequence[Finding],
    rules: int,
    policy: Policy,
    form: Form,
    now: int,
) -> dict[str, Any]:
    found = sorted(
        findings, key=lambda each: (SEVERITIES.index(each.severity), each.rule, each.pointer)
    )
    results = [_result(each, policy) for each in found]
    summary = dict.fromkeys(("pass", "fail", "warn", "error", "skip"), 0)
    for each in results:
        summary[each["result"]] += 1
    summary["pass"] = max(0, rules - len({each.rule for each in found}))
    annotations = {KIND: scope.kind_id if scope is not None else ""}
    metadata: dict[str, Any] = {"labels": {LABEL: MANAGER}, "annotations": annotations}
    report: dict[str, Any] = {"apiVersion": form.api_version, "metadata": metadata}
    if scope is None:
        metadata["name"] = POLICY_REPORT
        report["kind"] = form.cluster_wide
    else:
        uid = scope.object["metadata"]["uid"]
        reference = {
            "apiVersion": scope.api_version,
            "kind": scope.kind,
            "name": scope.name,
            "uid": uid,
        }
        metadata["name"] = f"{MANAGER}-{uid}"
        metadata["ownerReferences"] = [reference]
        report["scope"] = dict(reference)
        report["kind"] = form.cluster_wide
        if scope.namespace is not None:
            metadata["namespace"] = report["scope"]["namespace"] = scope.namespace
            report["kind"] = form.namespaced
    if form.states_source:
        report["source"] = MANAGER
    kept = _within_limit(results)
    if len(kept) < len(results):
        annotations[OMITTED] = str(len(results) - len(kept))
    report |= {"summary": summary, "results": kept}
    content = orjson.dumps(report, option=orjson.OPT_SORT_KEYS)
    annotations[CONTENT] = hashlib.sha256(content).hexdigest()[:32]
    for each in kept:
        each["timestamp"] = {"seconds": now, "nanos": 0}
    return report


def _result(finding: Finding, policy: Policy) -> dict[str, Any]:
    entry = policy.entries.get(finding.rule)
    return policy_report.result(
        policy=policy.plain.get("name") or "default",
        rule=finding.rule,
        category=entry.section if entry is not None else "",
        severity=finding.severity,
        status=finding.status,
        message=finding.message,
        properties={
            "pointer": finding.pointer,
            "container": finding.container or "",
            "remedy": finding.remediation.partition("\n")[0],
            "exemption": finding.exemption.reason if finding.exemption is not None else "",
        },
    )


def _within_limit(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return as many results as a report can hold, the gravest, which stand first."""
    size = 0
    for count, each in enumerate(results):
        size += len(orjson.dumps(each)) + 64  # its timestamp
        if size > MOST_BYTES:
            return results[:count]
    return results


async def _write(
    client: Client,
    kind: ApiResource,
    reports: Iterable[dict[str, Any]],
    there: dict[Place, Existing],
    removable: set[Place],
    written: Written,
) -> None:
    async def apply(report: dict[str, Any]) -> None:
        metadata = report["metadata"]
        place = metadata.get("namespace", ""), metadata["name"]
        removable.discard(place)
        if place in there and there[place].content == metadata["annotations"][CONTENT]:
            written.unchanged += 1
            return
        try:
            await client.apply(kind.path(*place), report, manager=MANAGER, params=_UNCHECKED)
            written.applied += 1
        except Refused as refused:
            # Since the scan the namespace may have gone, or begun to.
            if refused.status != 404 and "terminat" not in refused.message:
                written.errors.append(refused)

    async def remove(place: Place) -> None:
        try:
            await client.request("DELETE", kind.path(*place))
            written.removed += 1
        except Refused as refused:
            if refused.status != 404:
                written.errors.append(refused)

    await _at_once(apply(report) for report in reports)
    await _at_once(remove(place) for place in sorted(removable))


def _removable(
    there: dict[Place, Existing], scan: Scan, namespaces: Sequence[str], shard: Shard | None
) -> set[Place]:
    """Return the reports that the scan would have written again, had it found the same."""
    unreadable = scan.inventory.unreadable
    on_namespaces = _names_of_reports_on(namespaces, scan)
    return {
        place
        for place, report in there.items()
        if (not namespaces or place[0] in namespaces or place[1] in on_namespaces)
        and (shard is None or shard.has(report.namespace))
        and report.kind not in unreadable
        and (place[1] != POLICY_REPORT or scan.is_whole)
    }


def _names_of_reports_on(namespaces: Sequence[str], scan: Scan) -> set[str]:
    """Return the names that the reports on the Namespace objects themselves have."""
    if "Namespace" in scan.inventory.unreadable:
        return set()
    found = (scan.inventory.find("Namespace", name) for name in namespaces)
    return {f"{MANAGER}-{each.object['metadata'].get('uid')}" for each in found if each is not None}


async def _existing(
    client: Client, kind: ApiResource, scan: Scan, shard: Shard | None
) -> dict[Place, Existing]:
    """Return our reports, or those of a shard at least, by their metadata."""
    found: dict[Place, Existing] = {}
    selector = {"labelSelector": f"{LABEL}={MANAGER}"}
    paths = [kind.path()]
    if shard is not None and kind.namespaced and _is_cheaper_apart(scan, shard):
        paths = [kind.path(namespace) for namespace in sorted(scan.inventory.namespaces)]
    for path in paths:
        async for page in client.pages(path, params=selector, accept=METADATA_ONLY):
            for item in page.items:
                metadata = item["metadata"]
                place = metadata.get("namespace", ""), metadata["name"]
                found[place] = _report_there(metadata)
    return found


def _is_cheaper_apart(scan: Scan, shard: Shard) -> bool:
    """Say whether the reports in a shard's namespaces cost less to list one by one than all reports there may be."""
    pages = len(scan.subjects) * shard.total // PAGE_LIMIT
    return len(scan.inventory.namespaces) <= PAGE_COST * pages


def _report_there(metadata: dict[str, Any]) -> Existing:
    annotations = metadata.get("annotations") or {}
    kind, namespace = annotations.get(KIND, ""), metadata.get("namespace", "")
    owners = metadata.get("ownerReferences") or ()
    if kind == "Namespace" and owners:
        namespace = owners[0].get("name", "")
    return Existing(annotations.get(CONTENT, ""), kind, namespace)


async def _at_once(steps: Iterator[Any]) -> None:
    """Run the steps, some at a time; what is under way is ended where one raises."""

    async def work() -> None:
        for step in steps:
            await step

    workers = [asyncio.create_task(work()) for _ in range(_WRITERS)]
    try:
        await asyncio.gather(*workers)
    finally:
        for each in workers:
            each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
