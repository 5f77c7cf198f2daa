"""What a rule says of an object, and what the engine makes of it."""

from __future__ import annotations

from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.fixes.edit import Fix
    from tidewaiter.rules.manifest.resource import Resource

SEVERITIES = ("error", "warning", "info")
"""From the gravest; `error` fails a run and denies an admission by default."""

VIOLATION = "violation"
UNKNOWN = "unknown"
EXEMPTED = "exempted"


@record
class Span:
    """A place in a file: lines and columns in characters from 1, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@record
class Violation:
    """What a rule found: the field, by JSON pointer from the object's root, and why it is wrong.

    The message quotes the actual value. `unknown` says that the rule cannot tell from here, with the
    reason in the message. `severity` lowers or raises this one case; `remediation` replaces the
    rule's general remedy where a closer one is known. `span` is for what no pointer leads to. `fix` are
    the edits that would mend it, where it can be mended without knowing more.
    """

    pointer: str
    message: str
    container: str | None = None
    unknown: bool = False
    severity: str | None = None
    remediation: str | None = None
    span: Span | None = None
    fix: Fix | None = None


@record
class Exemption:
    """Why a finding does not count: who says so, with what reason, and until when.

    `source` is "policy", "annotation" or "comment". `pointer` is the annotation's JSON pointer, `line`
    the place in the policy file or of the comment.
    """

    source: str
    rules: tuple[str, ...]
    reason: str
    expires: str | None = None
    pointer: str = ""
    line: int = 0
    index: int = 0


@record
class ExemptionUse:
    """An exemption and what became of it: the subject of the rule `no-dangling-exemption`.

    `used` is None where it cannot be known from here: a rule it names did not run or answered
    unknown, or the run saw only a part of what the policy is for. `unused` are those of its rules
    that found nothing that it covers. `misspelt` pairs each name that is no rule with the nearest one
    ("" where none is near). `malformed` says what is wrong with a comment that nobody understands.
    """

    exemption: Exemption
    resource: Resource | None
    used: bool | None
    unused: tuple[str, ...] = ()
    misspelt: tuple[tuple[str, str], ...] = ()
    expired: bool = False
    malformed: str = ""
    span: Span | None = None


@record
class Finding:
    """One answer of one rule on one object, after policy and exemptions.

    `resource` is None for what concerns the policy file itself, which `file` and `span` then name.
    `span` is None until the gate has looked up the place of `pointer`.
    """

    rule: str
    severity: str
    status: str
    message: str
    remediation: str
    resource: Resource | None
    pointer: str
    container: str | None = None
    exemption: Exemption | None = None
    file: str = ""
    span: Span | None = None
    fix: Fix | None = None


@record
class RuleCrash:
    """A rule that raised: a defect of the rule, reported as an error of the run."""

    rule: str
    resource: Resource
    error: str


@record
class Report:
    """The answers on a set of resources, in the order in which they were found.

    `unreached` are the rules for which there was no time.
    """

    findings: tuple[Finding, ...]
    crashes: tuple[RuleCrash, ...] = ()
    unreached: tuple[str, ...] = ()
