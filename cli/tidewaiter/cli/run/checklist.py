"""A run of the release checklist: from paths and a policy to answers at their places, as plain data."""

from __future__ import annotations

import gc
import os

from tidewaiter.cli.result import LintError, lint_error
from tidewaiter.cli.run.lint import is_set
from tidewaiter.rules.checklist.answer import NOT_APPLICABLE, YES, answer
from tidewaiter.rules.checklist.items import ITEMS
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import STDIN, discover, read_file
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.record import record
from tidewaiter.rules.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tidewaiter.rules.checklist.answer import Answer, Checklist, ServiceAnswers
    from tidewaiter.rules.checklist.attestation import Attestation
    from tidewaiter.rules.checklist.evidence import Evidence
    from tidewaiter.rules.loading.sources import SourceFile
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import PlainPolicy

    Plain = dict[str, Any]

VERSION = 1
"""Of the shape of the data, which is that of the JSON report."""


@record
class ChecklistJob:
    """What to answer for; the fields are those of a lint `Job`."""

    paths: tuple[str, ...]
    exclude: tuple[str, ...]
    inventory: tuple[str, ...]
    plain_policy: PlainPolicy
    today: str


def run_checklist(job: ChecklistJob) -> Plain:
    """Read the manifests, answer every item and return all of it as the JSON report has it.

    A file that cannot be read is in `errors`; it raises nothing for what it reads.
    """
    gc.disable()  # a run makes no cycles worth collecting, and ends soon
    try:
        return _run(job)
    finally:
        gc.enable()


def _run(job: ChecklistJob) -> Plain:
    files = _Files(job)
    own = files.read(job.paths, named=True)
    others = files.read(job.inventory, named=False)
    complete = is_set(job.paths, files.found, job.inventory) and not files.errors
    inventory = Inventory([*own, *others], complete=complete)
    answered = answer(own, job.plain_policy, inventory, today=job.today)
    for crash in answered.crashes:
        message = f"rule {crash.rule} failed on {crash.resource!r} ({crash.error})"
        files.errors.append(LintError(crash.resource.file, None, None, message))
    places = _Places(files)
    data = _report(job, answered, places)
    data["complete"] = complete
    data["summary"] |= {"files": len(files.found), "resources": len(own)}
    errors = sorted(files.errors, key=lambda each: (each.file, each.line or 0, each.message))
    data["summary"]["errors"] = len(errors)
    data["errors"] = [
        {"file": each.file, "line": each.line, "column": each.column, "message": each.message}
        for each in errors
    ]
    return data


class _Files:
    """The files of a run, and what went wrong in reading them."""

    def __init__(self, job: ChecklistJob) -> None:
        self.errors: list[LintError] = []
        self.found: tuple[SourceFile, ...] = ()
        self.stdin: bytes | None = None
        self._job = job
        self._seen: set[str] = set()
        self._pod_specs = Policy(job.plain_policy).pod_specs

    def read(self, paths: Sequence[str], *, named: bool) -> list[Resource]:
        """Read the objects below paths; `named` says that these are the ones to answer for."""
        if not paths:
            return []
        found = discover(paths, self._job.exclude)
        self.errors += map(lint_error, found.errors)
        if named:
            self.found = tuple(found.files)
        resources: list[Resource] = []
        for file in found.files:
            real = os.path.realpath(file.path) if file.path != STDIN else STDIN
            if real in self._seen:
                continue
            self._seen.add(real)
            try:
                data = read_file(file.path)
            except InputError as error:
                self.errors.append(lint_error(error))
                continue
            if file.path == STDIN:
                self.stdin = data
            content = read_resources(
                data, file.path, explicit=file.explicit, pod_specs=self._pod_specs
            )
            self.errors += map(lint_error, content.errors)
            resources += content.resources
        return resources

    def content(self, path: str) -> bytes:
        """Return a file's bytes again. Raises InputError."""
        return self.stdin if path == STDIN and self.stdin is not None else read_file(path)


