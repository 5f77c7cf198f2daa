"""What stands behind an answer: a finding of a rule, or what the checklist itself has seen."""

from __future__ import annotations

from tidewaiter.rules.finding import UNKNOWN, VIOLATION
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.finding import Exemption
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import Policy


@record
class Evidence:
    """One reason: `status` is "violation", "unknown" or "exempted", `rule` "" where no rule says it."""

    status: str
    message: str
    resource: Resource
    pointer: str
    rule: str = ""
    container: str | None = None
    exemption: Exemption | None = None


class Facts:
    """What the whole set says, for every service: the other objects, the policy, what is of a mesh."""

    __slots__ = ("inventory", "policy")

    def __init__(self, inventory: Inventory, policy: Policy) -> None:
        """Hold both; nothing is computed."""
        self.inventory = inventory
        self.policy = policy

    def missing(self, resource: Resource, pointer: str, message: str) -> Evidence:
        """Say that something is not among the manifests: a violation in a complete set only."""
        if self.inventory.complete:
            return Evidence(VIOLATION, message, resource, pointer)
        return unknown(resource, pointer, f"{message} here, but the other objects are not known")


def wrong(resource: Resource, pointer: str, message: str) -> Evidence:
    """Say that something that stands in the manifests is wrong, whatever else there may be."""
    return Evidence(VIOLATION, message, resource, pointer)


def unknown(resource: Resource, pointer: str, message: str) -> Evidence:
    """Say that the manifests cannot tell."""
    return Evidence(UNKNOWN, message, resource, pointer)
