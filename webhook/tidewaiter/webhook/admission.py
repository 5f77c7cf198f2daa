"""The verdict on one admission request: pure, without input, output or clock.

Which requests are judged, and by what:

- CREATE and UPDATE of an object: all of its rules, on the object as its author wrote it;
- an object that a controller made from a template: only what was added or changed on the way (`made_by`);
- `pods/ephemeralcontainers` and `pods/resize`: only what the old pod did not have;
- `scale`, and DELETE of what others need: what it does to the objects around (`consequences`);
- CONNECT, other subresources, and an update that lets an object go: passed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tidewaiter.rules import engine
from tidewaiter.rules.finding import EXEMPTED, Report
from tidewaiter.rules.image_answers import images_of
from tidewaiter.rules.inventory import CannotBeRead
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.manifest.as_written import as_written, written_forms
from tidewaiter.rules.manifest.fields import dig, mapping
from tidewaiter.rules.manifest.resource import Asked, Resource, kind_id
from tidewaiter.rules.manifest.token_volume import without_token_volume
from tidewaiter.rules.record import replace as with_changes
from tidewaiter.webhook.admission_request import (
    API_VERSION,
    KIND,
    AdmissionRequest,
    BadReview,
    parse_review,
)
from tidewaiter.webhook.already_there import AlreadyThere
from tidewaiter.webhook.consequences import CARED_FOR, Consequences
from tidewaiter.webhook.decision import Decision, RuleAnswer
from tidewaiter.webhook.effect import effect_of, settings_of, weaker
from tidewaiter.webhook.exempt_requests import ExemptRequests
from tidewaiter.webhook.made_by import made, without_false_owner
from tidewaiter.webhook.response import audit_annotations_of, causes, denial, response_of, warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from tidewaiter.rules.finding import Finding
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.puller import Puller
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.webhook.decision import ReviewedObject, Verdict
    from tidewaiter.webhook.effect import Effect
    from tidewaiter.webhook.policy_requests import PolicyRequests

    Weighed = tuple[Finding, Effect]

__all__ = ["AdmissionRequest", "BadReview", "Reviewer", "answer", "failure", "parse_review"]

_EPHEMERAL, _RESIZE, _SCALE = "ephemeralcontainers", "resize", "scale"
_VERSION_RULE = "no-deprecated-api"
_BOOKKEEPING = frozenset(
    {"deletionGracePeriodSeconds", "finalizers", "generation", "managedFields", "resourceVersion"}
)
"""Metadata that says nothing about what an object does."""
_MUTABLE = frozenset({"activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations"})
"""Fields of a pod's spec that may change while it runs, and that decide how long it does."""


