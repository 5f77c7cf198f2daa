"""The report for people: findings by file, each at its line with a caret, and the remedy.

    deploy/api.yaml
      23:18  error  image-digest  container api uses the image api:1.4, which is not pinned by a digest
             Deployment payments/api, container api: /spec/template/spec/containers/0/image
          23 |           image: api:1.4
             |                  ^^^^^^^
             remedy: ...

A remedy that stands above for the same rule and file is referred to by its place. Nothing of a manifest
reaches the terminal but printable characters: escape sequences are shown, not obeyed.
"""

from __future__ import annotations

from functools import lru_cache

from tidewaiter.cli.output.excerpt import excerpt, printable
from tidewaiter.cli.output.statistics import count, counted, statistics_table
from tidewaiter.rules.finding import EXEMPTED, SEVERITIES, UNKNOWN, VIOLATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.cli.result import LintFinding, LintResult

_RESET = "\033[0m"
_COLORS = {
    "error": "\033[1;31m",
    "warning": "\033[1;33m",
    "info": "\033[1;36m",
    "good": "\033[1;32m",
    "strong": "\033[1m",
    "faint": "\033[2m",
}
_PLAIN = dict.fromkeys(_COLORS, "")


def render(
    result: LintResult,
    *,
    show: frozenset[str] = frozenset(),
    color: bool = False,
    statistics: bool = False,
    quiet: bool = False,
) -> str:
    """Return the report as one text, or "" where there is nothing to say; see `pieces`."""
    return "".join(pieces(result, show=show, color=color, statistics=statistics, quiet=quiet))


def pieces(
    result: LintResult,
    *,
    show: frozenset[str] = frozenset(),
    color: bool = False,
    statistics: bool = False,
    quiet: bool = False,
) -> Iterator[str]:
    """Yield the report in pieces of whole lines, each with its line end.

    `show` holds "unknown" and "exempted" where findings of that status are wanted beside violations.
    `quiet` gives one line for each finding and no summary.
    """
    for line in _lines(result, show, statistics=statistics, quiet=quiet, paint=Paint(color=color)):
        yield f"{line}\n"


def _lines(
    result: LintResult, show: frozenset[str], *, statistics: bool, quiet: bool, paint: Paint
) -> Iterator[str]:
    shown = [finding for finding in result.findings if _is_shown(finding, show)]
    if quiet:
        yield from (_one_line(finding) for finding in shown)
    else:
        yield from _by_file(shown, result, paint)
    if statistics and result.findings:
        if shown and not quiet:
            yield ""
        yield from statistics_table(result.findings)
        if not quiet:
            yield ""
    if statistics and result.held.unmatched is not None:
        yield from _baseline_statistics(result)
        if not quiet:
            yield ""
    if not quiet:
        yield from _summary(result, show, paint)


class Paint:
    """Puts a text into a colour, or leaves it as it is."""

    __slots__ = ("_colors", "_reset")

    def __init__(self, *, color: bool) -> None:
        self._colors = _COLORS if color else _PLAIN
        self._reset = _RESET if color else ""

    def __call__(self, style: str, text: str) -> str:
        return f"{self._colors[style]}{text}{self._reset}"


def _is_shown(finding: LintFinding, show: frozenset[str]) -> bool:
    return finding.status == VIOLATION or finding.status in show


def _one_line(finding: LintFinding) -> str:
    place = f"{printable(finding.file)}:{finding.line}:{finding.column}"
    return f"{place}: {_label(finding)}: {printable(finding.message)} [{finding.rule}]"


def _label(finding: LintFinding) -> str:
    return finding.severity if finding.status == VIOLATION else finding.status


def _by_file(shown: Sequence[LintFinding], result: LintResult, paint: Paint) -> Iterator[str]:
    file = None
    remedies: dict[tuple[str, str], str] = {}
    for finding in shown:
        if finding.file != file:
            file = finding.file
            remedies = {}
            yield paint("strong", printable(file))
        yield "\n".join([*_finding(finding, result, remedies, paint), ""])


