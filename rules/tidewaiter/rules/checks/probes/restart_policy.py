"""Jobs end: they retry so often, run so long, and are cleaned up.

Restricted fields of Jobs and of a CronJob's jobTemplate: restartPolicy of the pod, backoffLimit,
activeDeadlineSeconds, ttlSecondsAfterFinished. Allowed: OnFailure or Never, and the others set.
backoffLimitPerIndex does for backoffLimit, a deadline of the pod for that of the Job. What a CronJob, Helm or
Argo CD cleans up needs no time to live. Jobs that another object owns are reported where they were written.
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import SET, Edit, Fix, set_here
from tidewaiter.rules.manifest.fields import dig, mapping, quoted, resolve
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="restart-policy",
    section="probes",
    severity="warning",
    summary="Jobs restart on failure or never, and bound their retries, their time and their remains",
    rationale=(
        "A Job that hangs runs, and is paid for, until somebody looks. One that fails is tried six more "
        "times by default, whether or not its work may be done twice. Finished Jobs and their pods stay in "
        "the cluster's database for ever."
    ),
    remediation=(
        "Say what failure means, how long the work may take and when it may go:\nspec:\n"
        "  backoffLimit: 3\n  activeDeadlineSeconds: 1800\n  ttlSecondsAfterFinished: 86400\n"
        "  template:\n    spec:\n      restartPolicy: Never"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/controllers/job/#handling-pod-and-container-failures",
        "https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/",
    ),
    applies_to=("Job.batch", "CronJob.batch"),
)

_POLICIES = ("OnFailure", "Never")
_TTL_SINCE = (1, 21)
"""The version whose API servers keep ttlSecondsAfterFinished without a feature gate (KEP-592)."""
_HOOKS = ("helm.sh/hook", "argocd.argoproj.io/hook")
"""Annotations of Jobs that are deleted before their next run, where nothing else is asked for.

https://helm.sh/docs/topics/charts_hooks/ and https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/
"""


_VALUES = {"backoffLimit": 6, "activeDeadlineSeconds": 1800, "ttlSecondsAfterFinished": 86400}
"""What a fix writes; only backoffLimit has a default that it could state."""


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for the restart policy, and one for all bounds that are not set."""
    if dig(resource.object, "metadata", "ownerReferences"):
        return
    pointer = "/spec/jobTemplate/spec" if resource.kind_id == "CronJob.batch" else "/spec"
    job = mapping(resolve(resource.object, pointer))
    named = f"{resource.kind} {resource.name}"
    if resource.workload is not None:
        policy = resource.workload.pod_spec.get("restartPolicy")
        if policy not in _POLICIES:
            state = "no restartPolicy" if policy is None else f"restartPolicy {quoted(policy)}"
            yield Violation(
                f"{resource.workload.pod_pointer}/restartPolicy",
                f"{named} has {state}; OnFailure or Never are asked for",
                fix=set_here("Never", safe=False),
            )
    missing = list(_missing(resource, job, context))
    if missing:
        edits = tuple(Edit(SET, f"{pointer}/{field}", _VALUES[field]) for field in missing)
        yield Violation(
            f"{pointer}/{missing[0]}",
            f"{named} sets no {', '.join(missing)}",
            fix=Fix(edits, is_safe=missing == ["backoffLimit"]),
        )


def _missing(resource: Resource, job: dict[str, Any], context: Context) -> Iterator[str]:
    if job.get("backoffLimit") is None and job.get("backoffLimitPerIndex") is None:
        yield "backoffLimit"
    if (
        job.get("activeDeadlineSeconds") is None
        and dig(job, "template", "spec", "activeDeadlineSeconds") is None
    ):
        yield "activeDeadlineSeconds"
    if (
        resource.kind_id == "Job.batch"
        and job.get("ttlSecondsAfterFinished") is None
        and context.version >= _TTL_SINCE
        and not any(resource.annotations.get(hook) for hook in _HOOKS)
    ):
        yield "ttlSecondsAfterFinished"
