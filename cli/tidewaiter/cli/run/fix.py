"""A whole fixing run: lint, edit, and lint again what was edited, until nothing more changes.

Nothing is written here: the result holds each changed file as it was and as it should be. What would bring a
finding that was not there is not made.
"""

from __future__ import annotations

from tidewaiter.cli.run.fix_effects import brought
from tidewaiter.cli.run.lint import lint
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.fixes.draft import Draft
from tidewaiter.rules.fixes.edit import REMOVE
from tidewaiter.rules.fixes.sources import Untouchable
from tidewaiter.rules.fixes.value_edit import Refused
from tidewaiter.rules.loading.sources import discover, read_file
from tidewaiter.rules.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tidewaiter.cli.result import LintError, LintFinding, LintResult
    from tidewaiter.cli.run.lint import Job
    from tidewaiter.rules.fixes.edit import PlainFix

    Fixable = tuple[LintFinding, PlainFix]
    Choose = Callable[[LintFinding, bytes, bytes], bool]

_PASSES = 12
"""One fix may make another possible; more than a few in a row are none of the catalogue's."""

NEEDS_UNSAFE = "its fix may change what the workload does: --unsafe makes it"
DECLINED = "declined"
UNSETTLED = "its fix was made and did not settle it"


class Stop(Exception):
    """Raised by what chooses fixes, to ask for no more."""


@record
class Left:
    """A finding that is still there, and why; `reason` is empty where the rule has no fix for it."""

    finding: LintFinding
    reason: str


@record
class FixResult:
    """What became of the findings. `changed` has the old and the new content of each file, by path.

    `charts` are the Helm charts, whose templates are not mended.
    """

    files: int
    fixed: tuple[LintFinding, ...]
    left: tuple[Left, ...]
    changed: dict[str, tuple[bytes, bytes]]
    errors: tuple[LintError, ...]
    charts: tuple[str, ...] = ()


def fix(
    job: Job,
    *,
    unsafe: bool = False,
    choose: Choose | None = None,
    contents: dict[str, bytes] | None = None,
) -> FixResult:
    """Fix what the job's findings ask for.

    `choose` is asked before each fix, with the file's content without and with it; what it takes is not taken back.
    `contents` is what to read in the place of files, as for `lint`.
    """
    # What a chart or a kustomization makes has no text of its own; its sources are mended as they stand.
    job = replace(job, render=False)
    found = discover(job.paths, job.exclude)
    untouchable = Untouchable(found)
    stated = dict(contents or {})
    run = _Run(unsafe, choose, dict(stated), untouchable)
    first, result = _passes(job, run)
    new = _brought(job, run, (first, result), stated) if choose is None else {}
    if new:
        refused = _culprits(job, run, first, new, stated)
        run = _Run(unsafe, choose, dict(stated), untouchable, refused)
        first, result = _passes(job, run)
        for file, what in _brought(job, run, (first, result), stated).items():
            run.take_back(file, f"its fix is not made: with the fixes of this file comes {what}")
        if run.is_taken_back:
            result = lint(job, contents=run.contents)
    left = [
        Left(finding, run.reason(finding))
        for finding in result.findings
        if finding.status == "violation"
    ]
    return FixResult(
        result.files, tuple(run.fixed), tuple(left), run.changed(), result.errors, found.charts
    )


def _passes(job: Job, run: _Run) -> tuple[LintResult, LintResult]:
    """Fix until nothing more changes; return what was found before and what is found then."""
    first = result = lint(job, contents=run.contents)
    for _ in range(_PASSES):
        if not run.fix_all(result.findings):
            break
        result = lint(job, contents=run.contents)
    return first, result


def _culprits(
    job: Job, run: _Run, first: LintResult, new: Mapping[str, str], contents: dict[str, bytes]
) -> dict[tuple[str, str], str]:
    """Return which rules' fixes bring something to a file, each tried alone, and what; else all that were made in it."""
    refused = {}
    for file, what in new.items():
        rules = sorted({finding.rule for finding in run.fixed if finding.file == file})
        found = {}
        for rule in rules if len(rules) > 1 else ():
            alone = run.fresh(dict(contents))
            mine = [each for each in first.findings if (each.file, each.rule) == (file, rule)]
            alone.fix_all(tuple(mine))
            after = lint(job, contents=alone.contents)
            brings = _brought(job, alone, (first, after), contents)
            if file in brings:
                found[rule] = brings[file]
        for rule in found or rules:
            refused[file, rule] = f"its fix is not made: with it comes {found.get(rule, what)}"
    return refused


def _brought(
    job: Job, run: _Run, seen: tuple[LintResult, LintResult], contents: dict[str, bytes]
) -> dict[str, str]:
    """Return what fixing brings to the files that it changed, asking all rules, those that are not mended too."""
    if not run.changed():
        return {}
    before, after = seen
    if "only" in job.plain_policy or "skip" in job.plain_policy:
        plain = dict(job.plain_policy)
        for option in ("only", "skip"):
            plain.pop(option, None)
        whole = replace(job, plain_policy=plain)
        before, after = lint(whole, contents=contents), lint(whole, contents=run.contents)
    return brought(before, after, run.changed(), run.fixed)