def _finding(
    finding: LintFinding,
    result: LintResult,
    remedies: dict[tuple[str, str], str],
    paint: Paint,
) -> Iterator[str]:
    place = f"{finding.line}:{finding.column}"
    margin = " " * (len(place) + 4)
    style = finding.severity if finding.status == VIOLATION else "faint"
    label = paint(style, _label(finding))
    rule = paint("strong", finding.rule)
    yield f"  {place}  {label}  {rule}  {printable(finding.message)}"
    where = _where(finding)
    if where:
        yield f"{margin}{where}"
    source = result.lines.get((finding.file, finding.line))
    if source is not None and source.strip():
        is_one_line = finding.end_line == finding.line
        text, carets = excerpt(
            source, finding.column, finding.end_column if is_one_line else len(source) + 1
        )
        yield paint("faint", f"{finding.line:>{len(margin) - 2}} | ") + text
        yield paint("faint", " " * (len(margin) - 1) + "| ") + paint(style, carets)
    if finding.exemption is not None:
        yield f"{margin}exempted by {_exemption(finding.exemption)}"
    if finding.status == VIOLATION:
        if finding.value_from is not None:
            file, line = finding.value_from
            yield f"{margin}value from {printable(file)}:{line}"
        yield from _remedy(finding, place, margin, remedies)


def _where(finding: LintFinding) -> str:
    """Name the object, the container and the field's pointer."""
    if not finding.kind:
        return printable(finding.pointer)
    name = f"{finding.namespace}/{finding.name}" if finding.namespace else finding.name
    parts = [f"{finding.kind} {name}" if name else finding.kind]
    if finding.container is not None:
        parts.append(f"container {finding.container}")
    where = ", ".join(parts)
    return printable(f"{where}: {finding.pointer}" if finding.pointer else where)


def _exemption(exemption: dict[str, object]) -> str:
    expires = f", until {exemption['expires']}" if exemption.get("expires") else ""
    return printable(f"{exemption.get('source')}: {exemption.get('reason')}{expires}")


def _remedy(
    finding: LintFinding, place: str, margin: str, remedies: dict[tuple[str, str], str]
) -> Iterator[str]:
    known = remedies.setdefault((finding.rule, finding.remediation), place)
    if known is not place:
        yield f"{margin}remedy: as at {known}"
        return
    yield remedy_text(finding.remediation, margin)


@lru_cache(maxsize=512)
def remedy_text(remediation: str, margin: str) -> str:
    """Return a remedy in lines that begin at a margin."""
    first, *others = remediation.split("\n")
    lines = [f"{margin}remedy: {printable(first)}"]
    lines += [f"{margin}  {printable(line)}" if line else "" for line in others]
    return "\n".join(lines)


def _baseline_statistics(result: LintResult) -> Iterator[str]:
    """Say what the baseline still holds, by rule, and how much of it nothing matches any more."""
    held = result.held
    yield f"The baseline still holds {counted(len(held.baseline), 'finding')}:"
    if held.baseline:
        yield from statistics_table(held.baseline)
    if held.unmatched:
        yield (
            f"{held.unmatched} more of it were not found in this run; `tidewaiter baseline prune` drops "
            "what is fixed."
        )


def _summary(result: LintResult, show: frozenset[str], paint: Paint) -> Iterator[str]:
    if result.files == 0 and not result.errors:
        yield "Nothing to check: no YAML or JSON file was found here."
        yield "Name a file or folder, or - for standard input: tidewaiter lint PATH"
        return
    if result.resources == 0 and not result.errors and not result.findings:
        yield f"Nothing to check: no Kubernetes object in {counted(result.files, 'file')}."
        yield "An object has apiVersion and kind; -v names each file that was skipped, and why."
        return
    tally = count(result.findings)
    parts = [
        paint(severity, counted(tally[severity], severity, "info" if severity == "info" else ""))
        for severity in SEVERITIES
        if tally[severity]
    ]
    files = counted(result.files, "file")
    if parts:
        hit = len({finding.file for finding in result.findings if finding.status == VIOLATION})
        head = f"{', '.join(parts)} in {hit} of {files}"
    else:
        head = f"{paint('good', 'No findings')} in {files}"
    undecided = [f"{tally[status]} {status}" for status in (UNKNOWN, EXEMPTED) if tally[status]]
    details = [counted(result.resources, "resource"), ", ".join(undecided)]
    if result.held.unmatched is not None:
        details.append(f"{len(result.held.baseline)} in the baseline")
    if result.held.elsewhere is not None:
        details.append(f"{result.held.elsewhere} on unchanged objects")
    if result.skipped:
        details.append(f"{counted(len(result.skipped), 'file')} skipped")
    yield f"{head} ({'; '.join(filter(None, details))})"
    if tally[UNKNOWN] and UNKNOWN not in show:
        yield "--show unknown prints what could not be decided from these files alone."
    if result.errors:
        yield paint(
            "error", f"Incomplete: {counted(len(result.errors), 'problem')}, see the errors."
        )
