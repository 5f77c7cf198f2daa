"""A run of the release checklist: from paths and a policy to answers at their places, as plain data."""

from __future__ import annotations

import gc
import os

from tidewaiter.cli.result import LintError, lint_error, refused_parts
from tidewaiter.cli.run.lint import is_set
from tidewaiter.rules.checklist.answer import NOT_APPLICABLE, YES, Checklist, ServiceAnswers, answer
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

    from tidewaiter.rules.checklist.answer import Answer
    from tidewaiter.rules.checklist.attestation import Attestation
    from tidewaiter.rules.checklist.evidence import Evidence
    from tidewaiter.rules.loading.sources import Found, SourceFile
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.rules.rendering.rendered import RenderedFile

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
    render: bool = True
    values: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    namespace: str = ""


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
    answered = _answered(job, own, others, files.renderings, complete=complete)
    for crash in answered.crashes:
        message = f"rule {crash.rule} failed on {crash.resource!r} ({crash.error})"
        files.errors.append(LintError(crash.resource.file, None, None, message))
    files.errors += refused_parts(job.plain_policy)
    places = _Places(files)
    data = _report(job, answered, places)
    data["complete"] = complete
    made = sum(map(len, files.renderings))
    data["summary"] |= {"files": len(files.found), "resources": len(own) + made}
    errors = sorted(files.errors, key=lambda each: (each.file, each.line or 0, each.message))
    data["summary"]["errors"] = len(errors)
    data["errors"] = [
        {"file": each.file, "line": each.line, "column": each.column, "message": each.message}
        for each in errors
    ]
    return data


def _answered(
    job: ChecklistJob,
    own: list[Resource],
    others: list[Resource],
    renderings: Sequence[list[Resource]],
    *,
    complete: bool,
) -> Checklist:
    """Answer for the plain manifests with all that is rendered beside them, and for each rendering with these beside it.

    A service that two renderings make alike is answered for once.
    """
    rendered = {
        (each.kind_id, each.namespace, each.name): each for row in renderings for each in row
    }
    sets = [(own, [*others, *rendered.values()]), *((row, [*own, *others]) for row in renderings)]
    parts = [
        answer(
            asked,
            job.plain_policy,
            Inventory([*asked, *beside], complete=complete),
            today=job.today,
        )
        for asked, beside in sets
        if asked or asked is own
    ]
    services: dict[object, ServiceAnswers] = {}
    for part in parts:
        for row in part.services:
            service = row.service
            states = tuple((each.state, each.reason) for each in row.answers)
            services.setdefault((service.namespace, service.name, service.kind, states), row)
    return Checklist(
        tuple(sorted(services.values(), key=_by_name)),
        tuple(each for part in parts for each in part.malformed),
        tuple(each for part in parts for each in part.crashes),
    )


def _by_name(row: ServiceAnswers) -> tuple[str, str, str]:
    return row.service.namespace, row.service.name, row.service.kind


class _Files:
    """The files of a run, and what went wrong in reading them."""

    def __init__(self, job: ChecklistJob) -> None:
        self.errors: list[LintError] = []
        self.found: tuple[SourceFile, ...] = ()
        self.stdin: bytes | None = None
        self.renderings: list[list[Resource]] = []
        self.made_in: dict[int, RenderedFile] = {}
        """The rendered file of each object of `renderings`, by its id."""
        self._job = job
        self._seen: set[str] = set()
        self._pod_specs = Policy(job.plain_policy).pod_specs

    def read(self, paths: Sequence[str], *, named: bool) -> list[Resource]:
        """Read the objects below paths; `named` says that these are the ones to answer for."""
        if not paths:
            return []
        found = discover(paths, self._job.exclude)
        self.errors += map(lint_error, found.errors)
        if named and self._job.render and (found.charts or found.kustomizations):
            found = self._rendered(found)
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

    def _rendered(self, found: Found) -> Found:
        """Render what there is of charts and kustomizations, and return the files beside."""
        from tidewaiter.cli.run.rendering import objects_of, render

        rendered = render(self._job, found)
        self.errors += rendered.errors
        for rendering in rendered.renderings:
            objects, errors = objects_of(rendering, self._pod_specs)
            self.errors += errors
            self.renderings.append([resource for _, resource in objects])
            self.made_in |= {id(resource): file for file, resource in objects}
        return type(found)(rendered.files, found.errors)

    def content(self, path: str) -> bytes:
        """Return a file's bytes again. Raises InputError."""
        return self.stdin if path == STDIN and self.stdin is not None else read_file(path)


class _Places:
    """Looks up where things stand; each file is read again at most once."""

    def __init__(self, files: _Files) -> None:
        self._files = files
        self._locators: dict[str, Locator | None] = {}
        self._rendered: dict[int, Locator] = {}

    def of(self, resource: Resource, pointer: str) -> Plain:
        """Return file, line and column of a JSON pointer in an object, line 1 where it is not known."""
        line, column = 1, 1
        made_in = self._files.made_in.get(id(resource))
        if made_in is not None:
            return self._of_rendered(made_in, resource, pointer)
        locator = self._locator(resource.file)
        if locator is not None:
            try:
                span = locator.document(resource.document).at(resource.prefix + pointer)
                line, column = span.line, span.column
            except (IndexError, InputError):  # the file changed since it was read
                pass
        return {"file": resource.file, "line": line, "column": column}

    def _of_rendered(self, made_in: RenderedFile, resource: Resource, pointer: str) -> Plain:
        key = id(made_in.data)
        if key not in self._rendered:
            self._rendered[key] = Locator(made_in.data)
        span = self._rendered[key].document(resource.document).at(resource.prefix + pointer)
        last = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        place = made_in.place_of(span.line, pointer, last)
        return {"file": place.file, "line": place.line, "column": place.column}

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
