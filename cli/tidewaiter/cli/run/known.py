"""The objects of `--inventory`: manifests, a snapshot of a cluster, or the cluster itself."""

from __future__ import annotations

import os

from tidewaiter.cli.result import lint_error
from tidewaiter.rules.errors import InputError, TidewaiterError
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import STDIN, discover, read_file
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidewaiter.cli.result import LintError
    from tidewaiter.cli.run.lint import Job
    from tidewaiter.cli.run.part import PlainResource
    from tidewaiter.rules.loading.sources import SourceFile
    from tidewaiter.rules.policy.compiled import Policy

    ClusterObjects = tuple[list[dict[str, object]], dict[str, str]]

CLUSTER = "cluster"
"""The word in the place of a path; a folder of that name is `./cluster`."""
_NEEDED = ("httpx", "orjson")
_read: dict[tuple[str | None, str | None, str], ClusterObjects] = {}
"""What was read of clusters: a run that lints several times asks once."""


@record
class Known:
    """Objects to know of without linting them, what could not be read, and kinds that are not known."""

    rows: list[PlainResource]
    errors: list[LintError]
    unreadable: dict[str, str]


def known_objects(job: Job, policy: Policy, linted: Sequence[SourceFile]) -> Known:
    """Read what `--inventory` names, but for the files that are linted themselves.

    Objects of a cluster or a snapshot have no file: those that the manifests have too give way to them.
    """
    known = Known([], [], {})
    paths = []
    for path in job.inventory:
        try:
            if path == CLUSTER:
                _add(known, _of_cluster(job, policy), len(linted))
            elif os.path.isfile(path) and _is_snapshot(path):
                _add(known, _of_snapshot(path), len(linted))
            else:
                paths.append(path)
        except TidewaiterError as error:
            known.errors.append(lint_error(error))
    if paths:
        _add_files(known, paths, job, linted)
    return known


def _add(known: Known, found: ClusterObjects, place: int) -> None:
    objects, unreadable = found
    known.rows.extend((place, obj, "", 0, "") for obj in objects)
    known.unreadable.update(unreadable)


def _add_files(known: Known, paths: Sequence[str], job: Job, linted: Sequence[SourceFile]) -> None:
    own = {os.path.realpath(file.path) for file in linted if file.path != STDIN}
    found = discover(paths, job.exclude)
    known.errors.extend(lint_error(error) for error in found.errors)
    for place, file in enumerate(found.files):
        if os.path.realpath(file.path) in own:
            continue
        try:
            content = read_resources(read_file(file.path), file.path, explicit=file.explicit)
        except InputError as error:
            known.errors.append(lint_error(error))
            continue
        known.errors.extend(lint_error(error) for error in content.errors)
        known.rows.extend(
            (len(linted) + place, one.object, one.file, one.document, one.prefix)
            for one in content.resources
        )


def _is_snapshot(path: str) -> bool:
    with open(path, "rb") as file:
        start = file.read(2)
    if start not in {b"\x1f\x8b", b'{"'}:
        return False
    from tidewaiter.rules.cluster.snapshot import is_snapshot

    return is_snapshot(path)


def _of_snapshot(path: str) -> ClusterObjects:
    from tidewaiter.rules.cluster.snapshot import load

    snapshot = load(path)
    return snapshot.objects, snapshot.unreadable


def _of_cluster(job: Job, policy: Policy) -> ClusterObjects:
    key = job.kubeconfig, job.context, repr(job.plain_policy)
    if key not in _read:
        _check_packages()
        import asyncio

        _read[key] = asyncio.run(_ask(job, policy))
    return _read[key]


async def _ask(job: Job, policy: Policy) -> ClusterObjects:
    from tidewaiter.rules.cluster.client import open_client
    from tidewaiter.rules.cluster.follow import read_once

    async with open_client(job.kubeconfig, job.context) as client:
        objects, unreadable = await read_once(client, policy)
    return [each.object for each in objects], dict(unreadable)


def _check_packages() -> None:
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        msg = (
            f"--inventory cluster needs packages that are not installed ({', '.join(missing)}): "
            "pip install 'tidewaiter[cluster]'"
        )
        raise InputError(msg)
