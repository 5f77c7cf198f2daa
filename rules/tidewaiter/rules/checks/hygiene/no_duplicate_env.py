"""No container sets an environment variable twice.

Restricted fields: env[*].name of containers, initContainers and ephemeralContainers.
https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import remove_at
from tidewaiter.rules.manifest.fields import items, text
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-duplicate-env",
    section="hygiene",
    severity="warning",
    profiles=("recommended",),
    summary="no container sets an environment variable twice",
    rationale=(
        "The last value wins, whatever the first one says. Worse, kubectl merges this list by name: a "
        "later apply may drop either of the two."
    ),
    remediation="Keep the one that is meant:\nenv:\n  - name: LOG_LEVEL\n    value: info",
    references=(
        "https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/",
        "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables",
    ),
    applies_to=(WORKLOAD,),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each name that the container's list has had before."""
    del context
    for container in workload.containers:
        entries = container.spec.get("env")
        if not isinstance(entries, list) or len(entries) < 2:
            continue
        seen: dict[str, dict[str, Any]] = {}
        for entry, pointer in items(entries, f"{container.pointer}/env"):
            name = text(entry.get("name"))
            if name and name in seen:
                yield Violation(
                    f"{pointer}/name",
                    f"container {container.name} sets {name} again",
                    container.name,
                    fix=remove_at(pointer) if entry == seen[name] else None,
                )
            seen[name] = entry
