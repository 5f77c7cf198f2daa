"""A probe's port is one that is declared.

Restricted fields: httpGet.port, tcpSocket.port and grpc.port of livenessProbe, readinessProbe and
startupProbe. Allowed: the name of a port of the container; a number that it declares, or where it declares
none, another container of the pod (they share one network namespace). With hostNetwork any number will do:
to declare a port is to reserve it on the node. Knative fills in the port 8080, and a probe's port where it is left out or 0.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import items, mapping, quoted
from tidewaiter.rules.manifest.probe import PROBES, handler_of, port_numbers
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="probe-port",
    section="probes",
    severity="error",
    profiles=("recommended",),
    summary="a probe's port is one that the container declares",
    rationale=(
        "A probe to a port name that is not there fails for ever: the pod never gets ready, or is killed "
        "again and again. A number that nobody declares is often the port of yesterday."
    ),
    remediation=(
        "Declare the port and name it in the probe:\nports:\n  - {name: http, containerPort: 8080}\n"
        "readinessProbe:\n  httpGet: {path: /ready, port: http}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes",
        "https://kubernetes.io/docs/concepts/services-networking/",
    ),
    applies_to=(WORKLOAD,),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each probe whose port is not declared."""
    del context
    for container in workload.containers:
        for field in PROBES:
            handler = handler_of(mapping(container.spec.get(field)))
            if handler is None or handler[0] == "exec" or handler[1].get("host"):
                # With a host of its own a probe asks something else than this pod.
                continue
            kind, content = handler
            message = _problem(content.get("port"), container, workload)
            if message:
                yield Violation(
                    f"{container.pointer}/{field}/{kind}/port",
                    f"the {field} of container {container.name} {message}",
                    container.name,
                )


def _problem(port: object, container: Container, workload: Workload) -> str:
    if isinstance(port, str):
        named = port_numbers(container)
        if port in named:
            return ""
        if not _is_number(port):
            known = ", ".join(named) or "none"
            return f"asks the port {quoted(port)}, which it does not declare (named ports: {known})"
        port = int(port)
    if not isinstance(port, int) or isinstance(port, bool):
        # What is no port at all is for valid-quantity to report.
        return ""
    if workload.pod_spec.get("hostNetwork") is True:
        return ""
    own = _declared([container], workload)
    if own:
        return "" if port in own else f"asks the port {port}, which it does not declare"
    if port in _declared(workload.containers, workload):
        return ""
    return f"asks the port {port}, which no container of the pod declares"


def _is_number(port: str) -> bool:
    return port.isascii() and port.isdigit() and len(port) <= len("65535")


def _declared(containers: Sequence[Container], workload: Workload) -> set[object]:
    declared: set[object] = {
        port.get("containerPort")
        for container in containers
        for port, _ in items(container.spec.get("ports"), "")
        if isinstance(port.get("containerPort"), int)
    }
    if workload.kind_id.endswith(".serving.knative.dev"):
        # https://github.com/knative/specs/blob/main/specs/serving/runtime-contract.md
        return {*(declared or {8080}), 0}
    return declared
