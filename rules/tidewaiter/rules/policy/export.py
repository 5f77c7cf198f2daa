"""A policy's rules as ValidatingAdmissionPolicies, as far as CEL can say them.

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tidewaiter.rules.manifest.api_resource import plural_of
from tidewaiter.rules.policy.match import expression as pattern_of
from tidewaiter.rules.rule import CUSTOM, WORKLOAD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidewaiter.rules.policy.compiled import Policy, Settings
    from tidewaiter.rules.rule import CelCheck, Rule

OLDEST = (1, 30)
"""The first version of Kubernetes that serves ValidatingAdmissionPolicy in version v1."""
PREFIX = "tidewaiter-"
_API = "admissionregistration.k8s.io/v1"
_FROM_1_35 = (1, 35)
_WORKLOADS = (
    ("", ["pods", "pods/ephemeralcontainers", "podtemplates", "replicationcontrollers"]),
    ("apps", ["deployments", "daemonsets", "statefulsets", "replicasets"]),
    ("batch", ["jobs", "cronjobs"]),
)
_SPEC = (
    "object.kind == 'Pod' ? object.spec : object.kind == 'PodTemplate' ? object.template.spec : "
    "object.kind == 'CronJob' ? object.spec.jobTemplate.spec.template.spec : object.spec.template.spec"
)
_CONTAINERS = (
    "variables.spec.containers + variables.spec.?initContainers.orValue([]) + "
    "variables.spec.?ephemeralContainers.orValue([])"
)
_ACTIONS = {"error": "Deny", "warning": "Warn", "info": "Audit"}


class Export(NamedTuple):
    """The objects, policy and binding by turns, and a sentence for each thing that they do not say."""

    objects: list[dict[str, Any]]
    notes: list[str]


def export(policy: Policy, *, today: str) -> Export:
    """Return a policy's rules as ValidatingAdmissionPolicies.

    today: YYYY-MM-DD; exemptions that have expired are left out.
    """
    settings = policy.settings()
    objects: list[dict[str, Any]] = []
    notes = [*_of_overrides(policy)]
    left_out = []
    for name, (severity, parameters) in settings.rules.items():
        if policy.entries[name].section == CUSTOM:
            row = next(
                (each for each in policy.plain.get("customRules", ()) if each["name"] == name), None
            )
            if row is None:
                continue  # a ValidatingAdmissionPolicy already
            spec, problem = _custom_spec(row)
            if problem:
                notes.append(f"custom rule {name} is left out: {problem}")
                continue
        else:
            rule = policy.rule(name)
            changed = [
                each for each, value in parameters.items() if value != rule.defaults().get(each)
            ]
            if not rule.cel or changed:
                left_out.append(f"{name} ({', '.join(changed)})" if rule.cel else name)
                continue
            spec = _spec(rule, policy, settings)
        conditions, more = _exemptions(policy, name, today)
        notes += more
        spec["matchConditions"] = [*spec.get("matchConditions", []), *conditions]
        if not spec["matchConditions"]:
            del spec["matchConditions"]
        objects += _objects(name, spec, _actions(severity, settings.mode_of(name)))
    if left_out:
        notes.append(f"left out, as they have no form in CEL: {', '.join(left_out)}")
    return Export(objects, notes)


def _objects(name: str, spec: dict[str, Any], actions: list[str]) -> Iterator[dict[str, Any]]:
    metadata = {"name": f"{PREFIX}{name}", "labels": {"app.kubernetes.io/managed-by": "tidewaiter"}}
    yield {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata,
        "spec": spec,
    }
    yield {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": {"policyName": metadata["name"], "validationActions": actions},
    }


def _actions(severity: str, mode: str) -> list[str]:
    """Return what a binding does about findings of a severity: `mode` may soften it."""
    if mode == "audit":
        return ["Audit"]
    action = _ACTIONS[severity]
    return ["Warn"] if mode == "warn" and action == "Deny" else [action]


def _spec(rule: Rule, policy: Policy, settings: Settings) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": _resources(rule)},
    }
    if WORKLOAD in rule.applies_to:
        relaxed = "variables.spec.?hostUsers.orValue(true) == false"
        spec["variables"] = [
            {"name": "spec", "expression": _SPEC},
            {"name": "containers", "expression": _CONTAINERS},
            {
                "name": "isWindows",
                "expression": "variables.spec.?os.?name.orValue('') == 'windows'",
            },
            {
                "name": "rootless",
                "expression": relaxed if policy.version >= _FROM_1_35 else "false",
            },
        ]
        sources = " ".join(_source(each, policy, settings) for each in rule.cel)
        spec["variables"] = [
            each
            for each in spec["variables"]
            if each["name"] in {"spec", "containers"} or f"variables.{each['name']}" in sources
        ]
    spec["validations"] = [_validation(rule, each, policy, settings) for each in rule.cel]
    return spec


def _source(check: CelCheck, policy: Policy, settings: Settings) -> str:
    if isinstance(check.expression, str):
        return check.expression
    return check.expression(policy.version, settings.level)


def _validation(rule: Rule, check: CelCheck, policy: Policy, settings: Settings) -> dict[str, str]:
    source = _source(check, policy, settings)
    message = f"{rule.summary} ({rule.name})"
    if check.subject != "container":
        return {"expression": source, "message": message}
    names = f"variables.containers.filter(c, !({source})).map(c, c.name).join(', ')"
    said = f"'container ' + {names} + {_quoted(f': {message}')}"
    return {
        "expression": f"variables.containers.all(c, {source})",
        "message": message,
        "messageExpression": said,
    }


def _quoted(text: str) -> str:
    """Return a text as a literal in CEL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _resources(rule: Rule) -> list[dict[str, Any]]:
    if WORKLOAD in rule.applies_to:
        groups: Sequence[tuple[str, list[str]]] = _WORKLOADS
    else:
        groups = [
            (kind.partition(".")[2], [plural_of(kind.partition(".")[0])])
            for kind in rule.applies_to
        ]
    return [
        {
            "apiGroups": [group],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": names,
        }
        for group, names in groups
    ]


