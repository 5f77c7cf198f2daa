"""Reading single Secrets, and which of them a service account pulls images by."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text
from tidewaiter.rules.manifest.selector import dns_subdomain_problem
from tidewaiter.rules.signatures.pod_secrets import StoredSecret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.rules.cluster.client import Client


async def read_secret(client: Client, namespace: str, name: str) -> Mapping[str, bytes]:
    """Return a Secret's data, decoded. Raises ClusterError."""
    return _data(await _get(client, "secrets", namespace, name), namespace, name)


class PullSecretReader:
    """Reads what pods name; see `signatures.pod_secrets.ReadsPullSecrets`."""

    def __init__(self, client: Client) -> None:
        """Read by this access."""
        self._client = client

    async def secret(self, namespace: str, name: str) -> StoredSecret:
        """Return a Secret. Raises ClusterError."""
        found = await _get(self._client, "secrets", namespace, name)
        version = f"{dig(found, 'metadata', 'uid')}/{dig(found, 'metadata', 'resourceVersion')}"
        return StoredSecret(text(found.get("type")), _data(found, namespace, name), version)

    async def account(self, namespace: str, name: str) -> tuple[str, ...]:
        """Return the names of a service account's pull secrets. Raises ClusterError."""
        found = await _get(self._client, "serviceaccounts", namespace, name)
        names = (text(mapping(row).get("name")) for row in sequence(found.get("imagePullSecrets")))
        return tuple(dict.fromkeys(each for each in names if each))


async def _get(client: Client, resource: str, namespace: str, name: str) -> dict[str, Any]:
    """Read one object. A name may come from a pod, and must not become another path."""
    for part in (namespace, name):
        if dns_subdomain_problem(part):
            raise ClusterError(f"{part[:80]!r} is no name of an object")
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/{resource}/{quote(name, safe='')}"
    return mapping(await client.request("GET", path))


def _data(found: dict[str, Any], namespace: str, name: str) -> Mapping[str, bytes]:
    try:
        return {
            key: base64.b64decode(value, validate=True)
            for key, value in mapping(found.get("data")).items()
        }
    except (binascii.Error, TypeError, ValueError):
        raise ClusterError(f"Secret {namespace}/{name} is malformed") from None
