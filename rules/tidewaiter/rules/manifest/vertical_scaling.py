"""What a VerticalPodAutoscaler changes: which resources, of which containers, and whether at run time.

https://github.com/kubernetes/autoscaler/blob/master/vertical-pod-autoscaler/docs/api.md
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.manifest.scaling import Target
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

VPA = "VerticalPodAutoscaler.autoscaling.k8s.io"
_DEFAULT_MODE = "Recreate"
_CHANGING = frozenset({"Auto", "InPlaceOrRecreate", "Recreate"})
_CONTROLLED = ("cpu", "memory")
_ALL_OTHERS = "*"


@record
class Control:
    """The resources that are controlled: those of containers by name, and those of all others."""

    named: dict[str, frozenset[str]]
    others: frozenset[str]

    def of(self, container: str) -> frozenset[str]:
        """Return the resources of one container that are controlled."""
        return self.named.get(container, self.others)


def vertical_target(vpa: Resource) -> Target:
    """Return whose pods are changed; kind id and name are empty where nothing is named."""
    reference = mapping(vpa.spec.get("targetRef"))
    kind = text(reference.get("kind"))
    name = kind_id(text(reference.get("apiVersion")), kind) if kind else ""
    return Target(name, text(reference.get("name")))


def update_mode(vpa: Resource) -> str:
    """Return `spec.updatePolicy.updateMode`, by default Recreate; empty where it is no text."""
    stated = dig(vpa.spec, "updatePolicy", "updateMode")
    return _DEFAULT_MODE if stated is None else text(stated)


def changes_running_pods(vpa: Resource) -> bool:
    """Tell whether the requests of pods change while they run, and not only where they are made."""
    return update_mode(vpa) in _CHANGING


def control_of(vpa: Resource) -> Control:
    """Return what is controlled: cpu and memory of all containers, unless a policy says otherwise."""
    named: dict[str, frozenset[str]] = {}
    others = frozenset(_CONTROLLED)
    for row, _ in items(dig(vpa.spec, "resourcePolicy", "containerPolicies"), ""):
        name, controlled = text(row.get("containerName")), _controlled(row)
        if name == _ALL_OTHERS:
            others = controlled
        elif name:
            named.setdefault(name, controlled)
    return Control(named, others)


def _controlled(policy: dict[str, Any]) -> frozenset[str]:
    if policy.get("mode") == "Off":
        return frozenset()
    stated = policy.get("controlledResources")
    if not isinstance(stated, list):
        return frozenset(_CONTROLLED)
    return frozenset(entry for entry in stated if isinstance(entry, str))
