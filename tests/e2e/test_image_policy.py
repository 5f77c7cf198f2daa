"""The API server's ImagePolicyWebhook asks /image-policy, configured by the very files of docs/install.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.e2e.api_server import running_api_server
from tests.e2e.binaries import binaries
from tests.e2e.client import Refused
from tests.e2e.conftest import built
from tests.webhook.running import running, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.client import Client
    from tests.webhook.running import Webhook

PAGE = Path(__file__).parents[2] / "docs" / "install.md"
PINNED = "registry.example.com/shop/web@sha256:" + "a" * 64


def pod(image: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "default", "annotations": annotations}
    spec = {"containers": [{"name": "web", "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def documented(kind: str) -> dict[str, Any]:
    """Return the object of a kind that the page shows."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [each for each in map(yaml.safe_load, blocks) if each.get("kind") == kind]
    return dict(found)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Webhook]]:
    folder = tmp_path_factory.mktemp("image-policy")
    (folder / "webhook").mkdir()
    (folder / "api-server").mkdir()
    with running(folder / "webhook") as webhook:
        access, configuration = documented("Config"), documented("AdmissionConfiguration")
        cluster = access["clusters"][0]["cluster"]
        cluster["certificate-authority"] = str(folder / "webhook" / "ca.crt")
        address = urlsplit(cluster["server"])
        cluster["server"] = address._replace(netloc=f"127.0.0.1:{webhook.port}").geturl()
        policy = configuration["plugins"][0]["configuration"]["imagePolicy"]
        policy["kubeConfigFile"] = str(folder / "kubeconfig")
        (folder / "kubeconfig").write_text(yaml.safe_dump(access))
        (folder / "admission.yaml").write_text(yaml.safe_dump(configuration))
        flags = (
            "--enable-admission-plugins=ImagePolicyWebhook",
            f"--admission-control-config-file={folder / 'admission.yaml'}",
        )
        with running_api_server(built(binaries), folder / "api-server", flags) as server:
            yield server.admin, webhook


def test_an_image_that_is_pinned_is_let_in(gate: tuple[Client, Webhook]) -> None:
    client, webhook = gate
    client.create(pod(PINNED), dryRun="All")
    until(lambda: webhook.audit != [])


def test_one_that_is_not_is_kept_out_with_the_reason(gate: tuple[Client, Webhook]) -> None:
    client, _ = gate
    with pytest.raises(Refused, match="image-digest"):
        client.create(pod("nginx:1.27"), dryRun="All")


def test_while_nobody_answers_nothing_is_let_in(gate: tuple[Client, Webhook]) -> None:
    client, webhook = gate
    webhook.end()
    with pytest.raises(Refused, match="connection refused"):
        client.create(pod(PINNED.replace("web", "other")), dryRun="All")
