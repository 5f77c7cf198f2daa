"""The report as one HTML page that needs nothing else: no file beside it, no request, no network.

Its own script and style are allowed by their hash, and the page forbids itself everything else. What comes
from manifests is data in JSON that the script sets as text, or is escaped.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from hashlib import sha256
from html import escape

from tidewaiter.cli.output.rule_text import remedy_parts, rules_of
from tidewaiter.cli.output.shared import (
    clean,
    cleaned_lines,
    error_text,
    exemption_text,
    label,
    object_name,
    repository_path,
    shown,
    where,
)
from tidewaiter.cli.output.statistics import count, counted
from tidewaiter.rules.finding import EXEMPTED, SEVERITIES, UNKNOWN, VIOLATION
from tidewaiter.rules.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from tidewaiter.cli.output.rule_text import RuleText
    from tidewaiter.cli.result import LintFinding, LintResult

AROUND = 2
"""Source lines before and behind that of a finding."""
LEVELS = (*SEVERITIES, UNKNOWN, EXEMPTED)
_BARS = 10
_LINE_LIMIT = 300
_BEFORE = 100
"""Characters kept before a finding in a line that is cut."""
_NONE = "(none)"


def pieces(result: LintResult, *, show: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the page in pieces."""
    findings = list(shown(result, show))
    rules = rules_of(findings, result.summaries)
    style, script = _asset("report.css"), _asset("report.js")
    yield _opening(style, script)
    yield _header(result, with_script=bool(findings))
    yield "<main>\n"
    if findings:
        names = _Names(findings, rules)
        yield _charts(findings, names)
        yield '<section id="list" aria-label="Findings">\n'  # the filters stay in sight within it
        yield _tools(names)
        yield '<div id="findings"></div>\n'
        yield '<button type="button" id="more" hidden>Show more</button>\n'
        yield from _plain_list(result, findings, names)
        yield "</section>\n"
        yield _rules(rules, names, findings)
    else:
        good = "" if result.errors else " good"
        yield f'<p class="notice{good}" id="list">Nothing was found.</p>\n'
    yield "</main>\n"
    yield f"<footer>tidewaiter {escape(__version__)}</footer>\n"
    if findings:
        yield '<script type="application/json" id="data">'
        yield from _data(result, findings, names)
        yield f"</script>\n<script>{script}</script>\n"
    yield "</body>\n</html>\n"


def _asset(name: str) -> str:
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page")
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


def _opening(style: str, script: str) -> str:
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n<title>tidewaiter report</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#list">Skip to the findings</a>\n'
    )


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


class _Names:
    """The rules, files and namespaces of the findings, each with its number in the page's data."""

    def __init__(self, findings: Sequence[LintFinding], rules: Mapping[str, RuleText]) -> None:
        self.rules = {name: number for number, name in enumerate(rules)}
        self.files = _numbered(finding.file for finding in findings)
        self.namespaces = _numbered(sorted({_namespace(finding) for finding in findings}))
        present = {label(finding) for finding in findings}
        self.levels = [level for level in LEVELS if level in present]


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _namespace(finding: LintFinding) -> str:
    return clean(finding.namespace) if finding.namespace else _NONE


def _header(result: LintResult, *, with_script: bool) -> str:
    tally = count(result.findings)
    items = "".join(
        f'<li class="{level}"><b>{tally[level]:,}</b> <span>{_plural(level, tally[level])}</span></li>'
        for level in LEVELS
        if tally[level] or level in SEVERITIES
    )
    if result.held.unmatched is not None:
        items += f"<li><b>{len(result.held.baseline):,}</b> <span>in the baseline</span></li>"
    facts = f"{_number(result.resources, 'object')} in {_number(result.files, 'file')}"
    lines = [
        '<header>\n<div class="top"><div><h1>tidewaiter report</h1>',
        f'<p class="facts">{facts}</p></div>',
        f"{_THEME if with_script else ''}</div>",
        f'<ul class="totals">{items}</ul>',
    ]
    if result.errors:
        rows = "".join(f"<li>{escape(error_text(error))}</li>" for error in result.errors)
        lines.append(
            '<section class="notice"><h2>Not everything could be checked</h2>'
            f"<ul>{rows}</ul></section>"
        )
    return "\n".join([*lines, "</header>\n"])


