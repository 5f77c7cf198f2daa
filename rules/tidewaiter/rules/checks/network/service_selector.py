"""A Service's selector picks a workload.

Checked field: spec.selector. Services without a selector and of type ExternalName pick no pods and are
passed over.
https://kubernetes.io/docs/concepts/services-networking/service/#defining-a-service
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of, pod_selector
from tidewaiter.rules.rule import Rule
from tidewaiter.rules.selection import selected, why_unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="service-selector",
    section="network",
    severity="error",
    profiles=("recommended",),
    summary="the selector of a Service picks a workload",
    rationale=(
        "A Service that picks no pod has no endpoints: every connection to it fails, and nothing "
        "else reports the misspelt label."
    ),
    remediation=(
        "Use labels of the pods, as in spec.template.metadata.labels of their workload:\n"
        "spec:\n  selector:\n    app: api"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/service/#defining-a-service",
        "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/",
    ),
    applies_to=("Service",),
    needs_inventory=True,
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation where no workload of the namespace has the labels."""
    if resource.spec.get("type") == "ExternalName":
        return
    selector = pod_selector(resource)
    if selector is None:
        return
    namespace = namespace_of(resource)
    if selected(context.inventory, namespace, selector):
        return
    labels = ", ".join(f"{key}={value}" for key, value in selector.equalities)
    message = f"no workload of namespace {namespace} has pods with the labels {labels}"
    reason = why_unknown(context.inventory, namespace, selector)
    if reason is None:
        yield Violation("/spec/selector", message)
    else:
        yield Violation("/spec/selector", f"{message}, but {reason}", unknown=True)