class Reviewer:
    """Judges requests by one policy and one inventory."""

    def __init__(
        self,
        policy: Policy,
        inventory: Inventory,
        *,
        policy_hash: str,
        own_namespace: str = "",
        policy_requests: PolicyRequests | None = None,
    ) -> None:
        """Keep what verdicts depend on.

        `policy_hash` goes into audit annotations; `own_namespace` is that of the webhook, whose objects are exempt;
        `policy_requests` judges policies, where the cluster's are followed.
        """
        self.policy = policy
        self.inventory = inventory
        self.policy_hash = policy_hash
        self._admission = settings_of(policy.plain)
        self._exempt = ExemptRequests(policy.plain, own_namespace)
        self._live = inventory if isinstance(inventory, LiveInventory) else LiveInventory()
        self._consequences = Consequences(policy, self._live)
        self._policy_requests = policy_requests

    def review(
        self, request: AdmissionRequest, *, today: str, out_of_time: Callable[[], bool]
    ) -> Decision:
        """Return the decision on a request. `out_of_time` is asked between rules."""
        subject = request.subject
        if self._policy_requests is not None and not is_letting_go(request):
            decision = self._policy_requests.decision(request, self._policy_name, self.policy_hash)
            if decision is not None:
                return decision
        if reason := self._exempt.reason(request):
            return self._passed(subject, "exempted", reason)
        if subject.operation == "CONNECT":
            return self._passed(subject, "passed", "CONNECT is not judged")
        if subject.operation == "DELETE":
            return self._of_deletion(request, today, out_of_time)
        if subject.subresource == _SCALE:
            return self._of_scaling(request, today, out_of_time)
        if subject.subresource not in {"", _EPHEMERAL, _RESIZE}:
            return self._passed(subject, "passed", f"{subject.subresource} is not judged")
        if subject.subresource and subject.kind != "Pod":
            return self._passed(subject, "passed", f"{subject.subresource} is not judged")
        if is_letting_go(request):
            return self._passed(subject, "passed", "the object is being deleted")
        return self._of_object(request, today, out_of_time)

    def images(self, request: AdmissionRequest) -> tuple[list[str], Puller | None]:
        """Return the images that must have been asked about before the request is reviewed, and who pulls them."""
        subject = request.subject
        if (
            self.policy.images is None
            or request.object is None
            or subject.operation not in {"CREATE", "UPDATE"}
            or subject.subresource not in {"", _EPHEMERAL, _RESIZE}
            or self._exempt.reason(request)
            or is_letting_go(request)
        ):
            return [], None
        resource = self._resource(request, request.object)
        puller = self.policy.images.puller(resource.workload) if resource.workload else None
        return images_of([resource]), puller

    def undecided(self, request: AdmissionRequest, reason: str) -> Decision:
        """Return the decision where no verdict can be made; the policy's `onTimeout` says which.

        `reason` is a sentence for people.
        """
        if why := self._exempt.reason(request):
            return self._passed(request.subject, "exempted", why)
        mode = self.policy.plain.get("admission", {}).get("mode", "enforce")
        setting = self._admission.on_timeout if mode == "enforce" else "warn"
        decision = failure(request, reason, allowed=setting != "deny")
        if not decision.allowed:
            return decision
        return replace(decision, message="", warnings=warnings([], [f"tidewaiter: {reason}"]))

    def _of_object(
        self, request: AdmissionRequest, today: str, out_of_time: Callable[[], bool]
    ) -> Decision:
        subject = request.subject
        resource, report = self._judged(request, request.object or {}, today, out_of_time)
        settings = self.policy.settings(resource)
        weighed = self._weighed(report.findings, resource, report.unreached)
        if subject.subresource:
            weighed = self._only_new(request, weighed, report.unreached, today, out_of_time)
        elif any(effect != "none" for _, effect in weighed):
            of_template = made(resource, subject, self._live)
            if of_template is not None:
                # The template's images may have been let in before they had to be signed.
                weighed = [
                    each
                    for each in weighed
                    if self.policy.entries[each[0].rule].needs_images
                    or not of_template.has_in_template(each[0])
                ]
        kept: list[Finding] = []
        if (
            (self._admission.ratchet or leaves_running(request))
            and subject.operation == "UPDATE"
            and any(effect == "deny" for _, effect in weighed)
        ):
            weighed, kept = self._ratcheted(request, weighed, report.unreached, today, out_of_time)
        late = [name for name in report.unreached if name in settings.rules]
        crashed = tuple(dict.fromkeys(crash.rule for crash in report.crashes))
        return self._decided(subject, weighed, crashed, late, kept)

    def _judged(
        self,
        request: AdmissionRequest,
        obj: dict[str, Any],
        today: str,
        out_of_time: Callable[[], bool],
    ) -> tuple[Resource, Report]:
        """Run the rules on an object of a request, which is laid over the inventory."""
        written, least = written_forms(obj)
        resource = self._resource(request, written)
        if least is not None:
            resource.least = self._resource(request, least)
        if obj is request.object:
            subject = request.subject
            resource.asked = Asked(
                subject.operation,
                obj,
                request.old,
                subject.username,
                subject.groups,
                subject.dry_run,
            )
        live = self._live if self._live is self.inventory else None
        if live is not None:
            live.lay_over(resource.kind_id, resource.namespace, resource.name, resource)
        try:
            report = self._judge([resource], today, out_of_time)
            if request.requested_version != resource.api_version:
                report = self._by_requested_version(request, resource, report, today)
        finally:
            if live is not None:
                live.uncover()
        return resource, report

    def _judge(
        self,
        resources: Iterable[Resource],
        today: str,
        out_of_time: Callable[[], bool],
        names: Collection[str] | None = None,
    ) -> Report:
        return engine.judge(
            resources,
            self.policy,
            self.inventory,
            today=today,
            inline=self._admission.annotation_exemptions,
            names=names,
            out_of_time=out_of_time,
        )

    def _by_requested_version(
        self, request: AdmissionRequest, resource: Resource, report: Report, today: str
    ) -> Report:
        """Judge the version that the client has used, where the API server has converted the object.

        https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-matchpolicy
        """
        sent = Resource({**resource.object, "apiVersion": request.requested_version})
        found = self._judge([sent], today, _never, {_VERSION_RULE}).findings
        others = [each for each in report.findings if each.rule != _VERSION_RULE]
        return with_changes(report, findings=(*others, *found))

    def _only_new(
        self,
        request: AdmissionRequest,
        weighed: Sequence[Weighed],
        late: Collection[str],
        today: str,
        out_of_time: Callable[[], bool],
    ) -> list[Weighed]:
        """Return the findings that the old pod did not have; of a debugging container only its own."""
        if request.subject.subresource == _EPHEMERAL:
            weighed = [
                each for each in weighed if each[0].pointer.startswith("/spec/ephemeralContainers/")
            ]
        if request.old is None:
            return list(weighed)
        before = self._before(request, request.old, today, out_of_time)
        return [each for each in weighed if each[0].rule in late or not before.take(each[0])]

    def _ratcheted(
        self,
        request: AdmissionRequest,
        weighed: Sequence[Weighed],
        late: Collection[str],
        today: str,
        out_of_time: Callable[[], bool],
    ) -> tuple[list[Weighed], list[Finding]]:
        """Return the findings with those that the old object has already only warned of, and these alone."""
        if request.old is None:
            return list(weighed), []
        before = self._before(request, request.old, today, out_of_time)
        result: list[Weighed] = []
        kept = []
        for finding, effect in weighed:
            if finding.rule not in late and before.take(finding) and effect == "deny":
                effect = "warn"
                kept.append(finding)
            result.append((finding, effect))
        return result, kept

    def _before(
        self,
        request: AdmissionRequest,
        old: dict[str, Any],
        today: str,
        out_of_time: Callable[[], bool],
    ) -> AlreadyThere:
        """Return the findings on the old object, without the rules for which there was no time."""
        _, report = self._judged(request, old, today, out_of_time)
        return AlreadyThere(each for each in report.findings if each.rule not in report.unreached)

    def _of_deletion(
        self, request: AdmissionRequest, today: str, out_of_time: Callable[[], bool]
    ) -> Decision:
        subject = request.subject
        kind = kind_id(subject.api_version, subject.kind)
        if request.old is None or subject.subresource or kind not in CARED_FOR:
            return self._passed(subject, "passed", "no rule cares about this deletion")
        deleted = self._resource(request, as_written(request.old))
        try:
            findings = self._consequences.of_deletion(deleted, today, out_of_time)
        except CannotBeRead:
            findings = []
        weighed = [
            (each, weaker("warn", self._effect(each)))
            for each in findings
            if each.status != EXEMPTED
        ]
        return self._decided(subject, weighed, (), (), ())

    def _of_scaling(
        self, request: AdmissionRequest, today: str, out_of_time: Callable[[], bool]
    ) -> Decision:
        try:
            findings = self._consequences.of_scaling(request, today, out_of_time)
        except CannotBeRead:
            findings = []
        weighed = [(each, self._effect(each)) for each in findings]
        return self._decided(request.subject, weighed, (), (), ())

    def _resource(self, request: AdmissionRequest, obj: dict[str, Any]) -> Resource:
        """Return an object with the kind and namespace of its request, and without false owners and its token."""
        subject = request.subject
        obj = without_false_owner(obj, request.old, subject.username)
        stated = {"apiVersion": subject.api_version, "kind": subject.kind}
        if any(obj.get(key) != value for key, value in stated.items()):
            obj = {**obj, **stated}
        if subject.namespace and subject.kind != "Namespace":
            metadata = mapping(obj.get("metadata"))
            if metadata.get("namespace") != subject.namespace:
                obj = {**obj, "metadata": {**metadata, "namespace": subject.namespace}}
        if (
            subject.kind == "Pod"
            and subject.api_version == "v1"
            and isinstance(obj.get("spec"), dict)
        ):
            spec = without_token_volume(obj["spec"])
            if spec is not obj["spec"]:
                obj = {**obj, "spec": spec}
        return Resource(obj, pod_specs=self.policy.pod_specs)

    def _weighed(
        self, findings: Iterable[Finding], resource: Resource, unreached: Collection[str]
    ) -> list[Weighed]:
        settings = self.policy.settings(resource)
        # A large object breaks the same few rules thousands of times.
        effects: dict[tuple[str, str, str], Effect] = {}
        weighed = []
        for each in findings:
            key = each.rule, each.severity, each.status
            if key not in effects:
                effects[key] = effect_of(each, self.policy, settings, self._admission, unreached)
            weighed.append((each, effects[key]))
        return weighed

    def _effect(self, finding: Finding) -> Effect:
        """Return what comes of a finding on another object than the one under review."""
        return effect_of(
            finding, self.policy, self.policy.settings(finding.resource), self._admission
        )

    def _passed(self, subject: ReviewedObject, verdict: Verdict, reason: str) -> Decision:
        return Decision(
            subject,
            allowed=True,
            verdict=verdict,
            audit_annotations=self._annotations(verdict, (), reason),
        )

    def _decided(
        self,
        subject: ReviewedObject,
        weighed: Sequence[Weighed],
        crashed: tuple[str, ...],
        late: Collection[str],
        kept: Collection[Finding],
    ) -> Decision:
        denied = [finding for finding, effect in weighed if effect == "deny"]
        warned = [finding for finding, effect in weighed if effect == "warn"]
        answers = tuple(_answer(finding, effect) for finding, effect in weighed)
        only_late = bool(denied) and all(finding.rule in late for finding in denied)
        verdict: Verdict = "allowed"
        if only_late:
            verdict = "error"
        elif denied:
            verdict = "denied"
        elif warned:
            verdict = "warned"
        notes = []
        if kept:
            number = f"{len(kept)} {'violation' if len(kept) == 1 else 'violations'}"
            notes.append(
                f"tidewaiter lets this update through with {number} that the object had before"
            )
        message = ""
        if only_late:
            message = f"there was no time to ask {len(late)} rules: {', '.join(late)}"[:512]
        elif denied:
            message = denial(denied, f"{_named(subject)} is denied by policy {self._policy_name}")
        return Decision(
            subject,
            allowed=not denied,
            verdict=verdict,
            message=message,
            code=504 if only_late else 403,
            causes=tuple(causes(denied)),
            warnings=warnings(warned, notes),
            audit_annotations=self._annotations(verdict, answers),
            answers=answers,
            crashed_rules=crashed,
        )

    @property
    def _policy_name(self) -> str:
        return self.policy.plain.get("name") or "default"

    def _annotations(
        self, verdict: str, answers: Sequence[RuleAnswer], reason: str = ""
    ) -> dict[str, str]:
        return audit_annotations_of(verdict, self._policy_name, self.policy_hash, answers, reason)


