"""Updates replace pods step by step, and say how many at a time.

Restricted fields: spec.strategy of Deployments, spec.updateStrategy of StatefulSets and DaemonSets. Allowed:
RollingUpdate, which every version but some retired ones means where the field is left out; in a Deployment
with maxUnavailable and maxSurge set and not both 0.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import SET, Edit, Fix, set_here
from tidewaiter.rules.manifest.fields import dig, mapping, quoted
from tidewaiter.rules.manifest.int_or_percent import InvalidIntOrPercent, parse_int_or_percent
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="update-strategy",
    section="availability",
    severity="error",
    profiles=("recommended",),
    summary="updates are rolling and say how many pods they take",
    rationale=(
        "Recreate stops every pod before the first new one starts; OnDelete waits for somebody to delete "
        "pods. By default a quarter of the pods goes at once, which nobody has decided for this service."
    ),
    remediation=(
        "Start new pods before old ones stop:\nspec:\n  strategy:\n    type: RollingUpdate\n"
        "    rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy",
        "https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/",
        "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies",
    ),
    applies_to=("Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"),
)

_FIELDS = ("maxUnavailable", "maxSurge")
_ON_DELETE_BY_DEFAULT = {("DaemonSet", "extensions/v1beta1"), ("StatefulSet", "apps/v1beta1")}


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield the violations of one update strategy."""
    del context
    field = "strategy" if resource.kind_id == "Deployment.apps" else "updateStrategy"
    pointer = f"/spec/{field}"
    strategy = mapping(resource.spec.get(field))
    kind = strategy.get("type")
    by_default = ""
    if kind in (None, ""):
        is_old = (resource.kind, resource.api_version) in _ON_DELETE_BY_DEFAULT
        kind = "OnDelete" if is_old else "RollingUpdate"
        by_default = f" (the default of {resource.api_version})"
    if kind != "RollingUpdate":
        remediation = (
            None
            if field == "strategy"
            else "Set it:\nspec:\n  updateStrategy:\n    type: RollingUpdate"
        )
        yield Violation(
            f"{pointer}/type",
            f"{resource.kind} {resource.name} is updated by {quoted(kind)}{by_default}, not "
            "RollingUpdate",
            remediation=remediation,
            fix=_rolling_update(field, pointer, strategy),
        )
    elif field == "strategy":
        default = "1" if resource.api_version == "extensions/v1beta1" else "25%"
        rolling = mapping(strategy.get("rollingUpdate"))
        yield from _rolling(rolling, f"{pointer}/rollingUpdate", default)


def _rolling_update(field: str, pointer: str, strategy: dict[str, Any]) -> Fix:
    edits = [Edit(SET, f"{pointer}/type", "RollingUpdate")]
    if field == "strategy":
        edits += [
            Edit(SET, f"{pointer}/rollingUpdate/{name}", "25%")
            for name in _FIELDS
            if dig(strategy, "rollingUpdate", name) is None
        ]
    return Fix(tuple(edits), is_safe=False)


def _amount(default: str) -> int | str:
    return int(default) if default.isdigit() else default


def _rolling(rolling: dict[str, object], pointer: str, default: str) -> Iterator[Violation]:
    missing = [name for name in _FIELDS if rolling.get(name) is None]
    if missing:
        yield Violation(
            f"{pointer}/{missing[0]}" if len(missing) == 1 else pointer,
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set, which means "
            f"{default}",
            fix=Fix(tuple(Edit(SET, f"{pointer}/{name}", _amount(default)) for name in missing)),
        )
        return
    amounts = []
    for name in _FIELDS:
        try:
            amounts.append(parse_int_or_percent(rolling[name]).value)
        except InvalidIntOrPercent as error:
            yield Violation(f"{pointer}/{name}", f"{name} cannot be read: {error}")
    if amounts == [0, 0]:
        yield Violation(
            f"{pointer}/maxSurge",
            "maxUnavailable and maxSurge are both 0, so no pod could be replaced",
            fix=set_here("25%"),
        )
