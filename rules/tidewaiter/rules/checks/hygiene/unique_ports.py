"""The ports of a pod are told apart by number and by name.

Restricted fields: ports[*] of containers and of initContainers that keep running (sidecars); other init
containers run alone. A number may stand once with each protocol, unless host ports or host addresses
tell the entries apart. A name is an IANA service name (RFC 6335 section 5.1) and stands once in a pod.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#ports
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import items, text
from tidewaiter.rules.manifest.selector import port_name_problem
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="unique-ports",
    section="hygiene",
    severity="error",
    profiles=("recommended",),
    summary="no container port stands twice in a pod, by number and protocol or by name",
    rationale=(
        "The containers of a pod share one network: the second to listen on a port fails to start. Of "
        "two ports with one name a Service reaches the first only."
    ),
    remediation=(
        "Give each port its own number and name:\n"
        "ports:\n  - name: http\n    containerPort: 8080\n  - name: metrics\n    containerPort: 9090"
    ),
    references=(
        "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#ports",
        "https://www.rfc-editor.org/rfc/rfc6335#section-5.1",
    ),
    applies_to=(WORKLOAD,),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each port that stands again, and for each name that is none."""
    del context
    numbers: dict[tuple[int, str], list[tuple[Container, dict[str, Any]]]] = {}
    names: dict[str, Container] = {}
    for container in workload.containers:
        runs_along = not container.is_init or container.is_sidecar
        for port, pointer in items(container.spec.get("ports"), f"{container.pointer}/ports"):
            name = text(port.get("name"))
            problem = port_name_problem(name) if name else None
            if problem is not None:
                yield Violation(
                    f"{pointer}/name",
                    f"container {container.name} names a port {name!r}: a port's name {problem}",
                    container.name,
                )
            if not runs_along:
                continue
            if name and name in names:
                yield Violation(
                    f"{pointer}/name",
                    f"container {container.name} names a port {name!r}, as {_owner(names[name], container)}",
                    container.name,
                )
            elif name:
                names[name] = container
            number, protocol = port.get("containerPort"), text(port.get("protocol")) or "TCP"
            if not isinstance(number, int) or isinstance(number, bool):
                continue
            others = numbers.setdefault((number, protocol), [])
            taken = next((owner for owner, other in others if not _differ(port, other)), None)
            if taken is not None:
                yield Violation(
                    f"{pointer}/containerPort",
                    f"container {container.name} has port {number}/{protocol}, as "
                    f"{_owner(taken, container)}",
                    container.name,
                )
            others.append((container, port))


def _owner(owner: Container, container: Container) -> str:
    return "it has already" if owner is container else f"container {owner.name} has already"


def _differ(port: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two entries with one number are two ways to it from the host."""
    if not (port.get("hostPort") and other.get("hostPort")):
        return False
    if port["hostPort"] != other["hostPort"]:
        return True
    addresses = port.get("hostIP"), other.get("hostIP")
    return all(addresses) and addresses[0] != addresses[1]
