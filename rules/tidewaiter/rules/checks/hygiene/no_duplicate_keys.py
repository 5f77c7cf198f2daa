"""No mapping has a key twice.

YAML 1.2 section 3.2.1.1 wants keys to be unique; RFC 8259 section 4 says the same of JSON.
"""

from __future__ import annotations

from tidewaiter.rules.finding import Span, Violation
from tidewaiter.rules.rule import ANY, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-duplicate-keys",
    section="hygiene",
    severity="error",
    profiles=("recommended",),
    summary="no mapping has a key twice",
    rationale=(
        "Of two equal keys only the last counts. The first reads as if it held and does not: a limit, "
        "a label or a whole block is lost without a word, or the API server refuses the file."
    ),
    remediation="Merge the two into one, or delete the one that is not meant.",
    references=(
        "https://yaml.org/spec/1.2.2/#3211-nodes",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation",
    ),
    applies_to=(ANY,),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each key that its mapping has had before."""
    del context
    for duplicate in resource.duplicates:
        # A pointer leads to the last of equal keys only.
        column = duplicate.column
        place = Span(duplicate.line, column, duplicate.line, column + max(1, len(duplicate.key)))
        yield Violation(
            duplicate.pointer[len(resource.prefix) :],
            f"key {duplicate.key!r} stands here again, after line {duplicate.first_line}; "
            "only the last one counts",
            span=place,
        )
