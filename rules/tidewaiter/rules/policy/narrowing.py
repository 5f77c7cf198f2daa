"""What a namespaced Policy may say: only what makes the rules of its namespace stricter.

Every setting of such a policy means "at least": where it is laid over the others the stricter of the two holds, so
that it cannot loosen anything whatever it says. That it does not try to is looked at beforehand, in `loosening`.
"""

from __future__ import annotations

from tidewaiter.rules import catalogue
from tidewaiter.rules.finding import SEVERITIES
from tidewaiter.rules.manifest.fields import escape
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.rule import CUSTOM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.policy.compiled import (
        Override,
        PlainPolicy,
        Policy,
        RuleSettings,
        Settings,
    )
    from tidewaiter.rules.rule import Parameter

    Mistake = tuple[str, str]
    """JSON pointer and sentence."""

MODES = ("enforce", "warn", "audit")
"""The strictest first, as severities are."""
NARROWING = frozenset({"profile", "rules", "overrides", "admission"})
"""The keys of `spec` that a namespaced policy may have."""


def narrowed(name: str, below: RuleSettings, above: RuleSettings, severity: str) -> RuleSettings:
    """Return the settings of a rule of which each is at least as strict as both; severity: the rule's own."""
    made: RuleSettings = {**below}
    if above.get("enabled"):
        made["enabled"] = True
    if "severity" in above:
        made["severity"] = stricter(SEVERITIES, below.get("severity", severity), above["severity"])
    if "parameters" in above:
        stated = dict(below.get("parameters", {}))
        for parameter in catalogue.load(name).parameters:
            if parameter.name in above["parameters"]:
                before = stated.get(parameter.name, parameter.default)
                stated[parameter.name] = both(
                    parameter, before, above["parameters"][parameter.name]
                )
        made["parameters"] = stated
    return made


def narrowed_modes(
    mode: str, modes: Mapping[str, str], above: Mapping[str, Any]
) -> tuple[str, dict[str, str]]:
    """Return the mode of a part of the world and those of rules, none weaker than it was."""
    least = above.get("mode", "audit")
    made = {name: stricter(MODES, each, least) for name, each in modes.items()}
    general = stricter(MODES, mode, least)
    for name, setting in above.get("rules", {}).items():
        if "mode" in setting:
            made[name] = stricter(MODES, made.get(name, general), setting["mode"])
    return general, made


def stricter(order: tuple[str, ...], one: str, other: str) -> str:
    """Return the one that stands first in an order from strict to lax."""
    return min(one, other, key=order.index)


def is_as_strict(parameter: Parameter, value: Any, as_this: Any) -> bool:
    """Tell whether a value of a parameter lets nothing pass that another one does not; never for what cannot be told."""
    before = list(as_this) if isinstance(as_this, list | tuple) else as_this
    if value == before:
        return True
    more = parameter.stricter == "more"
    if not parameter.stricter:
        return False
    if isinstance(value, list):
        if parameter.stricter == "fewer":
            return bool(value) and (not before or set(value) <= set(before))
        return set(value) >= set(before) if more else set(value) <= set(before)
    if parameter.kind == "choice":
        value, before = parameter.choices.index(value), parameter.choices.index(before)
    return bool(value >= before if more else value <= before)


def both(parameter: Parameter, before: Any, stated: Any) -> Any:
    """Return a value of a parameter that is as strict as each of two; `before` where there is no such value."""
    if is_as_strict(parameter, stated, before):
        return stated
    if isinstance(stated, list) and parameter.stricter == "more":
        return [*before, *(each for each in stated if each not in before)]
    if isinstance(stated, list) and parameter.stricter:
        common = [each for each in stated if each in before]
        return common if common or parameter.stricter == "less" else before
    return before


def loosening(spec: Mapping[str, Any], namespace: str, base: PlainPolicy) -> Iterator[Mistake]:
    """Yield what a namespaced policy may not say, beside `base`, which holds without it.

    spec: as stated, of a valid form. It is compared with what holds for every object of the namespace: the general
    settings and the overrides whose match names nothing but namespaces. What other overrides make laxer than that
    is made as strict as the policy says, and what they make stricter stays.
    """
    for key in spec:
        if key not in NARROWING:
            yield (
                f"/spec/{key}",
                f"a Policy only makes rules stricter; {key} is for a ClusterPolicy",
            )
    admission = spec.get("admission", {})
    for key in admission:
        if key != "mode":
            yield f"/spec/admission/{key}", f"{key} is for a ClusterPolicy; a Policy has mode only"
    below = _Below(base, namespace)
    yield from below.of_mode(admission.get("mode"), "/spec/admission/mode")
    yield from below.of_profile(spec.get("profile"), "/spec/profile")
    yield from below.of_rules(spec.get("rules", {}), "/spec/rules")
    for index, row in enumerate(spec.get("overrides", ())):
        place = f"/spec/overrides/{index}"
        yield from below.of_mode(row.get("mode"), f"{place}/mode")
        yield from below.of_profile(row.get("profile"), f"{place}/profile")
        yield from below.of_rules(row.get("rules", {}), f"{place}/rules")


