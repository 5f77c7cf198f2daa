"""What fixing has brought with it: findings and errors that were not there before.

No fix of the catalogue brings any on its own; the rules of a policy's own, or two rules that ask for opposites, may.
"""

from __future__ import annotations

from collections import Counter

from tidewaiter.rules.finding import VIOLATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tidewaiter.cli.result import LintFinding, LintResult


def brought(
    before: LintResult,
    after: LintResult,
    files: Collection[str],
    fixed: Iterable[LintFinding],
) -> dict[str, str]:
    """Return what is new in each of some files, in words; files without anything new are left out.

    Findings are counted by rule, object and container: fields of lists change their numbers where an entry goes. An
    object that was given an API version which is served may be judged for the first time: what is found then was there.
    """
    judged_first = {
        _object(finding)
        for finding in fixed
        if finding.fix is not None
        and any(pointer == _API_VERSION for _, pointer, _ in finding.fix[2])
    }
    found = {
        error.file: f"error: {error.message}"
        for error in after.errors
        if error.file in files
        and error.message not in {each.message for each in before.errors if each.file == error.file}
    }
    known = Counter(_key(finding) for finding in before.findings if finding.status == VIOLATION)
    for finding in after.findings:
        if finding.status != VIOLATION or finding.file not in files:
            continue
        if _object(finding) in judged_first:
            continue
        key = _key(finding)
        known[key] -= 1
        if known[key] < 0:
            found.setdefault(finding.file, f"{finding.rule}: {finding.message}")
    return found


def _key(finding: LintFinding) -> tuple[str, ...]:
    return (*_object(finding), finding.rule, finding.container or "")


_API_VERSION = "/apiVersion"


def _object(finding: LintFinding) -> tuple[str, ...]:
    return finding.file, finding.kind, finding.namespace or "", finding.name
