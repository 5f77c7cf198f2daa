"""At admission only signed images run: through a real server and a real registry, which is then away."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.signed_images import Registry, Signer
from tests.webhook.running import review_of, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.webhook.running import Webhook

pytestmark = pytest.mark.slow

KEY = Signer()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(tmp_path_factory.mktemp("registry"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def images(registry: Registry) -> dict[str, str]:
    made = {name: registry.image(f"shop/{name}") for name in ("signed", "late", "unsigned")}
    registry.sign(made["signed"], KEY)
    registry.sign(made["late"], KEY)
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Webhook]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "release.pub").write_text(KEY.public)
    only = {
        name: {"enabled": name == "image-signature"} for name in ("no-latest-tag", "image-digest")
    }
    entry = {
        "name": "shop",
        "match": [f"{registry.host}/shop/**"],
        "authorities": {"key": {"file": "release.pub"}, "transparencyLog": "ignored"},
    }
    warned = {
        "name": "elsewhere",
        "match": ["localhost:1/**"],
        "authorities": {"key": {"file": "release.pub"}, "transparencyLog": "ignored"},
        "onUnreachable": "warn",
    }
    policy = {
        "apiVersion": "tidewaiter.dev/v1",
        "kind": "Policy",
        "metadata": {"name": "shop"},
        "spec": {
            "profile": "pss-baseline",
            "rules": only,
            "images": [entry, warned],
            "imageSettings": {"plainHTTP": [registry.host, "localhost:1"]},
        },
    }
    path = folder / "policy.yaml"
    path.write_text(json.dumps(policy))
    options = ["--policy", str(path), "--verdicts", f"sqlite:{folder / 'verdicts.sqlite'}"]
    with running(folder, *options) as webhook:
        yield webhook


def pod(image: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop", **metadata},
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


def image_review(*images: str) -> dict[str, Any]:
    containers = [{"image": image} for image in images]
    return {
        "apiVersion": "imagepolicy.k8s.io/v1alpha1",
        "kind": "ImageReview",
        "spec": {"containers": containers, "namespace": "shop"},
    }


def test_a_signed_image_is_let_in_and_another_is_not(
    server: Webhook, images: dict[str, str]
) -> None:
    assert server.review(pod(images["signed"]))["allowed"] is True
    response = server.review(pod(images["unsigned"]))
    assert response["allowed"] is False
    assert (
        "is not signed as the policy asks (shop): release.pub: no signature"
        in (response["status"]["message"])
    )
    assert server.review(pod("elsewhere.example/app:1"))["allowed"] is True


def test_the_image_policy_answers_alike(server: Webhook, images: dict[str, str]) -> None:
    assert server.post("/image-policy", image_review(images["signed"])).json["status"]["allowed"]
    both = image_review(images["signed"], images["unsigned"])
    status = server.post("/image-policy", both).json["status"]
    assert status["allowed"] is False
    assert "is not signed as the policy asks" in status["reason"]


def test_an_update_to_an_unsigned_image_is_denied_though_the_old_one_was_unsigned_too(
    server: Webhook, registry: Registry, images: dict[str, str]
) -> None:
    other = registry.image("shop/unsigned", "next", salt="next")
    response = server.review(pod(other), operation="UPDATE", oldObject=pod(images["unsigned"]))
    assert response["allowed"] is False


def test_requests_at_once_get_each_their_own_answer(
    server: Webhook, images: dict[str, str]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    asked = ["signed", "unsigned"] * 20
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda name: server.review(pod(images[name])), asked))
    assert [each["allowed"] for each in responses] == [name == "signed" for name in asked]


def test_while_the_registry_is_away_what_is_kept_passes_and_the_rest_is_denied(
    server: Webhook, registry: Registry, images: dict[str, str]
) -> None:
    assert server.review(pod(images["signed"]))["allowed"] is True
    registry.stop()
    try:
        assert server.review(pod(images["signed"]))["allowed"] is True
        response = server.review(pod(images["late"]))
        assert response["allowed"] is False
        assert "could not be verified (shop)" in response["status"]["message"]
        response = server.review(pod("localhost:1/shop/api@sha256:" + "0" * 64))
        assert response["allowed"] is True
        assert "could not be verified (elsewhere)" in response["warnings"][0]
    finally:
        registry.start()
    assert server.review(pod(images["late"]))["allowed"] is True


def test_a_kept_verdict_costs_little(server: Webhook, images: dict[str, str]) -> None:
    client = server.client()
    times = []
    for _ in range(60):
        body = json.dumps(review_of(pod(images["signed"]))).encode()
        start = time.perf_counter()
        client.request("POST", "/validate", body, {"content-type": "application/json"})
        assert json.loads(client.getresponse().read())["response"]["allowed"]
        times.append(time.perf_counter() - start)
    client.close()
    assert sorted(times)[5] < 0.02


def test_a_key_that_changes_takes_force(server: Webhook, images: dict[str, str]) -> None:
    key = server.folder / "release.pub"
    assert server.review(pod(images["signed"]))["allowed"] is True
    key.write_text(Signer().public)
    try:
        end = time.monotonic() + 10
        while server.review(pod(images["signed"]))["allowed"]:
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        key.write_text(KEY.public)


def test_a_key_that_is_none_keeps_the_server_from_starting(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: a}\nspec:\n  images:\n"
        "    - match: ['**']\n      authorities: {key: {data: \"-----BEGIN PUBLIC KEY-----\\nAAAA\\n"
        '-----END PUBLIC KEY-----\\n"}}\n'
    )
    with (
        pytest.raises(RuntimeError, match=r"images\[0\]: .*"),
        running(tmp_path, "--policy", str(policy)),
    ):
        pass
