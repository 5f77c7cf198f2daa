"""The result of a lint run as the outputs take it: plain data, with every place looked up."""

from __future__ import annotations

from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.errors import TidewaiterError
    from tidewaiter.rules.fixes.edit import PlainFix
    from tidewaiter.rules.policy.compiled import PlainPolicy


@record
class LintFinding:
    """One finding at its place: lines and columns in characters from 1, the end exclusive.

    `api_version`, `kind` and `name` are empty for a finding on the policy file itself. `exemption` is
    None or a mapping of `source`, `reason` and `expires`. `fix` are the edits that would mend it, if any.
    `field` is the pointer as `stable_field` makes it. `extent` is the first and last line of the object, (0, 0)
    where the job did not ask for it. `value_from` is file and line of the values file that a field of a rendered chart
    takes its value from. `made_of` are the files, and with a slash at their end the folders, that the whole of a
    rendered set depends on.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    rule: str
    severity: str
    status: str
    message: str
    remediation: str
    api_version: str
    kind: str
    namespace: str | None
    name: str
    container: str | None
    pointer: str
    exemption: dict[str, Any] | None
    fix: PlainFix | None = None
    field: str = ""
    extent: tuple[int, int] = (0, 0)
    value_from: tuple[str, int] | None = None
    made_of: tuple[str, ...] = ()


@record
class LintError:
    """What could not be read or done; the place is None where there is none."""

    file: str
    line: int | None
    column: int | None
    message: str


@record
class Held:
    """What a run found that does not count in it.

    `baseline` are the violations that a baseline holds and `unmatched` the number of those it holds and the run
    has not found; `elsewhere` is the number of violations on objects that have not changed. The numbers
    are None where nobody asked.
    """

    baseline: tuple[LintFinding, ...] = ()
    unmatched: int | None = None
    elsewhere: int | None = None


@record
class LintResult:
    """A whole run: findings ordered by file, line, column and rule.

    `files` counts all that were looked at, those passed over among them; `skipped` pairs these with the
    reason. `lines` holds the source line of each finding, by file and line, and those around it where the
    job asked for them. `summaries` pairs the policy's own rules with what they say of themselves.
    """

    files: int
    resources: int
    skipped: tuple[tuple[str, str], ...]
    findings: tuple[LintFinding, ...]
    errors: tuple[LintError, ...]
    lines: dict[tuple[str, int], str]
    held: Held = Held()
    summaries: tuple[tuple[str, str], ...] = ()


def own_summaries(plain: PlainPolicy) -> tuple[tuple[str, str], ...]:
    """Return the policy's own rules that say what they want, each with that."""
    rows = plain.get("customRules", ())
    return tuple((row["name"], row["summary"]) for row in rows if row.get("summary"))


def refused_parts(plain: PlainPolicy) -> list[LintError]:
    """Return as errors what is not accepted of a policy: what it would say is not judged by."""
    return [LintError("", None, None, each) for each in plain.get("refused", ())]


def lint_error(error: TidewaiterError) -> LintError:
    """Turn an error of the input into the plain form that the outputs take."""
    return LintError(error.file, error.line, error.column, error.message)
