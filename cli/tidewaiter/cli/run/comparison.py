"""What two runs differ in: two trees, two policies, two versions of Kubernetes or of tidewaiter.

A side is a file or folder, a folder of a commit (`main:deploy`), or a report that `tidewaiter lint --format
json` has written, by an older tidewaiter perhaps. Findings are paired by what makes a finding the same (see
`fingerprint`), within one file first, and what is left over wherever it has moved.
"""

from __future__ import annotations

import json
import os
import tempfile

from tidewaiter.cli.fingerprint import identity
from tidewaiter.cli.git import Repository
from tidewaiter.cli.result import LintError, LintFinding
from tidewaiter.cli.run.known import CLUSTER
from tidewaiter.cli.run.lint import lint
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.finding import SEVERITIES, VIOLATION
from tidewaiter.rules.loading.sources import CHART_FILE, KUSTOMIZATION_FILES, read_file
from tidewaiter.rules.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from tidewaiter.cli.git import TreeFile
    from tidewaiter.cli.run.lint import Job

_WANTED = (".yaml", ".yml", ".json", ".gitignore")


@record
class Side:
    """One of the two: its findings with files from its own root, and what could not be done."""

    name: str
    findings: tuple[LintFinding, ...]
    errors: tuple[LintError, ...]
    is_report: bool = False


@record
class Pair:
    """One finding on both sides, with another severity."""

    old: LintFinding
    new: LintFinding


@record
class Comparison:
    """What has come, gone and changed.

    `notes` say of a finding, by "added" or "fixed" and its place there, that the other side has it with
    another status, as in "now exempted".
    """

    old: str
    new: str
    added: tuple[LintFinding, ...]
    fixed: tuple[LintFinding, ...]
    changed: tuple[Pair, ...]
    unchanged: int
    notes: dict[tuple[str, int], str]
    errors: tuple[LintError, ...]


def read_side(spec: str, job: Job) -> Side:
    """Lint or read what a side names; the job says how. Raises InputError where there is no such thing."""
    if os.path.lexists(spec):
        if spec.endswith(".json") and (report := _report(spec)) is not None:
            return report
        result = lint(replace(job, paths=(spec,)))
        return Side(spec, _from_root(result.findings, spec), result.errors)
    ref, colon, path = spec.partition(":")
    if colon and ref:
        return _commit_side(spec, ref, path, job)
    raise InputError(f"{_why_not(spec)}; a folder of a commit is named COMMIT:PATH", file=spec)


def policy_of(spec: str, folder: str) -> str:
    """Return the path of a policy file; that of a commit (`main:tidewaiter.yaml`) is written into a folder.

    Raises InputError where the commit has none.
    """
    ref, colon, path = spec.partition(":")
    if os.path.lexists(spec) or not colon or not ref:
        return spec
    repository = Repository()
    found = [each for each in repository.files(repository.commit(ref), path) if each.path == path]
    if not found:
        raise InputError(f"the commit {ref!r} has no file {path!r}", file=spec)
    target = os.path.join(folder, os.path.basename(path))
    with open(target, "wb") as file:
        file.write(repository.blobs([found[0].blob])[found[0].blob])
    return target


def compare(old: Side, new: Side) -> Comparison:
    """Pair the violations of two sides."""
    by_pointer = old.is_report or new.is_report
    before = [one for one in old.findings if one.status == VIOLATION]
    after = [one for one in new.findings if one.status == VIOLATION]
    pairs = _pairs(before, after, by_pointer=by_pointer)
    paired_old = {index for index, _ in pairs}
    paired_new = {index for _, index in pairs}
    changed = [
        Pair(before[a], after[b]) for a, b in pairs if before[a].severity != after[b].severity
    ]
    added = tuple(one for index, one in enumerate(after) if index not in paired_new)
    fixed = tuple(one for index, one in enumerate(before) if index not in paired_old)
    notes: dict[tuple[str, int], str] = {}
    for kind, findings, other, word in (
        ("added", added, old, "was"),
        ("fixed", fixed, new, "now"),
    ):
        statuses = {
            (_key(one, by_pointer=by_pointer), one.file): one.status
            for one in other.findings
            if one.status != VIOLATION
        }
        for index, one in enumerate(findings):
            status = statuses.get((_key(one, by_pointer=by_pointer), one.file))
            if status:
                notes[kind, index] = f"{word} {status}"
    errors = [
        replace(error, message=f"{side.name}: {error.message}" if not error.file else error.message)
        for side in (old, new)
        for error in side.errors
    ]
    return Comparison(
        old.name,
        new.name,
        added,
        fixed,
        tuple(sorted(changed, key=lambda pair: place_order(pair.new))),
        len(pairs) - len(changed),
        notes,
        tuple(errors),
    )


def place_order(finding: LintFinding) -> tuple[str, int, int, str]:
    """Order findings by place and rule."""
    return finding.file, finding.line, finding.column, finding.rule


def _pairs(
    before: Sequence[LintFinding], after: Sequence[LintFinding], *, by_pointer: bool
) -> list[tuple[int, int]]:
    """Pair findings by their key, each once: those of one file first."""
    found: list[tuple[int, int]] = []
    left = list(range(len(after)))
    paired: set[int] = set()
    for within_file in (True, False):
        waiting: dict[tuple[Any, ...], list[int]] = {}
        for index, one in enumerate(before):
            if index not in paired:
                place = (one.file if within_file else "", *_key(one, by_pointer=by_pointer))
                waiting.setdefault(place, []).append(index)
        rest = []
        for index in left:
            one = after[index]
            place = (one.file if within_file else "", *_key(one, by_pointer=by_pointer))
            if waiting.get(place):
                other = waiting[place].pop(0)
                paired.add(other)
                found.append((other, index))
            else:
                rest.append(index)
        left = rest
    return found


