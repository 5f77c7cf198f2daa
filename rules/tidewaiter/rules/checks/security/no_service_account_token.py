"""Pods get no token for the API server that they do not need.

Restricted field: automountServiceAccountToken of the pod, else of its ServiceAccount. Allowed values:
false. The pod's own field wins. ServiceAccounts that the policy lists are left out.
https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#opt-out-of-api-credential-automounting
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import items, quoted, text
from tidewaiter.rules.manifest.glob import matches_any
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-service-account-token",
    section="security",
    severity="warning",
    profiles=("recommended",),
    summary="no pod mounts a ServiceAccount token unless the policy lists it",
    rationale=(
        "The token is in every container of the pod. Whoever reads it speaks to the API server with the "
        "rights of the ServiceAccount, and can at least look around in the cluster."
    ),
    remediation=(
        "Switch it off in the pod. Where the service does call the API server, list its ServiceAccount in "
        "the policy (parameter allowed):\nspec:\n  automountServiceAccountToken: false"
    ),
    references=(
        "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/",
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
    parameters=(
        Parameter(
            "allowed",
            "strings",
            (),
            "globs of ServiceAccounts, as namespace/name, whose pods may have a token",
            stricter="less",
        ),
    ),
)

_FIELD = "automountServiceAccountToken"
_OFF = set_here(value=False)
_OFF_THOUGH_WANTED = set_here(value=False, safe=False)
_BINDINGS = (
    "RoleBinding.rbac.authorization.k8s.io",
    "ClusterRoleBinding.rbac.authorization.k8s.io",
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a pod that mounts a token, unknown where its account is not seen."""
    of_pod = workload.pod_spec.get(_FIELD)
    if of_pod is False:
        return
    spec = workload.pod_spec
    name = text(spec.get("serviceAccountName")) or text(spec.get("serviceAccount")) or "default"
    namespace = namespace_of(workload.resource)
    if matches_any(f"{namespace}/{name}", context.parameters["allowed"]):
        return
    pointer = f"{workload.pod_pointer}/{_FIELD}"
    if of_pod is not None:
        yield Violation(
            pointer,
            f"the pod mounts a token of ServiceAccount {name} ({_FIELD}: {quoted(of_pod)})",
            fix=_OFF_THOUGH_WANTED,
        )
        return
    account = context.inventory.get("ServiceAccount", namespace, name)
    if account is not None:
        if account.object.get(_FIELD) is not False:
            yield Violation(
                pointer,
                f"the pod mounts a token of ServiceAccount {name}; neither of them sets {_FIELD}",
                fix=_OFF_THOUGH_WANTED if _has_rights(account, context.inventory) else _OFF,
            )
    elif name == "default" and context.inventory.complete:
        yield Violation(
            pointer,
            f"the pod mounts a token of the default ServiceAccount; it sets no {_FIELD}",
            fix=_OFF,
        )
    else:
        yield Violation(
            pointer,
            f"the pod sets no {_FIELD}, and ServiceAccount {name}, which may, is not among the "
            "manifests",
            unknown=True,
        )


def _has_rights(account: Resource, inventory: Inventory) -> bool:
    """Tell whether something is bound to an account: then its pods are meant to call the API server."""
    return f"{namespace_of(account)}/{account.name}" in inventory.once(_bound_accounts)


def _bound_accounts(inventory: Inventory) -> frozenset[str]:
    return frozenset(
        f"{text(subject.get('namespace')) or namespace_of(binding)}/{text(subject.get('name'))}"
        for kind in _BINDINGS
        for binding in inventory.of_kind(kind)
        for subject, _ in items(binding.object.get("subjects"), "")
        if subject.get("kind") == "ServiceAccount"
    )
