"""What Flux puts in for `${name}` in what a Kustomization builds, by its `postBuild`.

https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-variable-substitution
"""

from __future__ import annotations

import base64
import binascii
import re

from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-=])([^{}]*))?\}")


@record
class Variables:
    """The values of variables. Where these are not all, one without a value stays as it is written."""

    values: Mapping[str, str]
    are_all: bool

    def put_into(self, built: str) -> str:
        """Return what was built with the values in it."""
        return _VARIABLE.sub(self._value, built)

    def _value(self, found: re.Match[str]) -> str:
        name, _, default = found.groups()
        if name is None:
            return "${"  # it was escaped
        stated = self.values.get(name)
        if stated:
            return stated
        if default is not None:
            return str(default)
        return "" if self.are_all else found[0]


def variables_of(
    kustomization: Resource, known: Mapping[tuple[str, str, str], Resource]
) -> Variables | None:
    """Return the variables of a Flux Kustomization, None where it has none.

    `known` are the ConfigMaps and Secrets of the repository by kind, namespace and name.
    """
    post_build = mapping(kustomization.spec.get("postBuild"))
    if not post_build:
        return None
    values: dict[str, str] = {}
    are_all = True
    for each in map(mapping, sequence(post_build.get("substituteFrom"))):
        kind, name = text(each.get("kind")), text(each.get("name"))
        source = known.get((kind, kustomization.namespace or "", name))
        if source is None:
            are_all = False
        else:
            values |= content_of(source)
    values |= {key: _written(value) for key, value in mapping(post_build.get("substitute")).items()}
    return Variables(values, are_all)


def content_of(source: Resource) -> dict[str, str]:
    """Return the texts of a ConfigMap or Secret; what is encrypted or no text is left out."""
    data = mapping(source.object.get("data"))
    if source.kind != "Secret":
        return {key: value for key, value in data.items() if isinstance(value, str)}
    decoded: dict[str, str] = {}
    for key, value in data.items():
        try:
            decoded[key] = base64.b64decode(text(value), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    stated = mapping(source.object.get("stringData"))
    return decoded | {key: value for key, value in stated.items() if isinstance(value, str)}


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
