"""ValidatingAdmissionPolicies with their bindings and parameters, from the objects of a folder.

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.admission_policy.program import Mistake, compiled
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.manifest.selector import InvalidSelector, parse_selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tidewaiter.rules.admission_policy.program import Program
    from tidewaiter.rules.manifest.resource import Resource

POLICY = "ValidatingAdmissionPolicy.admissionregistration.k8s.io"
BINDING = "ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io"
ACTIONS = ("Deny", "Warn", "Audit")
_SUBJECT_FIELDS = ("matchConditions", "validations", "auditAnnotations", "variables")


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a policy is in force, what happens there, and with which parameters.

    resources: `matchResources`, beyond what the policy itself is for. actions: of ACTIONS. parameters: `paramRef`.
    """

    name: str
    resources: Mapping[str, Any]
    actions: tuple[str, ...]
    parameters: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """A policy ready to run. parameter_kind: apiVersion and kind, None where it has no parameters."""

    name: str
    constraints: Mapping[str, Any]
    program: Program
    parameter_kind: tuple[str, str] | None
    bindings: tuple[Binding, ...]


def read_policies(
    objects: Iterable[Resource],
) -> tuple[list[AdmissionPolicy], list[tuple[Resource, Mistake]]]:
    """Return the policies among some objects with their bindings, and what is wrong with them.

    A policy with a mistake is not among the policies. Mistakes carry the object and a JSON pointer in it.
    """
    rows = [each for each in objects if each.kind_id in {POLICY, BINDING}]
    mistakes: list[tuple[Resource, Mistake]] = []
    bindings: dict[str, list[Binding]] = {}
    for row in rows:
        if row.kind_id == BINDING:
            found = [(row, each) for each in _binding_mistakes(row)]
            mistakes += found
            if not found:
                bindings.setdefault(text(row.spec.get("policyName")), []).append(_binding(row))
    policies = []
    for row in rows:
        if row.kind_id != POLICY:
            continue
        policy, wrong = _policy(row, tuple(bindings.get(row.name, ())))
        mistakes += [(row, each) for each in wrong]
        if policy is not None:
            policies.append(policy)
    return policies, mistakes


def _policy(
    row: Resource, bindings: tuple[Binding, ...]
) -> tuple[AdmissionPolicy | None, list[Mistake]]:
    mistakes = [*_shape_mistakes(row.spec)]
    if mistakes:
        return None, mistakes
    kind = row.spec.get("paramKind")
    program, wrong = compiled(row.spec, params=kind is not None)
    if program is None:
        return None, [each_below("/spec", each) for each in wrong]
    constraints = mapping(row.spec.get("matchConstraints"))
    parameter_kind = (
        (text(kind.get("apiVersion")), text(kind.get("kind"))) if kind is not None else None
    )
    return AdmissionPolicy(row.name, constraints, program, parameter_kind, bindings), []


def each_below(pointer: str, mistake: Mistake) -> Mistake:
    """Return a mistake with its pointer put below another."""
    return Mistake(pointer + mistake.pointer, mistake.message, mistake.offset)


