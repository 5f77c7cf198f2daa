"""The one place where a verdict is made.

`evaluate` is pure: it reads no file and no clock, and writes to nothing that it is given. A gate that
works in parts calls `judge` on each part, and at the end `conclude_inline` and `conclude_policy`.
"""

from __future__ import annotations

from tidewaiter.rules.exemptions import DANGLING, exempt, inline_uses, policy_uses
from tidewaiter.rules.finding import UNKNOWN, VIOLATION, Finding, Report, RuleCrash
from tidewaiter.rules.inventory import CannotBeRead
from tidewaiter.rules.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from tidewaiter.rules.finding import ExemptionUse, Span, Violation
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import Policy, Step

LOCAL, CROSS, ALL = "local", "cross", "all"
"""Which rules `judge` runs: those that need only the object, those that need others, or both."""


def evaluate(
    resources: Sequence[Resource],
    policy: Policy,
    inventory: Inventory,
    *,
    today: str,
    inline: bool = True,
) -> Report:
    """Judge every resource by every rule that the policy asks for.

    `today` is YYYY-MM-DD. `inline` says whether ignore annotations and comments count, as they do
    offline. A rule that raises is in the report's crashes, and its answer is `unknown`; so is that of a rule that
    asks for a kind which the inventory cannot read.
    """
    report = judge(resources, policy, inventory, today=today, inline=inline)
    findings = list(report.findings)
    if inline:
        findings += conclude_inline(resources, findings, policy, inventory, today=today)
    findings += conclude_policy(used_exemptions(findings), policy, inventory, today=today)
    return replace(report, findings=tuple(findings))


def judge(
    resources: Iterable[Resource],
    policy: Policy,
    inventory: Inventory,
    *,
    today: str,
    inline: bool = True,
    rules: str = ALL,
    names: Collection[str] | None = None,
    out_of_time: Callable[[], bool] | None = None,
) -> Report:
    """Run the rules on each resource and apply the exemptions; see `evaluate`.

    `names` are the only rules to run, of those that the policy asks for. `out_of_time` is asked before each rule; once it says so, the answer of every further rule is `unknown`.
    """
    findings: list[Finding] = []
    crashes: list[RuleCrash] = []
    unreached: list[str] = []
    plans: dict[tuple[int, str, bool], tuple[Step, ...]] = {}
    for resource in resources:
        settings = policy.settings(resource)
        workload = resource.workload
        key = (id(settings), resource.kind_id, workload is not None)
        steps = plans.get(key)
        if steps is None:
            steps = policy.steps(settings, resource, inventory, today, rules)
            if names is not None:
                steps = tuple(step for step in steps if step.name in names)
            plans[key] = steps
        start = len(findings)
        for step in steps:
            if unreached or (out_of_time is not None and out_of_time()):
                unreached.append(step.name)
                findings.append(_unanswered(step, resource, _NOT_REACHED))
                continue
            try:
                for violation in step.check(
                    workload if step.takes_workload else resource, step.context
                ):
                    findings.append(_finding(step, violation, resource))
            except CannotBeRead as gap:
                findings.append(_unanswered(step, resource, f"cannot be told, as {gap}"))
            except MemoryError:
                raise  # not the rule's fault, and the rules after it would have no answer either
            except Exception as error:  # noqa: BLE001 - a broken rule must not hide the others' answers
                crashes.append(RuleCrash(step.name, resource, f"{type(error).__name__}: {error}"))
                findings.append(_unanswered(step, resource, _CRASHED))
        if len(findings) > start:
            findings[start:] = exempt(findings[start:], resource, policy, today, inline=inline)
        if resource.least is not None:
            from tidewaiter.rules.filled_in import ASKED_TWICE, certain

            asked = ASKED_TWICE if names is None else ASKED_TWICE.intersection(names)
            others = judge(
                [resource.least],
                policy,
                inventory,
                today=today,
                inline=inline,
                rules=rules,
                names=asked,
                out_of_time=out_of_time,
            )
            findings[start:] = certain(findings[start:], others.findings, resource)
    return Report(tuple(findings), tuple(crashes), tuple(unreached))


def conclude_inline(
    resources: Iterable[Resource],
    findings: Iterable[Finding],
    policy: Policy,
    inventory: Inventory,
    *,
    today: str,
) -> list[Finding]:
    """Return the findings on ignore annotations and comments, once all rules have run."""
    uses = inline_uses(resources, findings, policy)
    concluded: list[Finding] = []
    for finding in _dangling(uses, policy, inventory, today):
        if finding.resource is not None:
            concluded += exempt([finding], finding.resource, policy, today, inline=True)
    return concluded


def conclude_policy(
    used: frozenset[int], policy: Policy, inventory: Inventory, *, today: str
) -> list[Finding]:
    """Return the findings on the policy's own exemptions, given the indexes of those used."""
    if not policy.exemptions:
        return []
    uses = policy_uses(used, policy, today, complete=inventory.complete)
    return _dangling(uses, policy, inventory, today)


def used_exemptions(findings: Iterable[Finding]) -> frozenset[int]:
    """Return the indexes of the policy's exemptions that some finding fell under."""
    return frozenset(
        finding.exemption.index
        for finding in findings
        if finding.exemption is not None and finding.exemption.source == "policy"
    )


def _dangling(
    uses: Iterable[ExemptionUse], policy: Policy, inventory: Inventory, today: str
) -> list[Finding]:
    findings = []
    for use in uses:
        settings = policy.settings(use.resource)
        if DANGLING not in settings.rules:
            continue
        step = policy.step(settings, DANGLING, inventory, today)
        for violation in step.check(use, step.context):
            file = policy.file if use.resource is None else ""
            findings.append(_finding(step, violation, use.resource, file, use.span))
    return findings


def _finding(
    step: Step,
    violation: Violation,
    resource: Resource | None,
    file: str = "",
    span: Span | None = None,
) -> Finding:
    return Finding(
        step.name,
        violation.severity if violation.severity is not None else step.severity,
        UNKNOWN if violation.unknown else VIOLATION,
        violation.message,
        violation.remediation if violation.remediation is not None else step.rule.remediation,
        resource,
        violation.pointer,
        violation.container,
        None,
        file,
        span if span is not None else violation.span,
        violation.fix,
    )


def _unanswered(step: Step, resource: Resource, why: str) -> Finding:
    return Finding(
        step.name, step.severity, UNKNOWN, why, step.rule.remediation, resource, pointer=""
    )


_CRASHED = (
    "the rule failed on this object, so its answer is not known; please report this as a defect"
)
_NOT_REACHED = "the time was up before this rule was asked, so its answer is not known"
