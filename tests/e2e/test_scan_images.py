"""`tidewaiter scan --verify-images`: images of a real cluster, signed by a key that a Secret there holds."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_scan import Place, scan
from tests.signed_images import Registry, Signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.api_server import ApiServer


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path)
    yield made
    made.stop()


def test_a_scan_verifies_images_by_a_key_in_a_secret(
    api_server: ApiServer, namespace: str, tmp_path: Path, registry: Registry
) -> None:
    place = Place(api_server, namespace, tmp_path)
    key = Signer()
    signed, unsigned = registry.image("shop/signed"), registry.image("shop/unsigned")
    registry.sign(signed, key)
    encoded = base64.b64encode(key.public.encode()).decode()
    place.create("Secret", "release", data={"cosign.pub": encoded})
    for name, image in (("good", signed), ("bad", unsigned)):
        place.create("Pod", name, spec={"containers": [{"name": "app", "image": image}]})

    def policy_for(secret: str) -> str:
        reference = {"secretRef": {"namespace": namespace, "name": secret}}
        authority = {"key": reference, "transparencyLog": "ignored"}
        entry = {"match": [f"{registry.host}/**"], "authorities": authority}
        path = tmp_path / f"{secret}.json"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "tidewaiter.dev/v1",
                    "kind": "Policy",
                    "metadata": {"name": "shop"},
                    "spec": {"images": [entry]},
                }
            )
        )
        return str(path)

    options = ["-n", namespace, "--only", "image-signature", "--verify-images"]
    found = scan(api_server.kubeconfig, *options, "--policy", policy_for("release"))
    assert (found.code, found.found("image-signature")) == (1, ["Pod bad"]), found
    found = scan(api_server.kubeconfig, *options, "--policy", policy_for("absent"))
    assert found.code == 2
    assert "could not be read" in found.errors
