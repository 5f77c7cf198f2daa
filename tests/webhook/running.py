"""A real server process with TLS on a free port of the loopback interface, and a client of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.e2e.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STARTUP = 30.0


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Webhook:
    """A running server."""

    def __init__(
        self, process: subprocess.Popen[bytes], authority: Authority, folder: Path, port: int
    ) -> None:
        self.process = process
        self.authority = authority
        self.folder = folder
        self.port = port
        self.tls = ssl.create_default_context(cafile=authority.certificate)

    def connect(self, timeout: float = 20) -> ssl.SSLSocket:
        """Return a TLS connection, for what no client of HTTP would send."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        return self.tls.wrap_socket(plain, server_hostname="127.0.0.1")

    def client(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=20)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request on a connection of its own."""
        client = self.client()
        try:
            client.request(method, path, body, headers or {})
            response = client.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            client.close()

    def post(self, path: str, value: object, **headers: str) -> Answer:
        """Send JSON."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.request("POST", path, body, {"content-type": "application/json", **headers})

    def review(self, value: dict[str, Any], **request: Any) -> dict[str, Any]:
        """Send an object for review and return the response."""
        answer = self.post("/validate", review_of(value, **request))
        assert answer.status == 200, answer
        response: dict[str, Any] = answer.json["response"]
        return response

    def metric(self, metric: str, /, **labels: str) -> float:
        """Return the sum of the series of a metric that have these labels."""
        total = 0.0
        for line in self.request("GET", "/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == metric and all(
                f'{key}="{wanted}"' in series for key, wanted in labels.items()
            ):
                total += float(value)
        return total

    @property
    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The lines of the audit log on stdout, without one that is being written."""
        *lines, _ = (self.folder / "stdout").read_bytes().split(b"\n")
        return [json.loads(line) for line in lines]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Ask the server to end, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def running(
    folder: Path,
    *options: str,
    tls: bool = True,
    stdout: int = -1,
    authority: Authority | None = None,
    **environment: str,
) -> Iterator[Webhook]:
    """Run a server until the block is left; `folder` takes its files, its stdout too if that is not stated.

    Its certificate is issued by `authority`, or by one of its own.
    """
    authority = authority or Authority(folder)
    pair = authority.issue("server", folder)
    command = [sys.executable, "-m", "tidewaiter.webhook", "--bind", "127.0.0.1:0"]
    if tls:
        command += ["--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)]
    if "--inventory" not in options:
        command += ["--inventory", "none"]
    if "--drain-grace" not in options:
        command += ["--drain-grace", "0s"]
    command += ["--reload-interval", "100ms", *options]
    with (folder / "stdout").open("wb") as file, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file if stdout < 0 else stdout,
            stderr=stderr,
            cwd=folder,
            env={**os.environ, **environment},
        )
    try:
        yield Webhook(process, authority, folder, _port(process, folder / "stderr"))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def until(condition: Any, timeout: float = 10.0) -> None:
    """Wait until something holds; fail where it does not in time."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come to hold in time"
        time.sleep(0.02)


def review_of(value: dict[str, Any], **request: Any) -> dict[str, Any]:
    """Return an AdmissionReview that creates an object."""
    group, _, version = value["apiVersion"].rpartition("/")
    metadata = value.get("metadata", {})
    asked = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "operation": "CREATE",
        "kind": {"group": group, "version": version, "kind": value["kind"]},
        "namespace": metadata.get("namespace", "shop"),
        "name": metadata.get("name", ""),
        "object": value,
        "userInfo": {"username": "jane", "groups": ["system:authenticated"]},
        **request,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}


def pod(**container: Any) -> dict[str, Any]:
    """Return a pod with one container."""
    spec = {"containers": [{"name": "app", "image": "registry.example/app:1.0", **container}]}
    metadata = {"name": "web", "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def config_map(name: str = "settings", **data: str) -> dict[str, Any]:
    """Return an object that nothing is wrong with."""
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


PRIVILEGED = pod(securityContext={"privileged": True})


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until the server says where it listens."""
    end = time.monotonic() + STARTUP
    while time.monotonic() < end:
        text = log.read_text()
        _, found, rest = text.partition("listening on ")
        if found and "\n" in rest:
            return int(rest.split("\n")[0].rpartition(":")[2].rstrip('"}'))
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"the server did not start (exit code {process.poll()}):\n{log.read_text()}")
