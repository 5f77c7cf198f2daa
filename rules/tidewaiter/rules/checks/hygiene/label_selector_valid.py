"""Labels and label selectors are such as Kubernetes takes.

Restricted fields: metadata.labels of objects and templates, nodeSelector, and every field of type
LabelSelector or map of labels: selectors of controllers, Services, disruption budgets, network policies,
affinity terms, topology spread constraints, webhooks, metrics and volume claims.
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""

from __future__ import annotations

from functools import lru_cache

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import escape
from tidewaiter.rules.manifest.label_fields import label_maps, label_selectors, map_selectors
from tidewaiter.rules.manifest.selector import (
    InvalidSelector,
    label_key_problem,
    label_value_problem,
    parse_map_selector,
    parse_selector,
)
from tidewaiter.rules.rule import ANY, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="label-selector-valid",
    section="hygiene",
    severity="error",
    profiles=("recommended",),
    summary="labels and label selectors are valid",
    rationale=(
        "The API server refuses an object with a label or a selector that breaks the syntax, often only "
        "when the controller makes the pods. Numbers and booleans without quotes are such labels too."
    ),
    remediation=(
        "Write keys as [prefix/]name and values of at most 63 letters, digits, '-', '_' and '.', in "
        'quotes where YAML reads another type:\nlabels:\n  app.kubernetes.io/version: "1.10"'
    ),
    references=(
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set",
        "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/",
    ),
    applies_to=(ANY,),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each invalid label, and for each invalid selector its first flaw."""
    del context
    for labels, pointer in label_maps(resource):
        if isinstance(labels, dict):
            for key, value in labels.items():
                problem = _label_problem(key, value)
                if problem is not None:
                    yield Violation(f"{pointer}/{escape(key)}", problem)
    for parse, places in (
        (parse_map_selector, map_selectors(resource)),
        (parse_selector, label_selectors(resource)),
    ):
        for selector, pointer in places:
            if selector is None:
                continue
            try:
                parse(selector)
            except InvalidSelector as error:
                yield Violation(
                    f"{pointer}{error.path}", f"the selector is not valid: {error.message}"
                )


def _label_problem(key: str, value: object) -> str | None:
    if value is None:
        return _text_problem(key, "")
    if isinstance(value, str):
        return _text_problem(key, value)
    shown = str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, (dict, list)):
        shown = "a mapping" if isinstance(value, dict) else "a list"
    return f"label {_shown(key)} is {shown}, which is no text"


@lru_cache(maxsize=4096)
def _text_problem(key: str, value: str) -> str | None:
    problem = label_key_problem(key)
    if problem is not None:
        return f"label {_shown(key)} is not valid: {problem}"
    problem = label_value_problem(value)
    return f"label {_shown(key)} is not valid: {_shown(value)} {problem}" if problem else None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 70 else f"{text[:60]}…")
