"""The chosen Kubernetes version serves the object's apiVersion, and has not deprecated it.

Restricted field: apiVersion of kinds of Kubernetes itself. A version that is served no more, or not yet, is
an error; one that is deprecated a warning.
https://kubernetes.io/docs/reference/using-api/deprecation-guide/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.api_version import is_built_in
from tidewaiter.rules.manifest.fields import dig
from tidewaiter.rules.rule import ANY, Rule
from tidewaiter.rules.schema.definitions import OLDEST, kinds_of_group_version
from tidewaiter.rules.schema.lifecycle import lifecycle_of, replacement_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.fixes.edit import Fix
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-deprecated-api",
    section="hygiene",
    severity="error",
    profiles=("recommended",),
    summary="every apiVersion is served by the chosen Kubernetes version",
    rationale=(
        "After the upgrade that removes an API the manifests that use it cannot be applied any more, and "
        "that shows in the next rollout, or in the recovery from a failure."
    ),
    remediation="Use the apiVersion that is served, and what has changed in its fields:\napiVersion: apps/v1",
    references=(
        "https://kubernetes.io/docs/reference/using-api/deprecation-guide/",
        "https://kubernetes.io/docs/reference/using-api/deprecation-policy/",
    ),
    applies_to=(ANY,),
)

_POINTER = "/apiVersion"


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield at most one violation for the apiVersion of a built-in kind."""
    api_version, kind, version = resource.api_version, resource.kind, context.version
    if not is_built_in(api_version):
        return
    life = lifecycle_of(api_version, kind)
    name = f"{api_version} {kind}"
    if life is None:
        if not kinds_of_group_version(api_version, max(version, OLDEST)):
            message = f"Kubernetes {_text(version[1])} serves no {api_version}"
            yield from _violation(resource, context, message)
        return
    minor = version[1]
    if life.removed is not None and minor >= life.removed:
        message = f"{name} is served no more since Kubernetes {_text(life.removed)}"
        yield from _violation(resource, context, message)
    elif life.introduced is not None and minor < life.introduced:
        message = f"{name} is not served before Kubernetes {_text(life.introduced)}"
        yield from _violation(resource, context, message)
    elif life.deprecated is not None and minor >= life.deprecated:
        until = f" and goes in {_text(life.removed)}" if life.removed is not None else ""
        message = f"{name} is deprecated since Kubernetes {_text(life.deprecated)}{until}"
        yield from _violation(resource, context, message, severity="warning")
    elif version < OLDEST and life.removed is None:
        yield Violation(
            _POINTER,
            f"whether Kubernetes {_text(minor)} serves {name} is not known, only what "
            f"{_text(OLDEST[1])} and later serve",
            unknown=True,
        )


def _violation(
    resource: Resource, context: Context, message: str, severity: str | None = None
) -> Iterator[Violation]:
    replacement = replacement_of(resource.api_version, resource.kind, context.version)
    if replacement is not None:
        message += f"; {replacement} is"
        remediation = f"Use it, and see what has changed in its fields:\napiVersion: {replacement}"
    else:
        remediation = _WITHOUT_REPLACEMENT.get(
            resource.kind, "Nothing takes its place in this version; remove the object."
        )
    yield Violation(
        _POINTER,
        message,
        severity=severity,
        remediation=remediation,
        fix=_fix(resource, replacement),
    )


def _fix(resource: Resource, replacement: str | None) -> Fix | None:
    """Name the version that takes its place, where the object means the same there as it stands."""
    needed = _SAME_FIELDS.get((resource.api_version, resource.kind, replacement))
    if needed is None or replacement is None:
        return None
    return set_here(replacement) if all(dig(resource.object, *path) for path in needed) else None


_SELECTED = (("spec", "selector", "matchLabels"),)
_SAME_FIELDS: dict[tuple[str, str, str | None], tuple[tuple[str, ...], ...]] = {
    ("apps/v1beta2", "Deployment", "apps/v1"): _SELECTED,
    ("apps/v1beta2", "StatefulSet", "apps/v1"): _SELECTED,
    ("apps/v1beta2", "DaemonSet", "apps/v1"): _SELECTED,
    ("apps/v1beta2", "ReplicaSet", "apps/v1"): _SELECTED,
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler", "autoscaling/v2"): (),
    ("batch/v1beta1", "CronJob", "batch/v1"): (),
    ("coordination.k8s.io/v1beta1", "Lease", "coordination.k8s.io/v1"): (),
    ("extensions/v1beta1", "NetworkPolicy", "networking.k8s.io/v1"): (),
    ("networking.k8s.io/v1beta1", "IngressClass", "networking.k8s.io/v1"): (),
    ("node.k8s.io/v1beta1", "RuntimeClass", "node.k8s.io/v1"): (),
    # An empty selector selects nothing in policy/v1beta1 and everything in policy/v1.
    ("policy/v1beta1", "PodDisruptionBudget", "policy/v1"): _SELECTED,
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole", "rbac.authorization.k8s.io/v1"): (),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding", "rbac.authorization.k8s.io/v1"): (),
    ("rbac.authorization.k8s.io/v1beta1", "Role", "rbac.authorization.k8s.io/v1"): (),
    ("rbac.authorization.k8s.io/v1beta1", "RoleBinding", "rbac.authorization.k8s.io/v1"): (),
    ("scheduling.k8s.io/v1beta1", "PriorityClass", "scheduling.k8s.io/v1"): (),
    ("storage.k8s.io/v1beta1", "StorageClass", "storage.k8s.io/v1"): (),
}
"""Moves in which no field and no default changes, and the fields that must be stated for that."""


_WITHOUT_REPLACEMENT = {
    "PodSecurityPolicy": (
        "Use Pod Security Admission, by a label on the namespace:\nmetadata:\n  labels:\n"
        "    pod-security.kubernetes.io/enforce: restricted"
    ),
    "Endpoints": (
        "Use EndpointSlices:\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata:\n  labels: {kubernetes.io/service-name: api}"
    ),
}


def _text(minor: int) -> str:
    return f"1.{minor}"
