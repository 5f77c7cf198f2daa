"""The policy as the engine reads it: plain data in, the rules to run on an object out.

A policy file is validated by `policy.model`, which makes the plain form below; the form can be kept in
a cache and read back without that module. Without a policy file the default policy applies.
"""

from __future__ import annotations

from tidewaiter.rules import catalogue
from tidewaiter.rules.finding import Exemption
from tidewaiter.rules.rule import ANY, CUSTOM, EXEMPTION, WORKLOAD, Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypedDict

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.images import ImageFacts
    from tidewaiter.rules.policy.match import Match
    from tidewaiter.rules.policy.own_rules import OwnRules
    from tidewaiter.rules.rule import Check, Rule

    class RuleSettings(TypedDict, total=False):
        """What a policy says of one rule; what it leaves out stays as the rule has it."""

        enabled: bool
        severity: str
        parameters: dict[str, Any]
        mode: str

    class Override(TypedDict, total=False):
        """Other settings for the objects that `match` speaks of; later ones win.

        One that `narrows` wins only with what is stricter than before. `source` names the object of the cluster that it
        is from, where it is from one.
        """

        match: dict[str, Any]
        profiles: list[str]
        rules: dict[str, RuleSettings]
        mode: str
        line: int
        source: str
        narrows: bool

    class PolicyExemption(TypedDict, total=False):
        """A permission to break rules; `expires` is YYYY-MM-DD, the last day on which it holds."""

        match: dict[str, Any]
        rules: list[str]
        reason: str
        expires: str
        line: int
        source: str

    class PlainPolicy(TypedDict, total=False):
        """The whole policy: JSON-like, so that it can be cached, hashed and shown."""

        name: str
        file: str
        profiles: list[str]
        kubernetesVersion: str
        failOn: str
        rules: dict[str, RuleSettings]
        ruleLines: dict[str, int]
        ruleSources: dict[str, str]
        overrides: list[Override]
        exemptions: list[PolicyExemption]
        admission: dict[str, Any]
        workloads: list[dict[str, str]]
        compatibility: list[str]
        pin: dict[str, Any]
        customRules: list[dict[str, Any]]
        admissionPolicies: list[str]
        images: list[dict[str, Any]]
        imageSettings: dict[str, Any]
        admissionObjects: list[dict[str, Any]]
        only: list[str]
        skip: list[str]
        refused: list[str]
        """What is not accepted of a policy that is made of several, each with the reason."""


DEFAULT_PROFILE = "recommended"
LATEST_VERSION = (1, 37)
"""The newest Kubernetes version whose rules are known; the default where a policy names none."""
_VERSION_DIGITS = 9
"""More digits than any part of a version has; Python refuses to read thousands of them."""


_MOST_PLANS = 4096
"""So many kinds are remembered with their rules; a webhook may be asked about any."""


class Step:
    """One rule made ready to run on one kind under one part of the policy."""

    __slots__ = ("check", "context", "name", "rule", "severity", "takes_workload")

    def __init__(self, rule: Rule, check: Check, severity: str, context: Context) -> None:
        """Bind a rule's check to its severity and context."""
        self.rule = rule
        self.name = rule.name
        self.check = check
        self.severity = severity
        self.context = context
        self.takes_workload = WORKLOAD in rule.applies_to


class Settings:
    """What holds for a part of the world: its rules with severity and parameters, and the level."""

    __slots__ = ("_entries", "_modes", "_plans", "level", "mode", "rules")

    def __init__(
        self,
        rules: dict[str, tuple[str, dict[str, Any]]],
        level: str,
        mode: str,
        modes: Mapping[str, str],
        entries: Mapping[str, catalogue.Entry],
    ) -> None:
        """Hold rule name to (severity, parameters as stated), the Pod Security level and the modes.

        `mode` is that of admission, `modes` are those of rules that have another.
        """
        self._entries = entries
        self._modes = modes
        self.rules = rules
        self.level = level
        self.mode = mode
        self._plans: dict[tuple[str, bool], tuple[str, ...]] = {}

    def mode_of(self, rule: str) -> str:
        """Return what admission does with a rule's findings: "enforce", "warn" or "audit"."""
        return self._modes.get(rule, self.mode)

    def states_mode(self, rule: str) -> bool:
        """Tell whether the policy states a mode for this very rule."""
        return rule in self._modes

    def rules_for(self, resource: Resource) -> tuple[str, ...]:
        """Return the names of the rules that apply to the resource's kind, in catalogue order."""
        key = (resource.kind_id, resource.workload is not None)
        plan = self._plans.get(key)
        if plan is None:
            known = self._entries
            plan = tuple(
                name for name in self.rules if applies_to_kind(known[name].applies_to, *key)
            )
            self._plans[key] = plan
        return plan


