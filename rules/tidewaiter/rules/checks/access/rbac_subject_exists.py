"""The ServiceAccounts and the role that a binding names exist.

Restricted fields of RoleBinding and ClusterRoleBinding: subjects[*] of kind ServiceAccount, or of kind User
with the name of one (`system:serviceaccount:<namespace>:<name>`); roleRef. Allowed: those that are there,
`default`, which every namespace has, and the ClusterRoles that Kubernetes and distributions bring. Left
out: ServiceAccounts and Roles in namespaces of the cluster itself. Unknown: a single file, a namespace of
which nothing is seen, and where an operator or a GitOps tool may make them.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#rolebinding-and-clusterrolebinding
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import items, text
from tidewaiter.rules.manifest.rbac import BINDING_KINDS, GROUP, role_ref
from tidewaiter.rules.operators import pod_maker
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="rbac-subject-exists",
    section="access",
    severity="warning",
    summary="the ServiceAccounts and the role that a binding names exist",
    rationale=(
        "A binding to what is not there gives nothing to those it was written for. Whoever can make a "
        "ServiceAccount or role of that name later takes over what the binding gives."
    ),
    remediation=(
        "Name what exists, with the namespace of the ServiceAccount, or remove the binding:\n"
        "subjects:\n  - {kind: ServiceAccount, name: api, namespace: payments}"
    ),
    references=(
        "https://kubernetes.io/docs/reference/access-authn-authz/rbac/#rolebinding-and-clusterrolebinding",
        "https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings",
    ),
    applies_to=BINDING_KINDS,
    needs_inventory=True,
)

_BUILT_IN = frozenset({"admin", "cluster-admin", "edit", "view"})
_BY_DISTRIBUTION = frozenset(
    {
        "basic-user",
        "cloud-provider",
        "cluster-reader",
        "cluster-status",
        "registry-admin",
        "registry-editor",
        "registry-viewer",
        "self-access-reviewer",
        "self-provisioner",
        "storage-admin",
        "sudoer",
    }
)
"""ClusterRoles that OpenShift and GKE bring."""
_PREFIXES = ("aks:", "eks:", "gce:", "gke:", "kubeadm:", "openshift:", "system:")
_CLUSTER_NAMESPACES = ("gke-managed-", "kube-", "openshift-")
_USER = "system:serviceaccount:"
_DEPLOYERS = (
    "App.kappctrl.k14s.io",
    "Application.argoproj.io",
    "ApplicationSet.argoproj.io",
    "ClusterExtension.olm.operatorframework.io",
    "HelmChart.helm.cattle.io",
    "HelmRelease.helm.toolkit.fluxcd.io",
    "Kustomization.kustomize.toolkit.fluxcd.io",
    "Subscription.operators.coreos.com",
)
"""Kinds from which a controller makes whatever objects a chart or repository holds, in any namespace."""


@RULE.check
def check(binding: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each ServiceAccount, and for the role, that is not there."""
    inventory = context.inventory
    for subject, pointer in items(binding.object.get("subjects"), "/subjects"):
        named = _service_account(subject, binding)
        if named is None:
            continue
        namespace, name = named
        if not namespace:
            yield Violation(
                f"{pointer}/namespace",
                f"ServiceAccount {name} is named without its namespace, which a ClusterRoleBinding needs",
            )
        elif not _is_account(namespace, name, inventory):
            yield _missing(f"{pointer}/name", "ServiceAccount", name, namespace, inventory)
    kind, name = role_ref(binding)
    if not name:
        return
    if kind == "ClusterRole":
        if not _is_cluster_role(name, inventory):
            yield _missing("/roleRef/name", kind, name, None, inventory)
    elif kind == "Role" and binding.kind == "RoleBinding":
        namespace = namespace_of(binding)
        if not namespace.startswith(_CLUSTER_NAMESPACES):
            if inventory.get(f"Role.{GROUP}", namespace, name) is None:
                yield _missing("/roleRef/name", kind, name, namespace, inventory)


def _service_account(subject: dict[str, object], binding: Resource) -> tuple[str, str] | None:
    """Return the namespace and name of a subject that is a ServiceAccount, or None.

    In a RoleBinding a ServiceAccount without a namespace is one of the binding's own.
    """
    kind, name = subject.get("kind"), text(subject.get("name"))
    if kind == "User" and name.startswith(_USER):
        namespace, colon, account = name[len(_USER) :].partition(":")
        return (namespace, account) if colon and namespace and account else None
    if kind != "ServiceAccount" or not name:
        return None
    namespace = text(subject.get("namespace"))
    if not namespace and binding.kind == "RoleBinding":
        namespace = namespace_of(binding)
    return namespace, name


def _is_account(namespace: str, name: str, inventory: Inventory) -> bool:
    return (
        name == "default"
        or namespace.startswith(_CLUSTER_NAMESPACES)
        or inventory.get("ServiceAccount", namespace, name) is not None
    )


def _is_cluster_role(name: str, inventory: Inventory) -> bool:
    return (
        name in _BUILT_IN
        or name in _BY_DISTRIBUTION
        or name.startswith(_PREFIXES)
        or inventory.find(f"ClusterRole.{GROUP}", name) is not None
    )


def _missing(
    pointer: str, kind: str, name: str, namespace: str | None, inventory: Inventory
) -> Violation:
    unknown = _why_unknown(namespace, inventory)
    where = f" in namespace {namespace}" if namespace else ""
    return Violation(
        pointer,
        f"there is no {kind} {name}{where}" + (f" here, but {unknown}" if unknown else ""),
        unknown=unknown is not None,
    )


def _why_unknown(namespace: str | None, inventory: Inventory) -> str | None:
    if not inventory.complete:
        return "the other objects are not known"
    deployer = inventory.once(_deployer)
    if deployer is not None:
        return f"{deployer} may deploy it"
    if namespace is None:
        return None
    maker = pod_maker(inventory, namespace)
    if maker is not None:
        return f"an operator may make it (custom resources there: {maker}, ...)"
    if not inventory.kinds_in(namespace) and inventory.find("Namespace", namespace) is None:
        return "nothing of that namespace is among the manifests"
    return None


def _deployer(inventory: Inventory) -> str | None:
    """Name the first object from which a controller deploys others, or None."""
    for kind in _DEPLOYERS:
        found = inventory.of_kind(kind)
        if found:
            return f"{found[0].kind} {found[0].name}"
    return None
