"""The middlewares that an Ingress has Traefik put before its services.

https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/
"""

from __future__ import annotations

from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

MIDDLEWARES_ANNOTATION = "traefik.ingress.kubernetes.io/router.middlewares"
_KINDS = ("Middleware.traefik.io", "Middleware.traefik.containo.us")
_PROVIDER = "@kubernetescrd"


def middlewares(ingress: Resource, inventory: Inventory) -> Iterator[dict[str, Any] | None]:
    """Yield the spec of each middleware of an Ingress, chains resolved; None for one that is not here."""
    for reference in text(ingress.annotations.get(MIDDLEWARES_ANNOTATION)).split(","):
        reference = reference.strip()
        if not reference:
            continue
        found: Resource | None = None
        if reference.endswith(_PROVIDER):
            name = reference.removesuffix(_PROVIDER)
            for kind in _KINDS:
                found = found or next(iter(inventory.lookup(kind, None, _references, name)), None)
        yield from _resolved(found, inventory, set())


def _resolved(
    middleware: Resource | None, inventory: Inventory, seen: set[tuple[str, str]]
) -> Iterator[dict[str, Any] | None]:
    if middleware is None:
        yield None
        return
    key = (namespace_of(middleware), middleware.name)
    if key in seen:
        return
    seen.add(key)
    chain = dig(middleware.spec, "chain", "middlewares")
    if chain is None:
        yield middleware.spec
        return
    for entry in sequence(chain):
        fields = mapping(entry)
        namespace = text(fields.get("namespace")) or namespace_of(middleware)
        found = inventory.get(middleware.kind_id, namespace, text(fields.get("name")))
        yield from _resolved(found, inventory, seen)


def _references(middleware: Resource) -> tuple[str, ...]:
    """Return how annotations name a middleware, by the older form and by that of safeNaming."""
    namespace, name = namespace_of(middleware), middleware.name
    return f"{namespace}-{name}", f"{namespace}_{name}"
