"""What a deletion or another number of replicas does to the objects around: findings that were not there before.

A deletion breaks no rule of the object that goes, but it may of those that need it: a workload without its
PodDisruptionBudget, a route without its Service, a pod that starts no more without its ConfigMap. These are asked
before and after. Scaling changes nothing but a number, in an object that the request does not hold: the workload
of the inventory is asked with the old number and with the new one, and the budgets that select it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules import engine
from tidewaiter.rules.finding import VIOLATION, Finding
from tidewaiter.rules.inventory import namespace_of, pod_selector
from tidewaiter.rules.manifest.api_resource import plural_of
from tidewaiter.rules.manifest.fields import dig, text, whole_number
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.manifest.uses import uses
from tidewaiter.rules.manifest.workload import POD_SPECS
from tidewaiter.webhook.already_there import AlreadyThere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tidewaiter.rules.live_inventory import LiveInventory
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.webhook.admission_request import AdmissionRequest

_BUDGET = "PodDisruptionBudget.policy"
_NETWORK_POLICY = "NetworkPolicy.networking.k8s.io"
_OF_SELECTED = {
    _BUDGET: ("pdb",),
    _NETWORK_POLICY: ("network-policy-covers", "network-policy-default-deny"),
}
"""Rules on the workloads that an object selects."""
_OF_ROUTES = ("ingress-backend", "stateful-service")
"""Rules on what names a Service."""
_ROUTES = (
    "Ingress.networking.k8s.io",
    "HTTPRoute.gateway.networking.k8s.io",
    "GRPCRoute.gateway.networking.k8s.io",
    "StatefulSet.apps",
)
_REFERENCE = "reference-exists"
_REFERRED = frozenset({"ConfigMap", "Secret", "PersistentVolumeClaim", "ServiceAccount"})
CARED_FOR = frozenset({*_OF_SELECTED, *_REFERRED, "Service"})
"""Kinds whose deletion some rule cares about."""
_OF_REPLICAS = ("hpa-target", "min-replicas", "pdb", "pdb-allows-eviction")
"""Rules that read the number of replicas."""
_MOST = 200
"""Objects that are asked; of more it is not said what a deletion does to them."""


class Consequences:
    """Asks the rules of a policy what a request does to the objects of an inventory."""

    def __init__(self, policy: Policy, inventory: LiveInventory) -> None:
        """Keep both."""
        self._policy = policy
        self._inventory = inventory

    def of_deletion(
        self, deleted: Resource, today: str, out_of_time: Callable[[], bool]
    ) -> list[Finding]:
        """Return the findings on other objects that are there only without a deleted one."""
        namespace = namespace_of(deleted)
        if self._is_going(namespace):
            return []
        if deleted.kind_id in _REFERRED:
            return self._of_references(deleted)
        if deleted.kind_id == "Service":
            names: Sequence[str] = _OF_ROUTES
            around: Sequence[Resource] = [
                each for kind in _ROUTES for each in self._inventory.of_kind(kind, namespace)
            ]
        else:
            names = _OF_SELECTED.get(deleted.kind_id, ())
            around = self._selected(deleted)
        place = deleted.kind_id, deleted.namespace, deleted.name
        return self._new_findings(
            around[:_MOST],
            around[:_MOST],
            [(*place, deleted), (*place, None)],
            names,
            today,
            out_of_time,
        )

    def of_scaling(
        self, request: AdmissionRequest, today: str, out_of_time: Callable[[], bool]
    ) -> list[Finding]:
        """Return the findings that a workload and its budgets have only with the new number of replicas."""
        subject = request.subject
        kind = self._kind_of(request.resource)
        if kind is None:
            return []
        found = self._inventory.get(kind, subject.namespace, subject.name)
        before = self._scaled(found, kind, request, request.old)
        after = self._scaled(found, kind, request, request.object)
        if after is None or after.workload is None or before is None:
            return []
        budgets = list(self._inventory.selecting(_BUDGET, after.workload))
        place = kind, after.namespace, after.name
        return self._new_findings(
            [before, *budgets],
            [after, *budgets],
            [(*place, before), (*place, after)],
            _OF_REPLICAS,
            today,
            out_of_time,
        )

    def _new_findings(
        self,
        before: Iterable[Resource],
        after: Iterable[Resource],
        laid_over: Sequence[tuple[str, str | None, str, Resource | None]],
        names: Sequence[str],
        today: str,
        out_of_time: Callable[[], bool],
    ) -> list[Finding]:
        reports = []
        for resources, over in zip((before, after), laid_over, strict=True):
            self._inventory.lay_over(*over)
            try:
                report = engine.judge(
                    resources,
                    self._policy,
                    self._inventory,
                    today=today,
                    inline=False,
                    names=names,
                    out_of_time=out_of_time,
                )
            finally:
                self._inventory.uncover()
            reports.append(report.findings)
        old = AlreadyThere(reports[0])
        return [each for each in reports[1] if not old.take(each)]

    def _of_references(self, deleted: Resource) -> list[Finding]:
        """Return a finding for each workload that cannot start without an object; optional use is none."""
        key = f"{deleted.kind}/{deleted.name}"
        namespace = namespace_of(deleted)
        found = []
        for kind in (*POD_SPECS, *self._policy.pod_specs):
            for user in self._inventory.lookup(kind, namespace, uses, key):
                setting = self._policy.settings(user).rules.get(_REFERENCE)
                if setting is not None and user.workload is not None:
                    message = f"{deleted.kind} {deleted.name} is used by {user!r}"
                    found.append(
                        Finding(
                            _REFERENCE,
                            setting[0],
                            VIOLATION,
                            message,
                            _LATER,
                            user,
                            user.workload.pod_pointer,
                        )
                    )
        return found

    def _selected(self, deleted: Resource) -> Sequence[Resource]:
        selector = pod_selector(deleted)
        if selector is None:
            return []
        namespace = namespace_of(deleted)
        return [each.resource for each in self._inventory.workloads_matching(namespace, selector)]

    def _is_going(self, namespace: str) -> bool:
        """Tell whether a whole namespace is being deleted."""
        found = self._inventory.find("Namespace", namespace)
        return bool(found and dig(found.object, "metadata", "deletionTimestamp"))

    def _kind_of(self, resource: str) -> str | None:
        """Return the kind of workload that is served as a resource, such as deployments.apps."""
        for kind in (*POD_SPECS, *self._policy.pod_specs):
            name, _, group = kind.partition(".")
            if (f"{plural_of(name)}.{group}" if group else plural_of(name)) == resource:
                return kind
        return None

    def _scaled(
        self,
        found: Resource | None,
        kind: str,
        request: AdmissionRequest,
        scale: dict[str, Any] | None,
    ) -> Resource | None:
        """Return a workload with the number of a Scale, made up from that where the workload is not known."""
        replicas = whole_number(dig(scale, "spec", "replicas"))
        if scale is None or (replicas is None and dig(scale, "spec", "replicas") is not None):
            return None
        subject = request.subject
        obj = (
            found.object
            if found is not None
            else _stand_in(kind, subject.namespace, subject.name, scale)
        )
        spec = {**(dig(obj, "spec") or {}), "replicas": replicas or 0}
        return Resource({**obj, "spec": spec}, pod_specs=self._policy.pod_specs)


_LATER = "Delete what uses it first, or let it go without."


def _stand_in(kind: str, namespace: str, name: str, scale: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a workload from its Scale: the labels that it selects its pods by.

    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/scale-v1/
    """
    labels = {}
    for requirement in text(dig(scale, "status", "selector")).split(","):
        key, equals, value = requirement.partition("=")
        if equals and not key.endswith("!") and not value.startswith("="):
            labels[key] = value
    name_of_kind, _, group = kind.partition(".")
    return {
        "apiVersion": f"{group}/v1" if group else "v1",
        "kind": name_of_kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}},
    }