class _Places:
    """Looks up where things stand; each file is read again at most once."""

    def __init__(self, files: _Files) -> None:
        self._files = files
        self._locators: dict[str, Locator | None] = {}

    def of(self, resource: Resource, pointer: str) -> Plain:
        """Return file, line and column of a JSON pointer in an object, line 1 where it is not known."""
        line, column = 1, 1
        locator = self._locator(resource.file)
        if locator is not None:
            try:
                span = locator.document(resource.document).at(resource.prefix + pointer)
                line, column = span.line, span.column
            except (IndexError, InputError):  # the file changed since it was read
                pass
        return {"file": resource.file, "line": line, "column": column}

    def _locator(self, file: str) -> Locator | None:
        if file not in self._locators:
            try:
                self._locators[file] = Locator(self._files.content(file))
            except InputError:
                self._locators[file] = None
        return self._locators[file]


def _report(job: ChecklistJob, answered: Checklist, places: _Places) -> Plain:
    services = [_service(each, places) for each in answered.services]
    totals = {key: sum(each["counts"][key] for each in services) for key in _COUNTS}
    return {
        "version": VERSION,
        "tool": {"name": "tidewaiter", "version": __version__},
        "date": job.today,
        "policy": job.plain_policy.get("file") or None,
        "complete": False,
        "summary": {"services": len(services), "answers": totals},
        "items": [
            {
                "id": item.id,
                "title": item.title,
                "short": item.short,
                "rules": list(item.rules),
                "question": item.question,
                "byHand": item.by_hand or None,
            }
            for item in ITEMS
        ],
        "services": services,
        "attestationProblems": [
            {
                "message": each.message,
                "resource": _identity(each.resource),
                "location": places.of(each.resource, each.pointer),
            }
            for each in answered.malformed
        ],
        "errors": [],
    }


_COUNTS = ("yes", "attested", "no", "unknown", "notApplicable", "applicable")


def _service(row: ServiceAnswers, places: _Places) -> Plain:
    attested = sum(bool(each.attestations) for each in row.answers)
    service = row.service
    return {
        "namespace": service.namespace,
        "name": service.name,
        "kind": service.kind,
        "score": row.score,
        "counts": {
            "yes": row.count(YES) - attested,
            "attested": attested,
            "no": row.count("no"),
            "unknown": row.count("unknown"),
            "notApplicable": row.count(NOT_APPLICABLE),
            "applicable": row.applicable,
        },
        "objects": [
            {**_identity(each), "location": places.of(each, "/metadata/name")}
            for each in service.members
        ],
        "answers": [_answer(each, places) for each in row.answers],
    }


def _answer(answer: Answer, places: _Places) -> Plain:
    return {
        "item": answer.item.id,
        "state": answer.state,
        "attested": bool(answer.attestations),
        "reason": answer.reason,
        "evidence": [_evidence(each, places) for each in answer.evidence],
        "attestations": [_attestation(each, places) for each in answer.attestations],
        "notes": list(answer.notes),
    }


def _evidence(each: Evidence, places: _Places) -> Plain:
    exemption = each.exemption if each.status == "exempted" else None
    return {
        "rule": each.rule or None,
        "status": each.status,
        "message": each.message,
        "resource": _identity(each.resource),
        "container": each.container,
        "pointer": each.pointer,
        "location": places.of(each.resource, each.pointer),
        "exemption": None
        if exemption is None
        else {
            "source": exemption.source,
            "reason": exemption.reason,
            "expires": exemption.expires,
        },
    }


def _attestation(each: Attestation, places: _Places) -> Plain:
    return {
        "who": each.who,
        "date": each.date,
        "evidence": each.evidence,
        "location": places.of(each.resource, each.pointer),
    }


def _identity(resource: Resource) -> Plain:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "namespace": resource.namespace,
        "name": resource.name,
    }
