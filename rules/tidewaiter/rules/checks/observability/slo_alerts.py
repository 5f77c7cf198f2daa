"""Every service has an alert or a service level objective that names it.

Restricted kinds: Deployments, StatefulSets, DaemonSets, Rollouts and the like behind a Service. Allowed: the
name of the workload or of a Service of it, or its label `app` or `app.kubernetes.io/name`, stands in an alert
of a PrometheusRule (expression, labels, name) or in an objective of Sloth, Pyrra, OpenSLO or Datadog.
https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import text
from tidewaiter.rules.manifest.objective import watched
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="slo-alerts",
    section="observability",
    severity="info",
    summary="an alert or a service level objective names every service",
    rationale=(
        "A service that no alert names fails until a customer calls, and a canary of it has nothing to "
        "be judged by."
    ),
    remediation=(
        "State an objective, with Sloth for example:\n"
        "apiVersion: sloth.slok.dev/v1\nkind: PrometheusServiceLevel\nmetadata: {name: api}\n"
        "spec:\n  service: api\n  slos:\n    - name: availability\n      objective: 99.9\n      sli:\n"
        "        events:\n"
        "          errorQuery: "
        'sum(rate(http_requests_total{job="api",code=~"5.."}[{{.window}}]))\n'
        '          totalQuery: sum(rate(http_requests_total{job="api"}[{{.window}}]))\n'
        "      alerting: {name: ApiErrors}"
    ),
    references=(
        "https://sre.google/workbook/alerting-on-slos/",
        "https://sloth.dev/",
        "https://github.com/pyrra-dev/pyrra",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
)

_NAMING = ("app", "app.kubernetes.io/name", "k8s-app")


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a workload behind a Service that no alert names."""
    if not workload.is_long_running:
        return
    inventory = context.inventory
    services = inventory.selecting("Service", workload)
    if not services:
        return
    resource = workload.resource
    names = {resource.name, *(service.name for service in services)}
    names.update(text(workload.pod_labels.get(label)) for label in _NAMING)
    known = inventory.once(watched)
    if any(known.holds(name) for name in names if name):
        return
    message = f"no PrometheusRule or SLO names {resource!r} or its Service {services[0].name}"
    unknown = not inventory.complete
    yield Violation(
        "/metadata/name",
        f"{message} here, but the other objects are not known" if unknown else message,
        unknown=unknown,
    )
