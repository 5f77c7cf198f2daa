"""A kube-apiserver with its etcd, on free ports of the loopback interface."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.e2e.certificates import Authority, signing_key
from tests.e2e.client import Client, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.e2e.binaries import Binaries

STARTUP = 120.0
"""Seconds until the API server must be ready; it takes about 5 on an idle machine."""

_GUARD = """\
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
(read -r _ <&3; kill -KILL "$program") &
watcher=$!
wait "$program"
code=$?
kill "$watcher"
exit "$code"
"""
"""Runs a program until it ends or standard input does: none outlives the tests, even where these are killed.

What the program stored is thrown away, so it is not asked to end in order.
"""


class ApiServer(NamedTuple):
    """A running API server: where it is, and how to speak to it.

    No controller runs beside it: a Deployment gets no pods, and a deleted namespace stays `Terminating`.
    """

    url: str
    ca_file: Path
    token: str
    """Of an administrator, in the group system:masters."""
    user_token: str
    """Of the user `jane`, who may do nothing but what a test's RBAC objects allow."""
    kubeconfig: Path
    """For kubectl, as the administrator."""
    authority: Authority
    """Issues the certificate of a webhook that the API server shall trust."""

    @property
    def admin(self) -> Client:
        """Return a client that speaks for the administrator."""
        return Client(self.url, self.token, self.ca_file)

    @property
    def user(self) -> Client:
        """Return a client that speaks for the user `jane`."""
        return Client(self.url, self.user_token, self.ca_file)


class Cluster:
    """An API server and its etcd, each of which may be ended and started again on the same port."""

    def __init__(
        self,
        server: ApiServer,
        etcd_url: str,
        etcd: Sequence[str],
        command: Sequence[str],
        folder: Path,
    ) -> None:
        self.server = server
        self._etcd_url = etcd_url
        self._etcd_command = etcd
        self._command = command
        self._folder = folder
        self._etcd_started = ExitStack()
        self._started = ExitStack()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start both, and end them however the block is left."""
        with self._etcd_started, self._started:
            self.start_etcd()
            self.start()
            yield

    def start_etcd(self) -> None:
        """Start etcd, with what it had stored."""
        log = self._folder / "etcd.log"
        self._etcd_started.enter_context(_running(self._etcd_command, log))

    def stop_etcd(self) -> None:
        """End etcd at once, as a crash does."""
        self._etcd_started.close()

    def lose_data(self) -> None:
        """Throw away what etcd has stored, while neither runs."""
        shutil.rmtree(self._folder / "etcd")

    def start(self) -> None:
        """Start the API server and wait until it is ready."""
        log = self._folder / "kube-apiserver.log"
        process = self._started.enter_context(_running(self._command, log))
        _wait_until_ready(self.server, process, self._folder)

    def stop(self) -> None:
        """End the API server at once, as a crash does."""
        self._started.close()

    def compact(self) -> None:
        """Make etcd forget every state but the present one."""
        revision = self._etcd("maintenance/status", {})["header"]["revision"]
        self._etcd("kv/compaction", {"revision": revision, "physical": True})

    def _etcd(self, method: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self._etcd_url}/v3/{method}", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def running_api_server(
    programs: Binaries, folder: Path, flags: Sequence[str] = ()
) -> Iterator[ApiServer]:
    """Start etcd and the API server and end both, however the block is left; see `running_cluster`."""
    with running_cluster(programs, folder, flags) as cluster:
        yield cluster.server


@contextmanager
def running_cluster(
    programs: Binaries, folder: Path, flags: Sequence[str] = ()
) -> Iterator[Cluster]:
    """Start etcd and the API server and end both, however the block is left.

    `folder` takes their files and must be empty; `flags` are added to those of the API server. Raises
    RuntimeError with the end of the log where one of them ends or is not ready in time.
    """
    authority = Authority(folder)
    etcd_url, peer_url, port = _loopback(), _loopback(), free_port()
    server = ApiServer(
        url=f"https://127.0.0.1:{port}",
        ca_file=authority.certificate,
        token=secrets.token_hex(),
        user_token=secrets.token_hex(),
        kubeconfig=folder / "kubeconfig",
        authority=authority,
    )
    _write_kubeconfig(server)
    etcd = (
        str(programs.etcd),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={etcd_url}",
        f"--advertise-client-urls={etcd_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    kube_apiserver = (
        str(programs.kube_apiserver),
        f"--etcd-servers={etcd_url}",
        f"--secure-port={port}",
        *_api_server_flags(server, folder),
        *flags,
    )
    cluster = Cluster(server, etcd_url, etcd, kube_apiserver, folder)
    with cluster.running():
        yield cluster


def _api_server_flags(server: ApiServer, folder: Path) -> list[str]:
    tokens = folder / "tokens.csv"
    tokens.write_text(
        f'{server.token},admin,admin,"system:masters"\n{server.user_token},jane,jane\n',
        encoding="utf-8",
    )
    pair, key = server.authority.issue("kube-apiserver"), signing_key(folder)
    return [
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--cert-dir={folder}",
        f"--tls-cert-file={pair.certificate}",
        f"--tls-private-key-file={pair.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={tokens}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=RBAC",
        # It would wait for a controller, which does not run, to make each namespace's default account.
        "--disable-admission-plugins=ServiceAccount",
    ]


def _wait_until_ready(server: ApiServer, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + STARTUP
    client = server.admin
    while process.poll() is None and time.monotonic() < end:
        try:
            client.request("GET", "/readyz")
            return
        except (OSError, Refused):
            time.sleep(0.1)
    state = "is not ready" if process.poll() is None else f"ended with {process.returncode}"
    logs = "\n".join(
        f"{log.name}:\n{log.read_text(errors='replace')[-3000:]}"
        for log in (folder / "etcd.log", folder / "kube-apiserver.log")
    )
    raise RuntimeError(f"kube-apiserver {state}\n{logs}")


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its output in `log`; end it, and only it, when the block is left."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ("sh", "-c", _GUARD, "guard", *command),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Leaving the block closes the pipe, which ends the program, and waits for that.
    with process:
        yield process


def _write_kubeconfig(server: ApiServer) -> None:
    cluster = {"server": server.url, "certificate-authority": str(server.ca_file)}
    context = {"cluster": "e2e", "user": "admin"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "e2e",
        "clusters": [{"name": "e2e", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": server.token}}],
        "contexts": [{"name": "e2e", "context": context}],
    }
    server.kubeconfig.write_text(json.dumps(content), encoding="utf-8")


def _loopback() -> str:
    return f"http://127.0.0.1:{free_port()}"


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens at."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port
