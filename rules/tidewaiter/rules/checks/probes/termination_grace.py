"""Pods have the time to stop, and more than their preStop hooks take.

Restricted fields: terminationGracePeriodSeconds of the pod, which is 30 where it is left out;
lifecycle.preStop of containers and sidecars. Allowed: at least the policy's minimum, and more than a hook
sleeps, by the sleep action or by a command that says so. Knative sets the grace itself and is left out.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.fields import whole_number
from tidewaiter.rules.manifest.stop_hook import DEFAULT_GRACE_SECONDS, least_seconds, stop_hook
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="termination-grace",
    section="probes",
    severity="warning",
    summary="the termination grace period is long enough, and longer than the preStop hooks",
    rationale=(
        "When the grace period is over the containers are killed, with whatever requests, messages and "
        "writes they still hold. Its time runs from the start of the preStop hook: a hook that takes all of "
        "it leaves the process none to stop in."
    ),
    remediation=(
        "Give pods the time of the hook and that of the longest request:\nspec:\n"
        "  terminationGracePeriodSeconds: 45\n  containers:\n    - name: app\n"
        "      lifecycle:\n        preStop:\n          sleep: {seconds: 10}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination",
        "https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "minimum",
            "integer",
            DEFAULT_GRACE_SECONDS,
            "the shortest grace period in seconds",
            minimum=1,
            stricter="more",
        ),
    ),
    tags=("anti-pattern",),
)

_FIELD = "terminationGracePeriodSeconds"


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield a violation for a grace period that is too short, and for each hook that takes all of it."""
    if workload.kind_id.endswith(".serving.knative.dev"):
        return
    stated = workload.pod_spec.get(_FIELD)
    grace = DEFAULT_GRACE_SECONDS if stated is None else whole_number(stated)
    if grace is None:
        return
    minimum = context.parameters["minimum"]
    if grace < minimum:
        resource = workload.resource
        state = f"{_FIELD} {grace}" if stated is not None else f"no {_FIELD}, which means {grace}"
        yield Violation(
            f"{workload.pod_pointer}/{_FIELD}",
            f"{resource.kind} {resource.name} has {state}: the grace is too short, at least {minimum} s "
            "are asked for",
            fix=set_here(minimum, safe=False),
        )
    for container in workload.containers:
        hook = stop_hook(container) if container.is_regular or container.is_sidecar else None
        seconds = least_seconds(hook) if hook else 0
        if seconds and seconds >= grace:
            yield Violation(
                f"{container.pointer}/lifecycle/preStop",
                f"the preStop hook of container {container.name} takes {seconds:g} s, and the grace is too "
                f"short for it: {_FIELD} is {grace}{'' if stated is not None else ' by default'}",
                container.name,
            )
