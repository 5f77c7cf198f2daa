"""A pod's own pull secrets open its registry for its review, and for nobody else's."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.rules.signatures.registry_server import RegistryServer, Reply, basic_auth, token_auth
from tests.rules.signatures.signing import keys, payload, push_simple, signed_payload
from tidewaiter.rules.cluster.secrets import PullSecretReader
from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.image_answers import ImageAnswer
from tidewaiter.rules.manifest.puller import Puller, puller_of
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.images import ImageFacts
from tidewaiter.rules.signatures import pod_secrets
from tidewaiter.rules.signatures.cache import VerdictCache
from tidewaiter.rules.signatures.find_out import ImageVerifier
from tidewaiter.rules.signatures.pod_secrets import StoredSecret
from tidewaiter.rules.signatures.registry import RegistryClient

KEY = keys()["Ed25519"]
ENTRY = {
    "match": ["**"],
    "authorities": {"key": {"data": KEY.pem}, "transparencyLog": "ignored"},
}


class Cluster:
    """Secrets and service accounts by namespace and name; keeps count of what is read."""

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], StoredSecret] = {}
        self.accounts: dict[tuple[str, str], tuple[str, ...]] = {}
        self.read: list[str] = []

    def add(self, namespace: str, name: str, host: str, user: str, password: str) -> None:
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        document = json.dumps({"auths": {host: {"auth": auth}}}).encode()
        kind = "kubernetes.io/dockerconfigjson"
        version = f"{namespace}{name}{password}"
        self.secrets[namespace, name] = StoredSecret(kind, {".dockerconfigjson": document}, version)

    async def secret(self, namespace: str, name: str) -> StoredSecret:
        self.read.append(f"{namespace}/{name}")
        if (namespace, name) not in self.secrets:
            raise ClusterError(f'secrets "{name}" not found')
        return self.secrets[namespace, name]

    async def account(self, namespace: str, name: str) -> tuple[str, ...]:
        self.read.append(f"account {namespace}/{name}")
        return self.accounts.get((namespace, name), ())


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def private() -> Iterator[RegistryServer]:
    """A registry with a signed image, for whom knows the password."""
    server = RegistryServer()
    sign(server, "shop/api", server.push_image("shop/api"))
    server.hooks = [basic_auth("shop", "right")]
    yield server
    server.close()


def sign(server: RegistryServer, repository: str, digest: str) -> None:
    push_simple(server, repository, digest, [signed_payload(payload(digest), KEY.sign)])


def found(
    cluster: Cluster,
    *asked: tuple[str, Puller | None],
    cache: VerdictCache | None = None,
    entry: dict[str, Any] = ENTRY,
) -> list[ImageAnswer]:
    """Answer one after the other, with one verifier."""

    async def run() -> list[ImageAnswer]:
        async with RegistryClient() as client:
            verifier = ImageVerifier(
                ImageFacts([entry], {"podPullSecrets": True}), client, cache, pull_secrets=cluster
            )
            answers = [(await verifier.find_out([image], puller))[image] for image, puller in asked]
            await verifier.aclose()
            return answers

    return asyncio.run(run())


def statuses(answers: list[ImageAnswer]) -> list[str]:
    return [
        "verified"
        if not answer.signature
        else "unknown"
        if any(each.unknown for each in answer.signature)
        else "refused"
        for answer in answers
    ]


def test_a_secret_opens_the_registry_for_its_pods_only(
    cluster: Cluster, private: RegistryServer
) -> None:
    cluster.add("shop", "login", private.host, "shop", "right")
    tagged = f"{private.host}/shop/api:v1"
    own, other = Puller("shop", ("login",), "default"), Puller("game", ("login",), "default")
    answers = found(cluster, (tagged, None), (tagged, own), (tagged, other), (tagged, None))
    assert statuses(answers) == ["unknown", "verified", "unknown", "unknown"]
    (problem,) = answers[2].signature
    assert 'pull secret game/login cannot be used: secrets "login" not found' in problem.message
    assert "wants credentials for shop/api" in problem.message


def test_that_a_digest_is_signed_holds_whoever_asked(
    cluster: Cluster, private: RegistryServer
) -> None:
    cluster.add("shop", "login", private.host, "shop", "right")
    digest = next(name for _, name in private.manifests if name.startswith("sha256:"))
    pinned = f"{private.host}/shop/api@{digest}"
    own, other = Puller("shop", ("login",), "default"), Puller("game", (), "default")
    answers = found(cluster, (pinned, other), (pinned, own), (pinned, other))
    assert statuses(answers) == ["unknown", "verified", "verified"]


def test_a_cluster_that_is_slow_costs_a_verified_digest_nothing_and_others_a_while(
    cluster: Cluster, private: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_secrets, "PATIENCE", 0.2)
    cluster.add("shop", "login", private.host, "shop", "right")
    digest = next(name for _, name in private.manifests if name.startswith("sha256:"))
    pinned, tagged = (f"{private.host}/shop/api{name}" for name in (f"@{digest}", ":v1"))
    cache = VerdictCache()
    own = Puller("shop", ("login",), "default")
    assert statuses(found(cluster, (pinned, own), cache=cache)) == ["verified"]

    class Slow(Cluster):
        async def secret(self, namespace: str, name: str) -> StoredSecret:
            self.read.append(name)
            await asyncio.sleep(60)
            raise AssertionError

    slow = Slow()
    assert statuses(found(slow, (pinned, own), cache=cache)) == ["verified"]
    assert slow.read == []
    (answer,) = found(slow, (tagged, own), cache=cache)
    assert statuses([answer]) == ["unknown"]
    assert "has not told pull secrets within 0.2 s" in answer.signature[0].message


def test_a_refusal_is_kept_for_those_logins_alone(
    cluster: Cluster, private: RegistryServer
) -> None:
    """A registry may hide from one what it shows to another: nobody is denied by another's view."""
    digest = private.push_image("shop/late")
    pinned = f"{private.host}/shop/late@{digest}"
    for namespace in ("shop", "game"):
        cluster.add(namespace, "login", private.host, "shop", "right")
    first, second = Puller("shop", ("login",), "default"), Puller("game", ("login",), "default")
    cache = VerdictCache()
    assert statuses(found(cluster, (pinned, first), cache=cache)) == ["refused"]
    sign(private, "shop/late", digest)
    answers = found(cluster, (pinned, first), (pinned, second), (pinned, first), cache=cache)
    assert statuses(answers) == ["refused", "verified", "verified"]


