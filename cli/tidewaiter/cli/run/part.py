"""One part of a lint run: some of the files, read and judged in one process.

A run has one part, or several in processes of their own. A part reads its files and runs the rules that
need only the object (`read`), hears of the other parts' objects (`meet`), and then answers with its
findings at their places (`conclude`). What crosses between processes is plain data for `marshal`.
"""

from __future__ import annotations

from tidewaiter.cli.result import LintError, LintFinding, lint_error
from tidewaiter.cli.stable_field import stable_field
from tidewaiter.rules import engine
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.exemptions import annotation_exemptions
from tidewaiter.rules.finding import EXEMPTED
from tidewaiter.rules.inventory import Inventory, namespace_of
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tidewaiter.rules.finding import Exemption, Finding, RuleCrash
    from tidewaiter.rules.fixes.edit import PlainFix
    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.loading.positions import Locator
    from tidewaiter.rules.loading.sources import SourceFile
    from tidewaiter.rules.policy.compiled import Policy

    PlainResource = tuple[int, dict[str, Any], str, int, str]
    """The place of the file in the run, the object, and file, document and prefix of a `Resource`."""

_KEPT_BYTES = 64 * 1024 * 1024
"""How much file content a part holds on to for looking up positions; the rest is read again."""


@record
class PartAnswer:
    """What a part found: plain data, in no particular order.

    `used` are the indexes of the policy exemptions that a finding fell under; `lines` holds the source
    line of each place that a finding names, by file and line.
    """

    resources: int
    skipped: tuple[tuple[str, str], ...]
    findings: tuple[LintFinding, ...]
    errors: tuple[LintError, ...]
    used: tuple[int, ...]
    lines: dict[tuple[str, int], str]


class Part:
    """Some files of a run; see the module's text for the order of calls."""

    def __init__(
        self,
        policy: Policy,
        today: str,
        contents: dict[str, bytes] | None = None,
        *,
        around: int = 0,
        extents: bool = False,
        unreadable: Mapping[str, str] | None = None,
        ignores_of: Callable[[str, int], tuple[Any, ...]] | None = None,
    ) -> None:
        """Prepare to judge by a policy; `contents` holds what cannot be read twice, by path.

        `unreadable` are the kinds of a cluster that are not known, with the reason. `ignores_of` gives further ignore
        comments for the objects of a file's document.

        The answer has so many lines `around` each finding, and the extent of its object if asked for.
        """
        self._policy = policy
        self._today = today
        self._around = around
        self._extents = extents
        self._unreadable = unreadable
        self._ignores_of = ignores_of
        self._contents = dict(contents or {})
        self._kept = 0
        self._resources: list[tuple[int, Resource]] = []
        self._findings: list[Finding] = []
        self._errors: list[LintError] = []
        self._skipped: list[tuple[str, str]] = []
        self._inventory = Inventory((), complete=False)

    def read(
        self, files: Sequence[tuple[int, SourceFile]], progress: Callable[[int], None] | None = None
    ) -> None:
        """Read the files, each with its place in the run, and run the rules that need one object."""
        for count, (place, file) in enumerate(files, 1):
            try:
                data = self._contents.get(file.path)
                if data is None:
                    data = read_file(file.path)
            except InputError as error:
                self._errors.append(lint_error(error))
                continue
            content = read_resources(
                data, file.path, explicit=file.explicit, pod_specs=self._policy.pod_specs
            )
            self._errors.extend(lint_error(error) for error in content.errors)
            if content.skipped:
                self._skipped.append((file.path, content.skipped))
            if not content.resources:
                continue
            if self._ignores_of is not None:
                for resource in content.resources:
                    resource.ignores += self._ignores_of(file.path, resource.document)
            self._keep(file.path, data)
            self._judge(content.resources, engine.LOCAL)
            keep = self._policy.reads_data
            self._resources.extend(
                (place, resource if keep else _slim(resource)) for resource in content.resources
            )
            if progress is not None and count % 64 == 0:
                progress(64)

    @property
    def has_errors(self) -> bool:
        """True where something could not be read: then it is not known what is missing."""
        return bool(self._errors)

    def plain_resources(self) -> list[PlainResource]:
        """Return this part's objects for the inventories of the other parts."""
        return [
            (place, resource.object, resource.file, resource.document, resource.prefix)
            for place, resource in self._resources
        ]

    def images(self) -> list[str]:
        """Return the images of this part's objects."""
        from tidewaiter.rules.image_answers import images_of

        return images_of(resource for _, resource in self._resources)

    def hear(self, answers: Mapping[str, ImageAnswer]) -> None:
        """Take what was found out of the images of the run."""
        if self._policy.images is not None:
            self._policy.images.answers = answers

    def meet(self, others: Sequence[PlainResource], *, complete: bool) -> None:
        """Make the inventory of the whole run from this part's objects and those of the others.

        What a cluster has gives way to the manifests of the same objects.
        """
        pod_specs = self._policy.pod_specs
        everything = [
            *self._resources,
            *(
                (place, Resource(obj, file, document, prefix, (), (), pod_specs))
                for place, obj, file, document, prefix in others
            ),
        ]
        everything.sort(key=lambda row: row[0])
        if any(not resource.file for _, resource in everything):
            own = {_identity(resource) for _, resource in everything if resource.file}
            everything = [row for row in everything if row[1].file or _identity(row[1]) not in own]
        self._inventory = Inventory(
            (resource for _, resource in everything),
            complete=complete,
            unreadable=self._unreadable,
        )

    def conclude(self) -> PartAnswer:
        """Run the rules that ask about other objects, and put every finding at its place."""
        resources = [resource for _, resource in self._resources]
        self._judge(resources, engine.CROSS)
        with_ignores = [
            resource
            for resource in resources
            if resource.ignores or annotation_exemptions(resource, self._policy.compatibility)
        ]
        if with_ignores:
            self._findings += engine.conclude_inline(
                with_ignores, self._findings, self._policy, self._inventory, today=self._today
            )
        used = engine.used_exemptions(self._findings)
        findings, lines = self._placed()
        return PartAnswer(
            len(resources),
            tuple(self._skipped),
            tuple(findings),
            tuple(self._errors),
            tuple(sorted(used)),
            lines,
        )

    def _judge(self, resources: Sequence[Resource], rules: str) -> None:
        report = engine.judge(
            resources, self._policy, self._inventory, today=self._today, rules=rules
        )
        self._findings += report.findings
        self._errors.extend(_crash_error(crash) for crash in report.crashes)

    def _keep(self, path: str, data: bytes) -> None:
        if self._kept + len(data) <= _KEPT_BYTES:
            self._contents[path] = data
            self._kept += len(data)

    def _placed(self) -> tuple[list[LintFinding], dict[tuple[str, int], str]]:
        by_file: dict[str, list[Finding]] = {}
        for finding in self._findings:
            if finding.resource is not None:
                by_file.setdefault(finding.resource.file, []).append(finding)
        placed: list[LintFinding] = []
        lines: dict[tuple[str, int], str] = {}
        for file, findings in by_file.items():
            locator = self._locator(file)
            text = locator.source_lines() if locator is not None else []
            for finding in findings:
                row = lint_finding(finding, _span(finding, locator))
                if self._extents and locator is not None:
                    row = replace(row, extent=_extent(finding, locator))
                placed.append(row)
                first = max(row.line - self._around, 1)
                for line in range(first, min(row.line + self._around, len(text)) + 1):
                    lines[file, line] = text[line - 1]
        return placed, lines

    def _locator(self, file: str) -> Locator | None:
        from tidewaiter.rules.loading.positions import Locator

        try:
            data = self._contents.get(file)
            return Locator(read_file(file) if data is None else data)
        except InputError as error:
            self._errors.append(lint_error(error))
            return None


