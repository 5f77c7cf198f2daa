"""A whole lint run: from paths and a policy to a result that the outputs can print."""

from __future__ import annotations

import gc
import os

from tidewaiter.cli.result import LintError, LintFinding, LintResult
from tidewaiter.cli.run.parallel import FORK_ABOVE_BYTES, run_parts, share_out
from tidewaiter.cli.run.part import Part, lint_error, lint_finding
from tidewaiter.rules import engine
from tidewaiter.rules.catalogue import entries, stamp
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import STDIN, discover, read_file
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.record import fields_of, record
from tidewaiter.rules.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tidewaiter.cli.run.part import PartAnswer, PlainResource
    from tidewaiter.rules.loading.sources import SourceFile
    from tidewaiter.rules.policy.compiled import PlainPolicy


HIDDEN = "***"
"""What a source line shows in place of a credential."""
_CACHE_ABOVE_BYTES = 100_000
"""Below this much input a run is as quick as looking its result up."""


@record
class Job:
    """What to lint: paths, patterns to leave out, inventory paths, the policy in its plain form.

    `jobs` is the number of processes at most; `today` is YYYY-MM-DD.
    """

    paths: tuple[str, ...]
    exclude: tuple[str, ...]
    inventory: tuple[str, ...]
    plain_policy: PlainPolicy
    jobs: int
    today: str
    use_cache: bool


def lint(job: Job, progress: Callable[[int, int], None] | None = None) -> LintResult:
    """Run a job. `progress` is called with the files done and the files in all.

    A file that cannot be read is in the result's errors; it raises nothing for what it reads.
    """
    gc.disable()  # a run makes no cycles worth collecting, and ends soon
    try:
        return _lint(job, progress)
    finally:
        gc.enable()


def is_set(paths: Sequence[str], files: Sequence[SourceFile], inventory: Sequence[str]) -> bool:
    """Tell whether what a run does not hold may be called missing: see `inventory`.

    A folder, several files, or a stated inventory are a set; one file or standard input is not. A run
    in which something could not be read is none either: what is missing may stand there.
    """
    return bool(inventory) or len(files) > 1 or any(os.path.isdir(path) for path in paths)


def _lint(job: Job, progress: Callable[[int, int], None] | None) -> LintResult:
    found = discover(job.paths, job.exclude)
    errors = [lint_error(error) for error in found.errors]
    complete = is_set(job.paths, found.files, job.inventory)
    contents: dict[str, bytes] = {}
    if any(file.path == STDIN for file in found.files):
        try:
            contents[STDIN] = read_file(STDIN)
        except InputError as error:
            errors.append(lint_error(error))
            found_files = tuple(file for file in found.files if file.path != STDIN)
            found = type(found)(found_files, found.errors)
    sizes = [_size(file.path) for file in found.files]
    use_cache = job.use_cache and not contents and sum(sizes) > _CACHE_ABOVE_BYTES
    key = _cache_key(job, found.files, complete) if use_cache else ""
    if key:
        from tidewaiter.cli.run.cache import read_entry

        stored = read_entry(key)
        if stored is not None:
            return _stored_result(stored)
    extra, inventory_errors = _inventory(job, found.files)
    errors += inventory_errors
    policy = Policy(job.plain_policy)
    complete = complete and not errors
    answers = _answers(job, policy, found.files, sizes, contents, extra, complete, progress)
    result = _result(job, policy, found.files, answers, errors, complete)
    if key and not result.errors:
        from tidewaiter.cli.run.cache import write_entry

        write_entry(key, _plain(result))
    return result


def _answers(
    job: Job,
    policy: Policy,
    files: Sequence[SourceFile],
    sizes: Sequence[int],
    contents: dict[str, bytes],
    extra: list[PlainResource],
    complete: bool,
    progress: Callable[[int, int], None] | None,
) -> list[PartAnswer]:
    rows = list(enumerate(files))
    count = job.jobs if sum(sizes) > FORK_ABOVE_BYTES else 1
    shares = share_out(rows, sizes, count) if count > 1 else [rows]
    done = 0

    def tick(number: int) -> None:
        nonlocal done
        done += number
        if progress is not None:
            progress(done, len(files))

    return run_parts(
        lambda: Part(policy, job.today, contents),
        shares or [[]],
        extra,
        complete=complete,
        progress=tick if progress is not None else None,
    )


