"""Which rules hold for an object, and which line of the policy says so."""

from __future__ import annotations

from tidewaiter.rules import catalogue
from tidewaiter.rules.policy.compiled import DEFAULT_PROFILE
from tidewaiter.rules.policy.match import compile_match
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import Policy


@record
class RuleState:
    """What the policy makes of one rule for an object.

    `reasons` says why, the deciding one last; `exemptions` are those of the policy that cover the
    object, as (reason, expiry or "", line), whether or not the object breaks the rule.
    """

    name: str
    enabled: bool
    severity: str
    mode: str
    parameters: dict[str, Any]
    reasons: tuple[str, ...]
    exemptions: tuple[tuple[str, str, int], ...] = ()


@record
class Effective:
    """The whole policy for one object; `overrides` are the places of those that match."""

    profiles: tuple[str, ...]
    kubernetes_version: str
    level: str
    overrides: tuple[str, ...]
    rules: tuple[RuleState, ...]


def effective_policy(policy: Policy, resource: Resource | None = None) -> Effective:
    """Return what holds for an object; without one, what holds where no override matches.

    Rules that do not apply to the object's kind are left out.
    """
    plain = policy.plain
    matching = [
        (index, override)
        for index, override in enumerate(plain.get("overrides", ()))
        if resource is not None and compile_match(override.get("match", {})).matches(resource)
    ]
    profiles, profile_source = _profiles(policy, matching)
    settings = policy.settings(resource)
    names = settings.rules_for(resource) if resource is not None else tuple(settings.rules)
    mode = settings.mode
    states = []
    for name, entry in catalogue.entries().items():
        if resource is not None and not _applies(policy, resource, name):
            continue
        enabled = name in names
        rule = catalogue.load(name)
        severity, stated = settings.rules.get(name, (entry.severity, {}))
        held = [profile for profile in profiles if catalogue.in_profile(entry, profile)]
        reasons = [
            f"in profile {' and '.join(held)} ({profile_source})"
            if held
            else f"in none of the profiles {', '.join(profiles)} ({profile_source})"
        ]
        rule_mode = mode
        for source, setting in _settings_of(policy, name, matching):
            reasons.append(f"{source}: {_shown(setting)}")
            rule_mode = setting.get("mode", rule_mode)
        if plain.get("only"):
            reasons.append("--only names it" if name in plain["only"] else "--only leaves it out")
        if name in plain.get("skip", ()):
            reasons.append("--skip names it")
        states.append(
            RuleState(
                name,
                enabled,
                severity,
                rule_mode,
                {**rule.defaults(), **stated},
                tuple(reasons),
                _exemptions(policy, name, resource),
            )
        )
    version = ".".join(map(str, policy.version))
    places = tuple(f"overrides[{index}]{_line(override)}" for index, override in matching)
    return Effective(tuple(profiles), version, settings.level, places, tuple(states))


def _profiles(policy: Policy, matching: list[tuple[int, Any]]) -> tuple[list[str], str]:
    profiles = list(policy.plain.get("profiles") or ())
    source = "profile of the policy" if policy.file else "--profile"
    if not profiles:
        profiles, source = [DEFAULT_PROFILE], "the default profile"
    for index, override in matching:
        if override.get("profiles"):
            profiles = list(override["profiles"])
            source = f"overrides[{index}]{_line(override)}"
    return profiles, source


def _settings_of(
    policy: Policy, name: str, matching: list[tuple[int, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    stated = policy.plain.get("rules", {})
    if name in stated:
        found.append((f"rules.{name}", dict(stated[name])))
    for index, override in matching:
        if name in override.get("rules", {}):
            found.append((f"overrides[{index}]{_line(override)}", dict(override["rules"][name])))
    return found


def _applies(policy: Policy, resource: Resource, name: str) -> bool:
    from tidewaiter.rules.policy.compiled import applies_to_kind

    del policy
    applies_to = catalogue.entries()[name].applies_to
    return applies_to_kind(applies_to, resource.kind_id, resource.workload is not None)


def _exemptions(
    policy: Policy, name: str, resource: Resource | None
) -> tuple[tuple[str, str, int], ...]:
    return tuple(
        (exemption.reason, exemption.expires or "", exemption.line)
        for exemption, match in policy.exemptions
        if name in exemption.rules and resource is not None and match.matches(resource)
    )


def _line(row: Any) -> str:
    return f" (line {row['line']})" if row.get("line") else ""


def _shown(setting: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in setting.items()) or "nothing"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(inner)}" for key, inner in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
