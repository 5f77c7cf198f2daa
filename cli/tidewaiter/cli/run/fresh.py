"""A run that no earlier one has the result of: reading the files and judging what is in them."""

from __future__ import annotations

from tidewaiter.cli.result import LintError, LintResult, lint_error
from tidewaiter.cli.run.known import known_objects
from tidewaiter.cli.run.parallel import FORK_ABOVE_BYTES, run_parts, share_out
from tidewaiter.cli.run.part import Part, lint_finding
from tidewaiter.rules import engine
from tidewaiter.rules.catalogue import entries
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.sources import discover, read_file
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidewaiter.cli.result import LintFinding
    from tidewaiter.cli.run.known import Known
    from tidewaiter.cli.run.lint import Job
    from tidewaiter.cli.run.parallel import FindOut
    from tidewaiter.cli.run.part import PartAnswer, PlainResource
    from tidewaiter.cli.run.rendering import Rendered
    from tidewaiter.rules.loading.sources import SourceFile

HIDDEN = "***"
"""What a source line shows in place of a credential."""


def judge_files(
    job: Job,
    files: Sequence[SourceFile],
    sizes: Sequence[int],
    contents: dict[str, bytes],
    errors: list[LintError],
    complete: bool,
    progress: Callable[[int, int], None] | None,
    *,
    rendered: Rendered | None = None,
) -> LintResult:
    """Read and judge the files of a run; `sizes` are theirs in bytes.

    `contents` holds what cannot be read twice, `errors` what finding the files has met, and `complete`
    says whether the files are a set. What was `rendered` is judged beside them.
    """
    policy = Policy(job.plain_policy)
    known = known_objects(job, policy, files)
    complete = complete and not errors and not known.errors
    schemas, schema_errors = _schemas(job, len(files) + len(known.rows))
    known.rows.extend(schemas)
    errors = [*errors, *known.errors, *schema_errors]

    def judge(
        others: list[PlainResource], read_rows: list[PlainResource] | None = None
    ) -> list[PartAnswer]:
        beside = [*known.rows, *others]
        return _answers(
            job, policy, files, sizes, contents, known, beside, complete, progress, read_rows
        )

    if rendered is None:
        return _result(job, policy, files, judge([]), errors, complete)
    from tidewaiter.cli.run.rendering import judge_with_renderings

    find_out = _image_verification(job, policy) if job.verify_images else None
    answers = judge_with_renderings(
        judge, job, policy, rendered, known, find_out, complete=complete
    )
    result = _result(job, policy, files, answers, errors, complete)
    return replace(
        result,
        files=result.files + len({f.file for each in rendered.renderings for f in each.files}),
        findings=tuple({_order(each): each for each in result.findings}.values()),
    )


def _answers(
    job: Job,
    policy: Policy,
    files: Sequence[SourceFile],
    sizes: Sequence[int],
    contents: dict[str, bytes],
    known: Known,
    beside: list[PlainResource],
    complete: bool,
    progress: Callable[[int, int], None] | None,
    read_rows: list[PlainResource] | None,
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
        lambda: Part(
            policy,
            job.today,
            contents,
            around=job.around,
            extents=job.extents,
            unreadable=known.unreadable,
        ),
        shares or [[]],
        beside,
        complete=complete,
        progress=tick if progress is not None else None,
        find_out=_image_verification(job, policy) if job.verify_images else None,
        read_rows=read_rows,
    )


def _image_verification(job: Job, policy: Policy) -> FindOut:
    """Return what finds out about images by the policy. Raises InputError where it has nothing to say."""
    from tidewaiter.cli.run.images import image_verification

    return image_verification(policy, use_cache=job.use_cache)


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
    if job.verify_images:
        from tidewaiter.cli.run.images import unanswered

        errors += unanswered(findings)
    findings.sort(key=_order)
    errors.sort(key=lambda error: (error.file, error.line or 0, error.column or 0, error.message))
    return LintResult(
        files=len(files),
        resources=sum(answer.resources for answer in answers),
        skipped=tuple(sorted(skipped)),
        findings=tuple(findings),
        errors=tuple(errors),
        lines=_without_credentials(lines, findings, neighbours=job.around > 0),
    )


def _without_credentials(
    lines: dict[tuple[str, int], str], findings: Sequence[LintFinding], *, neighbours: bool
) -> dict[tuple[str, int], str]:
    """Hide what stands at findings on credentials, and behind them, whichever finding shows the line.

    `neighbours` says that there are lines at which nothing was found; those are hidden on suspicion.
    """
    rules = {entry.name for entry in entries().values() if entry.hides_value}
    first: dict[tuple[str, int], int] = {}
    for finding in findings:
        if finding.rule in rules:
            place = finding.file, finding.line
            first[place] = min(finding.column, first.get(place, finding.column))
    hidden = dict(lines)
    if neighbours:
        from tidewaiter.cli.run.neighbours import hide_neighbours

        hide_neighbours(hidden, findings, rules, HIDDEN)
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


def _schemas(job: Job, place: int) -> tuple[list[PlainResource], list[LintError]]:
    """Read the definitions of `--schema-location`, behind all other objects."""
    if not job.schemas:
        return [], []
    from tidewaiter.rules.schema.locations import definitions_in

    found = discover(job.schemas, job.exclude)
    errors = [lint_error(error) for error in found.errors]
    rows: list[PlainResource] = []
    for file in found.files:
        try:
            definitions = definitions_in(read_file(file.path), file.path)
        except InputError as error:
            errors.append(lint_error(error))
            continue
        rows.extend((place, definition, file.path, 0, "") for definition in definitions)
    return rows, errors
