"""Admission webhooks state how they fail, answer soon and leave the cluster's own pods alone.

Restricted fields of webhooks[*] in ValidatingWebhookConfiguration and MutatingWebhookConfiguration:
failurePolicy (set), timeoutSeconds (at most 10, the default of v1; that of v1beta1 is 30), sideEffects (None
or NoneOnDryRun), and what the webhook is called for: not for built-in objects in kube-system. That is kept
out by a namespaceSelector, by rules on cluster-scoped or custom resources alone, by an objectSelector that
asks for a label, or by matchConditions. Whether a label that excludes is on kube-system, and what other
conditions on namespaces mean, is unknown.
https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.api_version import is_built_in
from tidewaiter.rules.manifest.fields import items, quoted, sequence, text, whole_number
from tidewaiter.rules.manifest.selector import InvalidSelector, parse_selector
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_EXCLUDE = (
    "Leave kube-system out:\n"
    "namespaceSelector:\n  matchExpressions:\n    - key: kubernetes.io/metadata.name\n"
    "      operator: NotIn\n      values: [kube-system, kube-node-lease]"
)

RULE = Rule(
    name="webhook-configuration",
    section="access",
    severity="warning",
    summary="admission webhooks state how they fail, answer soon and leave kube-system alone",
    rationale=(
        "A webhook that is down or slow holds up every request that it matches. If kube-system is among "
        "them, the network and DNS pods that the webhook itself needs cannot start again."
    ),
    remediation=(
        "State the fields that decide what happens on failure:\n"
        "webhooks:\n  - failurePolicy: Fail\n    timeoutSeconds: 5\n    sideEffects: None\n"
        "    namespaceSelector:\n      matchExpressions:\n        - key: kubernetes.io/metadata.name\n"
        "          operator: NotIn\n          values: [kube-system, kube-node-lease]"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
        "https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/",
    ),
    applies_to=(
        "MutatingWebhookConfiguration.admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
    ),
    needs_inventory=True,
)

_MOST_SECONDS = 10
_NAME_LABEL = "kubernetes.io/metadata.name"
_KUBE_SYSTEM = "kube-system"
_CLUSTER_SCOPED = frozenset(
    {
        "apiservices", "certificatesigningrequests", "clusterrolebindings", "clusterroles",
        "clustertrustbundles", "componentstatuses", "csidrivers", "csinodes", "customresourcedefinitions", "deviceclasses",
        "flowschemas", "ingressclasses", "ipaddresses", "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations", "namespaces", "nodes",
        "persistentvolumes", "podsecuritypolicies", "priorityclasses", "prioritylevelconfigurations",
        "resourceslices", "runtimeclasses", "selfsubjectaccessreviews", "selfsubjectreviews",
        "selfsubjectrulesreviews", "servicecidrs", "storageclasses", "subjectaccessreviews",
        "tokenreviews",
        "validatingadmissionpolicies", "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations", "volumeattachments", "volumeattributesclasses",
    }
)  # fmt: skip
"""Resources of Kubernetes itself that are in no namespace."""


@RULE.check
def check(configuration: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each field of each webhook that may hold up the cluster."""
    is_v1 = configuration.api_version.endswith("/v1")
    for webhook, pointer in items(configuration.object.get("webhooks"), "/webhooks"):
        name = text(webhook.get("name")) or pointer[1:]
        yield from _fields(webhook, pointer, name, is_v1=is_v1)
        if not _reaches_namespaced(webhook):
            continue
        unknown = _why_unknown(webhook, context.inventory)
        if unknown != "":
            yield Violation(
                f"{pointer}/namespaceSelector",
                f"webhook {name} is called for objects in kube-system"
                + (f", unless {unknown}" if unknown else ""),
                unknown=unknown is not None,
                remediation=_EXCLUDE,
            )


def _fields(
    webhook: dict[str, Any], pointer: str, name: str, *, is_v1: bool
) -> Iterator[Violation]:
    if webhook.get("failurePolicy") is None:
        default = "Fail" if is_v1 else "Ignore"
        yield Violation(
            f"{pointer}/failurePolicy",
            f"webhook {name} does not state its failurePolicy, which is then {default}",
            remediation="State whether requests fail or pass while it is down:\nfailurePolicy: Fail",
            fix=set_here(default),
        )
    seconds = whole_number(webhook.get("timeoutSeconds", 10 if is_v1 else 30))
    if seconds is not None and seconds > _MOST_SECONDS:
        yield Violation(
            f"{pointer}/timeoutSeconds",
            f"webhook {name} may hold up a request for {seconds} seconds; at most {_MOST_SECONDS} are "
            "wanted",
            remediation="Let the API server wait for less:\ntimeoutSeconds: 5",
            fix=set_here(5, safe=False),
        )
    effects = webhook.get("sideEffects")
    if effects not in ("None", "NoneOnDryRun"):
        stated = "no sideEffects" if effects is None else f"sideEffects {quoted(effects)}"
        yield Violation(
            f"{pointer}/sideEffects",
            f"webhook {name} states {stated}, so that requests with dryRun may not be sent to it",
            remediation="Make its server change nothing on dryRun, and say so:\nsideEffects: None",
        )


def _reaches_namespaced(webhook: dict[str, Any]) -> bool:
    """Tell whether a rule is about built-in objects that may be in a namespace."""
    for rule, _ in items(webhook.get("rules"), ""):
        if rule.get("scope") == "Cluster":
            continue
        groups = [text(group) for group in sequence(rule.get("apiGroups"))]
        if not any(
            group == "*" or is_built_in(f"{group}/v1" if group else "v1") for group in groups
        ):
            continue
        for resource in sequence(rule.get("resources")):
            if text(resource) and resource.partition("/")[0] not in _CLUSTER_SCOPED:
                return True
    return False


def _is_built_in(group: object) -> bool:
    return isinstance(group, str) and (
        group == "*" or is_built_in(f"{group}/v1" if group else "v1")
    )


def _why_unknown(webhook: dict[str, Any], inventory: Inventory) -> str | None:
    """Say what may keep kube-system out, "" where it is kept out, None where nothing keeps it out."""
    try:
        namespaces = parse_selector(webhook.get("namespaceSelector") or {})
        objects = parse_selector(webhook.get("objectSelector") or {})
    except InvalidSelector:
        return ""
    system = inventory.find("Namespace", _KUBE_SYSTEM)
    labels = {**(system.labels if system is not None else {}), _NAME_LABEL: _KUBE_SYSTEM}
    # Objects of the cluster itself do not have a label by which a webhook is asked for.
    if not namespaces.matches(labels) or not objects.matches({}):
        return ""
    conditions = [
        text(condition.get("expression"))
        for condition, _ in items(webhook.get("matchConditions"), "")
    ]
    if any(_KUBE_SYSTEM in condition for condition in conditions):
        return ""
    if any("namespace" in condition for condition in conditions):
        return "its matchConditions keep them out"
    keys = [
        key
        for key, operator, _ in namespaces.expressions
        if operator in ("NotIn", "DoesNotExist") and key != _NAME_LABEL
    ]
    if keys and system is None:
        return f"the Namespace kube-system has the label {keys[0]}"
    return None
