"""The report of a scan for people: findings by object, and the remedy.

    Deployment payments/api
      error  image-digest  container api uses the image api:1.4, which is not pinned by a digest
             container api: /spec/template/spec/containers/0/image
             remedy: ...

A remedy that stands above is not repeated: it is named after the object it stands at.
"""

from __future__ import annotations

from tidewaiter.cli.output.excerpt import printable
from tidewaiter.cli.output.statistics import count, counted, statistics_table
from tidewaiter.cli.output.text import Paint, remedy_text
from tidewaiter.rules.finding import EXEMPTED, SEVERITIES, UNKNOWN, VIOLATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.cli.result import LintFinding, LintResult


def pieces(
    result: LintResult,
    *,
    show: frozenset[str] = frozenset(),
    color: bool = False,
    statistics: bool = False,
    quiet: bool = False,
) -> Iterator[str]:
    """Yield the report in whole lines; see `text.pieces`."""
    paint = Paint(color=color)
    shown = [each for each in result.findings if each.status == VIOLATION or each.status in show]
    lines = _one_line_each(shown) if quiet else _by_object(shown, paint)
    for line in lines:
        yield f"{line}\n"
    if statistics and result.findings:
        for line in statistics_table(result.findings):
            yield f"{line}\n"
        yield "" if quiet else "\n"
    if not quiet:
        for line in _summary(result, show, paint):
            yield f"{line}\n"


def _one_line_each(shown: list[LintFinding]) -> Iterator[str]:
    for each in shown:
        place = f"{_object(each)}: {printable(each.pointer)}" if each.pointer else _object(each)
        yield f"{place}: {_label(each)}: {printable(each.message)} [{each.rule}]"


def _by_object(shown: list[LintFinding], paint: Paint) -> Iterator[str]:
    current = ""
    remedies: dict[tuple[str, str], str] = {}
    for each in shown:
        if _object(each) != current:
            if current:
                yield ""
            current = _object(each)
            yield paint("strong", current)
        style = each.severity if each.status == VIOLATION else "faint"
        rule = paint("strong", each.rule)
        yield f"  {paint(style, _label(each))}  {rule}  {printable(each.message)}"
        margin = " " * (len(_label(each)) + 4)
        where = ": ".join(
            filter(None, (f"container {each.container}" if each.container else "", each.pointer))
        )
        if where:
            yield margin + printable(where)
        if each.exemption is not None:
            yield f"{margin}exempted: {printable(str(each.exemption['reason']))}"
        if each.status == VIOLATION:
            known = remedies.setdefault((each.rule, each.remediation), current)
            if known is current:
                yield remedy_text(each.remediation, margin)
            else:
                yield f"{margin}remedy: as at {known}"
    if current:
        yield ""


def _object(finding: LintFinding) -> str:
    if not finding.kind:
        return printable(f"{finding.file}:{finding.line}" if finding.file else "the policy")
    where = f"{finding.namespace}/{finding.name}" if finding.namespace else finding.name
    return printable(f"{finding.kind} {where}")


def _label(finding: LintFinding) -> str:
    return finding.severity if finding.status == VIOLATION else finding.status


def _summary(result: LintResult, show: frozenset[str], paint: Paint) -> Iterator[str]:
    tally = count(result.findings)
    parts = [
        paint(severity, counted(tally[severity], severity, "info" if severity == "info" else ""))
        for severity in SEVERITIES
        if tally[severity]
    ]
    of = counted(result.resources, "object")
    hit = {_object(each) for each in result.findings if each.status == VIOLATION}
    head = (
        f"{', '.join(parts)} at {len(hit)} of {of}"
        if parts
        else f"{paint('good', 'No findings')} at {of}"
    )
    undecided = [f"{tally[status]} {status}" for status in (UNKNOWN, EXEMPTED) if tally[status]]
    yield f"{head} ({', '.join(undecided)})" if undecided else head
    if tally[UNKNOWN] and UNKNOWN not in show:
        yield "--show unknown prints what could not be decided."
    if result.errors:
        yield paint(
            "error", f"Incomplete: {counted(len(result.errors), 'problem')}, see the errors."
        )