class _Below:
    """What holds for every object of a namespace."""

    def __init__(self, base: PlainPolicy, namespace: str) -> None:
        from tidewaiter.rules.policy.compiled import DEFAULT_PROFILE, Policy
        from tidewaiter.rules.policy.match import compile_match

        metadata = {"name": "any", "namespace": namespace}
        resource = Resource({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        general: list[Override] = [
            {**row, "match": {}}
            for row in base.get("overrides", ())
            if row.get("match", {}).keys() <= {"namespaces"}
            and compile_match(row.get("match", {})).matches(resource)
        ]
        self._profiles: list[str] = list(base.get("profiles") or [DEFAULT_PROFILE])
        for row in general:
            self._profiles = list(row.get("profiles") or self._profiles)
        plain: PlainPolicy = {**base, "overrides": general}
        self._policy: Policy = Policy(plain)
        self._settings: Settings = self._policy.settings(resource)
        self._namespace = namespace

    def of_mode(self, stated: str | None, place: str) -> Iterator[Mistake]:
        if stated is not None and MODES.index(stated) > MODES.index(self._settings.mode):
            yield place, self._weaker("mode", stated, self._settings.mode)

    def of_profile(self, stated: str | list[str] | None, place: str) -> Iterator[Mistake]:
        """Yield a choice of profiles that, in place of those that hold, would lack a rule of them."""
        chosen = [stated] if isinstance(stated, str) else stated
        if not chosen:
            return
        lacking = [
            name
            for name, entry in self._policy.entries.items()
            if entry.section != CUSTOM
            and any(catalogue.in_profile(entry, each) for each in self._profiles)
            and not any(catalogue.in_profile(entry, each) for each in chosen)
        ]
        if lacking:
            shown = ", ".join(lacking[:3]) + (
                f" and {len(lacking) - 3} more" if lacking[3:] else ""
            )
            held = ", ".join(self._profiles)
            message = (
                f"{', '.join(chosen)} lacks rules of {held}, which holds in {self._namespace}: "
                f"{shown}; name {held} too"
            )
            yield place, message

    def of_rules(self, rules: Mapping[str, Mapping[str, Any]], place: str) -> Iterator[Mistake]:
        for name, setting in rules.items():
            pointer = f"{place}/{escape(name)}"
            if setting.get("enabled") is False:
                yield f"{pointer}/enabled", "a Policy switches no rule off"
            if name not in self._settings.rules:
                continue
            severity, parameters = self._settings.rules[name]
            stated = setting.get("severity", severity)
            if SEVERITIES.index(stated) > SEVERITIES.index(severity):
                yield f"{pointer}/severity", self._weaker("severity", stated, severity)
            mode = self._settings.mode_of(name)
            stated = setting.get("mode", mode)
            if MODES.index(stated) > MODES.index(mode):
                yield f"{pointer}/mode", self._weaker("mode", stated, mode)
            for parameter in catalogue.load(name).parameters if setting.get("parameters") else ():
                if parameter.name not in setting["parameters"]:
                    continue
                stated = setting["parameters"][parameter.name]
                held = parameters.get(parameter.name, parameter.default)
                if not is_as_strict(parameter, stated, held):
                    yield (
                        f"{pointer}/parameters/{escape(parameter.name)}",
                        self._laxer(parameter, stated, held),
                    )

    def _weaker(self, what: str, stated: str, held: str) -> str:
        return f"{what} {stated} is weaker than {held}, which holds in {self._namespace}"

    def _laxer(self, parameter: Parameter, stated: Any, held: Any) -> str:
        if not parameter.stricter:
            return f"of {parameter.name} it cannot be told what is stricter; a ClusterPolicy may set it"
        return (
            f"{parameter.name} {_shown(stated)} is laxer than {_shown(held)}, which holds in "
            f"{self._namespace}"
        )


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
