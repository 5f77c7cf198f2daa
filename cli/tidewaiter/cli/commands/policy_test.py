"""Tests of a policy's own rules: manifests in which the expected findings are marked.

A case is a file, or a folder of files that belong together. `# expect: RULE` (several with commas) stands on the line
where a violation must be, `# expect-unknown: RULE` where the answer must be unknown; nothing else may be found.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from tidewaiter.rules import engine
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import discover, read_file
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.own_rules import own_entries

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import PlainPolicy

_MARK = re.compile(r"#\s*expect(-unknown)?:\s*([a-z0-9.-]+(?:\s*,\s*[a-z0-9.-]+)*)\s*$")


_ALMOST = re.compile(r"#\s*expect(-unknown)?\s*:")
"""What begins as a mark does: one that goes on otherwise must not pass as no mark."""


class Answer(NamedTuple):
    """A finding, expected or made: where it is, of which rule, and whether it is a violation."""

    file: str
    line: int
    rule: str
    status: str


class Outcome(NamedTuple):
    """What became of a case. errors: why it could not be run, nothing where it could."""

    case: str
    expected: list[Answer]
    missing: list[Answer]
    surplus: list[tuple[Answer, str]]
    errors: list[str]


def run(arguments: argparse.Namespace, plain: PlainPolicy, today: str) -> int:
    """Run the cases of the folders and print a table. Raises InputError where there are none."""
    own = [*own_entries(plain)]
    outcomes = [
        _outcome(case, files, plain, own, today)
        for folder in arguments.folders
        for case, files in _cases(folder)
    ]
    if not outcomes:
        raise InputError("there is no case: no manifest in the folder", file=arguments.folders[0])
    print("\n".join(_table(outcomes)))
    used = {answer.rule for outcome in outcomes for answer in outcome.expected}
    for name in own:
        if name not in used:
            print(f"tidewaiter: no case expects a finding of {name}", file=sys.stderr)
    if any(outcome.errors for outcome in outcomes):
        return 2
    return 1 if any(outcome.missing or outcome.surplus for outcome in outcomes) else 0


def _cases(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each case of a folder: its name and its files."""
    if not os.path.isdir(folder):
        raise InputError("is no folder with cases", file=folder)
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.startswith(".") or name == "tidewaiter.yaml":
            continue
        if os.path.isdir(path) or name.endswith((".yaml", ".yml", ".json")):
            files = [file.path for file in discover((path,), ()).files]
            if files:
                yield os.path.relpath(path, folder), files


def _outcome(
    case: str, files: Sequence[str], plain: PlainPolicy, own: list[str], today: str
) -> Outcome:
    expected: list[Answer] = []
    resources: list[Resource] = []
    errors: list[str] = []
    locators: dict[str, Locator] = {}
    for path in files:
        try:
            data = read_file(path)
        except InputError as error:
            errors.append(str(error))
            continue
        content = read_resources(data, path, explicit=True)
        errors += map(str, content.errors)
        resources += content.resources
        locators[path] = Locator(data)
        expected += _marks(path, data)
        errors += _malformed(path, data)
    if not resources and not errors:
        errors.append("the case has no object")
    rules = [*dict.fromkeys([*own, *(answer.rule for answer in expected)])]
    known = Policy(plain).entries
    errors += [
        f"{path}: there is no rule {name!r}"
        for name in rules
        if name not in known
        for path in files[:1]
    ]
    if errors or not rules:
        return Outcome(case, expected, [], [], errors or ["the policy has no rules of its own"])
    inventory = Inventory(resources, complete=True)
    policy = Policy({**plain, "only": rules})
    report = engine.evaluate(resources, policy, inventory, today=today)
    errors += [f"rule {crash.rule} failed: {crash.error}" for crash in report.crashes]
    found: list[tuple[Answer, str]] = []
    for finding in report.findings:
        if finding.resource is not None and finding.status in {"violation", "unknown"}:
            resource = finding.resource
            span = finding.span or locators[resource.file].document(resource.document).at(
                resource.prefix + finding.pointer
            )
            answer = Answer(resource.file, span.line, finding.rule, finding.status)
            found.append((answer, finding.message))
    made = {answer for answer, _ in found}
    missing = [answer for answer in expected if answer not in made]
    surplus = [(answer, message) for answer, message in found if answer not in expected]
    return Outcome(case, expected, missing, surplus, errors)


def _marks(path: str, data: bytes) -> Iterator[Answer]:
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        mark = _MARK.search(line)
        if mark is not None:
            for rule in mark[2].split(","):
                yield Answer(path, number, rule.strip(), "unknown" if mark[1] else "violation")


def _malformed(path: str, data: bytes) -> Iterator[str]:
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if _ALMOST.search(line) and not _MARK.search(line):
            yield f"{path}:{number}: a mark is `# expect: RULE`, with nothing but names of rules behind it"


def _table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    width = max(len(outcome.case) for outcome in outcomes)
    failed = 0
    for outcome in outcomes:
        holds = not (outcome.errors or outcome.missing or outcome.surplus)
        failed += not holds
        state = "pass" if holds else "ERROR" if outcome.errors else "FAIL"
        rules = ", ".join(dict.fromkeys(answer.rule for answer in outcome.expected)) or "nothing"
        yield f"{outcome.case:{width}}  {state:5}  expects {rules}"
        yield from (f"  {error}" for error in outcome.errors)
        for answer in outcome.missing:
            yield f"  {answer.file}:{answer.line}: no {answer.status} of {answer.rule}, which is expected"
        for answer, message in outcome.surplus:
            yield f"  {answer.file}:{answer.line}: {answer.status} of {answer.rule}, not expected: {message}"
    yield ""
    yield f"{len(outcomes) - failed} of {len(outcomes)} cases pass"
