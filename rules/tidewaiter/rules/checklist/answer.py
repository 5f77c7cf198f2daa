"""The release checklist: for each service and item yes, no, not applicable or unknown, and why.

No is what a rule finds wrong on the service or what belongs to it, and what is absent in a complete set.
Unknown is what a rule cannot tell, what is only partly seen, and what no manifest says. An attestation
turns unknown into yes; it never turns a no into one.
"""

from __future__ import annotations

from tidewaiter.rules.catalogue import entries
from tidewaiter.rules.checklist import data, running, traffic, zones
from tidewaiter.rules.checklist.attestation import attestations, malformed
from tidewaiter.rules.checklist.evidence import Evidence, Facts, unknown
from tidewaiter.rules.checklist.findings import FindingIndex
from tidewaiter.rules.checklist.items import BATCH, DATABASE, ITEMS
from tidewaiter.rules.checklist.services import services_in
from tidewaiter.rules.engine import evaluate
from tidewaiter.rules.finding import UNKNOWN, VIOLATION
from tidewaiter.rules.policy.compiled import Policy, applies_to_kind
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidewaiter.rules.checklist.attestation import Attestation, Malformed
    from tidewaiter.rules.checklist.items import Item
    from tidewaiter.rules.checklist.services import CheckedService
    from tidewaiter.rules.finding import RuleCrash
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import PlainPolicy

    Gaps = Callable[[CheckedService, Facts], Iterator[Evidence]]
    WhyNot = Callable[[CheckedService, Facts], str | None]

YES, NO, NOT_APPLICABLE = "yes", "no", "not-applicable"
"""Answers, beside `finding.UNKNOWN`."""


