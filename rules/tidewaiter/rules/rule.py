"""What a rule is: metadata for people and the policy, and one pure function.

A module in `checks/` exposes one `RULE`. Its check is a function of the subject and the context and of
nothing else: it reads no file, clock or global, and writes to nothing that it is given.
"""

from __future__ import annotations

from tidewaiter.rules.finding import SEVERITIES
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.finding import Violation
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.policy.images import ImageFacts

    Check = Callable[[Any, "Context"], Iterator[Violation]]

WORKLOAD = "workload"
"""In `applies_to`: every kind with a pod spec; the check gets a `Workload`."""
ANY = "*"
"""In `applies_to`: every object; the check gets a `Resource`."""
EXEMPTION = "exemption"
"""In `applies_to`: the exemptions of the run; the check gets an `ExemptionUse`."""

CUSTOM = "custom"
"""The section of rules that a policy brings itself."""

PROFILES = ("pss-baseline", "pss-restricted", "recommended", "production", "all")
SECTIONS = (
    "security",
    "images",
    "resources",
    "probes",
    "availability",
    "network",
    "secrets",
    "access",
    "stateful",
    "observability",
    "hygiene",
)


@record
class Parameter:
    """One setting of a rule: docs, the policy's validation and its JSON Schema come from it.

    `kind` is "boolean", "integer", "number", "string", "strings" (a list), "integers" (a list) or
    "choice" (one of `choices`). `stricter` says which values find more: "more" (a larger number, true, a longer
    list, a later choice), "less" (the opposite), "fewer" (less of a list that lets everything pass where it is
    empty), or nothing where values cannot be told apart so.
    """

    name: str
    kind: str
    default: Any
    description: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    stricter: str = ""


@record
class CelCheck:
    """A rule, or a part of one, in CEL, so that it can be exported as a ValidatingAdmissionPolicy.

    `subject` is "container" (the expression must be true of each, as `c`), "pod" or "object". `expression` may use
    `object`, and of what makes pods `variables.spec`, `variables.isWindows` and `variables.rootless` (root in the
    pod is not root on its node); where it depends on the Kubernetes version or the Pod Security level it is a
    function of both.
    """

    subject: str
    expression: str | Callable[[tuple[int, int], str], str]


class Context:
    """What a check may know beside its subject.

    `version` is the Kubernetes version as (major, minor); `level` the Pod Security level that the
    profiles ask for, "baseline" or "restricted"; `parameters` the rule's settings, each present;
    `inventory` the other objects; `today` the date of the run as YYYY-MM-DD; `images` what the policy asks of
    images and what is known of them, None where it asks nothing.
    """

    __slots__ = ("images", "inventory", "level", "parameters", "today", "version")

    def __init__(
        self,
        version: tuple[int, int],
        level: str,
        parameters: Mapping[str, Any],
        inventory: Inventory,
        today: str,
        images: ImageFacts | None = None,
    ) -> None:
        """Hold the given facts; nothing is computed."""
        self.version = version
        self.level = level
        self.parameters = parameters
        self.inventory = inventory
        self.today = today
        self.images = images


class Rule:
    """A rule's metadata and its check.

    `name` is kebab-case and equals the file's name; `section` the folder's. `summary` is one line in
    the form "every image is pinned by digest"; `rationale` says what goes wrong otherwise;
    `remediation` is what to do, with YAML that can be pasted; `references` are URLs. `profiles` names
    those that hold the rule; `production` and `all` are derived. `needs_inventory` marks rules that
    ask about other objects, `needs_images` those that answer for the policy's section `images` and hold where it
    has one. `since` is the first Kubernetes version that the rule makes sense for. `hides_value`
    says that findings stand at credentials, so that no output may show the source there. `cel` is the rule in CEL,
    where it can be said without its parameters.
    """

    __slots__ = (
        "applies_to",
        "cel",
        "check_function",
        "hides_value",
        "name",
        "needs_images",
        "needs_inventory",
        "parameters",
        "profiles",
        "rationale",
        "references",
        "remediation",
        "section",
        "severity",
        "since",
        "summary",
        "tags",
    )

    def __init__(
        self,
        *,
        name: str,
        section: str,
        severity: str,
        summary: str,
        rationale: str,
        remediation: str,
        references: tuple[str, ...],
        applies_to: tuple[str, ...],
        profiles: tuple[str, ...] = (),
        needs_inventory: bool = False,
        needs_images: bool = False,
        parameters: tuple[Parameter, ...] = (),
        since: tuple[int, int] | None = None,
        tags: tuple[str, ...] = (),
        hides_value: bool = False,
        cel: tuple[CelCheck, ...] = (),
    ) -> None:
        """Take the metadata; the check follows by the `check` decorator."""
        if severity not in SEVERITIES or section not in (*SECTIONS, CUSTOM):
            msg = f"rule {name}: unknown severity or section"
            raise ValueError(msg)
        self.name = name
        self.section = section
        self.severity = severity
        self.summary = summary
        self.rationale = rationale
        self.remediation = remediation
        self.references = references
        self.applies_to = applies_to
        self.profiles = profiles
        self.needs_inventory = needs_inventory
        self.needs_images = needs_images
        self.parameters = parameters
        self.since = since
        self.tags = tags
        self.hides_value = hides_value
        self.cel = cel
        self.check_function: Check | None = None

    def check(self, function: Check) -> Check:
        """Make the decorated function this rule's check."""
        self.check_function = function
        return function

    def is_in(self, profile: str) -> bool:
        """Tell whether a profile holds this rule."""
        if self.needs_images:
            return False
        if profile == "all":
            return True
        if profile == "production":
            return "recommended" in self.profiles or self.severity != "info"
        return profile in self.profiles

    def defaults(self) -> dict[str, Any]:
        """Return the default of every parameter by name."""
        return {parameter.name: parameter.default for parameter in self.parameters}
