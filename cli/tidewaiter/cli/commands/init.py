"""Make a first policy that fits a repository, a pre-commit entry and a CI job, and show what to fix first.

Nothing that is there is overwritten without --force; an existing .pre-commit-config.yaml or .gitlab-ci.yml only
gains an entry. Exit codes: 0 done, whatever was found; 2 not done whole (a mistake in the call, input that
cannot be read, a file that cannot be written or added to).
"""

from __future__ import annotations

import os
import sys

from tidewaiter.cli.streams import complain
from tidewaiter.cli.surroundings import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from tidewaiter.cli.first_contact.survey import Survey
    from tidewaiter.cli.result import LintFinding, LintResult
    from tidewaiter.cli.run.lint import Job
    from tidewaiter.rules.policy.compiled import PlainPolicy

_FIRST = 10
_CI = ("auto", "github", "gitlab", "none")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("path", nargs="?", default=".", metavar="PATH", help="folder to look at (default: .)")
    add("--ci", choices=_CI, default="auto", help="whose job to write (default: what is there)")
    add("--no-pre-commit", action="store_true", help="leave pre-commit alone")
    add("--dry-run", action="store_true", help="show what would be written, and write nothing")
    add("--force", action="store_true", help="replace a policy or workflow that is there")


def run(arguments: argparse.Namespace) -> int:
    """Look, write and show. Raises InputError and PolicyError."""
    from tidewaiter.cli.first_contact.survey import repository_root
    from tidewaiter.rules.errors import InputError

    if not os.path.isdir(arguments.path):
        reason = "is no folder" if os.path.exists(arguments.path) else "does not exist"
        raise InputError(reason, file=arguments.path)
    before = os.getcwd()
    root = repository_root(arguments.path)
    scope = os.path.relpath(arguments.path, root)
    os.chdir(root)
    try:
        return _in_repository(arguments, scope)
    finally:
        os.chdir(before)


def _in_repository(arguments: argparse.Namespace, scope: str) -> int:
    from tidewaiter.cli.first_contact.policy_text import (
        fitting_profile,
        found_lines,
        in_force,
        policy_text,
        trial_policy,
    )
    from tidewaiter.cli.first_contact.survey import survey
    from tidewaiter.cli.run.lint import lint
    from tidewaiter.rules.policy.discovery import POLICY_FILE, find_policy
    from tidewaiter.rules.policy.file import load_policy

    found = survey(scope)
    policy = find_policy(".")
    replaces = arguments.force or policy is None
    plain = trial_policy(found.version) if replaces or policy is None else load_policy(policy)
    result = lint(_job(scope, plain))
    findings: Sequence[LintFinding] = result.findings
    writes = _Writes(dry_run=arguments.dry_run, force=arguments.force)
    print(f"Looked at {os.getcwd() if scope == '.' else scope}:")
    for line in found_lines(found):
        print(f"  {line}")
    print()
    if replaces:
        profile = fitting_profile(findings)
        text = policy_text(found, findings, profile)
        findings = in_force(findings, profile)
        _check(text)
        writes.write(POLICY_FILE, text)
    else:
        findings = [each for each in findings if each.status == "violation"]
        writes.kept(str(policy), "it is there and holds; --force replaces it")
    _write_hooks(arguments, writes, found, scope)
    print()
    _show_first(findings, scope)
    _report_errors(result)
    return 2 if result.errors or writes.failed else 0


def _job(scope: str, plain: PlainPolicy) -> Job:
    from tidewaiter.cli.run.lint import Job
    from tidewaiter.cli.surroundings import cores, today

    return Job(
        paths=(scope,),
        exclude=(),
        inventory=(),
        schemas=(),
        plain_policy=plain,
        jobs=min(cores(), 16),
        today=today(),
        use_cache=True,
    )


def _check(text: str) -> None:
    """Have the loader read what is about to be written: a policy of ours is valid, or nothing is written."""
    from tidewaiter.rules.policy.discovery import POLICY_FILE
    from tidewaiter.rules.policy.validation import validated

    validated(text.encode(), POLICY_FILE)


class _Writes:
    """Writes files and says so; counts what could not be."""

    def __init__(self, *, dry_run: bool, force: bool) -> None:
        self.failed = 0
        self._dry_run = dry_run
        self._force = force

    def write(self, path: str, text: str) -> None:
        """Make a file of ours, or replace it under --force."""
        if not os.path.lexists(path):
            self._put(path, None, text.encode())
            return
        from tidewaiter.rules.loading.sources import read_file

        before = read_file(path)
        if before == text.encode():
            self.kept(path, "unchanged")
        elif self._force:
            self._put(path, before, text.encode())
        else:
            self.kept(path, "it is there; --force replaces it")

    def change(self, path: str, before: bytes | None, after: bytes) -> None:
        """Write what somebody else's file becomes."""
        self._put(path, before, after)

    def kept(self, path: str, why: str) -> None:
        """Say that a file stays as it is."""
        print(f"kept     {path} ({why})")

    def refused(self, path: str, why: str, snippet: str) -> None:
        """Say that a file cannot be added to, and what somebody may add."""
        self.failed += 1
        print(f"{path}: nothing was added: {why}; add this yourself:\n{snippet}", file=sys.stderr)

    def _put(self, path: str, before: bytes | None, after: bytes) -> None:
        from tidewaiter.rules.fixes.writing import create, rewrite

        done = "wrote" if before is None else "changed"
        if self._dry_run:
            print(f"would {'write' if before is None else 'change'} {path}")
            sys.stdout.writelines(_difference(path, before or b"", after))
            return
        if before is None:
            folder = os.path.dirname(path)
            if folder:
                _make_folder(folder)
            create(path, after)
        else:
            rewrite(path, before, after)
        print(f"{done:<8} {path}")


