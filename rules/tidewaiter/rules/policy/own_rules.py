"""Rules that a policy brings itself: custom rules in CEL, and ValidatingAdmissionPolicies of its folder.

`own_entries` needs the plain policy only; what runs expressions is imported by `OwnRules`, when one is asked for.
"""

from __future__ import annotations

from tidewaiter.rules.catalogue import Entry
from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.rule import ANY, CUSTOM, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.admission_policy.policies import AdmissionPolicy
    from tidewaiter.rules.admission_policy.program import Program
    from tidewaiter.rules.admission_policy.request import Request
    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.rules.policy.match import Match
    from tidewaiter.rules.rule import Context

_POLICY, _BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
_SEVERITIES = (("Deny", "error"), ("Warn", "warning"), ("Audit", "info"))
"""What a binding's strongest action makes of a finding."""


def own_entries(plain: PlainPolicy) -> dict[str, Entry]:
    """Return the entries of a policy's own rules by name; those of admission policies need a binding."""
    entries = {}
    for row in plain.get("customRules", ()):
        asks = "namespaceObject" in repr(row)
        entries[row["name"]] = _entry(
            row["name"], row.get("severity", "error"), needs_inventory=asks
        )
    actions: dict[str, set[str]] = {}
    policies = set()
    for row in plain.get("admissionObjects", ()):
        spec = mapping(row["object"].get("spec"))
        if row["object"].get("kind") == _POLICY:
            policies.add(text(mapping(row["object"].get("metadata")).get("name")))
        if row["object"].get("kind") == _BINDING:
            found = {text(each) for each in sequence(spec.get("validationActions"))}
            actions.setdefault(text(spec.get("policyName")), set()).update(found)
    for name in sorted(actions.keys() & policies):
        entries[name] = _entry(name, _severity(actions[name]), needs_inventory=True)
    return entries


def _entry(name: str, severity: str, *, needs_inventory: bool) -> Entry:
    return Entry(name, "", CUSTOM, severity, (), (ANY,), needs_inventory)


def _severity(actions: set[str] | tuple[str, ...]) -> str:
    return next((severity for action, severity in _SEVERITIES if action in actions), "info")


class OwnRules:
    """A policy's own rules, each compiled when it is first asked for."""

    __slots__ = ("_last", "_objects", "_plain", "_policies")

    def __init__(self, plain: PlainPolicy) -> None:
        """Keep the plain policy; nothing is compiled."""
        self._plain = plain
        self._objects: list[Resource] | None = None
        self._policies: dict[str, AdmissionPolicy] = {}
        self._last: tuple[object, object, Request] | None = None

    def rule(self, name: str) -> Rule:
        """Return a rule. Raises KeyError for a name that is none of them."""
        entry = own_entries(self._plain)[name]
        row = next(
            (each for each in self._plain.get("customRules", ()) if each["name"] == name), None
        )
        rule = Rule(
            name=name,
            section=CUSTOM,
            severity=entry.severity,
            summary=(row or {}).get("summary") or f"the policy's own rule {name} holds",
            rationale="",
            remediation=(row or {}).get("remediation", ""),
            references=(),
            applies_to=(ANY,),
            needs_inventory=entry.needs_inventory,
        )
        rule.check_function = self._custom(row) if row is not None else self._admission(name)
        return rule

    def _custom(self, row: Mapping[str, Any]) -> Any:
        from tidewaiter.rules.policy.custom_rules import program_of
        from tidewaiter.rules.policy.match import compile_match

        program, _ = program_of(row)
        if program is None:
            msg = f"custom rule {row['name']} has a mistake in an expression"
            raise ValueError(msg)
        match = compile_match(row["match"]) if row.get("match") else None
        return self._custom_check(row, program, match)

    def _custom_check(self, row: Mapping[str, Any], program: Program, match: Match | None) -> Any:
        from tidewaiter.rules.admission_policy.program import denials

        def check(resource: Resource, context: Context) -> Iterator[Violation]:
            if match is not None and not match.matches(resource):
                return
            values = self._request(resource, context).values()
            values["params"] = row.get("params")
            for denial in denials(program, values):
                pointer = row.get("pointer") or (
                    program.validations[denial.index].pointer if denial.index >= 0 else ""
                )
                yield Violation(pointer, denial.message, unknown=denial.unknown)

        return check

    def _admission(self, name: str) -> Any:
        from tidewaiter.rules.admission_policy.verdict import decisions

        policy = self._admission_policies()[name]
        objects = self._folder_objects()
        severity = own_entries(self._plain)[name].severity

        def check(resource: Resource, context: Context) -> Iterator[Violation]:
            request = self._request(resource, context)
            seen = set()
            for found in decisions(policy, request, objects, context.inventory):
                key = found.index, found.message, _severity(found.actions)
                if key in seen:
                    continue
                seen.add(key)
                own = _severity(found.actions)
                pointer = (
                    policy.program.validations[found.index].pointer if found.index >= 0 else ""
                )
                yield Violation(
                    pointer,
                    found.message,
                    unknown=found.unknown,
                    severity=own if own != severity else None,
                    remediation=f"See binding {found.binding} of ValidatingAdmissionPolicy {policy.name}.",
                )

        return check

    def _request(self, resource: Resource, context: Context) -> Request:
        """Return the request that brings an object, a creation unless admission says more; rules on it share it."""
        if (
            self._last is None
            or self._last[0] is not resource
            or self._last[1] is not context.inventory
        ):
            from tidewaiter.rules.admission_policy.admitted import admitted
            from tidewaiter.rules.admission_policy.request import creation, with_asked

            seen = admitted(resource, context.version)
            request = creation(resource, seen, context.inventory, context.version)
            if resource.asked is not None:
                whole = admitted(Resource(resource.asked.object), context.version)
                request = with_asked(request, resource.asked, whole)
            self._last = resource, context.inventory, request
        return self._last[2]

    def _folder_objects(self) -> list[Resource]:
        if self._objects is None:
            self._objects = [
                Resource(row["object"], row["file"], row["document"], row["prefix"])
                for row in self._plain.get("admissionObjects", ())
            ]
        return self._objects

    def _admission_policies(self) -> dict[str, AdmissionPolicy]:
        if not self._policies:
            from tidewaiter.rules.admission_policy.policies import read_policies

            found, _ = read_policies(self._folder_objects())
            self._policies = {policy.name: policy for policy in found}
        return self._policies
