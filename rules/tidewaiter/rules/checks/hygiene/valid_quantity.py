"""Quantities, ports, durations and schedules are such as Kubernetes reads.

Restricted fields: resources of pods, containers and volume claims, emptyDir.sizeLimit, capacity, quotas,
limit ranges, autoscaling targets; ports of containers, probes, Services and network policies (1 to 65535
or an IANA service name); durations of cert-manager and Flux; a CronJob's schedule.
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import quoted
from tidewaiter.rules.manifest.quantity import quantity_of
from tidewaiter.rules.manifest.typed_fields import durations, port_numbers, ports, quantities
from tidewaiter.rules.rule import ANY, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_ZONE_REFUSED_SINCE = (1, 29)
"""The version from which the API refuses `TZ` in a new schedule (KEP-3140)."""

RULE = Rule(
    name="valid-quantity",
    section="hygiene",
    severity="error",
    profiles=("recommended",),
    summary="quantities, ports, durations and schedules can be read",
    rationale=(
        "The API server refuses an object with an amount that it cannot read. In a Helm value or an "
        "overlay such a typo waits until the day of the rollout."
    ),
    remediation=(
        "Write amounts with a suffix that Kubernetes knows, and ports as numbers:\n"
        "resources:\n  requests: {cpu: 250m, memory: 256Mi}\nports:\n  - containerPort: 8080"
    ),
    references=(
        "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/",
        "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax",
    ),
    applies_to=(ANY,),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each value that Kubernetes cannot read."""
    for value, pointer in quantities(resource):
        if value is not None:
            amount = quantity_of(value)
            if amount is None or amount < 0:
                what = (
                    "no quantity such as 500m or 128Mi" if amount is None else "less than nothing"
                )
                yield Violation(pointer, f"{_field(pointer)} is {quoted(value)}, which is {what}")
    for value, pointer in port_numbers(resource):
        if value is not None and not _is_port(value):
            yield Violation(
                pointer, f"{_field(pointer)} is {quoted(value)}, which is no number from 1 to 65535"
            )
    for value, pointer in ports(resource):
        if value is not None and not _is_port(value) and not _is_port_name(value):
            yield Violation(
                pointer,
                f"{_field(pointer)} is {quoted(value)}, which is neither a number from 1 to 65535 nor "
                "the name of a port",
            )
    for value, pointer in durations(resource):
        problem = _duration_problem(value)
        if problem:
            yield Violation(pointer, f"{_field(pointer)} cannot be read: {problem}")
    if resource.kind_id == "CronJob.batch":
        yield from _schedule(resource.spec.get("schedule"), context)


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


def _is_port_name(value: object) -> bool:
    from tidewaiter.rules.manifest.selector import port_name_problem

    return isinstance(value, str) and port_name_problem(value) is None


def _duration_problem(value: object) -> str:
    from tidewaiter.rules.manifest.duration import InvalidDuration, parse_duration

    if value is None:
        return ""
    if not isinstance(value, str):
        return f"{quoted(value)} is no text such as 30s or 1h30m"
    try:
        parse_duration(value)
    except InvalidDuration as error:
        return str(error)
    return ""


def _schedule(value: object, context: Context) -> Iterator[Violation]:
    from tidewaiter.rules.manifest.cron import InvalidSchedule, names_time_zone, parse_cron

    if value is None:
        return
    if not isinstance(value, str):
        yield Violation("/spec/schedule", f"schedule is {quoted(value)}, which is no text")
        return
    try:
        parse_cron(value)
    except InvalidSchedule as error:
        yield Violation("/spec/schedule", f"schedule cannot be read: {error}")
        return
    if names_time_zone(value) and context.version >= _ZONE_REFUSED_SINCE:
        yield Violation(
            "/spec/schedule",
            f"schedule is {quoted(value)}, and a time zone is refused there since Kubernetes 1.29",
            remediation='Name the zone in its own field:\nspec:\n  timeZone: "Etc/UTC"',
        )


def _field(pointer: str) -> str:
    """Name a field by the last two parts of its pointer that are no numbers."""
    parts = [part for part in pointer.split("/") if part and not part.isdigit()]
    return ".".join(part.replace("~1", "/").replace("~0", "~") for part in parts[-2:])
