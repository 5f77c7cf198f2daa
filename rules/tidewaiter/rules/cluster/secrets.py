"""Reading one Secret."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.manifest.fields import mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.rules.cluster.client import Client


async def read_secret(client: Client, namespace: str, name: str) -> Mapping[str, bytes]:
    """Return a Secret's data, decoded. Raises ClusterError."""
    found = await client.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
    try:
        return {
            key: base64.b64decode(value, validate=True)
            for key, value in mapping(mapping(found).get("data")).items()
        }
    except (binascii.Error, TypeError, ValueError):
        raise ClusterError(f"Secret {namespace}/{name} is malformed") from None
