"""Rules that ask whether a field is set, of an object in which the API server may have set it.

Where nothing tells whether a value is the author's (`manifest.as_written`), these rules are asked twice: with what
may have been filled in, and without. What they say both times is their answer, the rest is not known.
"""

from __future__ import annotations

from tidewaiter.rules.finding import UNKNOWN, VIOLATION
from tidewaiter.rules.manifest.as_written import written_forms
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tidewaiter.rules.finding import Finding

ASKED_TWICE = frozenset(
    {
        "cronjob-deadline",
        "hpa-bounds",
        "hpa-metrics",
        "hpa-target",
        "min-replicas",
        "progress-deadline",
        "pvc-retention",
        "restart-policy",
        "update-strategy",
    }
)


def stored(obj: dict[str, Any], pod_specs: dict[str, str] | None = None) -> Resource:
    """Return an object of a cluster as it is judged: as its author wrote it, as far as that can be told."""
    written, least = written_forms(obj)
    resource = Resource(written, pod_specs=pod_specs)
    if least is not None:
        resource.least = Resource(least, pod_specs=pod_specs)
    return resource


def certain(
    findings: Sequence[Finding], least: Iterable[Finding], resource: Resource
) -> list[Finding]:
    """Return the findings on an object, given those that it has without what may have been filled in."""
    least = list(least)
    with_all = {each.rule for each in findings}
    without = {each.rule for each in least}
    result = [
        each if each.rule not in ASKED_TWICE or each.rule in without else _doubtful(each)
        for each in findings
    ]
    others = [each for each in least if each.rule not in with_all]
    return result + [_doubtful(replace(each, resource=resource)) for each in others]


def _doubtful(finding: Finding) -> Finding:
    if finding.status != VIOLATION:
        return finding
    message = f"not known, as the API server fills such fields in: {finding.message}"
    return replace(finding, status=UNKNOWN, message=message)
