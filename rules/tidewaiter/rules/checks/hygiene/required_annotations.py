"""Workloads, and the kinds that the policy adds, have the annotations that the policy lists.

Restricted field: metadata.annotations of the object itself, not of its pod template. Allowed: each annotation is
there and not empty. Without a list there is nothing to ask for. An object that a controller owns is its owner's
matter.
https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/
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
    name="required-annotations",
    section="hygiene",
    severity="warning",
    profiles=(),
    summary="every workload has the annotations that the policy lists, if it lists any",
    rationale=(
        "Who owns a workload, where its runbook is and which service tier it has is known on the day it is "
        "written; without a place where everybody looks it is searched for in the middle of an outage."
    ),
    remediation=(
        "Annotate the object itself:\nmetadata:\n  annotations:\n    example.com/owner: team-payments"
    ),
    references=("https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/",),
    applies_to=(ANY,),
    parameters=(
        Parameter(
            "annotations",
            "strings",
            (),
            "the keys of the annotations that have to be there; without any the rule is off",
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
    """Yield one violation for the annotations that an object lacks."""
    parameters = context.parameters
    if not parameters["annotations"] or not is_judged(resource, parameters["kinds"]):
        return
    missing = missing_keys(resource.annotations, parameters["annotations"])
    if missing:
        what = "annotation" if len(missing) == 1 else "annotations"
        yield Violation(
            "/metadata/annotations",
            f"{resource.kind} {resource.name} has no {what} {', '.join(missing)}",
            remediation="Annotate the object itself:\nmetadata:\n  annotations:\n"
            + "\n".join(f"    {key}: ..." for key in missing),
        )