def _result(
    job: Job,
    policy: Policy,
    files: Sequence[SourceFile],
    answers: Sequence[PartAnswer],
    errors: list[LintError],
    complete: bool,
) -> LintResult:
    findings: list[LintFinding] = []
    skipped: list[tuple[str, str]] = []
    lines: dict[tuple[str, int], str] = {}
    used: set[int] = set()
    for answer in answers:
        findings += answer.findings
        errors += answer.errors
        skipped += answer.skipped
        used.update(answer.used)
        lines.update(answer.lines)
    nothing = Inventory((), complete=complete)
    for finding in engine.conclude_policy(frozenset(used), policy, nothing, today=job.today):
        span = finding.span
        place = (span.line, span.column, span.end_line, span.end_column) if span else (1, 1, 1, 1)
        findings.append(lint_finding(finding, place))
    findings.sort(key=_order)
    errors.sort(key=lambda error: (error.file, error.line or 0, error.column or 0, error.message))
    return LintResult(
        files=len(files),
        resources=sum(answer.resources for answer in answers),
        skipped=tuple(sorted(skipped)),
        findings=tuple(findings),
        errors=tuple(errors),
        lines=_without_credentials(lines, findings),
    )


def _without_credentials(
    lines: dict[tuple[str, int], str], findings: Sequence[LintFinding]
) -> dict[tuple[str, int], str]:
    """Hide what stands at findings on credentials, and behind them, whichever finding shows the line."""
    rules = {entry.name for entry in entries().values() if entry.hides_value}
    first: dict[tuple[str, int], int] = {}
    for finding in findings:
        if finding.rule in rules:
            place = finding.file, finding.line
            first[place] = min(finding.column, first.get(place, finding.column))
    hidden = dict(lines)
    for place, column in first.items():
        rest = hidden.get(place, "")[column - 1 :]
        if rest and not rest.partition(" #")[0].rstrip().endswith(":"):
            hidden[place] = hidden[place][: column - 1] + HIDDEN
    return hidden


def _order(finding: LintFinding) -> tuple[object, ...]:
    return (
        finding.file,
        finding.line,
        finding.column,
        finding.rule,
        finding.pointer,
        finding.message,
        finding.name,
    )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _inventory(
    job: Job, linted: Sequence[SourceFile]
) -> tuple[list[PlainResource], list[LintError]]:
    """Read the objects of `--inventory` that are not linted themselves."""
    if not job.inventory:
        return [], []
    own = {os.path.realpath(file.path) for file in linted if file.path != STDIN}
    found = discover(job.inventory, job.exclude)
    errors = [lint_error(error) for error in found.errors]
    rows: list[PlainResource] = []
    for place, file in enumerate(found.files):
        if os.path.realpath(file.path) in own:
            continue
        try:
            content = read_resources(read_file(file.path), file.path, explicit=file.explicit)
        except InputError as error:
            errors.append(lint_error(error))
            continue
        errors.extend(lint_error(error) for error in content.errors)
        rows.extend(
            (len(linted) + place, one.object, one.file, one.document, one.prefix)
            for one in content.resources
        )
    return rows, errors


def _cache_key(job: Job, files: Sequence[SourceFile], complete: bool) -> str:
    """Name the run by all that its result depends on; "" where a file cannot be read."""
    from tidewaiter.cli.run.cache import key_of

    facts = (
        __version__,
        stamp(),
        job.plain_policy,
        job.today,
        complete,
        job.inventory,
        os.getcwd(),
    )
    parts = [repr(facts).encode()]
    inventory = discover(job.inventory, job.exclude).files if job.inventory else ()
    try:
        for file in (*files, *inventory):
            parts.append(f"{file.explicit} {file.path}".encode("utf-8", "surrogateescape"))
            parts.append(read_file(file.path))
    except InputError:
        return ""
    return key_of(parts)


def _plain(result: LintResult) -> tuple[object, ...]:
    return (
        result.files,
        result.resources,
        result.skipped,
        [fields_of(finding) for finding in result.findings],
        result.lines,
    )


def _stored_result(stored: tuple[Any, ...]) -> LintResult:
    files, resources, skipped, findings, lines = stored
    return LintResult(
        files=files,
        resources=resources,
        skipped=skipped,
        findings=tuple(LintFinding(*row) for row in findings),
        errors=(),
        lines=lines,
    )
