"""The first policy of a repository, with comments that say where each line of it comes from."""

from __future__ import annotations

from tidewaiter.cli.output.statistics import counted
from tidewaiter.rules.catalogue import entries, in_profile
from tidewaiter.rules.finding import VIOLATION
from tidewaiter.rules.policy.compiled import DEFAULT_PROFILE, LATEST_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidewaiter.cli.first_contact.survey import Survey
    from tidewaiter.cli.result import LintFinding
    from tidewaiter.rules.policy.compiled import PlainPolicy

_PLATFORM = frozenset({
    "argocd", "calico-system", "cert-manager", "cilium", "cilium-secrets", "external-dns", "external-secrets",
    "flux-system", "gatekeeper-system", "gpu-operator", "ingress-nginx", "istio-system", "karpenter", "keda",
    "kube-flannel", "kube-node-lease", "kube-public", "kube-system", "kyverno", "linkerd", "local-path-storage",
    "logging", "longhorn-system", "metallb-system", "monitoring", "node-feature-discovery", "observability",
    "openebs", "rook-ceph", "tigera-operator", "traefik", "velero",
})  # fmt: skip
"""Namespaces that run what a cluster is made of, by the names that their projects install into."""
_SHOWN = 5
_MOST_VERSIONS = 8


def platform_namespaces(names: Iterable[str | None]) -> list[str]:
    """Return those of some namespaces that hold parts of the cluster rather than services."""
    return sorted({name for name in names if name in _PLATFORM})


def trial_policy(version: str) -> PlainPolicy:
    """Return the policy that holds the most of what a first policy may: its findings decide which it will be."""
    plain: PlainPolicy = {
        "name": "default",
        "profiles": ["production"],
        "overrides": [{"match": {"namespaces": sorted(_PLATFORM)}, "profiles": ["pss-baseline"]}],
    }
    if version:
        plain["kubernetesVersion"] = version
    return plain


def fitting_profile(findings: Iterable[LintFinding]) -> str:
    """Return the strictest of the usual profiles that has nothing to add to what must be done anyway."""
    return DEFAULT_PROFILE if any(map(_is_added, findings)) else "production"


def in_force(findings: Iterable[LintFinding], profile: str) -> list[LintFinding]:
    """Return the violations among the trial's findings that a profile has too."""
    violations = [each for each in findings if each.status == VIOLATION]
    if profile == "production":
        return violations
    return [each for each in violations if not _is_added(each)]


def _is_added(finding: LintFinding) -> bool:
    """Tell whether a violation is one of `production` and not of the default profile."""
    entry = entries().get(finding.rule)
    return (
        finding.status == VIOLATION and entry is not None and not in_profile(entry, DEFAULT_PROFILE)
    )


def policy_text(survey: Survey, findings: Sequence[LintFinding], profile: str) -> str:
    """Return the text of the policy; `findings` are the trial's."""
    return "\n".join(_lines(survey, findings, profile)) + "\n"


def _lines(survey: Survey, findings: Sequence[LintFinding], profile: str) -> Iterator[str]:
    yield "# Which rules hold for the manifests of this repository. Written once by `tidewaiter init`; it is yours now."
    yield "# `tidewaiter policy check` finds mistakes in it, `tidewaiter policy show FILE` says what it means for an object."
    yield "#"
    yield "# Made for what was found here:"
    for line in found_lines(survey):
        yield _comment(f"- {line}")
    yield "apiVersion: tidewaiter.dev/v1"
    yield "kind: Policy"
    yield "metadata:"
    yield "  name: default"
    yield "spec:"
    yield from _profile(findings, profile)
    yield ""
    yield from _version(survey)
    yield ""
    yield "  # Findings of this severity and above make `tidewaiter lint` fail: error, warning, info or never."
    yield "  failOn: error"
    platform = platform_namespaces((*survey.namespaces, *(each.namespace for each in findings)))
    if platform:
        yield ""
        yield "  # These namespaces run parts of the cluster itself, which may do more than a service: the Pod Security"
        yield "  # Standard `baseline` is asked of them, and nothing else. Take out those that hold services of yours."
        yield "  overrides:"
        yield "    - match:"
        yield "        namespaces:"
        for name in platform:
            yield f"          - {name}"
        yield "      profile: pss-baseline"
    yield ""
    yield "  # One rule set otherwise, for everything:"
    yield "  # rules:"
    yield "  #   image-digest: {severity: warning}"
    yield "  #"
    yield "  # What may break a rule, why, and until when. None is made up here; what has been there all along is better"
    yield "  # kept in a baseline: `tidewaiter lint --write-baseline`, then `tidewaiter lint --baseline tidewaiter-baseline.json`."
    yield "  # exemptions:"
    yield '  #   - match: {namespaces: [legacy], names: ["redis-*"]}'
    yield "  #     rules: [read-only-root-filesystem]"
    yield "  #     reason: the image writes its pid file to /"
    yield '  #     expires: "2027-01-31"'


def found_lines(survey: Survey) -> Iterator[str]:
    """Yield one line for each kind of thing that was found."""
    yield (
        f"{counted(survey.objects, 'object')} in {counted(survey.manifests, 'manifest')}, "
        f"{counted(survey.workloads, 'workload')} among them"
    )
    if survey.charts:
        yield f"{counted(len(survey.charts), 'chart')}: {_some(survey.charts)}"
    if survey.kustomizations:
        yield f"{counted(len(survey.kustomizations), 'kustomization')}: {_some(survey.kustomizations)}"
    for kind, number in survey.deliveries:
        name, _, group = kind.partition(".")
        tool = "Argo CD" if group == "argoproj.io" else "Flux"
        yield f"{counted(number, f'{name} of {tool}', f'{name}s of {tool}')}"
    if survey.clusters:
        yield f"clusters that they deliver to: {_some(survey.clusters)}"
    if survey.namespaces:
        yield f"{counted(len(survey.namespaces), 'namespace')}: {_some(survey.namespaces)}"


def _profile(findings: Sequence[LintFinding], profile: str) -> Iterator[str]:
    if profile == "production":
        yield "  # `production` holds every rule of severity error or warning. It has nothing more to say here than the"
        yield "  # usual `recommended`, so it keeps things as good as they are."
    else:
        added = [each for each in findings if _is_added(each)]
        yield "  # `recommended` is Pod Security `restricted`, and what keeps a service up and its network closed."
        yield f"  # `production` has more rules; they would add {counted(len(added), 'finding')} now."
    yield f"  profile: {profile}"


def _version(survey: Survey) -> Iterator[str]:
    latest = "{}.{}".format(*LATEST_VERSION)
    if not survey.versions:
        yield "  # The Kubernetes version of the cluster decides which fields and rules there are. No file here names it."
        yield f'  # kubernetesVersion: "{latest}"'
        return
    named = dict(reversed(survey.versions))
    yield "  # The Kubernetes version of the cluster decides which fields and rules there are. Named here:"
    for version in sorted(named, key=_by_number)[:_MOST_VERSIONS]:
        yield _comment(f"- {version} in {named[version]}", "  ")
    if len(named) > 1:
        yield "  # The oldest is taken, for its cluster must understand the manifests too."
    yield f'  kubernetesVersion: "{survey.version}"'


def _by_number(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _comment(text: str, margin: str = "") -> str:
    """Return a text as a comment that it cannot get out of."""
    return f"{margin}# " + "".join(char if char.isprintable() else "?" for char in text)
