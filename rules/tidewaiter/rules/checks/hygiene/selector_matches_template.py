"""A controller's selector matches the pods that it makes.

Restricted fields: spec.selector against the labels of the pod template. In apps/v1 and apps/v1beta2 the
selector must be there; older versions and ReplicationControllers take it from the template. A Job's
selector is generated, unless spec.manualSelector says otherwise.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import escape, mapping
from tidewaiter.rules.manifest.selector import InvalidSelector, parse_map_selector, parse_selector
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.selector import Selector
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

_REQUIRED_IN = frozenset({"apps/v1", "apps/v1beta2"})

RULE = Rule(
    name="selector-matches-template",
    section="hygiene",
    severity="error",
    profiles=("recommended",),
    summary="a controller's selector matches the labels of its pod template",
    rationale=(
        "The API server refuses a controller whose selector is missing or does not match its own pods; "
        "where it lets one pass, the controller makes pods without end and never counts them."
    ),
    remediation=(
        "Repeat the template's labels in the selector:\n"
        "spec:\n  selector:\n    matchLabels: {app.kubernetes.io/name: api}\n  template:\n    metadata:\n"
        "      labels: {app.kubernetes.io/name: api}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/",
    ),
    applies_to=(
        "Deployment.apps",
        "StatefulSet.apps",
        "DaemonSet.apps",
        "ReplicaSet.apps",
        "ReplicationController",
        "Job.batch",
        "Rollout.argoproj.io",
        "CloneSet.apps.kruise.io",
        "StatefulSet.apps.kruise.io",
        "DaemonSet.apps.kruise.io",
    ),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each label or expression that the template does not satisfy."""
    del context
    workload = resource.workload
    if workload is None:
        return
    if resource.kind_id == "Job.batch" and resource.spec.get("manualSelector") is not True:
        return
    written = resource.spec.get("selector")
    if not written and written not in (None, {}):
        return
    if not written:
        if resource.api_version in _REQUIRED_IN:
            state = "no selector" if written is None else "an empty selector"
            yield Violation(
                "/spec/selector", f"{resource.kind} {resource.name} has {state}, so it has no pods"
            )
        return
    try:
        if resource.kind_id == "ReplicationController":
            selector, prefix = parse_map_selector(written), "/spec/selector"
        else:
            selector, prefix = parse_selector(written), "/spec/selector/matchLabels"
    except InvalidSelector:
        return  # what is wrong with it is for label-selector-valid
    if not selector.matches(workload.pod_labels):
        yield from _mismatches(selector, workload, mapping(written), prefix)


def _mismatches(
    selector: Selector, workload: Workload, written: dict[str, object], prefix: str
) -> Iterator[Violation]:
    resource = workload.resource
    labels = workload.pod_labels
    who = f"{resource.kind} {resource.name}"
    stated = written if prefix == "/spec/selector" else mapping(written.get("matchLabels"))
    for key, value in selector.equalities:
        if labels.get(key) == value or (value == "" and key in labels and labels[key] is None):
            continue
        has = f"{key}={labels[key]}" if key in labels else f"no label {key}"
        place = f"{prefix}/{escape(key)}" if key in stated else "/spec/selector/matchExpressions"
        yield Violation(place, f"{who} selects {key}={value}, its pod template has {has}")
    for key, operator, values in selector.expressions:
        if not type(selector)((), ((key, operator, values),)).matches(labels):
            has = f"{key}={labels[key]}" if key in labels else f"no label {key}"
            wanted = " ".join([key, operator, *values])
            yield Violation(
                "/spec/selector/matchExpressions",
                f"{who} selects {wanted}, its pod template has {has}",
            )
