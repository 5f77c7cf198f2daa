"""The environment of a container: its variables and the whole objects it takes in.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidewaiter.rules.manifest.workload import Container

_LONGEST = 4096


@record
class Variable:
    """One entry of `env` at JSON pointer `pointer`.

    `value` is its literal, "" where it has none. `secret` and `key` name what a `secretKeyRef` reads,
    `config_map` the ConfigMap of a `configMapKeyRef` of the same `key`; each "" where there is none.
    """

    name: str
    value: str
    pointer: str
    secret: str = ""
    config_map: str = ""
    key: str = ""


@record
class WholeSource:
    """One entry of `envFrom`: all keys of a Secret or ConfigMap become variables.

    `kind` is "Secret" or "ConfigMap", `pointer` the place of its name, `prefix` what stands before
    each key.
    """

    kind: str
    name: str
    prefix: str
    pointer: str


def variables_of(container: Container) -> Iterator[Variable]:
    """Yield the entries of `env` that have a name, in their order."""
    for entry, place in items(container.spec.get("env"), f"{container.pointer}/env"):
        name = text(entry.get("name"))
        if not name:
            continue
        secret = mapping(dig(entry, "valueFrom", "secretKeyRef"))
        config_map = mapping(dig(entry, "valueFrom", "configMapKeyRef"))
        yield Variable(
            name,
            text(entry.get("value")),
            place,
            text(secret.get("name")),
            text(config_map.get("name")),
            text(secret.get("key")) or text(config_map.get("key")),
        )


def expand(value: str, known: Mapping[str, str]) -> str:
    """Return a value with `$(NAME)` replaced where the variable is known, cut to 4,096 characters.

    Kubernetes replaces the variables that stand before; what it does not know it leaves as it is.
    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """
    first, *parts = value.split("$(")
    expanded = [first]
    for part in parts:
        name, closed, rest = part.partition(")")
        if closed and name in known:
            expanded += (known[name], rest)
        else:
            expanded += ("$(", part)
    # Values that double each other would be longer than any memory.
    return "".join(expanded)[:_LONGEST]


def whole_sources_of(container: Container) -> Iterator[WholeSource]:
    """Yield the entries of `envFrom` that name a Secret or a ConfigMap, optional ones too."""
    for entry, place in items(container.spec.get("envFrom"), f"{container.pointer}/envFrom"):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            name = text(dig(entry, field, "name"))
            if name:
                yield WholeSource(kind, name, text(entry.get("prefix")), f"{place}/{field}/name")
