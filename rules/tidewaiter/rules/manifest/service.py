"""Services: the ports that they offer, and why one may exist that no manifest shows.

https://kubernetes.io/docs/concepts/services-networking/service/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import sequence
from tidewaiter.rules.operators import pod_maker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource


def offers_port(service: Resource, port: int | str) -> bool:
    """Tell whether a Service has a port by number or, for a text, by name.

    A text of digits counts as a number too: Ingress controllers read old manifests so.
    """
    for entry in sequence(service.spec.get("ports")):
        if not isinstance(entry, dict):
            continue
        number = entry.get("port")
        if isinstance(port, int):
            if number == port:
                return True
        elif entry.get("name") == port or (port.isdecimal() and str(number) == port):
            return True
    return False


def shown_ports(service: Resource) -> str:
    """Name a Service's ports for a message: "80 (http), 443", or "none"."""
    shown = []
    for entry in sequence(service.spec.get("ports")):
        if isinstance(entry, dict):
            name = entry.get("name")
            shown.append(f"{entry.get('port')} ({name})" if name else f"{entry.get('port')}")
    return ", ".join(shown) or "none"


def why_may_exist(inventory: Inventory, namespace: str, name: str) -> str | None:
    """Say why a Service that is not in the inventory may exist all the same, or return None.

    The answer is a clause to put after "but".
    """
    if not inventory.complete:
        return "the other objects are not known"
    if (namespace, name) == ("default", "kubernetes"):
        return "the cluster makes it"
    if inventory.get("Service.serving.knative.dev", namespace, name) is not None:
        return f"the Knative Service {name} makes it"
    maker = pod_maker(inventory, namespace)
    if maker is None:
        return None
    return f"an operator may make it (custom resources here: {maker}, ...)"
