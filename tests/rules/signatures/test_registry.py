"""What the registry client does with registries that are guarded, busy, split, mirrored or broken."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import stat
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rules.signatures.conftest import verdict_of
from tests.rules.signatures.registry_server import (
    RegistryServer,
    Reply,
    basic_auth,
    digest_of,
    token_auth,
)
from tests.rules.signatures.registry_tls import tls_of
from tests.rules.signatures.signing import (
    key_bundle,
    keys,
    payload,
    push_bundle,
    push_simple,
    signed_payload,
    statement,
)
from tests.rules.signatures.sigstore_world import Authority
from tidewaiter.rules.errors import InputError, RegistryError
from tidewaiter.rules.signatures import credential_helper
from tidewaiter.rules.signatures import registry as registry_module
from tidewaiter.rules.signatures import transport as transport_module
from tidewaiter.rules.signatures.addresses import reach
from tidewaiter.rules.signatures.authority import KeyAuthority
from tidewaiter.rules.signatures.challenge import challenges
from tidewaiter.rules.signatures.credentials import (
    DockerConfig,
    Keychain,
    Login,
    pull_secret,
    usual_keychain,
)
from tidewaiter.rules.signatures.registry import RegistryClient, RegistrySettings, Repository
from tidewaiter.rules.signatures.registry_errors import (
    AccessDenied,
    BadAnswer,
    NotFound,
    Unreachable,
)

T = TypeVar("T")


def ask(
    read: Callable[[RegistryClient], Awaitable[T]],
    settings: RegistrySettings | None = None,
    keychain: Keychain | None = None,
) -> T:
    async def run() -> T:
        async with RegistryClient(settings, keychain) as client:
            return await read(client)

    return asyncio.run(run())


def manifest(registry: RegistryServer, path: str = "app", tag: str = "v1", **more: Any) -> str:
    repository = Repository(registry.host, path)
    return ask(lambda client: client.manifest(repository, tag), **more).digest


def login(registry: RegistryServer, **entry: str) -> Keychain:
    return Keychain([DockerConfig({"auths": {registry.host: entry}})])


@pytest.fixture
def other() -> Iterator[RegistryServer]:
    server = RegistryServer()
    yield server
    server.close()


# Who one is.


def test_a_password_is_shown_when_it_is_asked_for(registry: RegistryServer) -> None:
    digest = registry.push_image("app")
    registry.hooks.append(basic_auth("ann", "secret"))
    keychain = login(registry, username="ann", password="secret")
    assert manifest(registry, keychain=keychain) == digest
    with pytest.raises(AccessDenied, match="wants credentials for app"):
        manifest(registry)
    with pytest.raises(AccessDenied):
        manifest(registry, keychain=login(registry, username="ann", password="wrong"))


def test_a_token_is_had_once_for_a_repository(
    registry: RegistryServer, other: RegistryServer
) -> None:
    digest = registry.push_image("app")
    registry.hooks.append(token_auth(f"http://{other.host}/token", "t0ken", "app"))
    other.hooks.append(lambda *_: Reply(200, b'{"token": "t0ken", "expires_in": 300}'))

    async def twice(client: RegistryClient) -> list[str]:
        repository = Repository(registry.host, "app")
        return [(await client.manifest(repository, tag)).digest for tag in ("v1", "v1")]

    keychain = login(registry, username="ann", password="secret")
    assert ask(twice, keychain=keychain) == [digest, digest]
    assert len(other.seen) == 1
    _, path, headers = other.seen[0]
    assert path == "/token?service=registry.test&scope=repository%3Aapp%3Apull"
    assert headers["Authorization"] == Login("ann", "secret").basic


def test_an_identity_token_is_exchanged(registry: RegistryServer, other: RegistryServer) -> None:
    digest = registry.push_image("app")
    registry.hooks.append(token_auth(f"http://{other.host}/token", "t0ken", "app"))
    other.hooks.append(lambda *_: Reply(200, b'{"access_token": "t0ken"}'))
    assert manifest(registry, keychain=login(registry, identitytoken="refresh")) == digest
    method, _, headers = other.seen[0]
    assert method == "POST"
    assert "grant_type=refresh_token&refresh_token=refresh" in headers["X-Body"]


def test_a_token_that_is_refused_is_an_access_denied(
    registry: RegistryServer, other: RegistryServer
) -> None:
    registry.push_image("app")
    registry.hooks.append(token_auth(f"http://{other.host}/token", "t0ken", "app"))
    other.hooks.append(lambda *_: Reply(200, b'{"token": "another"}'))
    with pytest.raises(AccessDenied):
        manifest(registry)
    other.hooks.insert(0, lambda *_: Reply(401))
    with pytest.raises(AccessDenied, match="gives no token"):
        manifest(registry)
    registry.hooks[:] = [token_auth("http://10.0.0.1/token", "t0ken", "app")]
    with pytest.raises(BadAnswer, match="must not be spoken to"):
        manifest(registry)


def test_what_says_who_one_is_does_not_follow_a_redirect(
    registry: RegistryServer, other: RegistryServer
) -> None:
    content = b"blob"
    registry.push_blob("app", content)
    registry.hooks.append(basic_auth("ann", "secret"))
    registry.hooks.append(
        lambda _, path, __: (
            Reply(307, headers={"Location": f"http://{other.host}/stored?sig=1"})
            if "/blobs/" in path
            else None
        )
    )
    other.hooks.append(lambda *_: Reply(200, content))
    repository = Repository(registry.host, "app")
    read = ask(
        lambda client: client.blob(repository, digest_of(content)),
        keychain=login(registry, username="ann", password="secret"),
    )
    assert read == content
    assert "Authorization" in registry.seen[-1][2]
    assert all("Authorization" not in headers for _, _, headers in other.seen)


@pytest.mark.parametrize(
    "target", ["http://[::1", "ftp://x", "//", "http://é.test/", "http://a:b@c.test/"]
)
def test_a_redirect_to_no_address_is_refused(registry: RegistryServer, target: str) -> None:
    encoded = target.encode("utf-8").decode("latin-1")
    registry.hooks.append(
        lambda _, path, __: Reply(302, headers={"Location": encoded}) if "/blobs/" in path else None
    )
    repository = Repository(registry.host, "app")
    with pytest.raises(BadAnswer, match="redirects"):
        ask(lambda client: client.blob(repository, digest_of(b"")))


def test_redirects_end(registry: RegistryServer) -> None:
    registry.hooks.append(
        lambda _, path, __: Reply(302, headers={"Location": path}) if "/blobs/" in path else None
    )
    repository = Repository(registry.host, "app")
    with pytest.raises(BadAnswer, match="redirects more than"):
        ask(lambda client: client.blob(repository, digest_of(b"")))


def test_a_login_is_found_by_host_path_and_pattern() -> None:
    config = DockerConfig(
        {
            "auths": {
                "https://index.docker.io/v1/": {"username": "hub", "password": "1"},
                "registry.test": {"username": "host", "password": "1"},
                "registry.test/team": {"username": "team", "password": "1"},
                "*.cloud.test": {"username": "cloud", "password": "1"},
                "https://Shop.Test:443/v2/web": {"username": "shop", "password": "1"},
            }
        }
    )

    def user(registry: str, repository: str = "x/y") -> str | None:
        found = asyncio.run(config.login(registry, repository))
        return found.username if found else None

    assert user("docker.io") == "hub"
    assert user("registry.test") == "host"
    assert user("registry.test", "team/app") == "team"
    assert user("registry.test", "teams/app") == "host"
    assert user("eu.cloud.test") == "cloud"
    assert user("a.eu.cloud.test") is None
    assert user("registry.test.evil.test") is None
    assert user("cloud.test") is None
    assert user("SHOP.test", "web/app") == user("shop.test:443", "web") == "shop"
    assert user("shop.test", "api") is None


def test_a_pull_secret_of_kubernetes_is_read() -> None:
    import base64

    auth = base64.b64encode(b"ann:pass:word").decode()
    document = json.dumps({"auths": {"registry.test": {"auth": auth}}})
    found = asyncio.run(
        pull_secret({".dockerconfigjson": document.encode()}).login("registry.test", "app")
    )
    assert found == Login("ann", "pass:word")
    assert "pass:word" not in repr(found)
    with pytest.raises(InputError, match="is no JSON"):
        pull_secret({".dockerconfigjson": b"%"})
    older = {".dockercfg": json.dumps({"registry.test": {"auth": auth}}).encode()}
    assert asyncio.run(pull_secret(older).login("registry.test", "app")) == found
    helpers = json.dumps({"credsStore": "evil", "credHelpers": {"registry.test": "evil"}})
    named = pull_secret({".dockerconfigjson": helpers.encode()})
    assert asyncio.run(named.login("registry.test", "app")) is None


def test_a_credential_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        "#!/bin/sh\nread server\n"
        'case "$server" in\n'
        """known.test) echo '{"ServerURL": "", "Username": "ann", "Secret": "s"}';;\n"""
        """token.test) echo '{"ServerURL": "", "Username": "<token>", "Secret": "s"}';;\n"""
        "empty.test) echo 'credentials not found in native keychain'; exit 1;;\n"
        "*) echo secret-in-words; exit 1;;\nesac\n"
    )
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    config = DockerConfig({"credsStore": "test"})

    def found(registry: str) -> Login | None:
        return asyncio.run(config.login(registry, "app"))

    assert found("known.test") == Login("ann", "s")
    assert found("token.test") == Login("", "", "s")
    assert found("empty.test") is None
    with pytest.raises(RegistryError, match="ended with code 1") as caught:
        found("broken.test")
    assert "secret-in-words" not in str(caught.value)
    with pytest.raises(RegistryError, match="docker-credential-absent cannot be run"):
        asyncio.run(DockerConfig({"credHelpers": {"a.test": "absent"}}).login("a.test", "x"))
    with pytest.raises(InputError, match="no name of a credential helper"):
        DockerConfig({"credsStore": "../evil"})


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("sleep 60 & sleep 60", "has not ended after 0.5 s"),
        ("yes", "prints more than 1048576 bytes"),
        ("head -c 100 /dev/urandom", "printed no credentials"),
        ("echo '[1]'", "printed no credentials"),
        ("exec 0<&-; echo '{}'", "printed no credentials"),
    ],
)
def test_a_credential_helper_that_fails_is_said_and_ended(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
    script: str,
    expected: str,
) -> None:
    helper = tmp_path / "docker-credential-odd"
    helper.write_text(f"#!/bin/sh\n{script}\n")
    helper.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(credential_helper, "HELPER_TIMEOUT", 0.5)
    start = time.monotonic()
    with pytest.raises(RegistryError, match=expected):
        asyncio.run(DockerConfig({"credsStore": "odd"}).login("a.test", "x"))
    assert time.monotonic() - start < 30, "not as long as what it started"
    assert not recwarn.list


def test_a_credential_helper_is_asked_once_for_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper, log = tmp_path / "docker-credential-test", tmp_path / "log"
    answer = '{"Username": "ann", "Secret": "s"}'
    helper.write_text(f"#!/bin/sh\nread server; echo \"$server\" >> {log}\necho '{answer}'\n")
    helper.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    config = DockerConfig({"credsStore": "test"})

    async def run() -> None:
        names = [("a.test", f"app{number}") for number in range(20)]
        await asyncio.gather(*(config.login(*name) for name in [*names, ("b.test", "x")]))

    asyncio.run(run())
    assert sorted(log.read_text().split()) == ["a.test", "b.test"]


def test_logins_come_from_where_docker_and_podman_keep_them(tmp_path: Path) -> None:
    folder = tmp_path / ".docker"
    folder.mkdir()
    entry = {"auths": {"a.test": {"username": "ann", "password": "1"}}}
    (folder / "config.json").write_text(json.dumps(entry))
    keychain = usual_keychain({"HOME": str(tmp_path)})
    found = asyncio.run(keychain.login("a.test", "x"))
    assert found is not None
    assert found.username == "ann"
    (folder / "config.json").write_text("[")
    with pytest.raises(InputError, match="is no JSON"):
        usual_keychain({"HOME": str(tmp_path)})


# What goes wrong.


def test_not_found_denied_and_unreachable_are_different(registry: RegistryServer) -> None:
    with pytest.raises(NotFound, match="has no app/manifests/v1"):
        manifest(registry)
    registry.hooks.append(lambda *_: Reply(403))
    with pytest.raises(AccessDenied, match="denies access to app"):
        manifest(registry)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(Unreachable, match="cannot be reached: Connection refused"):
        ask(lambda client: client.manifest(Repository(host, "app"), "v1"))
    with pytest.raises(Unreachable, match="cannot be reached"):
        ask(lambda client: client.manifest(Repository("no-such-host.invalid", "app"), "v1"))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_registry_is_asked_again(registry: RegistryServer, status: int) -> None:
    digest = registry.push_image("app")
    left = [status, status]

    def hook(_: str, path: str, __: dict[str, str]) -> Reply | None:
        return Reply(left.pop(), headers={"Retry-After": "0"}) if left and path != "/v2/" else None

    registry.hooks.append(hook)
    assert manifest(registry) == digest


def test_a_registry_that_stays_busy_or_asks_to_wait_long_is_unreachable(
    registry: RegistryServer,
) -> None:
    registry.hooks.append(
        lambda _, path, __: Reply(429, headers={"Retry-After": "3600"}) if path != "/v2/" else None
    )
    with pytest.raises(Unreachable, match="too many requests and asks to wait 3600 s"):
        manifest(registry)
    assert len(registry.paths()) == 2
    registry.hooks[:] = [lambda _, path, __: Reply(500) if path != "/v2/" else None]
    with pytest.raises(Unreachable, match="answers 500"):
        manifest(registry)


def test_a_registry_that_ends_midway_leaves_it_unknown(registry: RegistryServer) -> None:
    key = keys()["ECDSA P-256"]
    digest = registry.push_image("app")
    push_simple(registry, "app", digest, [signed_payload(payload(digest), key.sign)])
    image, authority = f"{registry.host}/app:v1", KeyAuthority(key.pem)
    for broken in (".sig", "/blobs/", "/manifests/v1"):
        registry.hooks[:] = [
            lambda _, path, __, part=broken: (
                Reply(503, headers={"Retry-After": "99"})  # type: ignore[misc]
                if part in path
                else None
            )
        ]
        verdict = verdict_of(image, authority)
        assert verdict.status == "unknown", (broken, verdict)
        assert "503" in verdict.reasons[0]
    registry.hooks.clear()
    assert verdict_of(image, authority).status == "verified"


def test_a_signature_that_can_be_read_counts_though_another_cannot(
    registry: RegistryServer,
) -> None:
    key = keys()["ECDSA P-256"]
    digest = registry.push_image("app")
    push_simple(registry, "app", digest, [signed_payload(payload(digest), key.sign)])
    lost = push_bundle(registry, "app", digest, key_bundle(statement(digest), key))
    registry.hooks.append(lambda _, path, __: Reply(403) if path.endswith(lost) else None)
    image = f"{registry.host}/app:v1"
    assert verdict_of(image, KeyAuthority(key.pem)).status == "verified"
    # Whoever it was that signed the other may be who is asked for.
    asked = verdict_of(image, KeyAuthority(keys()["Ed25519"].pem))
    assert asked.status == "unknown"


@pytest.mark.parametrize("status", [403, 418, 500])
def test_a_signature_at_one_place_counts_though_another_place_cannot_be_read(
    registry: RegistryServer, status: int
) -> None:
    key = keys()["ECDSA P-256"]
    digest = registry.push_image("app")
    push_simple(registry, "app", digest, [signed_payload(payload(digest), key.sign)])
    registry.hooks.append(lambda _, path, __: Reply(status) if "/referrers/" in path else None)
    image = f"{registry.host}/app:v1"
    assert verdict_of(image, KeyAuthority(key.pem)).status == "verified"
    other = verdict_of(image, KeyAuthority(keys()["Ed25519"].pem))
    assert other.status == "unknown", "it may be among those that cannot be read"


def test_one_deadline_bounds_it_all(registry: RegistryServer) -> None:
    key = keys()["ECDSA P-256"]
    registry.push_image("app")
    registry.delay = 0.4
    start = datetime.now(UTC)
    verdict = verdict_of(f"{registry.host}/app:v1", KeyAuthority(key.pem), deadline=0.2)
    assert verdict.status == "unknown"
    assert verdict.reasons == ("it could not be found out within 0.2 s",)
    assert datetime.now(UTC) - start < timedelta(seconds=5)


def test_an_answer_that_is_no_registrys_is_not_believed(registry: RegistryServer) -> None:
    for reply in (
        Reply(200, b"<html>", {"Content-Type": "text/html"}),
        Reply(200, b"{}", {"Content-Encoding": "gzip"}),
        Reply(200, b'{"layers": [], "layers": []}'),
        Reply(200, b"[]"),
    ):
        registry.hooks[:] = [lambda _, path, __, r=reply: r if path != "/v2/" else None]  # type: ignore[misc]
        with pytest.raises(BadAnswer):
            manifest(registry)


# Where it is asked.


def test_listings_are_followed_over_pages(registry: RegistryServer) -> None:
    registry.page_size = 3
    digest = registry.push_image("app")
    for number in range(7):
        registry.push_manifest("app", {"n": number}, f"t{number}")
        push_bundle(registry, "app", digest, b"%d" % number)
    repository = Repository(registry.host, "app")
    tags = ask(lambda client: client.tags(repository))
    assert tags == [*(f"t{number}" for number in range(7)), "v1"]
    assert len(ask(lambda client: client.referrers(repository, digest))) == 7


def test_a_page_at_another_place_is_refused(
    registry: RegistryServer, other: RegistryServer
) -> None:
    link = {"Link": f'<http://{other.host}/v2/app/tags/list>; rel="next"'}
    registry.hooks.append(
        lambda _, path, __: Reply(200, b'{"tags": []}', link) if "tags" in path else None
    )
    with pytest.raises(BadAnswer, match="at another place"):
        ask(lambda client: client.tags(Repository(registry.host, "app")))
    assert not other.seen


def test_a_mirror_is_asked_first_and_the_registry_for_what_it_lacks(
    registry: RegistryServer, other: RegistryServer
) -> None:
    key = keys()["ECDSA P-256"]
    digest = registry.push_image("app")
    push_simple(registry, "app", digest, [signed_payload(payload(digest), key.sign)])
    other.push_image("mirrored/app", "app")
    settings = RegistrySettings(mirrors={registry.host: (f"{other.host}/mirrored",)})
    image = f"{registry.host}/app@{digest}"
    verdict = verdict_of(image, KeyAuthority(key.pem), settings=settings)
    assert verdict.status == "verified", verdict.reasons
    assert any(path.startswith("/v2/mirrored/app/manifests/") for path in other.paths())
    other.close()
    assert verdict_of(image, KeyAuthority(key.pem), settings=settings).status == "verified"


def test_a_mirror_that_hangs_leaves_time_for_the_registry(
    registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "MIRROR_PATIENCE", 0.2)
    digest = registry.push_image("app")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mirror = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = RegistrySettings(plain_http=True, mirrors={registry.host: (mirror,)})

        async def run() -> list[str]:
            async with RegistryClient(settings) as client:
                found = []
                for name in ("v1", digest):
                    manifest = await client.manifest(Repository(registry.host, "app"), name)
                    found.append(manifest.digest)
                return found

        start = time.monotonic()
        assert asyncio.run(run()) == [digest, digest]
        assert time.monotonic() - start < 10, "less than a single request may take"


def test_a_registry_that_hangs_keeps_nobody_from_another(
    registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "CONNECTIONS", 4)
    digest = registry.push_image("app")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        dead = Repository(f"127.0.0.1:{silent.getsockname()[1]}", "app")

        async def run() -> str:
            async with RegistryClient(RegistrySettings(plain_http=True)) as client:
                stuck = [
                    asyncio.ensure_future(client.manifest(dead, f"v{number}"))
                    for number in range(20)
                ]
                await asyncio.sleep(0.1)
                async with asyncio.timeout(5):
                    found = await client.manifest(Repository(registry.host, "app"), "v1")
                for task in stuck:
                    task.cancel()
                await asyncio.gather(*stuck, return_exceptions=True)
                return found.digest

        assert asyncio.run(run()) == digest


def test_a_registry_that_takes_no_connection_is_tried_less_for_the_next_image(
    registry: RegistryServer,
) -> None:
    digest = registry.push_image("app")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host = f"127.0.0.1:{closed.getsockname()[1]}"

    async def run() -> None:
        async with RegistryClient(RegistrySettings(plain_http=True)) as client:
            with pytest.raises(Unreachable, match="Connection refused"):
                await client.manifest(Repository(host, "app"), "v1")
            first = client.requests
            for number in range(20):
                with pytest.raises(Unreachable, match=f"{host} cannot be reached"):
                    await client.manifest(Repository(host, f"app{number}"), "v1")
            assert (first, client.requests) == (3, 3 + 20)
            there = await client.manifest(Repository(registry.host, "app"), "v1")
            assert there.digest == digest

    asyncio.run(run())


def test_a_registry_at_an_address_of_ipv6_is_named_as_it_must_be(registry: RegistryServer) -> None:
    try:
        server = registry.listen_on_ipv6()
    except OSError:
        pytest.skip("no IPv6 here")
    digest = registry.push_image("app")
    try:
        found = ask(lambda client: client.manifest(Repository(server.host, "app"), "v1"))
        assert found.digest == digest
        assert {headers["Host"] for *_, headers in registry.seen} == {server.host}
    finally:
        server.close()
    with pytest.raises(Unreachable, match=re.escape(f"{server.host} cannot be reached")):
        ask(lambda client: client.manifest(Repository(server.host, "app"), "v1"))


def test_those_who_ask_the_same_at_once_share_one_fetch(registry: RegistryServer) -> None:
    digest = registry.push_image("app")
    registry.delay = 0.05
    repository = Repository(registry.host, "app")

    async def many(client: RegistryClient) -> set[str]:
        waiting = [client.manifest(repository, digest) for _ in range(50)]
        return {one.digest for one in await asyncio.gather(*waiting)}

    assert ask(many) == {digest}
    assert len([path for path in registry.paths() if "/manifests/" in path]) == 1


def test_one_who_gives_up_does_not_take_the_fetch_from_others(registry: RegistryServer) -> None:
    digest = registry.push_image("app")
    registry.delay = 0.2
    repository = Repository(registry.host, "app")

    async def two(client: RegistryClient) -> str:
        first = asyncio.ensure_future(client.manifest(repository, digest))
        second = asyncio.ensure_future(client.manifest(repository, digest))
        await asyncio.sleep(0.05)
        first.cancel()
        return (await second).digest

    assert ask(two) == digest


def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    authority = Authority("registry-ca.test")
    registry = RegistryServer(tls=tls_of(authority, tmp_path))
    try:
        digest = registry.push_image("app")
        host = f"localhost:{registry.host.rpartition(':')[2]}"
        repository = Repository(host, "app")

        def read(settings: RegistrySettings) -> str:
            return ask(lambda client: client.manifest(repository, "v1"), settings).digest

        assert read(RegistrySettings(certificates=authority.pem)) == digest
        with pytest.raises(Unreachable, match="its certificate is not trusted"):
            read(RegistrySettings())
    finally:
        registry.close()


def test_a_gate_may_forbid_the_machine_itself(registry: RegistryServer) -> None:
    registry.push_image("app")
    with pytest.raises(BadAnswer, match="is a loopback address, which must not be spoken to"):
        manifest(registry, settings=RegistrySettings(loopback=False))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", "public"),
        ("2001:4860:4860::8888", "public"),
        ("10.1.2.3", "private"),
        ("192.168.0.1", "private"),
        ("172.16.0.1", "private"),
        ("100.64.0.1", "private"),
        ("fd12::1", "private"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:169.254.169.254", "forbidden"),
        ("2002:a9fe:a9fe::1", "forbidden"),
        ("64:ff9b::a9fe:a9fe", "forbidden"),
        ("::169.254.169.254", "forbidden"),
        ("169.254.169.254", "forbidden"),
        ("fe80::1%eth0", "forbidden"),
        ("100.100.100.200", "forbidden"),
        ("fd00:ec2::254", "forbidden"),
        ("0.0.0.0", "forbidden"),
        ("::", "forbidden"),
        ("224.0.0.1", "forbidden"),
        ("240.0.0.1", "private"),
        ("what", "forbidden"),
    ],
)
def test_where_an_address_leads(address: str, expected: str) -> None:
    assert reach(address) == expected


@given(st.ip_addresses())
def test_every_address_leads_somewhere(address: Any) -> None:
    assert reach(str(address)) in {"public", "private", "loopback", "forbidden"}
    if address.version == 4:
        assert reach(f"::ffff:{address}") == reach(str(address))


def test_challenges_are_taken_apart() -> None:
    header = 'Basic realm="a", Bearer realm="https://t.test/x?a=b",service="s, t",scope="r:\\"q\\""'
    first, second = challenges(header)
    assert first.scheme == "basic"
    assert second.parameters == {
        "realm": "https://t.test/x?a=b",
        "service": "s, t",
        "scope": 'r:"q"',
    }


@given(st.text(max_size=60))
def test_no_challenge_is_too_odd(text: str) -> None:
    for challenge in challenges(text):
        assert challenge.scheme
