"""A policy's own authorities and mirrors hold at every gate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.rules.signatures.registry_server import RegistryServer
from tests.rules.signatures.registry_tls import tls_of
from tests.rules.signatures.signing import keys, payload, push_simple, signed_payload
from tests.rules.signatures.sigstore_world import Authority
from tests.webhook.running import pod, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

KEY = keys()["ECDSA P-256"]
AWAY = "registry.invalid"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """A registry by TLS with a signed image, and its authority in a file beside the policy."""
    authority = Authority("registry-ca.test")
    registry = RegistryServer(tls=tls_of(authority, tmp_path))
    digest = registry.push_image("hub/shop/api")
    signed = signed_payload(payload(digest), KEY.sign)
    push_simple(registry, "hub/shop/api", digest, [signed])
    (tmp_path / "ca.pem").write_text(authority.pem)
    yield f"localhost:{registry.host.rpartition(':')[2]}"
    registry.close()


def policy(folder: Path, **settings: Any) -> str:
    entry = {
        "match": ["**"],
        "authorities": {"key": {"data": KEY.pem}, "transparencyLog": "ignored"},
    }
    # A loopback registry must be named for a gate to speak to it.
    spec = {"images": [entry], "imageSettings": {"plainHTTP": ["localhost:1"], **settings}}
    document = {"apiVersion": "tidewaiter.dev/v1", "kind": "Policy", "metadata": {"name": "shop"}}
    path = folder / "tidewaiter.json"
    path.write_text(json.dumps({**document, "spec": spec}))
    return str(path)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidewaiter.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
    )


def test_a_policys_authorities_and_mirrors_hold_at_every_gate(tmp_path: Path, place: str) -> None:
    image = f"{AWAY}/shop/api:v1"
    mirrors = [{"of": AWAY, "places": [f"{place}/hub"]}]
    whole = policy(tmp_path, registryAuthorities=[{"file": "ca.pem"}], mirrors=mirrors)
    manifest = tmp_path / "pod.json"
    manifest.write_text(json.dumps(pod(image=image)))
    verified = run(tmp_path, "verify", image, "--policy", whole)
    assert verified.returncode == 0, verified
    linted = run(
        tmp_path,
        "lint",
        str(manifest),
        "--policy",
        whole,
        "--verify-images",
        "--only",
        "image-signature",
    )
    assert linted.returncode == 0, linted
    with running(tmp_path, "--policy", whole, "--verdicts", "memory") as webhook:
        message = webhook.review(pod(image=image))["status"]["message"]
        assert "image-signature" not in message, "denied for other reasons"
        assert "could not be verified" not in message
    untrusting = policy(tmp_path, mirrors=mirrors)
    assert run(tmp_path, "verify", image, "--policy", untrusting).returncode == 2
    direct = run(tmp_path, "verify", f"{place}/hub/shop/api:v1", "--policy", untrusting)
    assert direct.returncode == 2
    assert "its certificate is not trusted" in direct.stdout


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"mirrors": [{"of": "docker.io", "places": ["http://mirror.test"]}]}, "without a scheme"),
        ({"mirrors": [{"of": "docker.io", "places": []}]}, "places is empty"),
        ({"registryAuthorities": [{"file": "absent.pem"}]}, "absent.pem: "),
        ({"registryAuthorities": [{"data": "x"}]}, "holds no PEM"),
        ({"registryAuthorities": [{}]}, "one of data, file is asked for"),
    ],
)
def test_a_mistake_in_the_settings_is_told(
    tmp_path: Path, settings: dict[str, Any], expected: str
) -> None:
    checked = run(tmp_path, "policy", "check", policy(tmp_path, **settings))
    assert checked.returncode == 2
    assert expected in checked.stdout + checked.stderr
    assert "tidewaiter.json:1:" in checked.stdout + checked.stderr


def test_a_broken_docker_configuration_keeps_the_server_from_starting_with_the_reason(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.json").write_text("{")
    command = [sys.executable, "-m", "tidewaiter.webhook", "--bind", "127.0.0.1:0"]
    done = subprocess.run(
        [*command, "--inventory", "none", "--policy", policy(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "DOCKER_CONFIG": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "registries cannot be logged in to" in done.stderr
    assert "config.json: is no JSON" in done.stderr
    assert "Traceback" not in done.stderr
