"""Which controller serves an Ingress, and what is known of that controller's own configuration.

Controllers are told apart by the IngressClass among the manifests, else by the usual name of the class,
else by the annotations that only one of them reads. Controllers with the same annotations or class names
go under one name: "nginx" stands for ingress-nginx and for NGINX's own controller.
https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import mapping, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

NGINX, HAPROXY, TRAEFIK, AWS, OPENSHIFT = "nginx", "haproxy", "traefik", "aws", "openshift"
KONG = "kong"

_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
_GROUP_ANNOTATION = "alb.ingress.kubernetes.io/group.name"
_CONTROLLERS = {
    "haproxy-ingress.github.io/controller": HAPROXY,
    "haproxy.org/ingress-controller": HAPROXY,
    "ingress-controllers.konghq.com/kong": KONG,
    "ingress.k8s.aws/alb": AWS,
    "eks.amazonaws.com/alb": AWS,
    "k8s.io/ingress-nginx": NGINX,
    "nginx.org/ingress-controller": NGINX,
    "openshift.io/ingress-to-route": OPENSHIFT,
    "traefik.io/ingress-controller": TRAEFIK,
}
"""`spec.controller` of an IngressClass, up to a suffix that some deployments add."""
_CLASS_NAMES = {
    "alb": AWS,
    "haproxy": HAPROXY,
    "ingress-nginx": NGINX,
    "kong": KONG,
    "nginx": NGINX,
    "openshift-default": OPENSHIFT,
    "traefik": TRAEFIK,
    "webapprouting.kubernetes.azure.com": NGINX,
}
_ANNOTATION_PREFIXES = {
    "alb.ingress.kubernetes.io": AWS,
    "haproxy-ingress.github.io": HAPROXY,
    "haproxy.com": HAPROXY,
    "haproxy.org": HAPROXY,
    "haproxy.router.openshift.io": OPENSHIFT,
    "konghq.com": KONG,
    "nginx.ingress.kubernetes.io": NGINX,
    "nginx.org": NGINX,
    "route.openshift.io": OPENSHIFT,
    "traefik.ingress.kubernetes.io": TRAEFIK,
}
_CONFIGURATIONS = {
    "haproxy-ingress": HAPROXY,
    "haproxy-kubernetes-ingress": HAPROXY,
    "ingress-nginx": NGINX,
    "ingress-nginx-controller": NGINX,
    "nginx-config": NGINX,
    "nginx-configuration": NGINX,
    "nginx-ingress": NGINX,
}
"""Names and app labels of the ConfigMaps that the projects' own manifests and charts make."""


def controller_of(ingress: Resource, inventory: Inventory) -> str | None:
    """Name the controller of an Ingress by one of the constants here; None where it is not known."""
    name, found = class_name(ingress), ingress_class(ingress, inventory)
    if found is not None:
        controller = text(found.spec.get("controller"))
        return next(
            (value for key, value in _CONTROLLERS.items() if controller.startswith(key)), None
        )
    if name in _CLASS_NAMES:
        return _CLASS_NAMES[name]
    if name:
        return None
    controllers = {
        _ANNOTATION_PREFIXES[prefix]
        for key in ingress.annotations
        if (prefix := key.partition("/")[0]) in _ANNOTATION_PREFIXES
    }
    return controllers.pop() if len(controllers) == 1 else None


def class_name(ingress: Resource) -> str:
    """Return the name of an Ingress's class, or an empty text where it leaves that to the default."""
    stated = text(ingress.spec.get("ingressClassName"))
    return stated or text(ingress.annotations.get(_CLASS_ANNOTATION))


def ingress_class(ingress: Resource, inventory: Inventory) -> Resource | None:
    """Return the IngressClass of an Ingress, or without a name the default one, where it is known."""
    name = class_name(ingress)
    if name:
        return inventory.find("IngressClass.networking.k8s.io", name)
    classes = inventory.once(_default_classes)
    return classes[0] if len(classes) == 1 else None


def is_part_of_another(ingress: Resource) -> bool:
    """Tell whether an Ingress takes what concerns the host from another: a canary or a minion."""
    annotations = ingress.annotations
    return (
        annotations.get("nginx.ingress.kubernetes.io/canary") in ("true", True)
        or annotations.get("nginx.org/mergeable-ingress-type") == "minion"
    )


def is_configured_alone(ingress: Resource, inventory: Inventory) -> bool:
    """Tell whether what AWS's load balancer does for an Ingress is said by its annotations only.

    Otherwise other Ingresses of its group, or the parameters of its class, may say it.
    """
    if _GROUP_ANNOTATION in ingress.annotations:
        return False
    found = ingress_class(ingress, inventory)
    return found is not None and not found.spec.get("parameters")


def configuration(inventory: Inventory, controller: str) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the data of a controller's ConfigMap where the manifests hold just one."""
    found = inventory.once(_configurations).get(controller, [])
    return found[0] if len(found) == 1 else None


def _configurations(inventory: Inventory) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    by_controller: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for resource in inventory.of_kind("ConfigMap"):
        controller = _CONFIGURATIONS.get(resource.name)
        if controller is not None:
            data = mapping(resource.object.get("data"))
            by_controller.setdefault(controller, []).append((resource.name, data))
    return by_controller


def _default_classes(inventory: Inventory) -> list[Resource]:
    return [
        resource
        for resource in inventory.of_kind("IngressClass.networking.k8s.io")
        if resource.annotations.get(_DEFAULT_ANNOTATION) in ("true", True)
    ]
