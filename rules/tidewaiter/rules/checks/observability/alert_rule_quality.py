"""An alert has an expression, waits before it fires, and says how grave it is and what it means.

Restricted kind: PrometheusRule of the Prometheus operator. Allowed: each alerting rule of spec.groups has
`expr`, a `for` (or `keep_firing_for`), the label `severity` (its own or its group's) and the annotation
`summary`. A `for` of 0s is a decision and fine. Left out are recording rules, and alerts that always fire on
purpose, which watch the way of alerts itself; alerts of severity `none`, which only inhibit others, need no
`for`.
https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import items, mapping, text
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="alert-rule-quality",
    section="observability",
    severity="warning",
    summary="an alert has an expression, a duration, a severity and a summary",
    rationale=(
        "An alert without `for` wakes people at the first bad evaluation. Without a severity it goes to nobody or "
        "to everybody, and without a summary whoever gets it at night has to read the expression."
    ),
    remediation=(
        "Complete the alert:\n"
        "- alert: PaymentErrors\n"
        '  expr: sum(rate(http_requests_total{code=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) '
        "> 0.01\n"
        "  for: 5m\n  labels:\n    severity: critical\n"
        "  annotations:\n    summary: More than 1% of payments fail\n"
        "    runbook_url: https://runbooks.example/payment-errors"
    ),
    references=(
        "https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/",
        "https://prometheus.io/docs/practices/alerting/",
        "https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule",
    ),
    applies_to=("PrometheusRule.monitoring.coreos.com",),
)

_ALWAYS = frozenset({"vector(1)", "1"})
_NOBODY = "none"
"""The severity of alerts that only inhibit others: they go to nobody."""


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each thing that an alert lacks."""
    del context
    for group, place in items(resource.spec.get("groups"), "/spec/groups"):
        shared = mapping(group.get("labels"))
        for rule, pointer in items(group.get("rules"), f"{place}/rules"):
            # A rule is one or the other by which of the two names it has.
            if not rule.get("record"):
                yield from _of_alert(rule, shared, pointer)


def _of_alert(
    rule: Mapping[str, Any], shared: Mapping[str, Any], pointer: str
) -> Iterator[Violation]:
    name = text(rule.get("alert"))
    if not name:
        yield Violation(pointer, "the rule has neither a name of an alert nor one of a record")
        return
    expression = rule.get("expr")
    if expression is None or expression == "":
        yield Violation(
            f"{pointer}/expr", f"alert {name} has no expr, so Prometheus refuses the group"
        )
    severity = mapping(rule.get("labels")).get("severity") or shared.get("severity")
    always = isinstance(expression, str | int) and "".join(str(expression).split()) in _ALWAYS
    waits = rule.get("for") or rule.get("for") == 0 or rule.get("keep_firing_for")
    if not (waits or always or severity == _NOBODY):
        message = f"alert {name} has no for, so the first bad evaluation fires it"
        yield Violation(f"{pointer}/for", message)
    if not severity:
        yield Violation(f"{pointer}/labels/severity", f"alert {name} has no label severity")
    if not mapping(rule.get("annotations")).get("summary"):
        yield Violation(f"{pointer}/annotations/summary", f"alert {name} has no annotation summary")