def _make_folder(folder: str) -> None:
    from tidewaiter.rules.errors import InputError

    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", file=folder) from None


def _difference(path: str, before: bytes, after: bytes) -> Iterator[str]:
    import difflib

    old, new = (
        each.decode("utf-8", "replace").splitlines(keepends=True) for each in (before, after)
    )
    for line in difflib.unified_diff(old, new, path, path):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _write_hooks(arguments: argparse.Namespace, writes: _Writes, found: Survey, scope: str) -> None:
    from tidewaiter.cli.first_contact import pre_commit
    from tidewaiter.cli.first_contact.origin import origin
    from tidewaiter.cli.first_contact.pipeline import (
        GITHUB_FILE,
        GITLAB_FILE,
        github_workflow,
        gitlab_job,
        has_gitlab_job,
        with_gitlab_job,
    )
    from tidewaiter.cli.first_contact.survey import pipelines

    source = origin()
    extras = (*(["helm"] if found.charts else []), *(["kustomize"] if found.kustomizations else []))
    if not arguments.no_pre_commit:
        hook = pre_commit.entry(source, scope, extras)
        _add(
            writes,
            pre_commit.FILE,
            pre_commit.has_entry,
            lambda content: pre_commit.with_entry(content, hook),
            hook,
        )
    chosen = pipelines(".") if arguments.ci == "auto" else (arguments.ci,)
    if "github" in chosen:
        present = _workflow_with_tidewaiter()
        if present and present != GITHUB_FILE:
            writes.kept(present, "it runs tidewaiter already")
        else:
            writes.write(GITHUB_FILE, github_workflow(source, scope, extras))
    if "gitlab" in chosen:
        _add(
            writes,
            GITLAB_FILE,
            has_gitlab_job,
            lambda content: with_gitlab_job(content, source, scope, extras),
            gitlab_job(source, scope, extras),
        )
    if not chosen:
        print(
            "no CI job: neither GitHub nor GitLab is used here; `--ci github` or `--ci gitlab` writes one"
        )


def _add(
    writes: _Writes,
    path: str,
    has: Callable[[bytes], bool],
    add: Callable[[bytes], bytes],
    snippet: str,
) -> None:
    from tidewaiter.cli.first_contact.pre_commit import CannotAdd
    from tidewaiter.rules.loading.sources import read_file

    before = read_file(path) if os.path.lexists(path) else None
    try:
        if before is not None and has(before):
            writes.kept(path, "it runs tidewaiter already")
        else:
            writes.change(path, before, add(before or b""))
    except CannotAdd as error:
        writes.refused(path, str(error), snippet)


def _workflow_with_tidewaiter() -> str:
    """Return the workflow that calls tidewaiter, or ""."""
    from tidewaiter.cli.first_contact.pipeline import calls_tidewaiter
    from tidewaiter.rules.errors import InputError
    from tidewaiter.rules.loading.sources import read_file

    folder = ".github/workflows"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        path = f"{folder}/{name}"
        try:
            if name.endswith((".yml", ".yaml")) and calls_tidewaiter(read_file(path)):
                return path
        except InputError:
            continue
    return ""


def _show_first(findings: Sequence[LintFinding], scope: str) -> None:
    from tidewaiter.cli.first_contact.priorities import ORDER, priorities
    from tidewaiter.cli.output.statistics import counted

    if not findings:
        print("Nothing to fix: no finding.")
        return
    rows = priorities(findings)
    number = min(len(rows), _FIRST)
    print(
        f"{counted(len(findings), 'finding')} of {counted(len(rows), 'rule')}. "
        f"{'The one' if number == 1 else f'The {number}'} to fix first.\n{ORDER}"
    )
    for place, row in enumerate(rows[:_FIRST], 1):
        first = row.first
        others = row.findings - 1
        fix = f"; {_mend(row.fixed_by, first.rule)}" if row.fixable else ""
        print(f"{place:>3}. {first.severity}  {first.rule}: {counted(row.objects, 'object')}{fix}")
        more = f" (and {others} more)" if others else ""
        print(shown(f"     {first.file}:{first.line}  {first.message}{more}"))
    where = "" if scope == "." else f" {scope}"
    print(f"\nNext: `tidewaiter explain {rows[0].first.rule}`; `tidewaiter lint{where}` shows all.")
    print(
        f"To keep new findings out first, and work off these later: `tidewaiter lint{where} --write-baseline`, and "
        "put\n`--baseline tidewaiter-baseline.json` into the hook and the job."
    )


def _mend(option: str, rule: str) -> str:
    return f"`tidewaiter fix {option}--rule {rule}` mends it"


def _report_errors(result: LintResult) -> None:
    for error in result.errors:
        place = ":".join(str(part) for part in (error.file, error.line, error.column) if part)
        complain(f"{place}: error: {error.message}" if place else error.message)
