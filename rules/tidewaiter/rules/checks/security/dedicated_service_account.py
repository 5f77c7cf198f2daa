"""No pod runs as the default ServiceAccount of its namespace.

Restricted fields: serviceAccountName of the pod and its deprecated alias serviceAccount. Allowed values: any
name but `default`; the API server fills that in where there is none.
https://kubernetes.io/docs/concepts/security/service-accounts/#default-service-accounts
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import quoted
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="dedicated-service-account",
    section="security",
    severity="warning",
    summary="no pod runs as the default ServiceAccount",
    rationale=(
        "All pods that name no ServiceAccount share one identity: a right, a pull secret or a cloud role "
        "that one of them is given belongs to all of them, and no audit log or mesh can tell them apart."
    ),
    remediation=(
        "Give the workload a ServiceAccount of its own:\n"
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: api}\n"
        "automountServiceAccountToken: false\n"
        "---\n# in the pod:\nspec:\n  serviceAccountName: api"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/service-accounts/",
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/",
    ),
    applies_to=(WORKLOAD,),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a pod of the default account, unknown where the name is no text."""
    del context
    spec = workload.pod_spec
    if not spec:
        return
    field = "serviceAccountName"
    if not spec.get(field) and spec.get("serviceAccount"):
        field = "serviceAccount"
    name = spec.get(field)
    pointer = f"{workload.pod_pointer}/{field}"
    if name is None or name == "":
        yield Violation(pointer, "the pod names no ServiceAccount and so runs as default")
    elif name == "default":
        yield Violation(pointer, f"the pod runs as the default ServiceAccount ({field}: default)")
    elif not isinstance(name, str):
        yield Violation(pointer, f"{field} is {quoted(name)}, which is no name", unknown=True)