def lint_finding(finding: Finding, span: tuple[int, int, int, int]) -> LintFinding:
    """Turn an answer of the engine into the plain form that the outputs take."""
    resource = finding.resource
    return LintFinding(
        finding.file if resource is None else resource.file,
        *span,
        finding.rule,
        finding.severity,
        finding.status,
        finding.message,
        finding.remediation,
        resource.api_version if resource is not None else "",
        resource.kind if resource is not None else "",
        resource.namespace if resource is not None else None,
        resource.name if resource is not None else "",
        finding.container,
        finding.pointer,
        _plain_exemption(finding.exemption) if finding.status == EXEMPTED else None,
        _plain_fix(finding) if finding.fix is not None else None,
        stable_field(resource.object if resource is not None else None, finding.pointer),
    )


def _plain_fix(finding: Finding) -> PlainFix | None:
    from tidewaiter.rules.fixes.edit import plain_fix
    from tidewaiter.rules.fixes.value_edit import fits

    resource, fix = finding.resource, finding.fix
    if resource is None or fix is None or not fits(fix, finding.pointer, resource.object):
        return None
    return plain_fix(fix, finding.pointer, resource.document, resource.prefix)


def _plain_exemption(exemption: Exemption | None) -> dict[str, Any] | None:
    if exemption is None:
        return None
    return {
        "source": exemption.source,
        "reason": exemption.reason,
        "expires": exemption.expires,
    }


def _crash_error(crash: RuleCrash) -> LintError:
    message = (
        f"rule {crash.rule} failed on {crash.resource!r} ({crash.error}): its answer is unknown"
    )
    return LintError(crash.resource.file, None, None, message)


def _span(finding: Finding, locator: Locator | None) -> tuple[int, int, int, int]:
    if finding.span is not None:
        span = finding.span
        return span.line, span.column, span.end_line, span.end_column
    if locator is None or finding.resource is None:
        return 1, 1, 1, 1
    try:
        place = locator.document(finding.resource.document).at(
            finding.resource.prefix + finding.pointer
        )
    except (IndexError, InputError):  # the file changed since it was read
        return 1, 1, 1, 1
    return place.line, place.column, place.end_line, place.end_column


def _extent(finding: Finding, locator: Locator) -> tuple[int, int]:
    resource = finding.resource
    if resource is None:
        return 0, 0
    try:
        return locator.document(resource.document).lines_of(resource.prefix)
    except (IndexError, InputError):
        return 0, 0


def _identity(resource: Resource) -> tuple[str, str, str]:
    return resource.kind_id, namespace_of(resource), resource.name


def _slim(resource: Resource) -> Resource:
    """Drop what no rule asks of another object: the values of Secrets, and binary data."""
    fields = _UNREAD.get(resource.kind_id)
    if fields is None:
        return resource
    obj = dict(resource.object)
    for field in fields:
        if isinstance(obj.get(field), dict):
            obj[field] = dict.fromkeys(obj[field], "")
    return Resource(
        obj,
        resource.file,
        resource.document,
        resource.prefix,
        resource.duplicates,
        resource.ignores,
    )


_UNREAD = {"ConfigMap": ("binaryData",), "Secret": ("data", "stringData")}
