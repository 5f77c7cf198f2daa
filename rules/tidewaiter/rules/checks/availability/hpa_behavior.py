"""An autoscaler waits before it takes replicas away.

Restricted field: spec.behavior.scaleDown.stabilizationWindowSeconds of HorizontalPodAutoscalers. Allowed: any
number above 0, or scaleDown.selectPolicy Disabled. autoscaling/v1 has no field for it: an autoscaler with the
annotation in which the API server keeps it there is passed over.
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#stabilization-window
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.fields import dig
from tidewaiter.rules.manifest.scaling import HPA
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="hpa-behavior",
    section="availability",
    severity="info",
    summary="an autoscaler states how long it waits before it scales down",
    rationale=(
        "After a peak the next one often follows. How long its replicas are kept is a choice between cost "
        "and slow answers, and the default of five minutes has been made for nobody in particular; with 0 "
        "the number of replicas swings with every dip of the metric."
    ),
    remediation=(
        "Say how long the highest number counts, and how fast it may fall:\napiVersion: autoscaling/v2\n"
        "kind: HorizontalPodAutoscaler\nspec:\n  behavior:\n    scaleDown:\n"
        "      stabilizationWindowSeconds: 300\n      policies:\n"
        "        - {type: Percent, value: 25, periodSeconds: 60}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#stabilization-window",
        "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/",
    ),
    applies_to=(HPA,),
)

_POINTER = "/spec/behavior/scaleDown/stabilizationWindowSeconds"
_KEPT_IN_V1 = "autoscaling.alpha.kubernetes.io/behavior"
_WITH_FIELD = ("autoscaling/v2", "autoscaling/v2beta2")
_DEFAULT = 300
"""What the controller waits where nothing is stated."""
_BEHAVIOR_SINCE = (1, 18)
"""The first version with the field, in autoscaling/v2beta2."""


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation where no stabilization window for scaling down is stated."""
    if context.version < _BEHAVIOR_SINCE or _KEPT_IN_V1 in resource.annotations:
        return
    scale_down = dig(resource.spec, "behavior", "scaleDown")
    if dig(scale_down, "selectPolicy") == "Disabled":
        return
    seconds = dig(scale_down, "stabilizationWindowSeconds")
    if seconds is None:
        yield Violation(
            _POINTER,
            f"{resource.kind} {resource.name} sets no behavior.scaleDown.stabilizationWindowSeconds",
            fix=set_here(_DEFAULT) if resource.api_version in _WITH_FIELD else None,
        )
    elif seconds == 0 and seconds is not False:
        yield Violation(
            _POINTER,
            f"{resource.kind} {resource.name} has a stabilization window of 0 s, which means none",
            fix=set_here(_DEFAULT, safe=False),
        )