def _shape_mistakes(spec: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what the API server refuses in a policy beside its expressions."""
    if not sequence(mapping(spec.get("matchConstraints")).get("resourceRules")):
        yield Mistake(
            "/spec/matchConstraints", "matchConstraints.resourceRules must name resources"
        )
    else:
        yield from _match_mistakes(mapping(spec["matchConstraints"]), "/spec/matchConstraints")
    if not sequence(spec.get("validations")) and not sequence(spec.get("auditAnnotations")):
        yield Mistake("/spec", "a policy needs validations or auditAnnotations")
    if (policy := spec.get("failurePolicy", "Fail")) not in {"Fail", "Ignore"}:
        yield Mistake("/spec/failurePolicy", f"failurePolicy is {policy!r}, not Fail or Ignore")
    kind = spec.get("paramKind")
    if kind is not None and not (
        text(mapping(kind).get("apiVersion")) and text(mapping(kind).get("kind"))
    ):
        yield Mistake("/spec/paramKind", "paramKind needs an apiVersion and a kind")
    for field in _SUBJECT_FIELDS:
        stated = spec.get(field)
        if stated is not None and not isinstance(stated, list):
            yield Mistake(f"/spec/{field}", f"{field} must be a list")
        for at, row in enumerate(sequence(stated)):
            yield from _row_mistakes(field, row, f"/spec/{field}/{at}")


_NEEDED = {
    "matchConditions": ("name", "expression"),
    "variables": ("name", "expression"),
    "validations": ("expression",),
    "auditAnnotations": ("key", "valueExpression"),
}


def _row_mistakes(field: str, row: Any, pointer: str) -> Iterator[Mistake]:
    for name in _NEEDED[field]:
        value = mapping(row).get(name)
        if not isinstance(value, str) or not value.strip():
            yield Mistake(f"{pointer}/{name}", f"{name} must be a text")
    for name in ("message", "messageExpression", "reason"):
        if mapping(row).get(name) is not None and not isinstance(row[name], str):
            yield Mistake(f"{pointer}/{name}", f"{name} must be a text")
    if "\n" in text(mapping(row).get("message")).strip():
        yield Mistake(f"{pointer}/message", "message must be one line")
    if field == "variables" and not text(mapping(row).get("name")).isidentifier():
        yield Mistake(f"{pointer}/name", "a variable's name must be an identifier")


def _match_mistakes(resources: Mapping[str, Any], pointer: str) -> Iterator[Mistake]:
    for name in ("namespaceSelector", "objectSelector"):
        try:
            parse_selector(resources.get(name))
        except InvalidSelector as error:
            yield Mistake(f"{pointer}/{name}{error.path}", error.message)
    for name in ("resourceRules", "excludeResourceRules"):
        for at, rule in enumerate(sequence(resources.get(name))):
            for field in ("apiGroups", "apiVersions", "operations", "resources"):
                if not sequence(mapping(rule).get(field)):
                    yield Mistake(
                        f"{pointer}/{name}/{at}/{field}", f"{field} must be a list with an entry"
                    )


def _binding_mistakes(row: Resource) -> Iterator[Mistake]:
    spec = row.spec
    name = text(spec.get("policyName"))
    if not name:
        yield Mistake("/spec/policyName", "a binding needs the name of its policy")
    actions = sequence(spec.get("validationActions"))
    wrong = [each for each in actions if each not in ACTIONS]
    if not actions or wrong:
        shown = ", ".join(map(repr, wrong)) or "empty"
        yield Mistake(
            "/spec/validationActions", f"validationActions is {shown}, not of {', '.join(ACTIONS)}"
        )
    elif "Deny" in actions and "Warn" in actions:
        yield Mistake("/spec/validationActions", "Deny and Warn exclude each other")
    yield from _match_mistakes(mapping(spec.get("matchResources")), "/spec/matchResources")
    reference = spec.get("paramRef")
    if reference is not None:
        yield from _reference_mistakes(mapping(reference))


def _reference_mistakes(reference: Mapping[str, Any]) -> Iterator[Mistake]:
    if bool(reference.get("name")) == (reference.get("selector") is not None):
        yield Mistake("/spec/paramRef", "paramRef needs a name or a selector, and not both")
    if reference.get("parameterNotFoundAction") not in {"Allow", "Deny"}:
        yield Mistake("/spec/paramRef", "parameterNotFoundAction must be Allow or Deny")
    try:
        parse_selector(reference.get("selector"))
    except InvalidSelector as error:
        yield Mistake(f"/spec/paramRef/selector{error.path}", error.message)


def _binding(row: Resource) -> Binding:
    reference = row.spec.get("paramRef")
    return Binding(
        row.name,
        mapping(row.spec.get("matchResources")),
        tuple(text(each) for each in sequence(row.spec.get("validationActions"))),
        mapping(reference) if reference is not None else None,
    )
