"""A whole scan: from a kubeconfig and a policy to a result that the outputs can print."""

from __future__ import annotations

import gc

from tidewaiter.cli.result import LintError, LintFinding, LintResult, own_summaries
from tidewaiter.cli.run.images import with_unanswered
from tidewaiter.rules.errors import ClusterError, InputError, PolicyError
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.cluster.client import Client
    from tidewaiter.rules.cluster.reports import Written
    from tidewaiter.rules.cluster.scan import FindOut, Scan
    from tidewaiter.rules.cluster.shard import Shard
    from tidewaiter.rules.errors import TidewaiterError
    from tidewaiter.rules.finding import Finding
    from tidewaiter.rules.policy.compiled import PlainPolicy, Policy


@record
class Job:
    """What to scan: the cluster, and some namespaces in it, a shard or all of it, by a policy in its plain form.

    `only_readable` passes over kinds that may not be listed, rather than to fail. `today` is YYYY-MM-DD; `snapshot` is the file that the inventory is saved to, empty for none. `verify_images` asks
    registries for the signatures that the policy demands.
    """

    kubeconfig: str | None
    context: str | None
    namespaces: tuple[str, ...]
    plain_policy: PlainPolicy
    today: str
    write_reports: bool
    snapshot: str
    verify_images: bool = False
    use_cache: bool = True
    shard: Shard | None = None
    only_readable: bool = False


@record
class Done:
    """The result of a scan, and what came of writing reports into the cluster where that was asked for."""

    result: LintResult
    written: Written | None


def scan_cluster(job: Job, progress: Callable[[int], None] | None = None) -> Done:
    """Run a job. Raises ClusterError where the cluster cannot be reached, InputError where a part is missing."""
    import asyncio

    try:
        from tidewaiter.rules.cluster.client import open_client
    except ModuleNotFoundError as error:
        msg = f"a part is missing ({error.name}): install tidewaiter[cluster]"
        raise InputError(msg) from error
    client = open_client(job.kubeconfig, job.context)
    from tidewaiter.rules.cluster.scan import SELDOM

    before = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        return asyncio.run(_run(job, client, progress))
    finally:
        gc.set_threshold(*before)
        if progress is not None:
            progress(0)


async def _run(job: Job, client: Client, progress: Callable[[int], None] | None) -> Done:
    import time

    from tidewaiter.rules.cluster.permissions import listable
    from tidewaiter.rules.cluster.reports import write_reports
    from tidewaiter.rules.cluster.scan import policy_for, scan

    async with client:
        policy = await policy_for(client, job.plain_policy)
        found = await scan(
            client,
            policy,
            today=job.today,
            namespaces=job.namespaces,
            shard=job.shard,
            progress=progress,
            is_allowed=await listable(client) if job.only_readable else None,
            find_out=_image_answers(job, client, policy) if job.verify_images else None,
        )
        errors: list[TidewaiterError] = list(found.errors)
        written = None
        # Whatever comes of these, the findings are told.
        try:
            if job.snapshot:
                from tidewaiter.rules.cluster.snapshot import save

                save(job.snapshot, found.inventory.everything(), found.not_known())
        except InputError as error:
            errors.append(error)
        try:
            if job.write_reports:
                written = await write_reports(
                    client,
                    found,
                    policy,
                    now=int(time.time()),
                    namespaces=job.namespaces,
                    shard=job.shard,
                )
                errors += written.errors
        except ClusterError as error:
            errors.append(error)
        errors += map(PolicyError, job.plain_policy.get("refused", ()))
        result = _result(found, policy, errors)
        return Done(with_unanswered(result) if job.verify_images else result, written)


def _image_answers(job: Job, client: Client, policy: Policy) -> FindOut:
    from functools import partial

    from tidewaiter.cli.run.images import check_images, counter
    from tidewaiter.rules.cluster.secrets import PullSecretReader, read_secret

    facts = check_images(policy)
    from tidewaiter.rules.signatures.ask import ask_registries
    from tidewaiter.rules.signatures.cache_stores import open_cache

    return partial(
        ask_registries,
        facts,
        cache=open_cache("sqlite" if job.use_cache else "memory"),
        read_secret=partial(read_secret, client),
        pull_secrets=PullSecretReader(client),
        progress=counter(),
    )


def _result(found: Scan, policy: Policy, errors: list[TidewaiterError]) -> LintResult:
    crashes = [
        LintError("", None, None, f"{crash.resource!r}: rule {crash.rule} failed: {crash.error}")
        for crash in found.crashes
    ]
    plain = [LintError(each.file, each.line, each.column, each.message) for each in errors]
    return LintResult(
        files=0,
        resources=found.resources,
        skipped=(),
        findings=tuple(
            sorted(
                (_finding(each, policy.file) for each in found.all_findings()),
                key=lambda each: (
                    each.namespace or "",
                    each.kind,
                    each.api_version,
                    each.name,
                    each.pointer,
                    each.rule,
                    each.message,
                ),
            )
        ),
        errors=(*crashes, *plain),
        lines={},
        summaries=own_summaries(policy.plain),
    )


def _finding(finding: Finding, policy_file: str) -> LintFinding:
    """Return a finding as the outputs take it: one on an object has no file, one on the policy has its line."""
    resource, span, exemption = finding.resource, finding.span, finding.exemption
    is_placed = resource is None and span is not None
    return LintFinding(
        file=policy_file if resource is None else "",
        line=span.line if span is not None and is_placed else 0,
        column=span.column if span is not None and is_placed else 0,
        end_line=span.end_line if span is not None and is_placed else 0,
        end_column=span.end_column if span is not None and is_placed else 0,
        rule=finding.rule,
        severity=finding.severity,
        status=finding.status,
        message=finding.message,
        remediation=finding.remediation,
        api_version=resource.api_version if resource is not None else "",
        kind=resource.kind if resource is not None else "",
        namespace=resource.namespace if resource is not None else None,
        name=resource.name if resource is not None else "",
        container=finding.container,
        pointer=finding.pointer,
        exemption=None
        if exemption is None
        else {
            "source": exemption.source,
            "reason": exemption.reason,
            "expires": exemption.expires,
        },
    )
