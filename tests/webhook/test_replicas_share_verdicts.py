"""Two replicas with one Valkey: what one has found out the other knows, and its loss lets nothing in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.rules.signatures.valkey_server import valkey_server
from tests.signed_images import Registry, Signer
from tests.webhook.running import running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

KEY = Signer()


def pod(image: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


def policy(folder: Path, registry: Registry) -> Path:
    entry = {
        "match": [f"{registry.host}/**"],
        "authorities": {"key": {"data": KEY.public}, "transparencyLog": "ignored"},
    }
    spec = {
        "profile": "pss-baseline",
        "images": [entry],
        "imageSettings": {"plainHTTP": [registry.host]},
    }
    path = folder / "policy.json"
    document = {"apiVersion": "tidewaiter.dev/v1", "kind": "Policy", "metadata": {"name": "shop"}}
    path.write_text(json.dumps({**document, "spec": spec}))
    return path


def test_what_one_replica_has_verified_holds_for_the_other_while_the_registry_is_away(
    tmp_path: Path,
) -> None:
    registry = Registry(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("5" * 40)
    signed, tagged = registry.image("shop/api"), f"{registry.host}/shop/web:1.4"
    registry.sign(signed, KEY)
    registry.sign(registry.image("shop/web", "1.4"), KEY)
    new = registry.image("shop/new")
    registry.sign(new, KEY)
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    with valkey_server(tmp_path) as (address, valkey):
        options = ["--policy", str(policy(tmp_path, registry)), "--inventory", "none"]
        options += ["--verdicts", address, "--verdicts-secret", str(secret)]
        with running(folders[0], *options) as one, running(folders[1], *options) as other:
            assert one.review(pod(signed))["allowed"] is True
            assert one.review(pod(tagged))["allowed"] is True
            registry.stop()
            assert other.review(pod(signed))["allowed"] is True
            response = other.review(pod(tagged))
            assert response["allowed"] is True
            assert "is taken for what the tag 1.4 stood for at" in " ".join(response["warnings"])
            assert other.review(pod(new))["allowed"] is False
            valkey.terminate()
            valkey.wait(10)
            assert other.review(pod(signed))["allowed"] is True, "it has seen it itself"
            denied = one.review(pod(new))
            assert denied["allowed"] is False
            assert "could not be verified" in denied["status"]["message"]
            registry.start()
            assert one.review(pod(new))["allowed"] is True, "without what is kept it is asked anew"
    registry.stop()