def failure(request: AdmissionRequest, reason: str, *, allowed: bool) -> Decision:
    """Return the decision where no verdict could be made; `reason` is a sentence for people."""
    return Decision(request.subject, allowed=allowed, verdict="error", message=reason, code=500)


def answer(decision: Decision) -> dict[str, Any]:
    """Return the AdmissionReview that answers the API server."""
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response_of(decision)}


def is_letting_go(request: AdmissionRequest) -> bool:
    """Tell whether an update only takes finalizers off, or touches nothing that an object being deleted does.

    To refuse such a one would keep the object, and its namespace, from ever going.
    https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
    """
    new, old = request.object, request.old
    if request.subject.operation != "UPDATE" or new is None or old is None:
        return False
    content = {"metadata", "status"}
    if _without(new, content) != _without(old, content):
        return False
    if dig(new, "metadata", "deletionTimestamp") is not None:
        return True
    metadata, before = mapping(new.get("metadata")), mapping(old.get("metadata"))
    return metadata.get("finalizers") != before.get("finalizers") and _without(
        metadata, _BOOKKEEPING
    ) == _without(before, _BOOKKEEPING)


def leaves_running(request: AdmissionRequest) -> bool:
    """Tell whether an update of a pod changes nothing of what runs, which nobody can mend in a pod that is there.

    Databases label their pods at a failover, networks annotate them: to refuse that would keep them down. Pod
    Security does not look at such updates at all.
    https://kubernetes.io/docs/concepts/security/pod-security-admission/#exemptions
    """
    subject, new, old = request.subject, request.object, request.old
    if (subject.api_version, subject.kind, subject.subresource) != ("v1", "Pod", ""):
        return False
    if subject.operation != "UPDATE" or new is None or old is None:
        return False
    spec, before = mapping(new.get("spec")), mapping(old.get("spec"))
    return _without(spec, _MUTABLE) == _without(before, _MUTABLE)


def _without(value: dict[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key not in keys}


def _named(subject: ReviewedObject) -> str:
    name = f"{subject.namespace}/{subject.name}" if subject.namespace else subject.name
    return f"{subject.kind} {name}"


def _never() -> bool:
    return False


def _answer(finding: Finding, effect: Effect) -> RuleAnswer:
    return RuleAnswer(
        finding.rule, finding.severity, finding.status, effect, finding.pointer, finding.container
    )
