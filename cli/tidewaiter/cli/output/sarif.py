"""SARIF 2.1.0, as GitHub's code scanning takes it: one run, with the rules that found something.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
Paths are relative to the repository's root. Columns count UTF-16 code units from 1, and the end is exclusive.
"""

from __future__ import annotations

import json
import os
from urllib.parse import quote

from tidewaiter.cli.fingerprint import fingerprints
from tidewaiter.cli.output.line_hash import line_hashes
from tidewaiter.cli.output.replacement import Fixes
from tidewaiter.cli.output.rule_text import remedy_parts, rules_of
from tidewaiter.cli.output.shared import (
    clean,
    cleaned_lines,
    raw_repository_path,
    shown,
    whole,
)
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.finding import EXEMPTED, SEVERITIES, VIOLATION
from tidewaiter.rules.loading.sources import STDIN, read_file
from tidewaiter.rules.loading.text import decode
from tidewaiter.rules.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from tidewaiter.cli.output.replacement import Replacement
    from tidewaiter.cli.output.rule_text import RuleText
    from tidewaiter.cli.result import LintError, LintFinding, LintResult

    Plain = dict[str, Any]

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
RESULT_LIMIT = 25_000
"""Code scanning refuses a run with more."""
SHOWN_LIMIT = 5_000
"""Of these it keeps so many, by severity."""
TEXT_LIMIT = 1_024
"""Characters that code scanning keeps of a description or message."""
FIX_LIMIT = 2_000
"""Each fix has its document read again, and nobody goes through more by hand: `tidewaiter fix` makes them."""
_TAG_LIMIT = 10
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_SCORES = {"error": "8.0", "warning": "5.5", "info": "2.5"}
"""`security-severity`: high, medium and low on the scale of code scanning."""
_SECURITY = frozenset({"security", "images", "network", "secrets", "access"})
"""The sections of rules that are about security."""
_ROOT = "SRCROOT"


