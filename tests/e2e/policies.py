"""What the tests of admission policies share."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.loading.resources import read_resources

if TYPE_CHECKING:
    from tests.e2e.client import Client
    from tidewaiter.rules.manifest.resource import Resource

_GROUP = "admissionregistration.k8s.io/v1"
POLICY = {"apiVersion": _GROUP, "kind": "ValidatingAdmissionPolicy"}
BINDING = {"apiVersion": _GROUP, "kind": "ValidatingAdmissionPolicyBinding"}
PATIENCE = 30.0
"""Seconds until the API server must have heard of a new policy; it takes about one."""
_WARNING = re.compile(
    r"299 - \"Validation failed for ValidatingAdmissionPolicy '([^']*)' with binding '[^']*': (.*)\"",
    re.DOTALL,
)


def resource_of(value: dict[str, Any]) -> Resource:
    """Return an object as if it had been read from a file."""
    return read_resources(json.dumps(value).encode(), "object.json", explicit=True).resources[0]


def policy_warnings(client: Client) -> set[tuple[str, str]]:
    """Return the policies' warnings on the last answer, as (policy, message)."""
    found = set()
    for header in client.warnings:
        match = _WARNING.fullmatch(header.encode("latin-1").decode())
        if match is not None:
            found.add((match[1], re.sub(r"\\(.)", r"\1", match[2]).strip()))
    return found


def warnings_until(client: Client, value: dict[str, Any], prefix: str = "") -> set[tuple[str, str]]:
    """Create an object without keeping it, until a policy warns of it; return the warnings.

    Those of policies whose names begin otherwise than with `prefix` do not count.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        client.create(value, dryRun="All")
        found = {each for each in policy_warnings(client) if each[0].startswith(prefix)}
        if found:
            return found
        time.sleep(0.2)
    msg = f"no policy has warned of {value['metadata']['name']}"
    raise AssertionError(msg)
