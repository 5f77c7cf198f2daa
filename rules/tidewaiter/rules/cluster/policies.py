"""The policies that are objects of a cluster, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cluster.client import Refused

if TYPE_CHECKING:
    from tidewaiter.rules.cluster.client import Client

_API = "/apis/tidewaiter.dev/v1"
_NOT_THERE = 404


async def read_policies(client: Client) -> list[dict[str, Any]]:
    """Return all ClusterPolicies and Policies; none where they are not defined. Raises ClusterError."""
    found: list[dict[str, Any]] = []
    for plural in ("clusterpolicies", "policies"):
        rows: list[dict[str, Any]] = []
        try:
            async for page in client.pages(f"{_API}/{plural}"):
                if page.number == 0:
                    rows.clear()
                rows += page.items
        except Refused as refused:
            if refused.status != _NOT_THERE:
                raise
        found += rows
    return found
