"""An image registry on loopback for tests: real HTTP, and as honest as a test wants it."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Hook = Callable[[str, str, dict[str, str]], Reply | None]
"""Given the method, path with query and headers, answers in the registry's place or lets it answer."""


class RegistryServer:
    """Holds what was pushed; `hooks` are asked first, in turn."""

    def __init__(
        self,
        *,
        referrers_api: bool = True,
        delay: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.referrers_api = referrers_api
        self.delay = delay
        self.page_size = 1000
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.hooks: list[Hook] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        # How long a test waits at its end for the server to notice that it is over.
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def listen_on_ipv6(self) -> Listener:
        """Serve the same on ::1. Raises OSError where there is no such address."""
        return Listener(_handler(self))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.seen]

    def push_blob(self, repository: str, content: bytes) -> dict[str, Any]:
        self.blobs[repository, digest_of(content)] = content
        return {"digest": digest_of(content), "size": len(content)}

    def push_manifest(self, repository: str, document: dict[str, Any], tag: str = "") -> str:
        content = json.dumps(document).encode()
        digest = digest_of(content)
        self.manifests[repository, digest] = content
        if tag:
            self.manifests[repository, tag] = content
        return digest

    def push_image(self, repository: str, text: str = "", tag: str = "v1") -> str:
        """Push an image whose one layer is named by a text; return its digest."""
        layer = self.push_blob(repository, text.encode() or repository.encode())
        config = self.push_blob(repository, b"{}")
        return self.push_manifest(
            repository,
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **layer}],
            },
            tag,
        )

    def push_index(self, repository: str, digests: list[str], tag: str = "v1") -> str:
        platforms = ["amd64", "arm64", "s390x"]
        return self.push_manifest(
            repository,
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "manifests": [
                    {
                        "mediaType": MANIFEST,
                        "digest": digest,
                        "size": len(self.manifests[repository, digest]),
                        "platform": {"os": "linux", "architecture": platforms[at % 3]},
                    }
                    for at, digest in enumerate(digests)
                ],
            },
            tag,
        )

    def push_referrer(self, repository: str, subject: str, document: dict[str, Any]) -> str:
        """Push a manifest about another, and list it at the fallback tag if there is no API."""
        digest = self.push_manifest(
            repository,
            {"subject": {"mediaType": MANIFEST, "digest": subject, "size": 1}, **document},
        )
        if not self.referrers_api:
            tag = subject.replace(":", "-")
            index = json.loads(self.manifests.get((repository, tag), b'{"manifests": []}'))
            index["manifests"].append({"mediaType": MANIFEST, "digest": digest, "size": 1})
            self.push_manifest(repository, {"schemaVersion": 2, "mediaType": INDEX, **index}, tag)
        return digest

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Reply:
        self.seen.append((method, path, headers))
        if self.delay:
            time.sleep(self.delay)
        for hook in self.hooks:
            reply = hook(method, path, headers)
            if reply is not None:
                return reply
        return self._answer(path)

    def _answer(self, path: str) -> Reply:
        parts = urlsplit(path)
        if parts.path in {"/v2/", "/v2"}:
            return Reply(200, b"{}", {"Content-Type": "application/json"})
        for kind in ("/manifests/", "/blobs/", "/referrers/", "/tags/list"):
            before, found, name = parts.path.partition(kind)
            if found and before.startswith("/v2/"):
                return self._serve(kind, before.removeprefix("/v2/"), name, parts.query)
        return Reply(404)

    def _serve(self, kind: str, repository: str, name: str, query: str) -> Reply:
        if kind == "/manifests/":
            content = self.manifests.get((repository, name))
            if content is None:
                return Reply(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
            served = (
                json.loads(content).get("mediaType", MANIFEST) if len(content) < 10**6 else MANIFEST
            )
            return Reply(
                200,
                content,
                {"Content-Type": served, "Docker-Content-Digest": digest_of(content)},
            )
        if kind == "/blobs/":
            blob = self.blobs.get((repository, name))
            return Reply(404) if blob is None else Reply(200, blob)
        if kind == "/tags/list":
            return self._page(
                sorted(t for r, t in self.manifests if r == repository and ":" not in t),
                "tags",
                f"/v2/{repository}/tags/list",
                query,
                {"name": repository},
            )
        if not self.referrers_api:
            return Reply(404)
        return self._page(
            [
                {"mediaType": MANIFEST, "digest": digest, "size": len(content)}
                for (held, digest), content in self.manifests.items()
                if held == repository
                and ":" in digest
                and json.loads(content).get("subject", {}).get("digest") == name
            ],
            "manifests",
            f"/v2/{repository}/referrers/{name}",
            query,
            {"schemaVersion": 2, "mediaType": INDEX},
        )

    def _page(
        self, entries: list[Any], key: str, path: str, query: str, more: dict[str, Any]
    ) -> Reply:
        start = int(parse_qs(query).get("last", ["0"])[0])
        end = start + self.page_size
        headers = {"Content-Type": INDEX if key == "manifests" else "application/json"}
        if end < len(entries):
            headers["Link"] = f'<{path}?last={end}>; rel="next"'
        return Reply(200, json.dumps({**more, key: entries[start:end]}).encode(), headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """A client that goes away is part of some tests."""


class Listener:
    """One more place where a registry is served."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = _ServerOnIPv6(("::1", 0), handler)
        # How long a test waits at its end for the server to notice that it is over.
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()
        self.host = f"[::1]:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _ServerOnIPv6(_Server):
    address_family = socket.AF_INET6


def _handler(registry: RegistryServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            self._reply("GET")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            headers_body = self.rfile.read(length).decode()
            self.headers["X-Body"] = headers_body
            self._reply("POST")

        def _reply(self, method: str) -> None:
            reply = registry.answer(method, self.path, dict(self.headers.items()))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    return Handler


def basic_auth(username: str, password: str) -> Hook:
    """Demand a user name and password."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()

    def hook(_: str, __: str, headers: dict[str, str]) -> Reply | None:
        if headers.get("Authorization") == f"Basic {pair}":
            return None
        return Reply(401, headers={"WWW-Authenticate": 'Basic realm="test"'})

    return hook


def token_auth(realm: str, token: str, repository: str) -> Hook:
    """Demand a token that is had at another place."""

    def hook(_: str, path: str, headers: dict[str, str]) -> Reply | None:
        if path == "/v2/" or headers.get("Authorization") == f"Bearer {token}":
            return None
        scope = f"repository:{repository}:pull"
        challenge = f'Bearer realm="{realm}",service="registry.test",scope="{scope}"'
        return Reply(401, headers={"WWW-Authenticate": challenge})

    return hook
