"""An autoscaler scales a workload that exists, and nothing else sets its number of replicas.

Restricted fields: spec.scaleTargetRef of HorizontalPodAutoscalers and KEDA ScaledObjects; spec.replicas of
what they scale. Allowed: the target is an object of the namespace that can be scaled, its API group is named,
and it leaves spec.replicas out.
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import remove_at
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, quoted
from tidewaiter.rules.manifest.scaling import HPA, SCALABLE, SCALED_OBJECT, target_of
from tidewaiter.rules.operators import may_make_pods, pod_maker
from tidewaiter.rules.rule import Rule
from tidewaiter.rules.scaling import scalers_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.scaling import Target
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="hpa-target",
    section="availability",
    severity="error",
    profiles=("recommended",),
    summary="an autoscaler's target exists and does not set replicas itself",
    rationale=(
        "Without its target an autoscaler does nothing and says so only in its status. Where the target's "
        "manifest sets replicas too, every rollout throws the number back, in the middle of a peak."
    ),
    remediation=(
        "Name the workload as it is called, and remove spec.replicas there:\n"
        "spec:\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: api"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/",
        "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#replicas",
    ),
    applies_to=(HPA, SCALED_OBJECT, *SCALABLE),
    needs_inventory=True,
)

_NOT_SCALABLE = ("DaemonSet.apps", "Job.batch", "CronJob.batch", "Pod", "Service")
_KINDS_OF_APPS = ("Deployment", "ReplicaSet", "StatefulSet")
_EXTENSIONS_UNTIL = (1, 16)
"""Where the group `extensions` lost its workloads."""


_LET_IT_SCALE = remove_at("/spec/replicas", safe=False)
"""Where the manifest is applied the number falls to 1 until the autoscaler has set its own."""


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for a scaler without a target, or a target that sets its replicas."""
    if resource.kind_id in {HPA, SCALED_OBJECT}:
        yield from _of_scaler(resource, context)
    elif resource.spec.get("replicas") is not None:
        for scaler in scalers_of(resource, context.inventory)[:1]:
            yield Violation(
                "/spec/replicas",
                f"{resource.kind} {resource.name} sets replicas to {resource.spec['replicas']}, and "
                f"{scaler.kind} {scaler.name} scales it",
                remediation="Remove replicas; the autoscaler sets the number.",
                fix=_LET_IT_SCALE,
            )


def _of_scaler(scaler: Resource, context: Context) -> Iterator[Violation]:
    inventory, namespace, target = context.inventory, namespace_of(scaler), target_of(scaler)
    pointer = "/spec/scaleTargetRef"
    if not target.kind_id or not target.name:
        missing = "name" if target.kind_id else "kind"
        yield Violation(f"{pointer}/{missing}", f"{scaler.kind} {scaler.name} names no target")
        return
    kind = target.kind_id.partition(".")[0]
    if target.kind_id in _NOT_SCALABLE:
        yield Violation(f"{pointer}/kind", f"a {kind} has no number of replicas to scale")
        return
    if _names_wrong_group(scaler, kind, context.version):
        stated = dig(scaler.spec, "scaleTargetRef", "apiVersion")
        yield Violation(
            f"{pointer}/apiVersion",
            f"there is no {kind} in "
            f"{quoted(stated) if stated else 'the core group, which an unset apiVersion means'}",
            remediation="Name the group:\nspec:\n  scaleTargetRef:\n    apiVersion: apps/v1",
        )
        return
    if inventory.get(target.kind_id, namespace, target.name) is not None:
        return
    unknown = _why_unknown(inventory, namespace, target)
    yield Violation(
        f"{pointer}/name",
        f"there is no {kind} {target.name} "
        + (f"here, but {unknown}" if unknown else f"in namespace {namespace}"),
        unknown=unknown is not None,
    )


def _names_wrong_group(scaler: Resource, kind: str, version: tuple[int, int]) -> bool:
    """Tell whether a workload of the group apps is looked for in another group of Kubernetes.

    The autoscaler looks in the group that is named, without apiVersion in the core group; which
    version of the group it is does not matter. KEDA takes apps where none is named.
    """
    stated = dig(scaler.spec, "scaleTargetRef", "apiVersion")
    if kind not in _KINDS_OF_APPS or not (stated is None or isinstance(stated, str)):
        return False
    if not stated:
        return scaler.kind_id == HPA
    group = stated.rpartition("/")[0]
    return not group or (group == "extensions" and version >= _EXTENSIONS_UNTIL)


def _why_unknown(inventory: Inventory, namespace: str, target: Target) -> str | None:
    """Say why a target that is not here may exist, as a clause to put after "but", or return None."""
    if not inventory.complete:
        return "the other objects are not known"
    if maker := pod_maker(inventory, namespace):
        return f"an operator may make it (custom resources here: {maker}, ...)"
    is_custom = target.kind_id not in SCALABLE and may_make_pods(target.kind_id)
    if is_custom and not inventory.of_kind(target.kind_id):
        return "its kind is a custom one, of which nothing else is here"
    return None