class Policy:
    """A policy, compiled.

    `file` is the policy file's path or "" for the default policy; `exemptions` pairs each exemption
    with its compiled match; `pod_specs` maps the added workload kinds to their pod spec's pointer; `entries` are
    those of the catalogue and of the policy's own rules; `images` is what the policy asks of images and a gate
    has found out of them, None where it asks nothing.
    """

    __slots__ = (
        "_overrides",
        "_own",
        "_plans",
        "_settings",
        "_steps",
        "compatibility",
        "entries",
        "exemptions",
        "fail_on",
        "file",
        "images",
        "plain",
        "pod_specs",
        "version",
    )

    def __init__(self, plain: PlainPolicy | None = None) -> None:
        """Compile the plain form; an empty one is the default policy."""
        self.plain: PlainPolicy = plain or {}
        self.file: str = self.plain.get("file", "")
        self.compatibility: tuple[str, ...] = tuple(self.plain.get("compatibility", ()))
        self.fail_on: str = self.plain.get("failOn", "error")
        self.version = parse_version(self.plain.get("kubernetesVersion", "")) or LATEST_VERSION
        self.exemptions: list[tuple[Exemption, Match]] = []
        self._overrides: list[Match] = []
        if self.plain.get("exemptions") or self.plain.get("overrides"):
            self._compile_matches()
        self.pod_specs: dict[str, str] = {}
        for row in self.plain.get("workloads", ()):
            from tidewaiter.rules.manifest.resource import kind_id

            self.pod_specs[kind_id(row["apiVersion"], row["kind"])] = row["podSpec"]
        self.entries = catalogue.entries()
        self._own: OwnRules | None = None
        if self.plain.get("customRules") or self.plain.get("admissionObjects"):
            from tidewaiter.rules.policy.own_rules import OwnRules, own_entries

            self.entries = {**self.entries, **own_entries(self.plain)}
            self._own = OwnRules(self.plain)
        self.images: ImageFacts | None = None
        settings = self.plain.get("imageSettings", {})
        if self.plain.get("images") or settings.get("unmatched") == "deny":
            from tidewaiter.rules.policy.images import ImageFacts

            self.images = ImageFacts(self.plain.get("images", []), settings)
        self._settings: dict[tuple[int, ...], Settings] = {}
        self._steps: dict[tuple[int, str, int], Step] = {}
        self._plans: dict[tuple[int, str, bool, int, str], tuple[str, tuple[Step, ...]]] = {}

    def settings(self, resource: Resource | None = None) -> Settings:
        """Return what holds for an object, every matching override applied in order."""
        key = (
            tuple(i for i, match in enumerate(self._overrides) if match.matches(resource))
            if resource is not None and self._overrides
            else ()
        )
        return self._settings_under(key)

    def step(self, settings: Settings, name: str, inventory: Inventory, today: str) -> Step:
        """Return a rule of `settings` ready to run; its module is imported here, once."""
        key = (id(settings), name, id(inventory))
        step = self._steps.get(key)
        if step is None or step.context.today != today:
            rule = self.rule(name)
            if rule.check_function is None:
                msg = f"rule {name} has no check"
                raise ValueError(msg)
            severity, stated = settings.rules[name]
            parameters = {**rule.defaults(), **stated}
            context = Context(
                self.version, settings.level, parameters, inventory, today, self.images
            )
            step = self._steps[key] = Step(rule, rule.check_function, severity, context)
        return step

    def steps(
        self, settings: Settings, resource: Resource, inventory: Inventory, today: str, rules: str
    ) -> tuple[Step, ...]:
        """Return the rules to run on a resource: "local" ones, "cross"-resource ones or "all"."""
        key = (id(settings), resource.kind_id, resource.workload is not None, id(inventory), rules)
        day, steps = self._plans.get(key, ("", ()))
        if day != today:
            known = self.entries
            steps = tuple(
                self.step(settings, name, inventory, today)
                for name in settings.rules_for(resource)
                if rules == "all" or known[name].runs_late == (rules == "cross")
            )
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            self._plans[key] = today, steps
        return steps

    def rule(self, name: str) -> Rule:
        """Return a rule of the catalogue or of the policy's own. Raises KeyError for another name."""
        if self._own is not None and self.entries[name].section == CUSTOM:
            return self._own.rule(name)
        return catalogue.load(name)

    @property
    def all_rules(self) -> frozenset[str]:
        """The names of the rules that run somewhere: by the policy itself, or by one of its overrides."""
        alone = [(), *((index,) for index in range(len(self._overrides)))]
        return frozenset(name for key in alone for name in self._settings_under(key).rules)

    @property
    def reads_data(self) -> bool:
        """Whether a rule may read the data of another object than the one it is run on."""
        return any(
            entry.section == CUSTOM and entry.needs_inventory for entry in self.entries.values()
        )

    def _compile_matches(self) -> None:
        from tidewaiter.rules.policy.match import compile_match

        for index, row in enumerate(self.plain.get("exemptions", ())):
            exemption = Exemption(
                source="policy",
                rules=tuple(row["rules"]),
                reason=row["reason"],
                expires=row.get("expires"),
                line=row.get("line", 0),
                index=index,
            )
            self.exemptions.append((exemption, compile_match(row.get("match", {}))))
        self._overrides = [
            compile_match(row.get("match", {})) for row in self.plain.get("overrides", ())
        ]

    def _settings_under(self, overrides: tuple[int, ...]) -> Settings:
        found = self._settings.get(overrides)
        if found is None:
            found = self._settings[overrides] = self._make_settings(overrides)
        return found

    def _make_settings(self, overrides: tuple[int, ...]) -> Settings:
        profiles: Sequence[str] = self.plain.get("profiles") or (DEFAULT_PROFILE,)
        stated: dict[str, RuleSettings] = dict(self.plain.get("rules", {}))
        mode: str = self.plain.get("admission", {}).get("mode", "enforce")
        modes = _stated_modes(stated)
        for index in overrides:
            override = self.plain["overrides"][index]
            if override.get("narrows"):
                profiles = [*profiles, *override.get("profiles", ())]
                mode, modes = self._narrow(override, stated, mode, modes)
                continue
            profiles = override.get("profiles") or profiles
            if "mode" in override:
                mode, modes = override["mode"], {}
            modes |= _stated_modes(override.get("rules", {}))
            for name, setting in override.get("rules", {}).items():
                stated[name] = merged_settings(stated.get(name, {}), setting)
        rules: dict[str, tuple[str, dict[str, Any]]] = {}
        only, skip = self.plain.get("only"), self.plain.get("skip", ())
        for name, entry in self.entries.items():
            setting = stated.get(name, {})
            wanted = entry.section == CUSTOM or any(
                catalogue.in_profile(entry, profile) for profile in profiles
            )
            if entry.needs_images:
                wanted = self.images is not None
            wanted = name in only if only else setting.get("enabled", wanted)
            if wanted and name not in skip:
                rules[name] = (
                    setting.get("severity", entry.severity),
                    setting.get("parameters", {}),
                )
        return Settings(rules, pod_security_level(profiles), mode, modes, self.entries)

    def _narrow(
        self,
        override: Override,
        stated: dict[str, RuleSettings],
        mode: str,
        modes: Mapping[str, str],
    ) -> tuple[str, dict[str, str]]:
        """Make settings as strict as an override says, and return the modes likewise."""
        from tidewaiter.rules.policy.narrowing import narrowed, narrowed_modes

        for name, setting in override.get("rules", {}).items():
            if name in self.entries:
                severity = self.entries[name].severity
                stated[name] = narrowed(name, stated.get(name, {}), setting, severity)
        return narrowed_modes(mode, modes, override)