_THEME = (
    '<button type="button" id="theme" title="Change between light and dark">Light / dark</button>'
)


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _plural(level: str, number: int) -> str:
    return f"{level}s" if level in {"error", "warning"} and number != 1 else level


def _charts(findings: Sequence[LintFinding], names: _Names) -> str:
    by_rule = _tally((finding.rule, finding) for finding in findings)
    by_namespace = _tally((_namespace(finding), finding) for finding in findings)
    by_file = _tally((finding.file, finding) for finding in findings)
    return (
        '<div class="charts">\n'
        + _donut(findings, names)
        + _bars("By rule", "rule", by_rule, names.rules)
        + _bars("By namespace", "namespace", by_namespace, names.namespaces)
        + _bars("By file", "file", by_file, names.files)
        + "</div>\n"
    )


def _tally(rows: Iterable[tuple[str, LintFinding]]) -> dict[str, dict[str, int]]:
    """Count findings by a name and their level, the names with the most first."""
    found: dict[str, dict[str, int]] = {}
    for name, finding in rows:
        tally = found.setdefault(name, dict.fromkeys(LEVELS, 0))
        tally[label(finding)] += 1
    return dict(sorted(found.items(), key=lambda row: (-sum(row[1].values()), row[0])))


def _donut(findings: Sequence[LintFinding], names: _Names) -> str:
    total = len(findings)
    tally = dict.fromkeys(LEVELS, 0)
    for finding in findings:
        tally[label(finding)] += 1
    present = [(level, tally[level]) for level in names.levels]
    said = ", ".join(f"{number} {_plural(level, number)}" for level, number in present)
    size = ' class="long"' if total > 9999 else ""
    arcs, start = "", 0.0
    for level, number in present:
        share = 100 * number / total
        arcs += (
            f'<circle class="{_style(level)}" cx="21" cy="21" r="16" pathLength="100" '
            f'stroke-dasharray="{share:.3f} {100 - share:.3f}" stroke-dashoffset="{25 - start:.3f}"/>'
        )
        start += share
    legend = "".join(
        f'<li><button type="button" class="{_style(level)}" data-field="level" '
        f'data-value="{names.levels.index(level)}" aria-pressed="false"><i></i>{level}'
        f'<span class="number">{number:,}</span></button></li>'
        for level, number in present
    )
    return (
        '<section class="panel" aria-labelledby="chart-level"><h3 id="chart-level">By severity</h3>'
        f'<div class="donut"><svg viewBox="0 0 42 42" role="img" aria-label="{said}">'
        f'<circle class="track" cx="21" cy="21" r="16"/>{arcs}'
        f'<text x="21" y="22.4"{size}>{total:,}</text><text class="label" x="21" y="26.6">findings</text>'
        f'</svg><ul class="legend">{legend}</ul></div></section>\n'
    )


def _style(level: str) -> str:
    return level if level in SEVERITIES else "other"


def _bars(
    title: str, field: str, tallies: Mapping[str, Mapping[str, int]], numbers: Mapping[str, int]
) -> str:
    most = max(sum(tally.values()) for tally in tallies.values())
    folder = _common_folder(map(repository_path, tallies)) if field == "file" else ""
    rows = []
    for name, tally in list(tallies.items())[:_BARS]:
        total = sum(tally.values())
        text = repository_path(name) if field == "file" else name
        said = ", ".join(f"{tally[level]} {level}" for level in LEVELS if tally[level])
        rects, x = "", 0.0
        for level in LEVELS:
            width = 100 * tally[level] / most
            if width:
                rects += (
                    f'<rect class="{_style(level)}" x="{x:.3f}" width="{width:.3f}" height="8"/>'
                )
                x += width
        rows.append(
            f'<li><button type="button" data-field="{field}" data-value="{numbers[name]}" '
            f'aria-pressed="false" title="{escape(f"{text}: {said}")}">'
            f'<bdi class="name">{escape(text.removeprefix(folder))}</bdi>'
            f'<span class="number">{total:,}</span>'
            f'<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{rects}</svg>'
            f'<span class="visually-hidden">: {said}</span></button></li>'
        )
    rest = len(tallies) - _BARS
    more = f'<p class="more">and {rest:,} more</p>' if rest > 0 else ""
    below = f'<p class="more below">below {escape(folder)}</p>' if folder else ""
    return (
        f'<section class="panel" aria-labelledby="chart-{field}"><h3 id="chart-{field}">{title}</h3>'
        f'{below}<ul class="bars">{"".join(rows)}</ul>{more}</section>\n'
    )


