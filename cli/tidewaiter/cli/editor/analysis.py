"""What the documents of one folder look like under its policy, as they stand in the editor.

The open documents are judged together, with the folder's other manifests as inventory, so that rules which ask
about other objects answer as they do for `tidewaiter lint` on the folder. What has been read of a file is kept
until it changes.
"""

from __future__ import annotations

import os

from tidewaiter.cli.result import LintError, lint_error
from tidewaiter.cli.run.part import Part
from tidewaiter.rules.errors import InputError, PolicyError
from tidewaiter.rules.finding import SEVERITIES
from tidewaiter.rules.fixes.sources import Untouchable
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import Found, SourceFile, discover, read_file
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.discovery import POLICY_FILE, find_policy
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidewaiter.cli.result import LintFinding
    from tidewaiter.cli.run.part import PlainResource
    from tidewaiter.rules.policy.compiled import PlainPolicy

MOST_FINDINGS = 1000
"""In one document: an editor shows no more than that to any use."""
MOST_FILES = 4000
MOST_BYTES = 48 * 1024 * 1024
"""Beyond these a folder is too large to know whole, so that what is not found in it is not called missing."""


@record
class Options:
    """What the command line lays over the policy of a folder; empty where it says nothing."""

    policy: str
    profiles: tuple[str, ...]
    kubernetes_version: str


@record
class Judged:
    """What was found, by path; `notes` are sentences on what could not be looked at."""

    findings: dict[str, list[LintFinding]]
    errors: dict[str, list[LintError]]
    notes: tuple[str, ...]