def pod_security_level(profiles: Sequence[str]) -> str:
    """Return the Pod Security level that profiles ask for: baseline only if all of them do."""
    return "baseline" if all(profile == "pss-baseline" for profile in profiles) else "restricted"


def parse_version(text: str) -> tuple[int, int] | None:
    """Return (major, minor) of `1.34`, `v1.34` or `1.34.2`, or None where the text is no version."""
    parts = text.removeprefix("v").split(".")
    if len(parts) not in {2, 3} or not all(
        part.isascii() and part.isdigit() and len(part) <= _VERSION_DIGITS for part in parts
    ):
        return None
    return int(parts[0]), int(parts[1])


def _stated_modes(rules: Mapping[str, RuleSettings]) -> dict[str, str]:
    return {name: setting["mode"] for name, setting in rules.items() if "mode" in setting}


def merged_settings(below: RuleSettings, above: RuleSettings) -> RuleSettings:
    """Return what holds of a rule where settings are laid over others: what these leave out stays."""
    merged: RuleSettings = {**below, **above}
    if "parameters" in below and "parameters" in above:
        merged["parameters"] = {**below["parameters"], **above["parameters"]}
    return merged


def applies_to_kind(applies_to: tuple[str, ...], kind_id: str, is_workload: bool) -> bool:
    """Tell whether a rule with this `applies_to` runs on objects of a kind."""
    if EXEMPTION in applies_to:
        return False
    return ANY in applies_to or (is_workload and WORKLOAD in applies_to) or kind_id in applies_to
