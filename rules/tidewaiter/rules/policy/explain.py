"""Which rules hold for an object, and which line of the policy says so."""

from __future__ import annotations

from tidewaiter.rules import catalogue
from tidewaiter.rules.exemptions import annotation_exemptions, is_expired
from tidewaiter.rules.policy.compiled import DEFAULT_PROFILE, applies_to_kind
from tidewaiter.rules.policy.match import compile_match
from tidewaiter.rules.record import record, replace
from tidewaiter.rules.rule import CUSTOM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import Policy


@record
class ObjectExemption:
    """An exemption of one rule that speaks of the object, whether or not the object breaks the rule.

    `source` is "policy" or "annotation". `expires` is YYYY-MM-DD or "", `line` that of the policy file
    or 0. Where `containers` or `images` are given, only findings on those containers are exempted.
    """

    source: str
    reason: str
    expires: str
    expired: bool
    line: int
    containers: tuple[str, ...]
    images: tuple[str, ...]


@record
class RuleState:
    """What the policy makes of one rule for an object.

    `reasons` says why, the deciding one last. Severity and parameters of a rule that is switched off are
    those that it would have. Comments in the manifest exempt a place, not the object, and are left out.
    """

    name: str
    enabled: bool
    severity: str
    mode: str
    parameters: dict[str, Any]
    reasons: tuple[str, ...]
    exemptions: tuple[ObjectExemption, ...] = ()


@record
class Effective:
    """The whole policy for one object; `overrides` are the places of those that match."""

    profiles: tuple[str, ...]
    kubernetes_version: str
    level: str
    overrides: tuple[str, ...]
    rules: tuple[RuleState, ...]


def effective_policy(
    policy: Policy,
    resource: Resource | None = None,
    *,
    today: str = "",
    profile_option: bool = False,
) -> Effective:
    """Return what holds for an object; without one, what holds where no override matches.

    Rules that do not apply to the object's kind are left out. `today` is YYYY-MM-DD; without it no
    exemption counts as expired. `profile_option` tells that the profiles come from `--profile`.
    """
    matching = [
        (index, override)
        for index, override in enumerate(policy.plain.get("overrides", ()))
        if resource is not None and compile_match(override.get("match", {})).matches(resource)
    ]
    profiles, profile_source = _profiles(policy, matching, profile_option=profile_option)
    settings = policy.settings(resource)
    names = settings.rules_for(resource) if resource is not None else tuple(settings.rules)
    states = []
    for name, entry in policy.entries.items():
        if resource is not None and not applies_to_kind(
            entry.applies_to, resource.kind_id, resource.workload is not None
        ):
            continue
        held = [profile for profile in profiles if catalogue.in_profile(entry, profile)]
        where = f"profile {' and '.join(held)}" if held else _none_of(profiles)
        reason = f"in {where} ({profile_source})"
        if entry.section == CUSTOM:
            reason = "of the policy's own"
        elif entry.needs_images:
            reason = f"the policy {'has' if policy.images is not None else 'has no'} images"
        states.append(
            _state(
                policy,
                RuleState(
                    name=name,
                    enabled=name in names,
                    severity=entry.severity,
                    mode=settings.mode_of(name),
                    parameters=policy.rule(name).defaults(),
                    reasons=(reason,),
                    exemptions=_exemptions(policy, name, resource, today),
                ),
                matching,
                settings.rules.get(name),
            )
        )
    version = ".".join(map(str, policy.version))
    places = tuple(f"overrides[{index}]{_line(override)}" for index, override in matching)
    return Effective(tuple(profiles), version, settings.level, places, tuple(states))


def _none_of(profiles: list[str]) -> str:
    return f"none of the profiles {', '.join(profiles)}"


def _state(
    policy: Policy,
    state: RuleState,
    matching: list[tuple[int, Any]],
    held: tuple[str, dict[str, Any]] | None,
) -> RuleState:
    """Lay what the policy and the options say of a rule over what its profiles make of it.

    held: severity and stated parameters of a rule that is switched on.
    """
    name, severity, parameters = state.name, state.severity, state.parameters
    reasons = list(state.reasons)
    for source, setting in _settings_of(policy, name, matching):
        reasons.append(f"{source}: {_shown(setting)}")
        severity = setting.get("severity", severity)
        parameters = {**parameters, **setting.get("parameters", {})}
    if held is not None:
        severity, parameters = held[0], {**state.parameters, **held[1]}
    only, skip = policy.plain.get("only"), policy.plain.get("skip", ())
    if only:
        reasons.append("--only names it" if name in only else "--only leaves it out")
    if name in skip:
        reasons.append("--skip names it")
    return replace(state, severity=severity, parameters=parameters, reasons=tuple(reasons))


def _profiles(
    policy: Policy, matching: list[tuple[int, Any]], *, profile_option: bool
) -> tuple[list[str], str]:
    profiles = list(policy.plain.get("profiles") or ())
    source = "--profile" if profile_option else "profile of the policy"
    if not profiles:
        profiles, source = [DEFAULT_PROFILE], "the default profile"
    for index, override in matching:
        if override.get("narrows") and override.get("profiles"):
            profiles += [each for each in override["profiles"] if each not in profiles]
            source += f" and overrides[{index}]{_line(override)}"
        elif override.get("profiles"):
            profiles = list(override["profiles"])
            source = f"overrides[{index}]{_line(override)}"
    return profiles, source


def _settings_of(
    policy: Policy, name: str, matching: list[tuple[int, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    stated = policy.plain.get("rules", {})
    if name in stated:
        place = _line(
            {
                "line": policy.plain.get("ruleLines", {}).get(name),
                "source": policy.plain.get("ruleSources", {}).get(name),
            }
        )
        found.append((f"rules.{name}{place}", dict(stated[name])))
    for index, override in matching:
        place = f"overrides[{index}]{_line(override)}"
        if "mode" in override:
            found.append((place, {"mode": override["mode"]}))
        if name in override.get("rules", {}):
            found.append((place, dict(override["rules"][name])))
    return found


def _exemptions(
    policy: Policy, name: str, resource: Resource | None, today: str
) -> tuple[ObjectExemption, ...]:
    if resource is None:
        return ()
    found = []
    for exemption, match in policy.exemptions:
        if name in exemption.rules and match.matches(resource):
            stated = policy.plain["exemptions"][exemption.index].get("match", {})
            found.append(
                ObjectExemption(
                    source="policy",
                    reason=exemption.reason,
                    expires=exemption.expires or "",
                    expired=is_expired(exemption, today),
                    line=exemption.line,
                    containers=tuple(stated.get("containers") or ()),
                    images=tuple(stated.get("images") or ()),
                )
            )
    for exemption in annotation_exemptions(resource, policy.compatibility):
        if name in exemption.rules:
            found.append(
                ObjectExemption(
                    "annotation",
                    exemption.reason,
                    "",
                    expired=False,
                    line=0,
                    containers=(),
                    images=(),
                )
            )
    return tuple(found)


def _line(row: Any) -> str:
    where = row.get("source") or (f"line {row['line']}" if row.get("line") else "")
    return f" ({where})" if where else ""


def _shown(setting: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in setting.items()) or "nothing"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(inner)}" for key, inner in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
