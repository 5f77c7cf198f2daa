"""A decision that goes from a process to another."""

from __future__ import annotations

from tidewaiter.webhook.decision import (
    TOLD,
    Decision,
    ReviewedObject,
    RuleAnswer,
    packed,
    shortened,
    unpacked,
)


def test_what_is_packed_is_the_same_afterwards() -> None:
    subject = ReviewedObject("uid", "jane", ("ops", "dev"), "CREATE", "v1", "Pod", "shop", "web")
    answer = RuleAnswer("no-privileged", "error", "violation", "deny", "/spec", "app\n")
    whole = Decision(
        subject,
        allowed=False,
        verdict="denied",
        message="two\nlines",
        code=422,
        causes=({"reason": "no-privileged", "field": "spec"},),
        warnings=("a", "b"),
        audit_annotations={"rules": "no-privileged"},
        answers=(answer,) * (TOLD + 3),
        crashed_rules=("pdb",),
    )
    for decision in (whole, shortened(whole), Decision(ReviewedObject(), True, "allowed")):
        line = packed(decision)
        assert b"\n" not in line
        assert unpacked(line) == decision
    assert shortened(whole).further == {("no-privileged", "violation", "deny"): 3}
