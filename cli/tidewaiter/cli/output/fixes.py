"""What a fixing run says: what was mended, what is left and why."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.cli.result import LintFinding
    from tidewaiter.cli.run.fix import FixResult
    from tidewaiter.cli.run.generate import Generation


def report(
    result: FixResult, generation: Generation | None = None, *, would: bool, quiet: bool
) -> Iterator[str]:
    """Yield the lines of the summary; `would` says that nothing was written, `quiet` leaves only the last."""
    files = generation.files if generation is not None else ()
    answered = {id(file.finding) for file in files}
    remaining = [left for left in result.left if id(left.finding) not in answered]
    fixed = [finding for finding in result.fixed if finding.file in result.changed]
    with_reason = [left for left in remaining if left.reason]
    if not quiet:
        rows = [(one, "would fix" if would else "fixed", "") for one in fixed]
        rows += [(left.finding, "left", f": {left.reason}") for left in with_reason]
        file = None
        for finding, what, reason in sorted(rows, key=lambda row: _order(row[0])):
            if finding.file != file:
                if file is not None:
                    yield ""
                file = finding.file
                yield file
            yield f"  {what:<9} {finding.rule}: {finding.message}{reason}"
        if rows:
            yield ""
        for made in files:
            yield f"{made.path}: {'would be written' if would else 'written'}: {made.what}"
        if files:
            yield ""
    verb = "would be fixed" if would else "fixed"
    line = f"{_count(len(fixed), 'finding')} {verb} in {_count(len({one.file for one in fixed}), 'file')}"
    without = len(remaining) - len(with_reason)
    if files:
        line += f", {_count(len(files), 'object')} {'would be ' if would else ''}generated"
    parts = []
    if with_reason:
        parts.append(
            f"{len(with_reason)} for the reasons above"
            if not quiet
            else f"{len(with_reason)} with a fix"
        )
    if without:
        parts.append(
            f"{without} without a fix (`tidewaiter lint` shows {'it' if without == 1 else 'them'})"
        )
    yield f"{line}; left: {', '.join(parts)}" if parts else line


def _order(finding: LintFinding) -> tuple[str, int, int, str]:
    return finding.file, finding.line, finding.column, finding.rule


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
