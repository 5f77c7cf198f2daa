"""What comes of a finding at admission: the last step, after the verdict of the rules stands.

A severity asks for an effect; the mode of the policy, override or rule, and what the policy says of answers that
are not known, may only weaken it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tidewaiter.rules.finding import EXEMPTED, UNKNOWN
from tidewaiter.rules.rule import CUSTOM

if TYPE_CHECKING:
    from collections.abc import Collection

    from tidewaiter.rules.finding import Finding
    from tidewaiter.rules.policy.compiled import PlainPolicy, Policy, Settings

    Effect = Literal["deny", "warn", "audit", "none"]

_STRENGTH = {"none": 0, "audit": 1, "warn": 2, "deny": 3}
_OF_SEVERITY: dict[str, Effect] = {"error": "deny", "warning": "warn", "info": "audit"}
_OF_MODE: dict[str, Effect] = {"enforce": "deny", "warn": "warn", "audit": "audit"}
_OF_SETTING: dict[str, Effect] = {"deny": "deny", "warn": "warn", "allow": "audit"}


ABOUT_MANIFESTS = frozenset({"no-secret-manifest"})
"""Rules on what may lie in a repository. A cluster's controllers make Secrets all the time, and should."""


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """What a policy's `admission` says, with the defaults filled in."""

    unknown: str = "warn"
    cross_resource: str = "warn"
    on_timeout: str = "deny"
    ratchet: bool = False
    annotation_exemptions: bool = False


def settings_of(plain: PlainPolicy) -> AdmissionSettings:
    """Return the settings of a policy."""
    stated = plain.get("admission", {})
    return AdmissionSettings(
        unknown=stated.get("unknown", "warn"),
        cross_resource=stated.get("crossResource", "warn"),
        on_timeout=stated.get("onTimeout", "deny"),
        ratchet=stated.get("ratchet", False),
        annotation_exemptions=stated.get("annotationExemptions", False),
    )


def effect_of(
    finding: Finding,
    policy: Policy,
    settings: Settings,
    admission: AdmissionSettings,
    unreached: Collection[str] = (),
) -> Effect:
    """Return what comes of a finding; `unreached` are the rules for which there was no time."""
    if finding.status == EXEMPTED:
        return "none"
    if finding.rule in ABOUT_MANIFESTS and not settings.states_mode(finding.rule):
        return "audit"
    effects = [_OF_SEVERITY[finding.severity], _OF_MODE[settings.mode_of(finding.rule)]]
    if finding.status == UNKNOWN:
        late = finding.rule in unreached
        effects.append(_OF_SETTING[admission.on_timeout if late else admission.unknown])
    entry = policy.entries[finding.rule]
    if entry.needs_inventory and entry.section != CUSTOM:
        effects.append(_OF_SETTING[admission.cross_resource])
    return min(effects, key=_STRENGTH.__getitem__)


def weaker(first: Effect, second: Effect) -> Effect:
    """Return the weaker of two effects."""
    return min(first, second, key=_STRENGTH.__getitem__)