@record
class Answer:
    """The answer to one item: `state` is "yes", "no", "not-applicable" or "unknown".

    `reason` says in one sentence why; `evidence` holds what it rests on. `attestations` are those that
    made a yes of unknown. `notes` are facts worth showing with it.
    """

    item: Item
    state: str
    reason: str
    evidence: tuple[Evidence, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    notes: tuple[str, ...] = ()


@record
class ServiceAnswers:
    """One service with its answers in the order of `ITEMS`."""

    service: CheckedService
    answers: tuple[Answer, ...]

    def count(self, state: str) -> int:
        """Return how many answers are of a state."""
        return sum(answer.state == state for answer in self.answers)

    @property
    def applicable(self) -> int:
        """How many items concern the service."""
        return len(self.answers) - self.count(NOT_APPLICABLE)

    @property
    def score(self) -> int | None:
        """Yes answers, attested ones included, in percent of the applicable items, rounded down."""
        return 100 * self.count(YES) // self.applicable if self.applicable else None


@record
class Checklist:
    """The answers on every service, the attestations that do not count, and rules that crashed."""

    services: tuple[ServiceAnswers, ...]
    malformed: tuple[Malformed, ...]
    crashes: tuple[RuleCrash, ...] = ()


def answer(
    resources: Sequence[Resource], plain: PlainPolicy, inventory: Inventory, *, today: str
) -> Checklist:
    """Answer every item for each service among `resources`; `today` is YYYY-MM-DD.

    All rules are on, whatever profiles the policy names; what it says of single rules, their
    parameters and its exemptions hold.
    """
    policy = Policy(with_all_rules(plain))
    report = evaluate(resources, policy, inventory, today=today)
    facts = Facts(inventory, policy)
    index = FindingIndex(report.findings)
    services = services_in(resources, inventory)
    answered = tuple(
        ServiceAnswers(
            service,
            tuple(_answer(item, service, facts, index, today) for item in ITEMS),
        )
        for service in services
    )
    wrong = malformed(services, inventory, today)
    return Checklist(answered, tuple(wrong), report.crashes)


def with_all_rules(plain: PlainPolicy) -> PlainPolicy:
    """Return the policy with every rule of an item on that it does not switch off by name."""
    result: PlainPolicy = {**plain, "profiles": ["all"]}
    result.pop("only", None)
    result.pop("customRules", None)
    result.pop("admissionPolicies", None)
    result.pop("admissionObjects", None)
    wanted = {name for item in ITEMS for name in item.rules}
    result["skip"] = [name for name in entries() if name not in wanted]
    if "overrides" in plain:
        result["overrides"] = [{**row, "profiles": []} for row in plain["overrides"]]
    return result


def _answer(
    item: Item, service: CheckedService, facts: Facts, index: FindingIndex, today: str
) -> Answer:
    if service.kind not in item.kinds:
        return Answer(item, NOT_APPLICABLE, _NOT_FOR_KIND[service.kind])
    evidence = _unique([*_GAPS[item.id](service, facts), *index.of(item, service)])
    evidence += _switched_off(item, service, facts)
    notes = tuple(running.notes(service)) if item.id == "resources" else ()
    wrong = [each for each in evidence if each.status == VIOLATION]
    if wrong:
        return Answer(item, NO, wrong[0].message, tuple(evidence), (), notes)
    why_not = _WHY_NOT[item.id](service, facts) if item.id in _WHY_NOT else None
    if why_not:
        return Answer(item, NOT_APPLICABLE, why_not)
    doubts = [each.message for each in evidence if each.status == UNKNOWN]
    if item.by_hand:
        doubts.append(item.by_hand)
    if not doubts:
        return Answer(item, YES, _yes_reason(item, evidence), tuple(evidence), (), notes)
    attested = attestations(service, item.id, facts.inventory, today)
    if attested:
        who = "; ".join(f"{each.who}, {each.date}: {each.evidence}" for each in attested)
        return Answer(item, YES, f"attested by {who}", tuple(evidence), attested, notes)
    return Answer(item, UNKNOWN, doubts[0], tuple(evidence), (), notes)


def _yes_reason(item: Item, evidence: Sequence[Evidence]) -> str:
    exempted = sum(each.status == "exempted" for each in evidence)
    found = "no rule finds anything wrong" if item.rules else "the manifests state it"
    if not exempted:
        return found
    return f"nothing is wrong but what is exempted ({exempted})"


def _switched_off(item: Item, service: CheckedService, facts: Facts) -> list[Evidence]:
    """Say which rules of an item the policy keeps from running on a service or what belongs to it."""
    found = []
    known = entries()
    for resource in (*service.members, *service.belongings):
        on = facts.policy.settings(resource).rules
        kind = (resource.kind_id, resource.workload is not None)
        off = [
            name
            for name in item.rules
            if name not in on and name in known and applies_to_kind(known[name].applies_to, *kind)
        ]
        if off:
            message = f"the policy switches {', '.join(off)} off for {resource!r}"
            found.append(unknown(resource, "/metadata/name", message))
    return found


def _unique(evidence: Sequence[Evidence]) -> list[Evidence]:
    return list(
        {
            (each.rule, each.resource.place, each.pointer, each.message): each for each in evidence
        }.values()
    )


_NOT_FOR_KIND = {
    BATCH: "it does not concern a Job",
    DATABASE: "the database's operator sees to it",
}
_GAPS: dict[str, Gaps] = {
    "image-integrity": running.image_gaps,
    "probes": running.probe_gaps,
    "resources": running.resource_gaps,
    "availability": running.availability_gaps,
    "autoscaling": running.scaling_gaps,
    "network": traffic.network_gaps,
    "edge": traffic.edge_gaps,
    "mesh": traffic.mesh_gaps,
    "secrets": data.secret_gaps,
    "config-checksum": data.configuration_gaps,
    "canary": data.canary_gaps,
    "observability": data.observability_gaps,
    "backup": data.backup_gaps,
    "multi-zone": zones.zone_gaps,
    "cost-guards": running.cost_gaps,
}
_WHY_NOT: dict[str, WhyNot] = {
    "autoscaling": running.why_not_scaled,
    "edge": traffic.why_no_edge,
    "mesh": traffic.why_no_mesh,
    "secrets": data.why_no_secrets,
    "config-checksum": data.why_no_configuration,
    "backup": data.why_no_data,
    "multi-zone": zones.why_zones_do_not_matter,
}
