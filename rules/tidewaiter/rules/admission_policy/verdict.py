"""What a ValidatingAdmissionPolicy says about a request.

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.admission_policy.matching import matches
from tidewaiter.rules.admission_policy.program import denials
from tidewaiter.rules.manifest.api_resource import CLUSTER_SCOPED, is_builtin_group
from tidewaiter.rules.manifest.fields import mapping, text
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.manifest.selector import parse_selector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidewaiter.rules.admission_policy.policies import AdmissionPolicy, Binding
    from tidewaiter.rules.admission_policy.request import Request
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource


@dataclass(frozen=True, slots=True)
class Decision:
    """A validation that an object fails under a binding.

    index: of the validation, -1 where it is none. actions: what the binding asks for. unknown: whether it may hold
    all the same, as far as manifests tell.
    """

    policy: str
    binding: str
    index: int
    message: str
    reason: str
    actions: tuple[str, ...]
    unknown: bool = False


def decisions(
    policy: AdmissionPolicy, request: Request, parameters: Sequence[Resource], inventory: Inventory
) -> Iterator[Decision]:
    """Yield what a policy has against a request. parameters: objects beside those of the inventory."""
    own = matches(policy.constraints, request)
    if own is False:
        return
    for binding in policy.bindings:
        bound = matches(binding.resources, request)
        if bound is False:
            continue
        settled = own is True and bound is True
        for found in _of_binding(policy, binding, request, parameters, inventory):
            yield found if settled else _open(found)


def _open(decision: Decision) -> Decision:
    """Return a decision whose binding may not be meant at all."""
    message = (
        f"{decision.message} (whether the policy is for this object cannot be known from here)"
    )
    return Decision(
        decision.policy,
        decision.binding,
        decision.index,
        message,
        decision.reason,
        decision.actions,
        unknown=True,
    )


def _of_binding(
    policy: AdmissionPolicy,
    binding: Binding,
    request: Request,
    parameters: Sequence[Resource],
    inventory: Inventory,
) -> Iterator[Decision]:
    found, problem, is_known = _parameters(policy, binding, request, parameters, inventory)
    if problem:
        if policy.program.fails:
            message = f"failed to configure binding: {problem}"
            yield Decision(
                policy.name, binding.name, -1, message, "Invalid", binding.actions, not is_known
            )
        return
    values = request.values()
    for parameter in found:
        values["params"] = parameter
        for denial in denials(policy.program, values):
            yield Decision(
                policy.name,
                binding.name,
                denial.index,
                denial.message,
                denial.reason,
                binding.actions,
                denial.unknown,
            )


def _parameters(
    policy: AdmissionPolicy,
    binding: Binding,
    request: Request,
    own: Sequence[Resource],
    inventory: Inventory,
) -> tuple[list[Any], str, bool]:
    """Return the parameters, or what is wrong with them, and whether that is certain."""
    if policy.parameter_kind is None or binding.parameters is None:
        return [None], "", True
    kind = kind_id(*policy.parameter_kind)
    objects = [each for each in (*own, *inventory.of_kind(kind)) if each.kind_id == kind]
    reference = binding.parameters
    namespace = text(reference.get("namespace"))
    group = policy.parameter_kind[0].rpartition("/")[0]
    is_namespaced = is_builtin_group(group) and kind not in CLUSTER_SCOPED
    if is_namespaced or namespace or any(each.namespace for each in objects):
        namespace = namespace or request.namespace
        if not namespace:
            problem = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            return [], problem, True
        objects = [each for each in objects if (each.namespace or "default") == namespace]
    found = [each.object for each in objects if _is_meant(reference, each)]
    if found:
        return found, "", True
    if not inventory.complete:
        return (
            [],
            f"the {policy.parameter_kind[1]} with the parameters is not among the manifests",
            False,
        )
    if reference.get("parameterNotFoundAction") == "Deny":
        problem = "no params found for policy binding with `Deny` parameterNotFoundAction"
        return [], problem, True
    return [], "", True


def _is_meant(reference: Mapping[str, Any], candidate: Resource) -> bool:
    if reference.get("name"):
        return candidate.name == text(reference["name"])
    labels = mapping(mapping(candidate.object.get("metadata")).get("labels"))
    return parse_selector(reference.get("selector")).matches(labels)