def pieces(result: LintResult, *, show: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the log in pieces: each rule and each result on a line of its own."""
    findings = list(shown(result, show))
    notes = [_note(error) for error in result.errors]
    if len(findings) > RESULT_LIMIT:
        left_out = len(findings) - RESULT_LIMIT
        findings = _gravest(findings)
        text = f"{left_out} findings are left out, the least grave ones: code scanning takes {RESULT_LIMIT}"
        notes.append({"level": "warning", "message": {"text": text}})
    elif len(findings) > SHOWN_LIMIT:
        text = f"of {len(findings)} findings code scanning shows the gravest {SHOWN_LIMIT}"
        notes.append({"level": "note", "message": {"text": text}})
    rules = rules_of(findings, result.summaries)
    files = _Files(findings)
    yield f'{{"$schema": {_json(SCHEMA)},\n "version": "2.1.0",\n "runs": [{{\n'
    yield ' "tool": {"driver": {"name": "tidewaiter", "semanticVersion": '
    yield f'{_json(__version__)}, "version": {_json(__version__)}, "rules": '
    yield from _list(_rule(rule) for rule in rules.values())
    yield "}},\n"
    yield ' "automationDetails": {"id": "tidewaiter/"},\n "columnKind": "utf16CodeUnits",\n'
    root = {_ROOT: {"description": {"text": "The root of the repository."}}}
    yield f' "originalUriBaseIds": {_json(root)},\n'
    invocation: Plain = {"executionSuccessful": not result.errors}
    if notes:
        invocation["toolExecutionNotifications"] = notes
    yield f' "invocations": [{_json(invocation)}],\n "results": '
    numbers = {name: number for number, name in enumerate(rules)}
    marks = fingerprints(findings, by_file=False)
    yield from _list(
        _result(finding, numbers[finding.rule], mark, files)
        for finding, mark in zip(findings, marks, strict=True)
    )
    yield "\n}]}\n"


def _gravest(findings: Sequence[LintFinding]) -> list[LintFinding]:
    """Return as many findings as code scanning takes, the gravest, in their order."""

    def weight(index: int) -> tuple[bool, int, int]:
        finding = findings[index]
        return finding.status != VIOLATION, SEVERITIES.index(finding.severity), index

    kept = sorted(sorted(range(len(findings)), key=weight)[:RESULT_LIMIT])
    return [findings[index] for index in kept]


def _list(items: Iterator[Plain]) -> Iterator[str]:
    before = "[\n  "
    for item in items:
        yield before + _json(item)
        before = ",\n  "
    yield "[]" if before[0] == "[" else "]"


def _json(value: object) -> str:
    return json.dumps(value)


def _rule(rule: RuleText) -> Plain:
    sentence, snippet = remedy_parts(rule.remediation)
    why = f"{_sentence(rule.rationale)}\n\n" if rule.rationale else ""
    code = f"\n\n````yaml\n{cleaned_lines(snippet)}\n````" if snippet else ""
    links = "".join(f"\n- <{reference}>" for reference in rule.references)
    is_security = rule.section in _SECURITY
    tags = [*(["security"] if is_security else []), rule.section, *rule.tags, "kubernetes"]
    properties: Plain = {
        "tags": list(dict.fromkeys(tags))[:_TAG_LIMIT],
        "precision": "high",
        "problem.severity": _LEVELS[rule.severity].replace("note", "recommendation"),
    }
    if is_security:
        properties["security-severity"] = _SCORES[rule.severity]
    descriptor: Plain = {
        "id": rule.name,
        "shortDescription": {"text": _cut(_sentence(rule.summary))},
        "fullDescription": {"text": _cut(_sentence(rule.rationale or rule.summary))},
        "help": {
            "text": cleaned_lines(f"{why}Remedy: {rule.remediation}"),
            "markdown": f"{cleaned_lines(why)}**Remedy:** {clean(sentence)}{code}"
            + (f"\n\n**References**\n{links}" if links else ""),
        },
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": properties,
    }
    if (
        "-" in rule.name
    ):  # where there is but one word the two would be the same, which SARIF forbids
        descriptor["name"] = "".join(part.capitalize() for part in rule.name.split("-"))
    if rule.references:
        descriptor["helpUri"] = rule.references[0]
    return descriptor


def _sentence(text: str) -> str:
    text = cleaned_lines(text)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"


def _result(finding: LintFinding, index: int, mark: str, files: _Files) -> Plain:
    is_violation = finding.status == VIOLATION
    level = _LEVELS[finding.severity] if is_violation or finding.status == EXEMPTED else "none"
    location: Plain = {
        "physicalLocation": {
            "artifactLocation": artifact_location(finding.file),
            "region": files.region(
                finding.file, (finding.line, finding.column, finding.end_line, finding.end_column)
            ),
        }
    }
    if finding.kind:
        location["logicalLocations"] = [_logical_location(finding)]
    prints = {"tidewaiter/v1": mark}
    line_hash = files.line_hash(finding.file, finding.line)
    if line_hash:
        prints["primaryLocationLineHash"] = line_hash
    sentence, snippet = remedy_parts(finding.remediation)
    remedy = f"\n\nRemedy: {clean(sentence)}" if is_violation and sentence else ""
    result: Plain = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "kind": "open" if level == "none" else "fail",
        "level": level,
        "message": {"text": _cut(clean(finding.message) + remedy)},
        "locations": [location],
        "partialFingerprints": prints,
        "properties": {
            "severity": finding.severity,
            "pointer": whole(finding.pointer),
            **({"remedyExample": cleaned_lines(snippet)} if snippet else {}),
        },
    }
    if finding.value_from is not None:
        file, line = finding.value_from
        result["relatedLocations"] = [
            {
                "id": 1,
                "message": {"text": "The value comes from here."},
                "physicalLocation": {
                    "artifactLocation": artifact_location(file),
                    "region": {"startLine": line},
                },
            }
        ]
    if finding.exemption is not None:
        reason = clean(str(finding.exemption.get("reason") or ""))
        kind = "external" if finding.exemption.get("source") == "policy" else "inSource"
        result["suppressions"] = [{"kind": kind, "status": "accepted", "justification": reason}]
    fix = _fix(finding, files) if finding.fix is not None and is_violation else None
    if fix is not None:
        result["fixes"] = [fix]
    return result


def _logical_location(finding: LintFinding) -> Plain:
    names = (finding.namespace, finding.kind, finding.name, finding.container)
    full = "/".join(clean(name) for name in names if name)
    name = finding.container if finding.container is not None else finding.name
    return {
        "name": clean(name or finding.kind),
        "fullyQualifiedName": full,
        "kind": "container" if finding.container is not None else "resource",
    }


def _fix(finding: LintFinding, files: _Files) -> Plain | None:
    replacement = files.replacement(finding)
    if replacement is None or finding.fix is None:
        return None
    place, text = replacement
    sentence, _ = remedy_parts(finding.remediation)
    safety = "" if finding.fix[0] else " (this may change what the workload does)"
    return {
        "description": {"text": clean(sentence) + safety},
        "artifactChanges": [
            {
                "artifactLocation": artifact_location(finding.file),
                "replacements": [
                    {
                        "deletedRegion": files.region(finding.file, place),
                        "insertedContent": {"text": text},
                    }
                ],
            }
        ],
    }


def artifact_location(file: str) -> Plain:
    """Name a file: relative to the repository's root, or by an absolute URI where it is outside."""
    if file == STDIN:
        return {"uri": "stdin"}
    path = raw_repository_path(file)
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        name = whole(path).encode()
    encoded = quote(name, safe="/~!$&'()*+,;=@")
    if os.path.isabs(path):
        return {"uri": f"file://{encoded}"}
    return {"uri": encoded, "uriBaseId": _ROOT}


def _note(error: LintError) -> Plain:
    note: Plain = {"level": "error", "message": {"text": clean(error.message)}}
    if error.file:
        place: Plain = {"artifactLocation": artifact_location(error.file)}
        if error.line:
            place["region"] = {"startLine": error.line}
        note["locations"] = [{"physicalLocation": place}]
    return note


class _Files:
    """The files of the findings, read once more for what SARIF counts in another way."""

    def __init__(self, findings: Sequence[LintFinding]) -> None:
        self._wanted: dict[str, set[int]] = {}
        for finding in findings:
            self._wanted.setdefault(finding.file, set()).add(finding.line)
        self._hashes: dict[str, dict[int, str]] = {}
        self._lines: tuple[str, list[str]] = ("", [])
        self._fixes: tuple[str, Fixes | None] = ("", None)
        self._fixes_left = FIX_LIMIT

    def line_hash(self, file: str, line: int) -> str:
        """Return the fingerprint of a line, "" where the file cannot be read again."""
        if file not in self._hashes:
            text = _text(file)
            self._hashes[file] = line_hashes(text, self._wanted[file]) if text is not None else {}
        return self._hashes[file].get(line, "")

    def region(self, file: str, place: tuple[int, int, int, int]) -> Plain:
        """Turn lines and columns in characters into a region."""
        line, column, end_line, end_column = place
        return {
            "startLine": line,
            "startColumn": self._units(file, line, column),
            "endLine": end_line,
            "endColumn": self._units(file, end_line, end_column),
        }

    def replacement(self, finding: LintFinding) -> Replacement | None:
        """Return what a finding's fix replaces in its file, None where that cannot be told."""
        if not self._fixes_left or finding.fix is None:
            return None
        if self._fixes[0] != finding.file:
            text = _text(finding.file)
            self._fixes = finding.file, Fixes(text) if text is not None else None
        fixes = self._fixes[1]
        self._fixes_left -= 1
        return fixes.replacement(finding.fix) if fixes is not None else None

    def _units(self, file: str, line: int, column: int) -> int:
        if self._lines[0] != file:
            text = (_text(file) or "").replace("\r\n", "\n").replace("\r", "\n")
            # Of a file in ASCII every character is one unit.
            self._lines = file, [] if text.isascii() else text.split("\n")
        lines = self._lines[1]
        before = lines[line - 1][: column - 1] if line <= len(lines) else ""
        return column + sum(character > "\uffff" for character in before)


def _text(file: str) -> str | None:
    """Return a file's text, or None for standard input and what cannot be read any more."""
    if file == STDIN:
        return None
    try:
        return decode(read_file(file))
    except (InputError, ValueError):  # no file system has such a name
        return None
