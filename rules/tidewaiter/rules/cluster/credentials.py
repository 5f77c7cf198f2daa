"""How a client says who it is: bearer tokens, passwords and exec plugins.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from tidewaiter.rules.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TOKEN_AGE = 60.0
"""Seconds after which a token file is read again: service account tokens rotate."""
EXEC_TIMEOUT = 60.0
_EXEC_VERSIONS = frozenset(
    {"client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"}
)


class Credentials(Protocol):
    """Gives the headers that authenticate a request; may block, so ask it outside an event loop."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers of now; raises ClusterError where they cannot be had."""
        ...

    def refuse(self) -> None:
        """Forget what is kept, because the server has answered 401."""
        ...


@dataclass(frozen=True, slots=True)
class FixedHeaders:
    """Credentials that never change: a token, a password, or none beside a certificate."""

    values: Mapping[str, str] = field(repr=False, default_factory=dict)

    def headers(self) -> Mapping[str, str]:
        """Return them."""
        return self.values

    def refuse(self) -> None:
        """Keep them: there are no others."""


def basic(username: str, password: str) -> FixedHeaders:
    """Return credentials of RFC 7617."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return FixedHeaders({"Authorization": f"Basic {pair}"})


def bearer(token: str) -> FixedHeaders:
    """Return credentials of RFC 6750."""
    return FixedHeaders({"Authorization": f"Bearer {token}"})


@dataclass(slots=True)
class TokenFile:
    """A bearer token in a file, read again each minute."""

    path: str
    _token: str = field(default="", repr=False)
    _read_at: float = 0.0

    def headers(self) -> Mapping[str, str]:
        """Return the token as it stands in the file, at most a minute ago."""
        now = time.monotonic()
        if not self._token or now - self._read_at >= TOKEN_AGE:
            try:
                with open(self.path, encoding="utf-8") as file:
                    self._token = file.read().strip()
            except (OSError, ValueError) as error:
                raise ClusterError("the token cannot be read", file=self.path) from error
            if not self._token:
                raise ClusterError("the token is empty", file=self.path)
            self._read_at = now
        return {"Authorization": f"Bearer {self._token}"}

    def refuse(self) -> None:
        """Read the file at the next request."""
        self._token = ""


@dataclass(slots=True)
class ExecPlugin:
    """A program that prints an ExecCredential, run again when that expires.

    https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
    `load_certificate` takes the certificate and key (PEM) that the program may give in place of a token. `hint`
    says how the program is installed where it is missing.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    api_version: str
    file: str
    load_certificate: Callable[[str, str], None]
    cluster: Mapping[str, Any] | None = None
    hint: str = ""
    _headers: Mapping[str, str] | None = field(default=None, repr=False)
    _expires: float | None = None

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the last run, or of a new one where that has expired."""
        if self._headers is None or (self._expires is not None and time.time() >= self._expires):
            self._take(self._run())
        return self._headers or {}

    def refuse(self) -> None:
        """Run the program at the next request."""
        self._headers = None

    def _run(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"interactive": False}
        if self.cluster is not None:
            spec["cluster"] = dict(self.cluster)
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}
        environment = {**os.environ, **self.environment, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            # The command is the user's own, named in the user's kubeconfig.
            done = subprocess.run(  # noqa: S603
                self.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=EXEC_TIMEOUT,
                check=False,
            )
        except FileNotFoundError as error:
            raise self._error(f"is not installed. {self.hint}".rstrip(". ")) from error
        except (OSError, ValueError) as error:
            raise self._error("cannot be run") from error
        except subprocess.TimeoutExpired as error:
            raise self._error(f"has not ended after {EXEC_TIMEOUT:g} s") from error
        if done.returncode:
            raise self._error(f"ended with code {done.returncode}")
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
            raise self._error("printed no ExecCredential")
        if answer.get("apiVersion") != self.api_version:
            raise self._error(f"printed another version than {self.api_version}")
        return answer

    def _take(self, answer: dict[str, Any]) -> None:
        status = answer.get("status")
        status = status if isinstance(status, dict) else {}
        token = status.get("token")
        pair = status.get("clientCertificateData"), status.get("clientKeyData")
        if isinstance(pair[0], str) and isinstance(pair[1], str) and all(pair):
            try:
                self.load_certificate(pair[0], pair[1])
            except (OSError, ValueError) as error:
                raise self._error("gave a certificate and key that cannot be used") from error
        elif not isinstance(token, str) or not token:
            raise self._error("gave neither a token nor a certificate with its key")
        self._expires = self._expiry(status.get("expirationTimestamp"))
        has_token = isinstance(token, str) and token
        self._headers = {"Authorization": f"Bearer {token}"} if has_token else {}

    def _expiry(self, value: object) -> float | None:
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError as error:
            raise self._error("gave an expirationTimestamp that is no RFC 3339 time") from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def _error(self, what: str) -> ClusterError:
        return ClusterError(f"the exec plugin {self.command[0]!r} {what}", file=self.file)


def exec_version_known(api_version: object) -> bool:
    """Say whether we speak this version of the ExecCredential API."""
    return api_version in _EXEC_VERSIONS
