"""CronJobs say what happens to late and overlapping runs, and how many are kept.

Restricted fields: startingDeadlineSeconds, concurrencyPolicy, successfulJobsHistoryLimit, failedJobsHistoryLimit
and schedule. Allowed: the first four set, the deadline to 10 seconds or more; a schedule that can be read.
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import SET, Edit, Fix, set_here
from tidewaiter.rules.manifest.fields import whole_number
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="cronjob-deadline",
    section="probes",
    severity="warning",
    summary="CronJobs set a starting deadline, a concurrency policy and history limits",
    rationale=(
        "Without a deadline a run that was missed, in an outage of the control plane or while the CronJob "
        "was suspended, starts as soon as it can, hours late. By default runs that take too long overlap, "
        "and do the same work twice."
    ),
    remediation=(
        "Say it all:\nspec:\n  startingDeadlineSeconds: 300\n  concurrencyPolicy: Forbid\n"
        "  successfulJobsHistoryLimit: 3\n  failedJobsHistoryLimit: 3"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#starting-deadline",
        "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#cron-job-limitations",
    ),
    applies_to=("CronJob.batch",),
)

_FIELDS = (
    "startingDeadlineSeconds",
    "concurrencyPolicy",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
)
_SHORTEST = 10
_VALUES = dict(zip(_FIELDS, (300, "Allow", 3, 1), strict=True))
"""What a fix writes: what the controller takes where nothing is stated, but for the deadline, which has no such."""
"""The controller looks every ten seconds: a run with a shorter deadline may be over before it does."""


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for all fields that are not set, for a short deadline and for the schedule."""
    del context
    spec = resource.spec
    missing = [field for field in _FIELDS if spec.get(field) is None]
    if missing:
        message = f"{resource.kind} {resource.name} sets no {', '.join(missing)}"
        edits = tuple(Edit(SET, f"/spec/{field}", _VALUES[field]) for field in missing)
        yield Violation(
            f"/spec/{missing[0]}", message, fix=Fix(edits, is_safe=missing[0] != _FIELDS[0])
        )
    deadline = whole_number(spec.get("startingDeadlineSeconds"))
    if deadline is not None and deadline < _SHORTEST:
        yield Violation(
            "/spec/startingDeadlineSeconds",
            f"{resource.kind} {resource.name} has startingDeadlineSeconds {deadline}: below {_SHORTEST} it "
            "may never run",
            remediation="Leave the controller the time:\nspec:\n  startingDeadlineSeconds: 300",
            fix=set_here(_VALUES[_FIELDS[0]], safe=False),
        )
    problem = _problem(spec.get("schedule"))
    if problem:
        yield Violation(
            "/spec/schedule",
            f"the schedule of {resource.kind} {resource.name} cannot be read: {problem}",
            remediation='Write minute, hour, day, month and weekday:\nspec:\n  schedule: "0 3 * * 1-5"',
        )


def _problem(schedule: object) -> str:
    """Say why a schedule cannot be read; what is no text at all is for the schema to refuse."""
    from tidewaiter.rules.manifest.cron import InvalidSchedule, parse_cron

    if not isinstance(schedule, str):
        return ""
    try:
        parse_cron(schedule)
    except InvalidSchedule as error:
        return str(error)
    return ""