def _common_folder(paths: Iterable[str]) -> str:
    """Return the folders that all paths begin with, with a slash behind; "" where they share none."""
    shared: list[str] | None = None
    for path in paths:
        parts = path.split("/")[:-1]
        if shared is None:
            shared = parts
        while shared != parts[: len(shared)]:
            shared.pop()
    return "/".join([*shared, ""]) if shared else ""


def _tools(names: _Names) -> str:
    levels = [(level, str(number)) for number, level in enumerate(names.levels)]
    rules = [(name, str(number)) for name, number in names.rules.items()]
    namespaces = [(name, str(number)) for name, number in names.namespaces.items()]
    files = sorted((repository_path(name), str(number)) for name, number in names.files.items())
    return (
        '<div class="tools" role="search"><form id="filters" autocomplete="off">\n'
        '<input type="search" name="search" placeholder="Search rule, message, object, file" '
        'aria-label="Search the findings" spellcheck="false">\n'
        + _select("level", "Severity", levels)
        + _select("rule", "Rule", rules)
        + _select("namespace", "Namespace", namespaces)
        + _select("file", "File", files)
        + '<select name="order" aria-label="Order"><option value="">by place</option>'
        '<option value="severity">by severity</option></select>\n'
        '<button type="reset" id="clear" hidden>Clear</button>\n'
        '</form>\n<p class="found"><output id="count" aria-live="polite"></output>'
        '<button type="button" id="open" aria-pressed="false">Open all</button>'
        '<span class="keys"><kbd>/</kbd> search, <kbd>j</kbd> <kbd>k</kbd> next and previous, '
        "<kbd>Enter</kbd> open, <kbd>Esc</kbd> clear</span></p></div>\n"
    )


def _plain_list(
    result: LintResult, findings: Sequence[LintFinding], names: _Names
) -> Iterator[str]:
    """Yield the findings for where no script runs; a browser with scripts reads it as one text and builds nothing."""
    yield "<noscript>\n"
    file = None
    for finding in findings:
        if finding.file != file:
            yield "</ul>\n" if file is not None else ""
            file = finding.file
            yield f'<h3 class="file">{escape(repository_path(file))}</h3>\n<ul class="plain">\n'
        yield _plain_row(finding, names, result.lines.get((finding.file, finding.line), ""))
    yield "</ul>\n</noscript>\n"


def _plain_row(finding: LintFinding, names: _Names, line: str) -> str:
    level = label(finding)
    facts = (where(finding), exemption_text(finding))
    source = f"<pre>{escape(_line(line))}</pre>" if line.strip() else ""
    return (
        f'<li class="finding {_style(level)}"><span class="badge {_style(level)}">{level}</span> '
        f'<span class="message">{escape(clean(finding.message))}</span> '
        f'<a href="#rule-{names.rules[finding.rule]}">{escape(finding.rule)}</a> '
        f'<span class="place">{finding.line}:{finding.column}</span>'
        + "".join(f'<div class="about">{escape(fact)}</div>' for fact in facts if fact)
        + f"{source}</li>\n"
    )


def _select(name: str, title: str, options: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f'<option value="{value}">{escape(text)}</option>' for text, value in options)
    return f'<select name="{name}" aria-label="{title}"><option value="">{title}: all</option>{rows}</select>\n'


