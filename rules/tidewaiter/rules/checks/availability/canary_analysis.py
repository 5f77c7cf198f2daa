"""A canary is promoted by an analysis of its metrics, whose templates exist.

Restricted fields: spec.strategy of Argo Rollouts; spec.analysis of Flagger's Canary. Allowed: an analysis in the
background, at a step, before or after the promotion; metrics that Flagger knows or that a MetricTemplate gives.
https://argo-rollouts.readthedocs.io/en/stable/features/analysis/ and https://docs.flagger.app/usage/metrics
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="canary-analysis",
    section="availability",
    severity="error",
    summary="a canary or blue-green release is gated by an analysis that exists",
    rationale=(
        "Without an analysis a release goes on by the clock, whatever its error rate is, and nothing rolls it "
        "back. An analysis whose template is missing fails when the release is under way."
    ),
    remediation=(
        "Let an AnalysisTemplate decide, in the background of all steps:\n"
        "canary:\n  analysis:\n    templates:\n      - templateName: success-rate"
    ),
    references=(
        "https://argo-rollouts.readthedocs.io/en/stable/features/analysis/",
        "https://docs.flagger.app/usage/metrics",
    ),
    applies_to=("Rollout.argoproj.io", "Canary.flagger.app"),
    needs_inventory=True,
)

_BUILT_IN = frozenset({"request-success-rate", "request-duration"})
"""Metrics that Flagger asks for by itself, of the mesh or ingress that it is told of."""


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for a release without an analysis, and for each template that is missing."""
    if resource.kind == "Canary":
        yield from _of_flagger(resource, context.inventory)
        return
    strategy = mapping(resource.spec.get("strategy"))
    for name, place in (("canary", "analysis"), ("blueGreen", "prePromotionAnalysis")):
        if not isinstance(strategy.get(name), dict):
            continue
        found = list(_analyses(strategy[name], f"/spec/strategy/{name}"))
        if not found:
            pointer = f"/spec/strategy/{name}/{place}"
            yield Violation(pointer, "no analysis decides whether this release goes on")
        for analysis, pointer in found:
            yield from _templates(analysis, pointer, resource, context.inventory)


def _analyses(strategy: dict[str, Any], pointer: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each analysis of a strategy and its pointer."""
    for field in ("analysis", "prePromotionAnalysis", "postPromotionAnalysis"):
        if isinstance(strategy.get(field), dict):
            yield strategy[field], f"{pointer}/{field}"
    for step, place in items(strategy.get("steps"), f"{pointer}/steps"):
        if isinstance(step.get("analysis"), dict):
            yield step["analysis"], f"{place}/analysis"
        analyses = dig(step, "experiment", "analyses")
        if analyses:
            templates = [
                {**row, "templateName": row.get("templateName")} for row, _ in items(analyses, "")
            ]
            yield {"templates": templates, "_": "analyses"}, f"{place}/experiment"


def _templates(
    analysis: dict[str, Any], pointer: str, resource: Resource, inventory: Inventory
) -> Iterator[Violation]:
    field = text(analysis.get("_")) or "templates"
    rows = list(items(analysis.get("templates"), f"{pointer}/{field}"))
    if not rows:
        yield Violation(f"{pointer}/templates", "the analysis names no template")
    for row, place in rows:
        name, is_cluster = text(row.get("templateName")), row.get("clusterScope") is True
        if not name:
            yield Violation(f"{place}/templateName", "the analysis names no template")
            continue
        kind = "ClusterAnalysisTemplate" if is_cluster else "AnalysisTemplate"
        if is_cluster:
            exists = inventory.find(f"{kind}.argoproj.io", name) is not None
        else:
            exists = inventory.get(f"{kind}.argoproj.io", namespace_of(resource), name) is not None
        if not exists:
            yield _missing(f"{place}/templateName", kind, name, inventory, elsewhere=is_cluster)


def _missing(
    pointer: str, kind: str, name: str, inventory: Inventory, *, elsewhere: bool
) -> Violation:
    """Say that a template is not there; what belongs to the whole cluster may come from elsewhere."""
    message = f"there is no {kind} {name}"
    if inventory.complete and not elsewhere:
        return Violation(pointer, message)
    return Violation(pointer, f"{message} among the manifests", unknown=True)


def _of_flagger(resource: Resource, inventory: Inventory) -> Iterator[Violation]:
    field = "canaryAnalysis" if "canaryAnalysis" in resource.spec else "analysis"
    pointer = f"/spec/{field}"
    if resource.spec.get("skipAnalysis") is True:
        yield Violation("/spec/skipAnalysis", "the analysis is skipped (skipAnalysis: true)")
    metrics = list(items(dig(resource.spec, field, "metrics"), f"{pointer}/metrics"))
    if not metrics:
        yield Violation(f"{pointer}/metrics", "no metric decides whether this release goes on")
    for metric, place in metrics:
        reference = metric.get("templateRef")
        name = text(metric.get("name"))
        if not isinstance(reference, dict):
            if name not in _BUILT_IN and not metric.get("query"):
                yield Violation(
                    f"{place}/templateRef",
                    f"metric {name} is none of Flagger's own and has no template",
                )
            continue
        namespace = text(reference.get("namespace")) or namespace_of(resource)
        template = text(reference.get("name"))
        if inventory.get("MetricTemplate.flagger.app", namespace, template) is None:
            elsewhere = not inventory.kinds_in(namespace)
            yield _missing(
                f"{place}/templateRef/name",
                "MetricTemplate",
                template,
                inventory,
                elsewhere=elsewhere,
            )
