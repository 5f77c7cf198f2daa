"""Workloads, and the kinds that the policy adds, have the labels that the policy lists.

Restricted field: metadata.labels of the object itself, not of its pod template. Allowed: each label is there and
not empty. An object that a controller owns is its owner's matter.
https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.required_metadata import is_judged, missing_keys
from tidewaiter.rules.rule import ANY, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="required-labels",
    section="hygiene",
    severity="warning",
    profiles=(),
    summary="every workload has the labels that the policy lists",
    rationale=(
        "Dashboards, cost reports and whoever is called at night find what belongs together by labels; an "
        "object without them is found by nobody, and nobody knows whose it is."
    ),
    remediation=(
        "Label the object itself:\nmetadata:\n  labels:\n    app.kubernetes.io/name: payments-api"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/",
    ),
    applies_to=(ANY,),
    parameters=(
        Parameter(
            "labels",
            "strings",
            ("app.kubernetes.io/name",),
            "the keys of the labels that have to be there",
            stricter="more",
        ),
        Parameter(
            "kinds",
            "strings",
            (),
            "kinds that need them beside workloads, as Kind or Kind.group, such as Service or "
            "Ingress.networking.k8s.io, or * for every object",
            stricter="more",
        ),
    ),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for the labels that an object lacks."""
    parameters = context.parameters
    if not parameters["labels"] or not is_judged(resource, parameters["kinds"]):
        return
    missing = missing_keys(resource.labels, parameters["labels"])
    if missing:
        what = "label" if len(missing) == 1 else "labels"
        yield Violation(
            "/metadata/labels",
            f"{resource.kind} {resource.name} has no {what} {', '.join(missing)}",
            remediation="Label the object itself:\nmetadata:\n  labels:\n"
            + "\n".join(f"    {key}: {_EXAMPLES.get(key, '...')}" for key in missing),
        )


_EXAMPLES = {
    "app.kubernetes.io/name": "payments-api",
    "app.kubernetes.io/instance": "payments-api-live",
    "app.kubernetes.io/version": '"1.4.2"',
    "app.kubernetes.io/component": "api",
    "app.kubernetes.io/part-of": "payments",
    "app.kubernetes.io/managed-by": "kustomize",
}
