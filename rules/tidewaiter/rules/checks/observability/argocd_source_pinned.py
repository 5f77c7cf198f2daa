"""Argo CD deploys a revision that does not move, in a project of its own.

Restricted kinds: Application, and the template of ApplicationSet. Restricted fields: targetRevision of
spec.source and of each of spec.sources, and spec.project. Allowed: a commit, a tag or the exact version of a
chart, or what the policy lists; a project other than `default`. A name that may be a branch or a tag, and
what a template fills in, is unknown. A hydrated source has a branch by design and is left alone.
https://argo-cd.readthedocs.io/en/stable/user-guide/tracking_strategies/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.argocd import (
    APPLICATION,
    APPLICATION_SET,
    MOVING,
    UNCLEAR,
    application_spec,
    is_templated,
    may_be_patched,
    pinning,
    sources_of,
)
from tidewaiter.rules.manifest.credential import masked
from tidewaiter.rules.manifest.fields import quoted, text
from tidewaiter.rules.rule import Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="argocd-source-pinned",
    section="observability",
    severity="warning",
    summary="Argo CD deploys a commit, a tag or a chart's version, in a project of its own",
    rationale=(
        "With a branch or HEAD, whoever can push to it deploys, and a rollback of the Application "
        "deploys the same again. The project `default` allows every repository, cluster and kind."
    ),
    remediation=(
        "Name a tag or a commit, and a project that allows what this needs:\n"
        "spec:\n  project: payments\n  source:\n    repoURL: https://git.example/payments.git\n"
        "    path: deploy\n    targetRevision: v1.4.2"
    ),
    references=(
        "https://argo-cd.readthedocs.io/en/stable/user-guide/tracking_strategies/",
        "https://argo-cd.readthedocs.io/en/stable/user-guide/best_practices/",
        "https://argo-cd.readthedocs.io/en/stable/user-guide/projects/",
    ),
    applies_to=(APPLICATION, APPLICATION_SET),
    parameters=(
        Parameter(
            "revisions",
            "strings",
            (),
            "revisions that are allowed although they move, such as branches of environments",
            stricter="less",
        ),
    ),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield a violation for each source that is not pinned, and for the default project."""
    spec, pointer = application_spec(resource)
    for source, place in sources_of(spec, pointer):
        yield from _of_source(resource, source, place, context)
    project = spec.get("project")
    if project in (None, "", "default") and not (not project and may_be_patched(resource)):
        yield Violation(
            f"{pointer}/project",
            f"{resource!r} is in the project default, which allows everything",
            remediation="Make an AppProject for it and name that:\nspec:\n  project: payments",
        )


def _of_source(
    resource: Resource, source: dict[str, Any], place: str, context: Context
) -> Iterator[Violation]:
    pointer = f"{place}/targetRevision"
    revision = source.get("targetRevision")
    if revision is None:
        revision = ""
    if not isinstance(revision, str) or revision in context.parameters["revisions"]:
        return
    where = masked(text(source.get("repoURL"))) or "the source"
    if is_templated(revision):
        message = f"{quoted(revision)} of {where} is filled in later"
        yield Violation(
            pointer, f"whether targetRevision is pinned is not known: {message}", unknown=True
        )
        return
    chart = bool(source.get("chart")) or where.startswith("oci://")
    state = pinning(revision, chart=chart)
    if state == UNCLEAR:
        yield Violation(
            pointer,
            f"targetRevision {quoted(revision)} of {where} may be a tag or a branch",
            unknown=True,
        )
    elif state == MOVING and not revision:
        means = "the newest version" if chart else "HEAD"
        unknown = may_be_patched(resource)
        later = ", unless it is filled in later" if unknown else ""
        yield Violation(
            pointer,
            f"targetRevision of {where} is not set, which means {means}{later}",
            unknown=unknown,
        )
    elif state == MOVING:
        yield Violation(pointer, f"targetRevision {quoted(revision)} of {where} moves")
