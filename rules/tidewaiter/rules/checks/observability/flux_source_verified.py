"""Flux verifies what it fetches, installs one version of a chart, and rolls a failed release back.

Restricted fields: spec.verify of OCIRepository and GitRepository; spec.chart.spec.version of HelmRelease
(an exact version; ignored by Flux, and so here, where the chart comes from git or a bucket) and
spec.install and spec.upgrade of it (remediation.retries, remediation.remediateLastFailure, or the strategy
RetryOnFailure). HelmReleases by chartRef leave the version to what they name.
https://fluxcd.io/flux/components/source/ and https://fluxcd.io/flux/components/helm/helmreleases/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, mapping, quoted, text
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_GIT = "GitRepository.source.toolkit.fluxcd.io"
_OCI = "OCIRepository.source.toolkit.fluxcd.io"
_RELEASE = "HelmRelease.helm.toolkit.fluxcd.io"

RULE = Rule(
    name="flux-source-verified",
    section="observability",
    severity="warning",
    summary="Flux verifies its sources, pins its charts and remediates failed releases",
    rationale=(
        "Whoever can push to an unverified source deploys to the cluster. A range of chart versions "
        "upgrades itself at night, and without remediation a failed upgrade stays as it is: half done."
    ),
    remediation=(
        "Verify signatures of the source:\n"
        "spec:\n  verify:\n    provider: cosign\n    matchOIDCIdentity:\n"
        "      - issuer: ^https://token.actions.githubusercontent.com$\n"
        "        subject: ^https://github.com/example/payments/.*$"
    ),
    references=(
        "https://fluxcd.io/flux/components/source/ocirepositories/#verification",
        "https://fluxcd.io/flux/components/source/gitrepositories/#verification",
        "https://fluxcd.io/flux/components/helm/helmreleases/",
    ),
    applies_to=(_GIT, _OCI, _RELEASE),
)

_VERSION = "Name one version of the chart:\nspec:\n  chart:\n    spec:\n      version: 1.4.2"
_REMEDIATION = (
    "Retry, and roll back what still fails:\n"
    "spec:\n  install:\n    remediation: {retries: 3}\n"
    "  upgrade:\n    remediation: {retries: 3, remediateLastFailure: true}"
)
_VERIFY_GIT = (
    "Verify the signatures of commits or tags:\n"
    "spec:\n  verify:\n    mode: HEAD\n    secretRef: {name: trusted-keys}"
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for a source, and one for each thing that a release leaves out."""
    del context
    if resource.kind_id == _RELEASE:
        yield from _version(resource)
        yield from _remediation(resource)
    elif not mapping(resource.spec.get("verify")):
        yield Violation(
            "/spec/verify",
            f"{resource!r} is fetched without a check of its signature",
            remediation=_VERIFY_GIT if resource.kind_id == _GIT else None,
        )


def _version(release: Resource) -> Iterator[Violation]:
    chart = dig(release.spec, "chart", "spec")
    if not isinstance(chart, dict):
        return
    if text(dig(chart, "sourceRef", "kind")) in {"GitRepository", "Bucket"}:
        return
    pointer = "/spec/chart/spec/version"
    version = chart.get("version")
    if version is None or version == "":
        message = f"{release!r} names no version of its chart, so it takes the newest"
        yield Violation(pointer, message, remediation=_VERSION)
    elif not _is_exact(text(version)) and isinstance(version, str):
        message = f"{release!r} takes chart versions in the range {quoted(version)}"
        yield Violation(pointer, message, remediation=_VERSION)


def _remediation(release: Resource) -> Iterator[Violation]:
    for action, effect in (
        ("install", "a failed install is not tried again"),
        ("upgrade", "a failed upgrade is neither rolled back nor tried again"),
    ):
        settings = mapping(release.spec.get(action))
        if dig(settings, "strategy", "name") == "RetryOnFailure":
            continue
        remediation = mapping(settings.get("remediation"))
        if remediation.get("retries") or remediation.get("remediateLastFailure") is True:
            continue
        yield Violation(
            f"/spec/{action}/remediation/retries",
            f"{action}.remediation.retries of {release!r} is not set, so {effect}",
            remediation=_REMEDIATION,
        )


def _is_exact(version: str) -> bool:
    """Tell whether a version is one in full and no range: `1.4.2`, `v1.4.2-rc.1+build`."""
    core = version.removeprefix("=").strip().removeprefix("v").partition("+")[0].partition("-")[0]
    parts = core.split(".")
    return (
        len(parts) == 3 and all(part.isdecimal() for part in parts) and " " not in version.strip()
    )
