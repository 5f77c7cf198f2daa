"""A scan in a process of its own, for a server that must not wait for it: `python -m` this module.

It reads a job, one line of JSON, from standard input, and prints the outcome as one line. It takes only the processor
time that nobody else wants. When standard input ends the one who asked has gone, and so it goes too.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from tidewaiter.rules.cluster.client import open_client
from tidewaiter.rules.cluster.permissions import listable
from tidewaiter.rules.cluster.reports import Written, serves_reports, write_reports
from tidewaiter.rules.cluster.scan import SELDOM, policy_for, scan
from tidewaiter.rules.errors import ClusterError, TidewaiterError
from tidewaiter.rules.finding import UNKNOWN, VIOLATION

if TYPE_CHECKING:
    from tidewaiter.rules.cluster.client import Client
    from tidewaiter.rules.cluster.scan import FindOut, Scan
    from tidewaiter.rules.policy.compiled import Policy

_NICENESS = 10


def main() -> None:
    """Do one job; what keeps it from being done is in the outcome's errors."""
    os.nice(_NICENESS)
    job = orjson.loads(_first_line())
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    gc.set_threshold(*SELDOM)
    start = time.monotonic()
    try:
        outcome = asyncio.run(_run(job))
    except TidewaiterError as error:
        outcome = {"errors": [str(error)]}
    outcome["seconds"] = time.monotonic() - start
    sys.stdout.buffer.write(orjson.dumps(outcome) + b"\n")
    sys.stdout.buffer.flush()
    os._exit(0)  # the thread that waits for standard input would not let the interpreter end


def _first_line() -> bytes:
    """Return what the job is, without a buffer that the waiting thread would hold."""
    line = b""
    while not line.endswith(b"\n"):
        read = os.read(0, 65536)
        if not read:
            os._exit(1)
        line += read
    return line


def _end_with_standard_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


async def _run(job: dict[str, Any]) -> dict[str, Any]:
    async with open_client(job["kubeconfig"], job["context"]) as client:
        policy = await policy_for(client, job["policy"])
        today = time.strftime("%Y-%m-%d", time.gmtime())
        found = await scan(
            client,
            policy,
            today=today,
            find_out=_image_answers(client, policy, job),
            # What the webhook's own role leaves out is no failure of the audit.
            is_allowed=await listable(client),
        )
        errors = [str(each) for each in found.errors]
        outcome: dict[str, Any] = {"objects": found.resources, "reports": None}
        if serves_reports(found.discovery):
            try:
                written = await write_reports(client, found, policy, now=int(time.time()))
            except ClusterError as error:
                written = Written(errors=[error])
            errors += [str(each) for each in written.errors]
            outcome["reports"] = {
                "applied": written.applied,
                "unchanged": written.unchanged,
                "removed": written.removed,
            }
        return {
            **outcome,
            "errors": errors,
            "findings": _counted(found),
            "namespaces": _by_namespace(found),
        }


def _image_answers(client: Client, policy: Policy, job: dict[str, Any]) -> FindOut | None:
    """Return what finds out about images, where the policy asks for that, with the server's own kept verdicts."""
    facts = policy.images
    if facts is None:
        return None
    from tidewaiter.rules.cluster.secrets import PullSecretReader, read_secret
    from tidewaiter.rules.signatures.ask import ask_registries, settings_in_cluster
    from tidewaiter.rules.signatures.cache_stores import open_cache

    return partial(
        ask_registries,
        facts,
        cache=open_cache(job["verdicts"], job["verdictsSecret"]),
        settings=settings_in_cluster(facts),
        read_secret=partial(read_secret, client),
        pull_secrets=PullSecretReader(client),
    )


def _counted(found: Scan) -> list[tuple[str, str, int]]:
    """Return rule, severity (or status, for what is no violation) and number."""
    tally = Counter(
        (each.rule, each.severity if each.status == VIOLATION else each.status)
        for each in found.all_findings()
    )
    return [(*key, count) for key, count in sorted(tally.items())]


def _by_namespace(found: Scan) -> list[tuple[str | int, ...]]:
    """Return each namespace with its errors, warnings, infos and unknown answers, the worst first."""
    tally: dict[str, Counter[str]] = {}
    if "Namespace" not in found.inventory.unreadable:
        tally = {each.name: Counter() for each in found.inventory.of_kind("Namespace")}
    for subject in found.subjects:
        resource = subject.resource
        place = resource.name if resource.kind_id == "Namespace" else resource.namespace
        if place is not None:
            counts = tally.setdefault(place, Counter())
            counts.update(
                each.severity if each.status == VIOLATION else each.status
                for each in subject.findings
            )
    kinds = ("error", "warning", "info", UNKNOWN)
    rows = [([-counts[each] for each in kinds], name) for name, counts in tally.items()]
    return [(name, *(-count for count in counts)) for counts, name in sorted(rows)]


if __name__ == "__main__":
    main()
