"""Registries are logged in to by the Secrets that a policy names, as long as they can be read."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping

from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.signatures.credentials import Keychain, Login
from tidewaiter.rules.signatures.pull_secrets import PullSecrets


def config(registry: str, user: str) -> bytes:
    auth = base64.b64encode(f"{user}:secret".encode()).decode()
    return json.dumps({"auths": {registry: {"auth": auth}}}).encode()


SECRETS = {
    "shop": {".dockerconfigjson": config("registry.example", "shop")},
    "broken": {".dockerconfigjson": b"no json"},
    "other": {"password": b"x"},
}


def logins(*names: str) -> tuple[list[Login | None], int]:
    asked = 0

    async def read(namespace: str, name: str) -> Mapping[str, bytes]:
        nonlocal asked
        asked += 1
        assert namespace == "keys"
        if name not in SECRETS:
            raise ClusterError("there is no such Secret")
        return SECRETS[name]

    async def run() -> list[Login | None]:
        rows = [{"namespace": "keys", "name": name} for name in names]
        keychain = Keychain().after(PullSecrets(rows, read))
        return [
            await keychain.login("registry.example", "shop/api"),
            await keychain.login("elsewhere.example", "shop/api"),
        ]

    return asyncio.run(run()), asked


def test_a_secret_has_the_login_of_its_registry_and_is_read_once() -> None:
    (own, elsewhere), asked = logins("shop")
    assert own is not None
    assert (own.username, elsewhere, asked) == ("shop", None, 1)


def test_what_cannot_be_read_is_passed_over() -> None:
    (own, _), _ = logins("absent", "broken", "other", "shop")
    assert own is not None
    assert logins("absent")[0] == [None, None]
