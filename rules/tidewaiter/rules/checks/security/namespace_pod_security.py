"""Every Namespace has Pod Security admission enforce a level.

Restricted field: the label pod-security.kubernetes.io/enforce of a Namespace. Allowed values: the level of the
policy or a stricter one. Where a namespace has no Namespace among the manifests, its labels are unknown; that
is said once, on its first workload. The namespaces that Kubernetes makes for itself are left out.
https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.fields import escape, quoted
from tidewaiter.rules.namespaces import namespace_that_stands
from tidewaiter.rules.rule import ANY, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="namespace-pod-security",
    section="security",
    severity="warning",
    summary="every Namespace enforces the policy's Pod Security level",
    rationale=(
        "Without the label the API server takes any pod: one that is applied past this check, by hand or "
        "by an operator, may be privileged."
    ),
    remediation=(
        "Label the Namespace; try it first with warn and audit in the place of enforce:\n"
        "metadata:\n  labels:\n    pod-security.kubernetes.io/enforce: restricted"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-admission/",
        "https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-namespace-labels/",
    ),
    applies_to=(ANY,),
    needs_inventory=True,
    parameters=(
        Parameter(
            "level",
            "choice",
            "policy",
            "the least level; policy is that of the profiles, baseline where they ask for no more",
            choices=("policy", "baseline", "restricted"),
        ),
    ),
)

_LABEL = "pod-security.kubernetes.io/enforce"
_POINTER = f"/metadata/labels/{escape(_LABEL)}"
_LEVELS = ("privileged", "baseline", "restricted")


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for a Namespace that enforces too little, unknown where there is none."""
    namespace = namespace_that_stands(resource, context.inventory)
    if namespace is None:
        return
    if resource.kind_id != "Namespace":
        yield _unseen(resource, namespace)
        return
    wanted = context.parameters["level"]
    if wanted == "policy":
        wanted = context.level
    level = resource.labels.get(_LABEL)
    if level is None:
        yield Violation(
            _POINTER,
            f"Namespace {namespace} does not enforce Pod Security: no label {_LABEL}",
            fix=set_here(wanted, safe=False),
        )
    elif level not in _LEVELS:
        yield Violation(
            _POINTER,
            f"Namespace {namespace} has {quoted(level)} for {_LABEL}, which is no level",
            fix=set_here(wanted, safe=False),
        )
    elif _LEVELS.index(level) < _LEVELS.index(wanted):
        yield Violation(
            _POINTER,
            f"Namespace {namespace} enforces {level}, where the policy wants {wanted}",
            fix=set_here(wanted, safe=False),
        )


def _unseen(resource: Resource, namespace: str) -> Violation:
    where = (
        f"no Namespace {namespace} is among the manifests"
        if resource.namespace
        else "the manifests name no namespace"
    )
    return Violation(
        "/metadata/namespace",
        f"{where}, so the Pod Security level of the pods here is not known",
        unknown=True,
    )