class Folder:
    """The working directory, and the documents in it that an editor has open."""

    def __init__(self, options: Options, *, walks: bool) -> None:
        """Begin with no document. `walks` says that the folder is a set of manifests, which are read too."""
        self.texts: dict[str, bytes] = {}
        self._options = options
        self._walks = walks
        self._files: list[str] | None = None
        self._notes: list[str] = []
        self._untouchable = Untouchable(Found((), ()))
        self._is_whole = walks
        self._rows: dict[str, tuple[object, list[PlainResource], bool]] = {}
        self._policy: tuple[object, Policy, list[LintError]] | None = None
        self._plain: PlainPolicy = {}

    def forget_files(self) -> None:
        """Look anew for what files there are."""
        self._files = None

    def judge_templates(self, today: str) -> tuple[list[LintFinding], list[LintError]]:
        """Render what is saved of the folder's charts; return what is found in templates, and what went wrong."""
        from tidewaiter.cli.run.lint import Job, lint

        self._current_policy()
        job = Job(
            paths=(".",),
            exclude=(),
            inventory=(),
            schemas=(),
            plain_policy=self._plain,
            jobs=1,
            today=today,
            use_cache=False,
        )
        result = lint(job)
        findings = [
            each
            for each in result.findings
            if each.status == "violation" and is_template(each.file)
        ]
        return findings, list(result.errors)

    def is_untouchable(self, path: str) -> bool:
        """Tell whether a file is a patch or a template, which no fix is for."""
        return bool(self._untouchable.why(path))

    def judge(self, paths: Sequence[str], today: str) -> Judged:
        """Judge open documents. It raises nothing for what it reads."""
        policy, policy_errors = self._current_policy()
        errors: dict[str, list[LintError]] = {path: [] for path in paths}
        for error in policy_errors:
            errors.setdefault(error.file, []).append(error)
        manifests = []
        for path in paths:
            if os.path.basename(path) != POLICY_FILE:
                manifests.append(path)
            elif path not in errors or not errors[path]:
                errors[path] = self._policy_mistakes(path)
        part = Part(policy, today, self.texts)
        part.read(
            [(place, SourceFile(path, explicit=False)) for place, path in enumerate(manifests)]
        )
        others, is_whole = self._others(policy)
        part.meet(others, complete=is_whole and not part.has_errors)
        answer = part.conclude()
        notes = list(self._notes)
        findings: dict[str, list[LintFinding]] = {path: [] for path in paths}
        for finding in answer.findings:
            if finding.status == "violation":
                findings.setdefault(finding.file, []).append(finding)
        for error in answer.errors:
            errors.setdefault(error.file, []).append(error)
        for path, found in findings.items():
            if len(found) > MOST_FINDINGS:
                found.sort(key=lambda each: SEVERITIES.index(each.severity))
                more = (
                    f"{path}: {len(found)} findings, of which the {MOST_FINDINGS} gravest are shown"
                )
                notes.append(more)
                del found[MOST_FINDINGS:]
            found.sort(key=lambda each: (each.line, each.column, each.rule, each.message))
        return Judged(findings, errors, tuple(notes))

    def _others(self, policy: Policy) -> tuple[list[PlainResource], bool]:
        """Return the objects of the folder's other files, and whether these are all there are."""
        if self._files is None:
            self._find_files()
        rows: list[PlainResource] = []
        is_whole, size = self._is_whole, 0
        for path in self._files or ():
            if path in self.texts:
                continue
            try:
                status = os.stat(path)
                size += status.st_size
                if size > MOST_BYTES:
                    return rows, False
                key = status.st_mtime_ns, status.st_size, repr(policy.pod_specs)
                kept = self._rows.get(path)
                if kept is None or kept[0] != key:
                    kept = self._rows[path] = (key, *_read(path, policy))
            except (OSError, InputError, ValueError):
                is_whole = False
                continue
            rows += kept[1]
            is_whole = is_whole and kept[2]
        return rows, is_whole

    def _find_files(self) -> None:
        self._notes, self._is_whole = [], self._walks
        if not self._walks:
            self._files = []
            return
        found = discover(["."])
        self._untouchable = Untouchable(found)
        files = [file.path for file in found.files]
        if len(files) > MOST_FILES:
            self._notes.append(
                f"the folder has {len(files)} manifests; rules about other objects look at {MOST_FILES}"
            )
            files, self._is_whole = files[:MOST_FILES], False
        self._is_whole = self._is_whole and not found.errors
        self._files = files
        known = set(files)
        self._rows = {path: row for path, row in self._rows.items() if path in known}

    def _current_policy(self) -> tuple[Policy, list[LintError]]:
        """Return the policy that holds, or the last one without mistakes, and the mistakes."""
        path = self._options.policy or find_policy(".") or ""
        try:
            content = self.texts[path] if path in self.texts else read_file(path) if path else b""
        except InputError as error:
            content, problems = b"", [lint_error(error)]
        else:
            problems = []
        if self._policy is not None and self._policy[0] == (path, content):
            return self._policy[1], self._policy[2]
        plain: PlainPolicy | None = {}
        if path and not problems:
            plain, problems = _read_policy(content, path)
        policy = self._policy[1] if self._policy is not None else Policy({})
        if plain is not None:
            try:
                plain = self._with_options(plain)
                policy = Policy(plain)
                self._plain = plain
            except PolicyError as error:
                problems = [*problems, lint_error(error)]
        self._policy = ((path, content), policy, problems)
        return policy, problems

    def _with_options(self, plain: PlainPolicy) -> PlainPolicy:
        profiles, version = self._options.profiles, self._options.kubernetes_version
        if not profiles and not version:
            return plain
        from tidewaiter.rules.policy.options import with_options

        return with_options(plain, profiles=list(profiles), kubernetes_version=version or None)

    def _policy_mistakes(self, path: str) -> list[LintError]:
        return _read_policy(self.texts.get(path, b""), path)[1]


def is_template(path: str) -> bool:
    """Tell whether a file stands where a chart has its templates."""
    return "templates" in path.split(os.sep)[:-1]


def _read(path: str, policy: Policy) -> tuple[list[PlainResource], bool]:
    content = read_resources(read_file(path), path, pod_specs=policy.pod_specs)
    # Behind the documents, which have the places from 0 on.
    rows = [
        (1_000_000, each.object, each.file, each.document, each.prefix)
        for each in content.resources
    ]
    return rows, not content.errors


def _read_policy(content: bytes, path: str) -> tuple[PlainPolicy | None, list[LintError]]:
    """Return the policy, None where it has mistakes, and these."""
    from tidewaiter.rules.policy.validation import validated

    try:
        return {**validated(content, path), "file": path}, []
    except PolicyError as error:
        return None, [lint_error(each) for each in error.mistakes or (error,)]
    except InputError as error:
        return None, [lint_error(error)]