def _custom_spec(row: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a custom rule's spec, or why it has none."""
    if row.get("params") is not None:
        return {}, "it has params, which would have to be an object of the cluster"
    condition, problem = _condition(row.get("match") or {})
    if problem:
        return {}, problem
    rule = {
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["*"],
    }
    fields = ("expression", "message", "messageExpression")
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{field: row[field] for field in fields if row.get(field)}],
    }
    if row.get("variables"):
        spec["variables"] = row["variables"]
    conditions = [*(row.get("matchConditions") or ())]
    if condition:
        conditions.append({"name": "match", "expression": condition})
    return {**spec, "matchConditions": conditions}, ""


def _exemptions(policy: Policy, rule: str, today: str) -> tuple[list[dict[str, str]], list[str]]:
    """Return the conditions that leave exempted objects out, and what cannot be carried over."""
    conditions, notes = [], []
    for index, row in enumerate(policy.plain.get("exemptions", ())):
        if rule not in row["rules"] or row.get("expires", "9999") < today:
            continue
        condition, problem = _condition(row.get("match", {}))
        if problem or not condition:
            notes.append(
                f"exemptions[{index}] of {rule} is left out: {problem or 'it matches everything'}"
            )
            continue
        conditions.append({"name": f"exemption-{index}", "expression": f"!({condition})"})
    return conditions, notes


_FIELDS = {
    "namespaces": "request.?namespace.orValue('')",
    "names": "request.?name.orValue('')",
    "kinds": "object.kind",
}


def _condition(match: Mapping[str, Any]) -> tuple[str, str]:
    """Return a match in CEL, empty for one of everything, or why there is none."""
    if other := sorted(
        {"files", "containers", "images"} & {key for key, value in match.items() if value}
    ):
        return "", f"a match by {' and '.join(other)} has no counterpart"
    parts = []
    for field, value in _FIELDS.items():
        if match.get(field):
            globs = [each.partition(".")[0] if field == "kinds" else each for each in match[field]]
            pattern = "|".join(pattern_of(each) for each in globs)
            parts.append(f"{value}.matches({_quoted(f'^({pattern})$')})")
    for key, value in (match.get("labels") or {}).items():
        stated = f"object.metadata.?labels[?{_quoted(key)}].orValue('')"
        parts.append(f"{stated} == {_quoted(value)}")
    return " && ".join(parts), ""


def _of_overrides(policy: Policy) -> Iterator[str]:
    for index, override in enumerate(policy.plain.get("overrides", ())):
        what = [key for key in ("profiles", "rules", "mode") if key in override]
        yield f"overrides[{index}] ({', '.join(what)}) is left out: policies hold for all objects alike"
