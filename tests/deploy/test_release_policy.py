"""The policy of a release, held against images that the release's workflow has signed, and others have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.deploy.image_root import IMAGE
from tests.rules.signatures.registry_server import RegistryServer
from tests.rules.signatures.signing import push_bundle, statement
from tests.rules.signatures.sigstore_world import World, new_key
from tidewaiter.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUER = "https://token.actions.githubusercontent.com"
REPOSITORY = "https://github.com/example/tidewaiter"
WORKFLOW = f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v0.1.0"
CYCLONEDX = "https://cyclonedx.org/bom"
SLSA = "https://slsa.dev/provenance/v1"
SBOM: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "metadata": {"component": {"name": "tidewaiter"}},
    "components": [{"name": "httpx"}],
}


def provenance(repository: str = REPOSITORY) -> dict[str, Any]:
    """The part of GitHub's provenance that the policy reads."""
    workflow = {"repository": repository, "path": ".github/workflows/release.yml"}
    return {"buildDefinition": {"externalParameters": {"workflow": workflow}}}


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    server = RegistryServer()
    yield server
    server.close()


class Release:
    """A released image, and who has signed it."""

    def __init__(self, registry: RegistryServer, folder: Path) -> None:
        self.registry = registry
        self.world = World(folder)
        self.digest = registry.push_image("example/tidewaiter")
        (folder / "root.json").write_text(self.world.trusted_root)
        text = (IMAGE / "release-policy.yaml").read_text()
        text = text.replace("ghcr.io/OWNER", f"{registry.host}/example").replace("OWNER", "example")
        name = "- name: release workflow\n"
        assert name in text
        text = text.replace(name, f"{name}            trustedRoot: {{file: root.json}}\n")
        self.policy = folder / "tidewaiter.yaml"
        self.policy.write_text(text)

    def sign(
        self,
        kind: str = "",
        predicate: Any = None,
        *,
        subject: str = WORKFLOW,
        repository: str = REPOSITORY,
        runner: str = "github-hosted",
    ) -> None:
        """Push a signature, or an attestation where a kind of predicate is named."""
        key = new_key()
        claims = {11: runner, 12: repository}
        certificate = self.world.certificate(key, subject=subject, issuer=ISSUER, claims=claims)
        words = (kind, predicate) if kind else ()
        signed = statement(self.digest, *words)
        bundle = self.world.bundle(signed, key=key, certificate=certificate)
        push_bundle(self.registry, "example/tidewaiter", self.digest, bundle)

    def verdict(self) -> int:
        """The exit code of the step of the workflow."""
        image = f"{self.registry.host}/example/tidewaiter@{self.digest}"
        return main(["verify", "--policy", str(self.policy), image])


@pytest.fixture
def release(registry: RegistryServer, tmp_path: Path) -> Release:
    return Release(registry, tmp_path)


def test_what_the_workflow_signs_and_attests_passes(release: Release) -> None:
    assert release.verdict() == 1
    release.sign()
    assert release.verdict() == 1
    release.sign(CYCLONEDX, SBOM)
    assert release.verdict() == 1
    release.sign(SLSA, provenance())
    assert release.verdict() == 0


@pytest.mark.parametrize(
    "other",
    [
        {"subject": f"{REPOSITORY}/.github/workflows/ci.yml@refs/tags/v0.1.0"},
        {"subject": f"{REPOSITORY}/.github/workflows/release.yml@refs/heads/main"},
        {"subject": WORKFLOW.replace("example", "somebody")},
        {"repository": "https://github.com/somebody/tidewaiter"},
        {"runner": "self-hosted"},
    ],
    ids=str,
)
def test_what_another_identity_signs_does_not(release: Release, other: dict[str, str]) -> None:
    release.sign(**other)
    release.sign(CYCLONEDX, SBOM)
    release.sign(SLSA, provenance())
    assert release.verdict() == 1


def test_another_sbom_does_not(release: Release) -> None:
    release.sign()
    release.sign(CYCLONEDX, {**SBOM, "metadata": {"component": {"name": "other"}}})
    release.sign(SLSA, provenance())
    assert release.verdict() == 1
    release.sign(CYCLONEDX, SBOM)
    assert release.verdict() == 0


def test_provenance_of_another_repository_does_not(release: Release) -> None:
    release.sign()
    release.sign(CYCLONEDX, SBOM)
    release.sign(SLSA, provenance("https://github.com/somebody/tidewaiter"))
    assert release.verdict() == 1
