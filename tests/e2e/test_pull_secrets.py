"""A workload's own pull secrets, read from a real cluster, open a real registry that wants a login."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.image_registry import PASSWORD, USER
from tests.e2e.conftest import make_namespace
from tests.e2e.test_background_audit import until, value
from tests.e2e.test_scan import Place, owned_by, pods_of
from tests.signed_images import Registry, Signer
from tests.webhook.running import running
from tidewaiter.rules.cluster.access import find_access
from tidewaiter.rules.policy.file import load_policy
from tidewaiter.webhook.background_audit import BackgroundAudit
from tidewaiter.webhook.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.api_server import ApiServer

KEY = Signer()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path, login=True)
    yield made
    made.stop()


@pytest.fixture
def place(api_server: ApiServer, namespace: str, tmp_path: Path, registry: Registry) -> Place:
    """A namespace with a login to the registry, which the account `web` pulls by."""
    made = Place(api_server, namespace, tmp_path)
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    login = base64.b64encode(json.dumps({registry.host: {"auth": auth}}).encode()).decode()
    made.create("Secret", "login", type="kubernetes.io/dockercfg", data={".dockercfg": login})
    made.create("ServiceAccount", "web", imagePullSecrets=[{"name": "login"}])
    return made


def policy(folder: Path, registry: Registry, **settings: Any) -> str:
    entry = {
        "match": [f"{registry.host}/**"],
        "authorities": {"key": {"data": KEY.public}, "transparencyLog": "ignored"},
    }
    spec = {
        "profile": "pss-baseline",
        "images": [entry],
        "imageSettings": {
            "plainHTTP": [registry.host],
            "podPullSecrets": True,
            **settings,
        },
    }
    path = folder / "policy.json"
    document = {"apiVersion": "tidewaiter.dev/v1", "kind": "Policy", "metadata": {"name": "shop"}}
    path.write_text(json.dumps({**document, "spec": spec}))
    return str(path)


def pod(image: str, namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"containers": [{"name": "app", "image": image}], **spec},
    }


def test_a_review_uses_the_secrets_of_its_own_pod_or_account(
    api_server: ApiServer, place: Place, tmp_path: Path, registry: Registry
) -> None:
    image = registry.image("shop/api", "1.4")
    registry.sign(image, KEY)
    tagged = f"{registry.host}/shop/api:1.4"
    elsewhere = make_namespace(api_server)
    options = ["--policy", policy(tmp_path, registry), "--verdicts", "memory"]
    options += ["--kubeconfig", str(api_server.kubeconfig), "--inventory", "none"]
    with running(tmp_path, *options) as webhook:

        def message(namespace: str, **spec: Any) -> str:
            response = webhook.review(pod(tagged, namespace, **spec))
            return "" if response["allowed"] else response["status"]["message"]

        assert "wants credentials" in message(place.namespace)
        named = [{"name": "login"}]
        assert message(place.namespace, imagePullSecrets=named) == ""
        assert message(place.namespace, serviceAccountName="web") == ""
        denied = message(elsewhere, imagePullSecrets=named)
        assert f"pull secret {elsewhere}/login cannot be used" in denied
        said = message(place.namespace, imagePullSecrets=[{"name": "../../x"}])
        assert "'../../x' is no name of an object" in said
        assert PASSWORD not in webhook.log
        assert base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode() not in webhook.log


def test_a_scan_verifies_what_only_pods_have_with_their_own_secrets(
    place: Place, tmp_path: Path, registry: Registry
) -> None:
    images = {name: registry.image(f"shop/{name}") for name in ("api", "proxy", "debug")}
    registry.sign(images["api"], KEY)
    registry.sign(images["proxy"], KEY)
    api = {"name": "api", "image": images["api"]}
    login = {"imagePullSecrets": [{"name": "login"}]}
    spec = pods_of("api")
    spec["template"]["spec"] = {"containers": [api], **login}
    made = owned_by(place.create("Deployment", "api", spec=spec))
    proxy, debug = ({"name": each, "image": images[each]} for each in ("proxy", "debug"))
    for name, containers in (
        ("api-0", [api]),
        ("api-1", [api, proxy]),
        ("api-2", [api, debug]),
        ("api-3", [api, debug]),
    ):
        place.create("Pod", name, metadata=made, spec={"containers": containers, **login})
    place.create("Pod", "bare", spec={"containers": [debug], "serviceAccountName": "web"})
    place.create("Pod", "stranger", spec={"containers": [api]})
    options = ("--policy", policy(tmp_path, registry), "--verify-images")
    found = place.scan(*options, "--only", "image-signature", "--show", "unknown")
    findings = [each for each in found.report["findings"] if each["rule"] == "image-signature"]
    told = {each["resource"]["name"]: each for each in findings}
    assert sorted(told) == ["api-2", "bare", "stranger"], found
    assert len(findings) == 3
    assert told["api-2"]["message"].endswith("(and so in 1 more of its controller)")
    assert told["api-2"]["container"] == "debug"
    assert told["stranger"]["status"] == "unknown"
    assert found.code == 2, "what nobody could find out"


def test_the_background_audit_keeps_its_verdicts_where_the_reviews_do(
    api_server: ApiServer, place: Place, tmp_path: Path, registry: Registry
) -> None:
    image = registry.image("shop/api")
    registry.sign(image, KEY)
    place.create("Pod", "web", spec=pod(image, "", serviceAccountName="web")["spec"])
    kept = tmp_path / "kept.sqlite"
    path = str(api_server.kubeconfig)
    metrics = Metrics()
    plain = load_policy(policy(tmp_path, registry))

    async def run() -> None:
        audit = BackgroundAudit(
            find_access(path),
            lambda: plain,
            1.0,
            metrics,
            kubeconfig=path,
            verdicts=f"sqlite:{kept}",
        )
        task = asyncio.create_task(audit.run())
        await until(lambda: value(metrics, "background_audit_objects") > 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    with sqlite3.connect(kept) as database:
        assert database.execute("SELECT count(*) FROM verdicts").fetchone() == (1,)
    labels = {"rule": "image-signature", "severity": "error"}
    assert value(metrics, "background_audit_findings", **labels) == 0
