"""A StatefulSet's governing Service exists, is headless and picks its pods.

Checked field: spec.serviceName. Wanted: a Service of that name in the namespace with clusterIP None
whose selector, where it has one, picks the pods. A StatefulSet without the field is a warning: the API
server has never required it, and the pods run, but have no names in DNS.
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of, pod_selector
from tidewaiter.rules.manifest.service import why_may_exist
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="stateful-service",
    section="stateful",
    severity="error",
    profiles=("recommended",),
    summary="the serviceName of a StatefulSet names a headless Service",
    rationale=(
        "The pods of a StatefulSet get their stable DNS names from a headless Service: without it "
        "they cannot find one another, and clusters of databases do not form."
    ),
    remediation=(
        "Add the Service and name it in spec.serviceName:\n"
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: database\n"
        "spec:\n  clusterIP: None\n  selector:\n    app: database\n"
        "  ports:\n    - name: postgres\n      port: 5432"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id",
        "https://kubernetes.io/docs/concepts/services-networking/service/#headless-services",
    ),
    applies_to=("StatefulSet.apps", "StatefulSet.apps.kruise.io"),
    needs_inventory=True,
)

_POINTER = "/spec/serviceName"


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield at most one violation."""
    name = resource.spec.get("serviceName")
    if name is None or name == "":
        yield Violation(
            _POINTER,
            f"StatefulSet {resource.name} has no serviceName, so its pods get no names in DNS",
            severity="warning",
        )
        return
    if not isinstance(name, str):
        return
    namespace = namespace_of(resource)
    service = context.inventory.get("Service", namespace, name)
    if service is None:
        reason = why_may_exist(context.inventory, namespace, name)
        message = f"there is no Service {name} in namespace {namespace}"
        if reason is None:
            yield Violation(_POINTER, message)
        else:
            yield Violation(_POINTER, f"{message}, but {reason}", unknown=True)
        return
    cluster_ip = service.spec.get("clusterIP")
    if cluster_ip != "None":
        shown = f"clusterIP: {cluster_ip}" if cluster_ip else "clusterIP is not set"
        yield Violation(_POINTER, f"Service {name} is not headless ({shown})")
        return
    selector = pod_selector(service)
    workload = resource.workload
    if selector is None or workload is None or selector.matches(workload.pod_labels):
        return
    yield Violation(_POINTER, f"Service {name} does not select the pods of {resource.name}")
