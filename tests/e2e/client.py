"""A client of the Kubernetes API, as small as the end-to-end tests need it."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Object = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Refused(Exception):
    """The API server answered with an error: `code` is the HTTP status, `status` the Status object.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
    """

    def __init__(self, code: int, status: Object) -> None:
        super().__init__(f"{code}: {status.get('message', status)}")
        self.code = code
        self.status = status


class Client:
    """Speaks for one user. Every method returns the parsed answer and raises Refused for an error.

    `impersonated` are headers by which it speaks for somebody else. Keywords are query parameters of the API: `dryRun="All"`, `fieldValidation="Strict"`. The warnings of the
    last answer are in `warnings`.
    """

    def __init__(
        self, url: str, token: str, ca_file: Path, impersonated: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._address = urlsplit(url).netloc
        self._headers = [("Authorization", f"Bearer {token}"), *impersonated]
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._resources: dict[str, dict[str, Object]] = {}
        self.warnings: list[str] = []

    def create(self, manifest: Object, **query: str) -> Object:
        """POST the object."""
        return self.request("POST", self._collection(manifest), manifest, **query)

    def read(self, manifest: Object, **query: str) -> Object:
        """GET the object that has the apiVersion, kind, namespace and name of `manifest`."""
        return self.request("GET", self._path(manifest), None, **query)

    def list_objects(self, manifest: Object, **query: str) -> list[Object]:
        """GET all objects of the apiVersion, kind and namespace of `manifest`."""
        items: list[Object] = self.request("GET", self._collection(manifest), None, **query)[
            "items"
        ]
        return items

    def replace(self, manifest: Object, **query: str) -> Object:
        """PUT the object."""
        return self.request("PUT", self._path(manifest), manifest, **query)

    def apply(self, manifest: Object, **query: str) -> Object:
        """PATCH or create the object by server-side apply."""
        query = {"fieldManager": "tidewaiter-tests", "force": "true", **query}
        return self.request("PATCH", self._path(manifest), manifest, content_type=APPLY, **query)

    def patch(self, manifest: Object, change: Object, **query: str) -> Object:
        """PATCH the object that `manifest` names with a JSON merge patch."""
        return self.request("PATCH", self._path(manifest), change, content_type=MERGE, **query)

    def delete(self, manifest: Object, **query: str) -> Object:
        """DELETE the object that `manifest` names."""
        return self.request("DELETE", self._path(manifest), None, **query)

    def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        content_type: str = "application/json",
        **query: str,
    ) -> Object:
        """Send one request. An answer that is not JSON, such as that of /readyz, comes as its `message`."""
        connection = http.client.HTTPSConnection(self._address, timeout=60, context=self._tls)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.putrequest(method, f"{path}?{urlencode(query)}")
            for header, value in (*self._headers, ("Content-Type", content_type)):
                connection.putheader(header, value)
            connection.putheader("Content-Length", str(len(content or b"")))
            connection.endheaders(content)
            answer = connection.getresponse()
            told = answer.read()
            self.warnings = answer.headers.get_all("Warning", [])
        finally:
            connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        parsed: Object = json.loads(told) if is_json else {"message": told.decode()}
        if answer.status >= 400:
            raise Refused(answer.status, parsed)
        return parsed

    def _path(self, manifest: Object) -> str:
        return f"{self._collection(manifest)}/{manifest['metadata']['name']}"

    def _collection(self, manifest: Object) -> str:
        """Return the path of the kind's resource, in the object's namespace where it has one."""
        version = manifest["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        resource = self._kinds(root).get(manifest["kind"])
        if resource is None:
            # A CustomResourceDefinition may have come since.
            del self._resources[root]
            resource = self._kinds(root)[manifest["kind"]]
        if not resource["namespaced"]:
            return f"{root}/{resource['name']}"
        namespace = manifest.get("metadata", {}).get("namespace", "default")
        return f"{root}/namespaces/{namespace}/{resource['name']}"

    def _kinds(self, root: str) -> dict[str, Object]:
        """Return the resources of a group and version by kind, from the server's discovery."""
        if root not in self._resources:
            found = self.request("GET", root)["resources"]
            self._resources[root] = {
                each["kind"]: each for each in found if "/" not in each["name"]
            }
        return self._resources[root]
