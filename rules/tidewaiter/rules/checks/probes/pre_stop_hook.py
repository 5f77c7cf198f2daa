"""Containers behind a Service wait before they stop.

Restricted field: lifecycle.preStop of the containers and sidecars of long-running workloads to which a Service
sends traffic: those that declare its target port, or where none does, any one of the pod. Allowed: an exec,
httpGet or sleep handler. Whether a Service selects the pods is not known from a single file.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-flow
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.fields import dig, items, text, whole_number
from tidewaiter.rules.manifest.replica_set import is_replica_set_of_its_own
from tidewaiter.rules.manifest.stop_hook import DEFAULT_GRACE_SECONDS, stop_hook
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

    Port = tuple[str | int, str]
    """A name or a number, and the protocol."""

RULE = Rule(
    name="pre-stop-hook",
    section="probes",
    severity="warning",
    summary="containers behind a Service have a preStop hook",
    rationale=(
        "A pod is told to stop at the same moment as it is taken out of its Services, and it takes seconds "
        "until every node and load balancer knows. What they send until then meets a process that no longer "
        "listens: each rollout and scale-down shows users errors."
    ),
    remediation=(
        'Let it serve on for a while; before Kubernetes 1.30 by exec: {command: [sleep, "10"]}:\n'
        "lifecycle:\n  preStop:\n    sleep: {seconds: 10}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-flow",
        "https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
)


_SECONDS = 5
_SLEEP_SINCE = (1, 30)
"""The first version in which the sleep action is on by default (KEP-3960)."""
_WAIT = set_here({"sleep": {"seconds": _SECONDS}}, safe=False)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container that gets traffic and has no hook."""
    if not workload.is_long_running and not is_replica_set_of_its_own(workload):
        return
    serving = [one for one in workload.containers if one.is_regular or one.is_sidecar]
    lacking = {one.pointer: state for one in serving if (state := _lack(one))}
    if not lacking:
        return
    services = [
        service
        for service in context.inventory.selecting("Service", workload)
        if service.spec.get("type") != "ExternalName"
    ]
    if services:
        yield from _behind(services, workload, serving, lacking, context.version)
    elif not context.inventory.complete:
        first = next(one for one in serving if one.pointer in lacking)
        yield Violation(
            f"{workload.pod_pointer}/containers",
            f"container {first.name} has {lacking[first.pointer]}; whether a Service sends traffic to "
            f"{_named(workload)} is not known",
            unknown=True,
        )


def _behind(
    services: Sequence[Resource],
    workload: Workload,
    serving: Sequence[Container],
    lacking: dict[str, str],
    version: tuple[int, int],
) -> Iterator[Violation]:
    told: set[str] = set()
    grace = workload.pod_spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)
    can_wait = version >= _SLEEP_SINCE and (whole_number(grace) or 0) > _SECONDS
    declaring = _declaring(serving)
    regular = [one for one in serving if one.is_regular]
    for service in services:
        for target in _targets(service):
            if isinstance(target[0], str) and target not in declaring:
                # A name that nobody declares leads nowhere.
                continue
            # A number need not be declared, and any container may listen there.
            asked = declaring.get(target, regular)
            if len(asked) == 1 or target in declaring:
                for container in asked:
                    if container.pointer in lacking and container.pointer not in told:
                        told.add(container.pointer)
                        yield Violation(
                            f"{container.pointer}/lifecycle/preStop",
                            f"container {container.name} is behind Service {service.name}, but has "
                            f"{lacking[container.pointer]}",
                            container.name,
                            fix=_WAIT if can_wait else None,
                        )
            elif asked and all(one.pointer in lacking for one in asked) and not told:
                told.update(one.pointer for one in asked)
                yield Violation(
                    f"{workload.pod_pointer}/containers",
                    f"{_named(workload)} is behind Service {service.name}, but none of its containers has "
                    "a preStop hook",
                )


def _lack(container: Container) -> str:
    """Say what a container has instead of a hook that waits, or nothing where it has one."""
    hook = stop_hook(container)
    if hook is None:
        stated = dig(container.spec, "lifecycle", "preStop")
        return "a preStop hook that does nothing" if stated else "no preStop hook"
    if hook[0] == "sleep" and whole_number(hook[1].get("seconds")) == 0:
        return "a preStop hook that sleeps 0 s"
    return ""


def _targets(service: Resource) -> Iterator[Port]:
    """Yield the target of each port, and for a headless Service without any the number 0."""
    ports = False
    for port, _ in items(service.spec.get("ports"), ""):
        ports = True
        target = port.get("targetPort") or port.get("port")
        if isinstance(target, str | int):
            yield target, text(port.get("protocol")) or "TCP"
    if not ports:
        yield 0, "TCP"


def _declaring(containers: Sequence[Container]) -> dict[Port, list[Container]]:
    """Return the containers that declare each port, by its name and by its number."""
    declaring: dict[Port, list[Container]] = {}
    for container in containers:
        for port, _ in items(container.spec.get("ports"), ""):
            for target in (port.get("name"), port.get("containerPort")):
                if target and isinstance(target, str | int):
                    key = (target, text(port.get("protocol")) or "TCP")
                    declaring.setdefault(key, []).append(container)
    return declaring


def _named(workload: Workload) -> str:
    return f"{workload.resource.kind} {workload.resource.name}"
