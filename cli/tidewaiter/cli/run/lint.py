"""A whole lint run: from paths and a policy to a result that the outputs can print."""

from __future__ import annotations

import gc
import os

from tidewaiter.cli.result import LintFinding, LintResult, lint_error, own_summaries, refused_parts
from tidewaiter.rules.cache_folder import name_of
from tidewaiter.rules.catalogue import stamp
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.sources import STDIN, discover, read_file
from tidewaiter.rules.record import fields_of, record, replace
from tidewaiter.rules.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tidewaiter.rules.loading.sources import SourceFile
    from tidewaiter.rules.policy.compiled import PlainPolicy


_CACHE_ABOVE_BYTES = 100_000
"""Below this much input a run is as quick as looking its result up."""


@record
class Job:
    """What to lint: paths, patterns to leave out, inventory paths, the policy in its plain form.

    An inventory path may be `cluster`, which `kubeconfig` and `context` then choose.

    `schemas` are files and folders with further schemas of custom resources. `jobs` is the number of processes
    at most; `today` is YYYY-MM-DD. The result has so many lines `around` each finding, and with `extents` the
    first and last line of each finding's object. `verify_images` asks registries for the signatures that the policy
    demands. `render` builds charts, with further `values` files and single `settings`, into a `namespace`, and kustomizations.
    """

    paths: tuple[str, ...]
    exclude: tuple[str, ...]
    inventory: tuple[str, ...]
    schemas: tuple[str, ...]
    plain_policy: PlainPolicy
    jobs: int
    today: str
    use_cache: bool
    kubeconfig: str | None = None
    context: str | None = None
    around: int = 0
    extents: bool = False
    verify_images: bool = False
    render: bool = True
    values: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    namespace: str = ""


def lint(
    job: Job,
    progress: Callable[[int, int], None] | None = None,
    contents: dict[str, bytes] | None = None,
) -> LintResult:
    """Run a job. `progress` is called with the files done and the files in all.

    `contents` is what to read in the place of files, standard input among them, by path. A file
    that cannot be read is in the result's errors; it raises nothing for what it reads.
    """
    gc.disable()  # a run makes no cycles worth collecting, and ends soon
    try:
        result = _lint(job, progress, dict(contents or {}))
        summaries = own_summaries(job.plain_policy)
        return replace(result, summaries=summaries) if summaries else result
    finally:
        gc.enable()


def is_set(paths: Sequence[str], files: Sequence[SourceFile], inventory: Sequence[str]) -> bool:
    """Tell whether what a run does not hold may be called missing: see `inventory`.

    A folder, several files, or a stated inventory are a set; one file or standard input is not. A run
    in which something could not be read is none either: what is missing may stand there.
    """
    return bool(inventory) or len(files) > 1 or any(os.path.isdir(path) for path in paths)


def _lint(
    job: Job, progress: Callable[[int, int], None] | None, contents: dict[str, bytes]
) -> LintResult:
    found = discover(job.paths, job.exclude)
    errors = [lint_error(error) for error in found.errors]
    errors += refused_parts(job.plain_policy)
    complete = is_set(job.paths, found.files, job.inventory)
    if STDIN not in contents and any(file.path == STDIN for file in found.files):
        try:
            contents[STDIN] = read_file(STDIN)
        except InputError as error:
            errors.append(lint_error(error))
            found_files = tuple(file for file in found.files if file.path != STDIN)
            found = type(found)(found_files, found.errors)
    rendered = None
    if job.render and (found.charts or found.kustomizations):
        from tidewaiter.cli.run.rendering import render

        rendered = render(job, found)
        errors += rendered.errors
        found = type(found)(rendered.files, found.errors)
    sizes = [_size(file.path) for file in found.files]
    # A cluster and a registry change from one run to the next.
    is_still = "cluster" not in job.inventory and not job.verify_images and rendered is None
    use_cache = job.use_cache and is_still and not contents and sum(sizes) > _CACHE_ABOVE_BYTES
    key = _cache_key(job, found.files, complete) if use_cache else ""
    if key:
        from tidewaiter.cli.run.cache import read_entry

        stored = read_entry(key)
        if stored is not None:
            return _stored_result(stored)
    from tidewaiter.cli.run.fresh import judge_files

    result = judge_files(
        job, found.files, sizes, contents, errors, complete, progress, rendered=rendered
    )
    if key and not result.errors:
        from tidewaiter.cli.run.cache import write_entry

        write_entry(key, _plain(result))
    return result


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _cache_key(job: Job, files: Sequence[SourceFile], complete: bool) -> str:
    """Name the run by all that its result depends on; "" where a file cannot be read."""
    facts = (
        __version__,
        stamp(),
        job.plain_policy,
        job.today,
        complete,
        job.inventory,
        job.schemas,
        job.around,
        job.extents,
        os.getcwd(),
    )
    parts = [repr(facts).encode()]
    inventory = [
        file
        for paths in (job.inventory, job.schemas)
        if paths
        for file in discover(paths, job.exclude).files
    ]
    try:
        for file in (*files, *inventory):
            parts.append(f"{file.explicit} {file.path}".encode("utf-8", "surrogateescape"))
            parts.append(read_file(file.path))
    except InputError:
        return ""
    return name_of(parts)


def _plain(result: LintResult) -> tuple[object, ...]:
    return (
        result.files,
        result.resources,
        result.skipped,
        [fields_of(finding) for finding in result.findings],
        result.lines,
    )


def _stored_result(stored: tuple[Any, ...]) -> LintResult:
    files, resources, skipped, findings, lines = stored
    return LintResult(
        files=files,
        resources=resources,
        skipped=skipped,
        findings=tuple(LintFinding(*row) for row in findings),
        errors=(),
        lines=lines,
    )