def _key(finding: LintFinding, *, by_pointer: bool) -> tuple[str, ...]:
    """Return a finding's identity; a report has pointers and no names of entries."""
    key = identity(finding)
    return (*key[:-1], finding.pointer) if by_pointer else key


def _from_root(findings: Sequence[LintFinding], root: str) -> tuple[LintFinding, ...]:
    """Return findings with their files from a side's root."""
    base = os.path.abspath(root)
    is_folder = os.path.isdir(root)
    found = []
    for finding in findings:
        path = os.path.abspath(finding.file)
        if is_folder and path.startswith(base.rstrip("/") + "/"):
            finding = replace(finding, file=os.path.relpath(path, base))
        elif path == base:
            finding = replace(finding, file=os.path.basename(path))
        found.append(finding)
    return tuple(sorted(found, key=place_order))


def _commit_side(spec: str, ref: str, path: str, job: Job) -> Side:
    """Lint a folder of a commit, written out for the time of the run at the place that it has here."""
    repository = Repository()
    commit = repository.commit(ref)
    here = os.path.realpath(os.getcwd())
    within = os.path.relpath(here, os.path.realpath(repository.root))
    within = "" if within == "." else within
    if path.startswith(("./", "../")):  # as git takes it: from the working directory
        path = os.path.normpath(os.path.join(within, path))
    path = path.strip("/")
    path = "" if path == "." else path
    files = list(repository.files(commit, path))
    if not files:
        raise InputError(f"the commit {ref!r} has no {path or 'files'}", file=spec)
    above = [
        each
        for each in repository.files(commit, "")
        if os.path.basename(each.path) == ".gitignore"
        and f"{path}/".startswith(f"{os.path.dirname(each.path)}/".lstrip("/"))
    ]
    with tempfile.TemporaryDirectory(prefix="tidewaiter-") as folder:
        folder = os.path.realpath(folder)
        _write_out(repository, [*files, *above], folder)
        os.mkdir(os.path.join(folder, ".git"))  # so that .gitignore files hold as they do here
        start = os.path.join(folder, within)
        os.makedirs(start, exist_ok=True)
        target = os.path.relpath(os.path.join(folder, path), start)
        inventory = tuple(
            each if each == CLUSTER else os.path.join(here, each) for each in job.inventory
        )
        schemas = tuple(os.path.join(here, each) for each in job.schemas)
        os.chdir(start)
        try:
            result = lint(
                replace(job, paths=(target,), inventory=inventory, schemas=schemas, use_cache=False)
            )
            errors = tuple(
                replace(each, file=f"{ref}:{each.file}") if each.file else each
                for each in result.errors
            )
            return Side(spec, _from_root(result.findings, target), errors)
        finally:
            os.chdir(here)


def _is_below(path: str, folders: Collection[str]) -> bool:
    """Tell whether a file lies in one of some folders, or below: a chart reads files of any name."""
    while path:
        path = os.path.dirname(path)
        if path in folders:
            return True
    return False


def _write_out(repository: Repository, files: Sequence[TreeFile], folder: str) -> None:
    built = {
        os.path.dirname(each.path)
        for each in files
        if os.path.basename(each.path) in {CHART_FILE, *KUSTOMIZATION_FILES}
    }
    wanted = [
        each
        for each in files
        if each.path.endswith(_WANTED) or each.is_link or _is_below(each.path, built)
    ]
    contents = repository.blobs(sorted({each.blob for each in wanted}))
    for each in wanted:
        target = os.path.join(folder, each.path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if each.is_link:
            leads = os.fsdecode(contents[each.blob])
            end = os.path.normpath(os.path.join(os.path.dirname(target), leads))
            # A link out of the tree would lead into what is here now, or anywhere.
            if not os.path.isabs(leads) and f"{end}/".startswith(f"{folder}/"):
                if not os.path.lexists(target):
                    os.symlink(leads, target)
        else:
            with open(target, "wb") as file:
                file.write(contents[each.blob])


def _why_not(spec: str) -> str:
    """Say that there is no such path, and how a commit is written if it is the name of one."""
    try:
        Repository().commit(spec)
    except InputError:
        return "does not exist"
    return f"does not exist; the commit's whole tree is {spec + ':'!r}"


def _report(path: str) -> Side | None:
    """Read a report of `tidewaiter lint --format json`; None where a file is none. Raises InputError."""
    data = read_file(path)
    if b'"tidewaiter"' not in data[:200]:
        return None
    try:
        value = json.loads(data)
        if value["tool"]["name"] != "tidewaiter":
            return None
        if value["version"] != 1:
            raise InputError(f"is a report of version {value['version']!r}, not 1", file=path)
        findings = tuple(_finding(row) for row in value["findings"])
        errors = tuple(
            LintError(row["file"], row["line"], row["column"], row["message"])
            for row in value["errors"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(
            "is no whole report of `tidewaiter lint --format json`", file=path
        ) from None
    return Side(path, tuple(sorted(findings, key=place_order)), errors, is_report=True)


def _finding(row: dict[str, Any]) -> LintFinding:
    place, named = row["location"], row["resource"] or {}
    if row["severity"] not in SEVERITIES:
        raise ValueError
    line, column, end_line, end_column = (
        int(place[key]) for key in ("line", "column", "endLine", "endColumn")
    )
    return LintFinding(
        str(place["file"]),
        line,
        column,
        end_line,
        end_column,
        str(row["rule"]),
        row["severity"],
        str(row["status"]),
        str(row["message"]),
        str(row["remediation"]),
        str(named.get("apiVersion") or ""),
        str(named.get("kind") or ""),
        named.get("namespace"),
        str(named.get("name") or ""),
        row["container"],
        str(row["pointer"]),
        row["exemption"],
    )
