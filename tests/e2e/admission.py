"""The API server asks a running webhook: the configuration that sends reviews there."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.e2e.api_server import ApiServer

Object = dict[str, Any]

EVERYTHING = [
    {
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE", "DELETE"],
        "resources": ["*", "pods/ephemeralcontainers", "*/scale"],
        "scope": "*",
    }
]


def configuration(
    name: str,
    urls: Sequence[str],
    authority: bytes | None,
    *,
    namespaces: Sequence[str] = (),
    **fields: Any,
) -> Object:
    """Return a ValidatingWebhookConfiguration with one webhook a URL; without `namespaces` it is for all."""
    webhooks = []
    for number, url in enumerate(urls):
        client: Object = {"url": url}
        if authority is not None:
            client["caBundle"] = base64.b64encode(authority).decode()
        webhook = {
            "name": f"w{number}.tidewaiter.dev",
            "clientConfig": client,
            "rules": EVERYTHING,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 10,
            **fields,
        }
        if namespaces:
            webhook["namespaceSelector"] = {
                "matchExpressions": [
                    {
                        "key": "kubernetes.io/metadata.name",
                        "operator": "In",
                        "values": list(namespaces),
                    }
                ]
            }
        webhooks.append(webhook)
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": webhooks,
    }


@contextmanager
def configured(api_server: ApiServer, wanted: Object) -> Iterator[None]:
    """Have the API server ask a webhook while the block runs."""
    api_server.admin.create(wanted)
    try:
        yield
    finally:
        api_server.admin.delete(wanted)
