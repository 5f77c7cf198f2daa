"""Every exemption is needed, has a reason and is still in force.

Subjects: the ignore annotations and comments of the manifests and the exemptions of the policy file.
An exemption of a rule that did not run, or that could not tell, is not judged.
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.rule import EXEMPTION, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.finding import ExemptionUse
    from tidewaiter.rules.rule import Context

_WHAT = {
    "policy": "the policy's exemption",
    "annotation": "the ignore annotation",
    "comment": "the ignore comment",
}

RULE = Rule(
    name="no-dangling-exemption",
    section="hygiene",
    severity="warning",
    profiles=("recommended",),
    summary="every exemption is needed, has a reason and has not expired",
    rationale=(
        "An exemption that outlives its finding hides the next one. One without a reason cannot be "
        "reviewed, and one with a misspelt rule never did anything."
    ),
    remediation=(
        "Delete the exemption, or name the rule and the reason:\n"
        "metadata:\n  annotations:\n"
        '    tidewaiter.dev/ignore.read-only-root-filesystem: "writes its pid file to /, ticket 42"'
    ),
    references=("https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/",),
    applies_to=(EXEMPTION,),
)


@RULE.check
def check(use: ExemptionUse, context: Context) -> Iterator[Violation]:
    """Yield one violation for each thing that is wrong with an exemption."""
    del context
    for problem in _problems(use):
        yield Violation(use.exemption.pointer, problem)


def _problems(use: ExemptionUse) -> Iterator[str]:
    exemption = use.exemption
    if use.malformed:
        yield f"the ignore comment is not understood: {use.malformed}"
        return
    what = _WHAT.get(exemption.source, "the exemption")
    for name, nearest in use.misspelt:
        hint = f"; {nearest!r} is the nearest" if nearest else ""
        yield f"{what} names {name!r}, which is no rule{hint}"
    if not exemption.reason.strip():
        yield f"{what} of {', '.join(exemption.rules)} has no reason"
    if use.expired:
        yield (
            f"{what} of {', '.join(exemption.rules)} expired on {exemption.expires}; "
            "it does nothing any more"
        )
    elif use.unused:
        yield f"{what} of {', '.join(use.unused)} matches nothing: there is no such finding"