class _Run:
    def __init__(
        self,
        unsafe: bool,
        choose: Choose | None,
        contents: dict[str, bytes],
        untouchable: Untouchable,
        refused: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        self.contents = contents
        self._refused = refused or {}
        self.fixed: list[LintFinding] = []
        self._unsafe = unsafe
        self._choose = choose
        self._originals = dict(contents)
        self._reasons: dict[str, str] = {}
        self._untouchable = untouchable
        self._is_stopped = False
        self.is_taken_back = False

    def fix_all(self, findings: tuple[LintFinding, ...]) -> bool:
        """Make what fixes the findings allow; tell whether anything was changed."""
        by_file: dict[str, list[Fixable]] = {}
        for finding in findings:
            if finding.fix is not None and finding.status == "violation":
                by_file.setdefault(finding.file, []).append((finding, finding.fix))
        changed = [self._fix_file(file, mine) for file, mine in by_file.items()]
        return any(changed)

    def fresh(self, contents: dict[str, bytes]) -> _Run:
        """Return a run that has done nothing yet."""
        return _Run(self._unsafe, self._choose, contents, self._untouchable)

    def take_back(self, file: str, reason: str) -> None:
        """Leave a file as it was, and say why of all that was fixed in it."""
        self.contents[file] = self._originals[file]
        self._refuse([finding for finding in self.fixed if finding.file == file], reason)
        self.fixed = [finding for finding in self.fixed if finding.file != file]
        self.is_taken_back = True

    def reason(self, finding: LintFinding) -> str:
        """Say why a finding is left, "" where there is no fix for it."""
        if finding.fix is None:
            return ""
        stated = self._reasons.get(_identity(finding), "")
        if not finding.fix[0] and not self._unsafe and not stated:
            return NEEDS_UNSAFE
        return stated or self._reasons.get(
            _identity(finding), DECLINED if self._is_stopped else UNSETTLED
        )

    def changed(self) -> dict[str, tuple[bytes, bytes]]:
        """Return the old and the new content of each file that is to be changed."""
        return {
            path: (self._originals[path], content)
            for path, content in self.contents.items()
            if content != self._originals[path]
        }

    def _fix_file(self, file: str, fixable: list[Fixable]) -> bool:
        findings = [finding for finding, _ in fixable]
        if why := self._untouchable.why(file):
            self._refuse(findings, why)
            return False
        try:
            before = self.contents[file] if file in self.contents else read_file(file)
            draft = Draft(before)
        except (InputError, Refused) as problem:
            self._refuse(findings, str(problem))
            return False
        made = []
        try:
            wanted: dict[int, list[PlainFix]] = {}
            for _, edits in fixable:
                if (self._unsafe or edits[0]) and self._choose is None:
                    wanted.setdefault(edits[1], []).append(edits)
            for finding, edits in _in_order(fixable):
                if self._make(draft, finding, edits, wanted.get(edits[1], ())):
                    made.append(finding)
        except Stop:
            self._is_stopped = True
        try:
            after = draft.data()
        except Refused as problem:
            self._refuse(made, str(problem))
            return False
        if after == before:
            return False
        self._originals.setdefault(file, before)
        self.contents[file] = after
        self.fixed += made
        return True

    def _make(
        self, draft: Draft, finding: LintFinding, edits: PlainFix, wanted: Sequence[PlainFix]
    ) -> bool:
        if self._is_stopped or (not edits[0] and not self._unsafe):
            return False
        if _identity(finding) in self._reasons:
            return False
        if (finding.file, finding.rule) in self._refused:
            self._refuse([finding], self._refused[finding.file, finding.rule])
            return False
        try:
            if self._choose is None:
                return draft.apply(edits, wanted)
            return self._ask(draft, finding, edits, self._choose)
        except Refused as problem:
            self._refuse([finding], str(problem))
            return False

    def _ask(self, draft: Draft, finding: LintFinding, edits: PlainFix, choose: Choose) -> bool:
        """Make a fix, show what it changes, and take it back unless it is wanted."""
        before, kept = draft.data(), draft.state()
        if not draft.apply(edits):
            return False
        is_wanted = False
        try:
            after = draft.data()
            is_wanted = after == before or choose(finding, before, after)
        finally:
            if not is_wanted:
                draft.restore(kept)
        if not is_wanted:
            self._refuse([finding], DECLINED)
        return is_wanted

    def _refuse(self, findings: list[LintFinding], reason: str) -> None:
        for finding in findings:
            self._reasons[_identity(finding)] = reason


def _identity(finding: LintFinding) -> str:
    return repr((finding.file, finding.rule, finding.pointer, finding.name, finding.fix))


def _in_order(fixable: list[Fixable]) -> Iterator[Fixable]:
    """What removes entries comes last and from behind, so that the others keep their numbers."""
    removing = []
    for finding, edits in fixable:
        if any(operation == REMOVE for operation, _, _ in edits[2]):
            removing.append((finding, edits))
        else:
            yield finding, edits
    yield from reversed(removing)