def _rules(rules: Mapping[str, RuleText], names: _Names, findings: Sequence[LintFinding]) -> str:
    numbers: dict[str, int] = {}
    for finding in findings:
        numbers[finding.rule] = numbers.get(finding.rule, 0) + 1
    parts = [
        '<section class="panel" aria-labelledby="rules"><h2 id="rules">Rules and remedies</h2>'
    ]
    for name, rule in rules.items():
        sentence, snippet = remedy_parts(rule.remediation)
        links = "".join(
            f'<li><a href="{escape(link)}" rel="noreferrer">{escape(link)}</a></li>'
            for link in rule.references
            if link.startswith(("https://", "http://"))
        )
        parts.append(
            f'<article class="rule" id="rule-{names.rules[name]}"><h3>{escape(name)} '
            f'<span class="badge {rule.severity}">{rule.severity}</span> '
            f'<button type="button" data-field="rule" data-value="{names.rules[name]}" '
            f'aria-pressed="false">{counted(numbers[name], "finding")}</button></h3>'
            f"<p>{_prose(rule.summary)}</p>"
            + (f'<p class="facts">{_prose(rule.rationale)}</p>' if rule.rationale else "")
            + f"<p><b>Remedy:</b> {_prose(sentence)}</p>"
            + (f'<pre class="remedy">{escape(cleaned_lines(snippet))}</pre>' if snippet else "")
            + (f"<ul>{links}</ul>" if links else "")
            + "</article>"
        )
    return "\n".join([*parts, "</section>\n"])


def _prose(text: str) -> str:
    text = clean(text)
    return escape(text[:1].upper() + text[1:])


def _data(result: LintResult, findings: Sequence[LintFinding], names: _Names) -> Iterator[str]:
    """Yield the data of the list; the order within a row is that of the script's constants."""
    remedies: dict[str, int] = {}
    lines: dict[int, dict[int, str]] = {}
    rows: list[list[Any]] = []
    for finding in findings:
        number = names.files[finding.file]
        kept = lines.setdefault(number, {})
        cut: tuple[str, int] | None = None
        for line in range(finding.line - AROUND, finding.line + AROUND + 1):
            text = result.lines.get((finding.file, line))
            if text is not None:
                kept[line] = _line(text)
        whole_line = result.lines.get((finding.file, finding.line), "")
        if len(whole_line) > _LINE_LIMIT:
            start = max(finding.column - 1 - _BEFORE, 0)
            head = "…" if start else ""
            part = _line(whole_line[start : start + _LINE_LIMIT])
            cut = head + part, finding.column - start + len(head)
        rows.append(_row(finding, number, names, remedies, cut))
    shared = {
        "levels": names.levels,
        "rules": list(names.rules),
        "files": [repository_path(file) for file in names.files],
        "namespaces": list(names.namespaces),
        "remedies": [
            [clean(part[0]), cleaned_lines(part[1])] for part in map(remedy_parts, remedies)
        ],
        "around": AROUND,
        "lines": lines,
    }
    yield _json(shared)[:-1]
    yield ',"findings":[\n'
    for index, row in enumerate(rows):
        yield (",\n" if index else "") + _json(row)
    yield "]}"


def _row(
    finding: LintFinding,
    file: int,
    names: _Names,
    remedies: dict[str, int],
    cut: tuple[str, int] | None,
) -> list[Any]:
    remedy = finding.remediation if finding.status == VIOLATION else ""
    return [
        names.rules[finding.rule],
        names.levels.index(label(finding)),
        file,
        finding.line,
        finding.column,
        finding.end_line,
        finding.end_column,
        clean(finding.message),
        object_name(finding),
        names.namespaces[_namespace(finding)],
        clean(finding.container or ""),
        clean(finding.pointer),
        remedies.setdefault(remedy, len(remedies)),
        exemption_text(finding),
        cut,
    ]


def _line(text: str) -> str:
    """Return a source line, cut and with a sign in place of each character that cannot be seen."""
    return "".join(
        each if each.isprintable() or each == "\t" else "\ufffd" for each in text[:_LINE_LIMIT]
    )


_MARKUP = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":")).translate(_MARKUP)
