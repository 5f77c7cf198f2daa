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
    """What was found, by path; `notes` are sentences on what could not be looked at.

    `parts` are what the documents are of something that is built: `RESOURCE`, `OTHER` or nothing. `builds` says that
    the folder has charts or kustomizations.
    """

    findings: dict[str, list[LintFinding]]
    errors: dict[str, list[LintError]]
    notes: tuple[str, ...]
    parts: dict[str, str]
    builds: bool


@record
class Built:
    """What is found in the charts and kustomizations of a folder as they are saved, and what went wrong.

    `files` are those that something was built of.
    """

    findings: list[LintFinding]
    errors: list[LintError]
    files: list[str]


RESOURCE, OTHER = "resource", "other"


class Parts:
    """Which files a folder's charts and kustomizations are built of."""

    def __init__(self, found: Found) -> None:
        """Read the kustomizations among what was found."""
        self._charts = tuple("" if each == "." else f"{each}/" for each in found.charts)
        self._resources: set[str] = set()
        self._others: set[str] = set()
        for folder, file in found.kustomizations:
            from tidewaiter.rules.rendering.kustomization import read_kustomization

            read = read_kustomization("" if folder == "." else folder, file)
            self._resources.update(read.resources)
            self._others.update({read.file, *read.files} - {*read.resources})

    @property
    def is_empty(self) -> bool:
        """True where there are neither."""
        return not self._charts and not self._others

    def of(self, path: str) -> str:
        """Return `RESOURCE` of a manifest that a kustomization includes, `OTHER` of what is none by itself, else "".

        All that a chart has is none by itself.
        """
        if path.startswith(self._charts) or path in self._others - self._resources:
            return OTHER
        return RESOURCE if path in self._resources else ""


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
        self._parts = Parts(Found((), ()))
        self._is_whole = walks
        self._rows: dict[str, tuple[object, list[PlainResource], bool]] = {}
        self._policy: tuple[object, Policy, list[LintError]] | None = None
        self._plain: PlainPolicy = {}

    def forget_files(self) -> None:
        """Look anew for what files there are."""
        self._files = None

    def judge_built(self, today: str) -> Built:
        """Build what is saved of the folder's charts and kustomizations, and judge that."""
        from tidewaiter.cli.run.fresh import judge_files
        from tidewaiter.cli.run.lint import Job, is_set
        from tidewaiter.cli.run.rendering import render

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
        found = discover(job.paths)
        rendered = render(job, found)
        complete = is_set(job.paths, rendered.files, ())
        result = judge_files(
            job,
            rendered.files,
            [0] * len(rendered.files),
            {},
            rendered.errors,
            complete,
            None,
            rendered=rendered,
        )
        findings = [each for each in result.findings if each.status == "violation"]
        built = [file.file for each in rendered.renderings for file in each.files]
        return Built(findings, list(result.errors), built)

    def is_untouchable(self, path: str) -> bool:
        """Tell whether a file is a patch or a template, which no fix is for."""
        return bool(self._untouchable.why(path))

    def judge(self, paths: Sequence[str], today: str) -> Judged:
        """Judge open documents. It raises nothing for what it reads."""
        policy, policy_errors = self._current_policy()
        errors: dict[str, list[LintError]] = {path: [] for path in paths}
        for error in policy_errors:
            errors.setdefault(error.file, []).append(error)
        if self._files is None:
            self._find_files()
        parts = {path: self._parts.of(path) for path in paths}
        manifests = []
        for path in paths:
            if parts[path] == OTHER:
                continue
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
        return Judged(findings, errors, tuple(notes), parts, not self._parts.is_empty)

    def _others(self, policy: Policy) -> tuple[list[PlainResource], bool]:
        """Return the objects of the folder's other files, and whether these are all there are."""
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
        self._parts = Parts(found)
        files = [file.path for file in found.files if self._parts.of(file.path) != OTHER]
        # What charts and kustomizations add is not known here: `judge_built` tells what is missing.
        self._is_whole = self._parts.is_empty
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