def test_what_a_tag_was_is_told_to_nobody_who_could_not_ask(
    cluster: Cluster, private: RegistryServer
) -> None:
    cluster.add("shop", "login", private.host, "shop", "right")
    tagged = f"{private.host}/shop/api:v1"
    own, other = Puller("shop", ("login",), "default"), Puller("game", (), "default")
    cache = VerdictCache()
    assert statuses(found(cluster, (tagged, own), cache=cache)) == ["verified"]
    private.close()
    known, unknown, nobody = found(
        cluster, (tagged, own), (tagged, other), (tagged, None), cache=cache
    )
    assert known.digest
    assert [each.severity for each in known.signature] == ["warning"]
    assert (unknown.digest, nobody.digest) == ("", "")


def test_a_service_accounts_secrets_count_where_the_pod_names_none(
    cluster: Cluster, private: RegistryServer
) -> None:
    cluster.add("shop", "login", private.host, "shop", "right")
    cluster.accounts["shop", "builder"] = ("login",)
    image = f"{private.host}/shop/api:v1"
    answers = found(
        cluster,
        (image, Puller("shop", (), "builder")),
        (image, Puller("shop", (), "default")),
        (image, Puller("shop", ("absent",), "builder")),
    )
    assert statuses(answers) == ["verified", "unknown", "unknown"]


def test_each_login_that_fits_is_tried(cluster: Cluster, private: RegistryServer) -> None:
    cluster.add("shop", "stale", private.host, "shop", "wrong")
    cluster.add("shop", "login", private.host, "shop", "right")
    image = f"{private.host}/shop/api:v1"
    both = Puller("shop", ("stale", "login"), "default")
    assert statuses(found(cluster, (image, both))) == ["verified"]
    assert statuses(found(cluster, (image, Puller("shop", ("stale",), "")))) == ["unknown"]


def test_a_login_that_gets_no_token_is_followed_by_the_next(
    cluster: Cluster, private: RegistryServer
) -> None:
    tokens = RegistryServer()
    tokens.hooks = [
        basic_auth("shop", "right"),
        lambda *_: Reply(200, b'{"token": "t0k"}'),
    ]
    try:
        private.hooks = [token_auth(f"http://{tokens.host}/token", "t0k", "shop/api")]
        cluster.add("shop", "stale", private.host, "shop", "wrong")
        cluster.add("shop", "login", private.host, "shop", "right")
        image = f"{private.host}/shop/api:v1"
        both = Puller("shop", ("stale", "login"), "default")
        assert statuses(found(cluster, (image, both))) == ["verified"]
        (stale,) = found(cluster, (image, Puller("shop", ("stale",), "")))
        assert "gives no token for shop/api" in stale.signature[0].message
    finally:
        tokens.close()


def test_only_secrets_for_pulling_are_used_and_each_is_read_once(
    cluster: Cluster, private: RegistryServer
) -> None:
    cluster.add("shop", "login", private.host, "shop", "right")
    login = cluster.secrets["shop", "login"]
    cluster.secrets["shop", "opaque"] = StoredSecret("Opaque", login.data, "1")
    image = f"{private.host}/shop/api:v1"
    opaque = Puller("shop", ("opaque",), "default")
    (answer,) = found(cluster, (image, opaque))
    assert "Secret shop/opaque is no pull secret" in answer.signature[0].message
    assert "right" not in answer.signature[0].message
    cluster.read.clear()
    own = Puller("shop", ("login",), "default")
    found(cluster, *[(image, own)] * 5)
    assert cluster.read == ["shop/login"]


def test_a_name_from_a_pod_never_becomes_another_path() -> None:
    class NoClient:
        async def request(self, *_: object) -> None:
            raise AssertionError("asked the API server")

    reader: Any = PullSecretReader(NoClient())  # type: ignore[arg-type]
    for name in ("../../kube-system/secrets/x", "a/b", "a?watch=1", "", "A", "a%2fb"):
        with pytest.raises(ClusterError, match="no name of an object"):
            asyncio.run(reader.secret("shop", name))
        with pytest.raises(ClusterError, match="no name of an object"):
            asyncio.run(reader.account("shop", name))


def test_who_pulls_is_read_from_the_pod_spec() -> None:
    def puller(**spec: Any) -> Puller:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop"}, "spec": spec}
        workload = Resource(pod).workload
        assert workload is not None
        return puller_of(workload)

    assert puller() == Puller("shop", (), "default")
    rows = [{"name": "a"}, {"name": "b"}, {"name": "a"}, {}, None, {"name": 3}]
    named = puller(imagePullSecrets=rows, serviceAccountName="builder")
    assert named == Puller("shop", ("a", "b"), "builder")
    assert puller(imagePullSecrets="a", serviceAccount="old") == Puller("shop", (), "old")
