"""What a pod names is there: ConfigMaps, Secrets, claims, its ServiceAccount.

Restricted fields: env and envFrom of containers; configMap, secret, projected and persistentVolumeClaim
volumes; imagePullSecrets; serviceAccountName. Allowed: the object, or what makes it, is in the namespace, and
has the key that is read; references marked optional.
https://kubernetes.io/docs/concepts/configuration/secret/#restriction-secret-must-exist
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.makers import maker_of_config_map, maker_of_secret
from tidewaiter.rules.manifest.fields import items, mapping, text
from tidewaiter.rules.manifest.references import references_of
from tidewaiter.rules.operators import pod_maker
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.references import Reference
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="reference-exists",
    section="secrets",
    severity="error",
    profiles=("recommended",),
    summary="the ConfigMaps, Secrets, claims and ServiceAccounts that pods name exist",
    rationale=(
        "A pod that names something that is not there stays in CreateContainerConfigError or Pending; "
        "in a rollout that is seen when the new pods do not come up."
    ),
    remediation=(
        "Name what exists, add it to the manifests, or mark what may be missing:\n"
        "envFrom:\n  - configMapRef: {name: api, optional: true}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/configuration/secret/#restriction-secret-must-exist",
        "https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
)

_GIVEN = {
    "ServiceAccount": frozenset({"default"}),
    "ConfigMap": frozenset({"kube-root-ca.crt"}),
}
"""What Kubernetes puts into every namespace."""
_PUT_BY_CLUSTER = frozenset({"istio-ca-root-cert", "openshift-service-ca.crt"})
"""ConfigMaps that a mesh or distribution puts into every namespace."""
_CLUSTER_NAMESPACES = (
    "gke-managed-",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "openshift-",
)
_STATEFUL_SETS = ("StatefulSet.apps", "StatefulSet.apps.kruise.io")
_FILLED_IN = "kubernetes.io/service-account-token"


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each name, and each key, that is not there."""
    namespace = namespace_of(workload.resource)
    for reference in references_of(workload):
        found = context.inventory.get(reference.kind, namespace, reference.name)
        if found is not None:
            if reference.key and not _has_key(found, reference.key):
                yield Violation(
                    reference.key_pointer,
                    f"{reference.kind} {reference.name} has no key {reference.key!r}",
                    reference.container,
                )
            continue
        if reference.name in _GIVEN.get(reference.kind, ()):
            continue
        if not _is_made(reference, namespace, context.inventory):
            unknown = _why_unknown(reference, namespace, context.inventory)
            yield Violation(
                reference.pointer,
                f"there is no {reference.kind} {reference.name} "
                + (f"here, but {unknown}" if unknown else f"in namespace {namespace}"),
                reference.container,
                unknown=unknown is not None,
            )


def _has_key(found: Resource, key: str) -> bool:
    """Tell whether a ConfigMap or Secret has a key; without any it is filled in by something else."""
    keys = {
        name
        for field in ("data", "stringData", "binaryData")
        for name in mapping(found.object.get(field))
    }
    return not keys or key in keys or found.object.get("type") == _FILLED_IN


def _is_made(reference: Reference, namespace: str, inventory: Inventory) -> bool:
    if reference.kind == "Secret":
        return maker_of_secret(reference.name, namespace, inventory) is not None
    if reference.kind == "ConfigMap":
        return maker_of_config_map(reference.name, inventory) is not None
    if reference.kind == "PersistentVolumeClaim":
        return _is_claimed_by_stateful_set(reference.name, namespace, inventory)
    return False


def _is_claimed_by_stateful_set(claim: str, namespace: str, inventory: Inventory) -> bool:
    """Tell whether a claim is of the form <template>-<StatefulSet>-<ordinal> of a StatefulSet here."""
    stem, _, ordinal = claim.rpartition("-")
    if not ordinal.isdigit():
        return False
    for kind in _STATEFUL_SETS:
        for owner in inventory.of_kind(kind, namespace):
            for template, _ in items(owner.spec.get("volumeClaimTemplates"), ""):
                if stem == f"{text(mapping(template.get('metadata')).get('name'))}-{owner.name}":
                    return True
    return False


def _why_unknown(reference: Reference, namespace: str, inventory: Inventory) -> str | None:
    if not inventory.complete:
        return "the other objects are not known"
    if reference.name in _PUT_BY_CLUSTER:
        return "a mesh or distribution puts it into every namespace"
    maker = pod_maker(inventory, namespace)
    if maker is not None:
        return f"an operator may make it (custom resources here: {maker}, ...)"
    if namespace.startswith(_CLUSTER_NAMESPACES):
        return f"the cluster keeps objects of its own in {namespace}"
    return None
