"""Rollouts say when they have failed, and keep old versions to go back to.

Restricted fields of Deployments and Argo Rollouts: spec.progressDeadlineSeconds, spec.revisionHistoryLimit and
spec.minReadySeconds. Allowed: a deadline above minReadySeconds that is not the largest number, which means none;
a history of at least one and not of all versions.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import SET, Edit, Fix
from tidewaiter.rules.manifest.fields import whole_number
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="progress-deadline",
    section="availability",
    severity="info",
    summary="rollouts have a deadline, and old versions are kept to go back to",
    rationale=(
        "Whoever waits for a rollout, a pipeline for example, learns that it has failed when its deadline is "
        "over: by default only after ten minutes. Without old versions nothing can be undone."
    ),
    remediation=(
        "Set the deadline to what a rollout step takes at most:\nspec:\n  progressDeadlineSeconds: 300\n"
        "  revisionHistoryLimit: 5"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds",
        "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#revision-history-limit",
        "https://argo-rollouts.readthedocs.io/en/stable/features/specification/",
    ),
    applies_to=("Deployment.apps", "Rollout.argoproj.io"),
)

_DEADLINE, _HISTORY = "progressDeadlineSeconds", "revisionHistoryLimit"
_NO_LIMIT = 2**31 - 1
"""What the controllers read as no deadline, and as a history of all versions."""


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for what is not set, and one for each number that is not sane."""
    del context
    spec = resource.spec
    named = f"{resource.kind} {resource.name}"
    ready = whole_number(spec.get("minReadySeconds")) or 0
    missing = [field for field in (_DEADLINE, _HISTORY) if spec.get(field) is None]
    if missing:
        yield Violation(
            f"/spec/{missing[0]}",
            f"{named} sets no {' and no '.join(missing)}",
            fix=_fix(missing, ready),
        )
    deadline = whole_number(spec.get(_DEADLINE))
    if deadline is not None and deadline <= ready:
        yield Violation(
            f"/spec/{_DEADLINE}",
            f"{named} has {_DEADLINE} {deadline}, not above minReadySeconds, which is {ready}",
        )
    elif deadline is not None and deadline >= _NO_LIMIT:
        yield Violation(
            f"/spec/{_DEADLINE}", f"{named} has {_DEADLINE} {deadline}, which means no deadline"
        )
    history = whole_number(spec.get(_HISTORY))
    if history is not None and not 0 < history < _NO_LIMIT:
        meaning = "keeps every old version" if history > 0 else "keeps no old version"
        yield Violation(f"/spec/{_HISTORY}", f"{named} has {_HISTORY} {history}, which {meaning}")


def _fix(missing: list[str], ready: int) -> Fix:
    """Write down what the controllers take where nothing is stated, or a deadline that can be kept."""
    values = {_DEADLINE: 600 if ready < 600 else ready + 600, _HISTORY: 10}
    return Fix(tuple(Edit(SET, f"/spec/{field}", values[field]) for field in missing))
