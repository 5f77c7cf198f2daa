"""Exemptions: what they silence, from each source, and which of them are reported as of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tidewaiter.rules.engine import evaluate
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.positions import locate
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.policy.compiled import Policy

if TYPE_CHECKING:
    from tidewaiter.rules.finding import Finding

PRIVILEGED = "no-privileged"
DANGLING = "no-dangling-exemption"
TODAY = "2026-11-23"
TEMPLATE = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: redis
  namespace: legacy
  annotations: {%(annotation)s}
spec:
  template:
    metadata:
      annotations: {%(template)s}
    spec:
      containers:
        %(above)s
        - name: redis
          image: example.com/redis
          securityContext:
            privileged: true %(behind)s
        - name: web
          image: example.com/web
          securityContext: {privileged: %(web)s}
"""


def manifest(**parts: str) -> str:
    fields = {"annotation": "", "template": "", "above": "", "behind": "", "web": "true"}
    return TEMPLATE % {**fields, **parts}


def lint(
    text: str,
    *exemptions: dict[str, Any],
    only: tuple[str, ...] = (PRIVILEGED, DANGLING),
    complete: bool = True,
    inline: bool = True,
    **plain: Any,
) -> tuple[Finding, ...]:
    stated: Any = {"only": list(only), "exemptions": list(exemptions), **plain}
    stated["file"] = "tidewaiter.yaml"
    policy = Policy(stated)
    loaded = read_resources(text.encode(), "a.yaml", explicit=True)
    assert not loaded.errors, loaded.errors
    inventory = Inventory(loaded.resources, complete=complete)
    report = evaluate(loaded.resources, policy, inventory, today=TODAY, inline=inline)
    assert not report.crashes, report.crashes
    return report.findings


def statuses(findings: tuple[Finding, ...]) -> dict[str | None, str]:
    return {found.container: found.status for found in findings if found.rule == PRIVILEGED}


def dangling(findings: tuple[Finding, ...]) -> list[str]:
    return [found.message for found in findings if found.rule == DANGLING]


def exemption(**fields: Any) -> dict[str, Any]:
    return {"rules": [PRIVILEGED], "reason": "until the rewrite", "line": 7, **fields}


def test_without_exemptions_nothing_is_silenced() -> None:
    found = lint(manifest())
    assert statuses(found) == {"redis": "violation", "web": "violation"}
    assert dangling(found) == []


@pytest.mark.parametrize("place", ["annotation", "template"])
def test_an_annotation_covers_the_whole_object(place: str) -> None:
    found = lint(manifest(**{place: "tidewaiter.dev/ignore.no-privileged: a reason"}))
    assert statuses(found) == {"redis": "exempted", "web": "exempted"}
    assert dangling(found) == []
    assert {one.exemption.source for one in found if one.exemption} == {"annotation"}
    assert {one.exemption.reason for one in found if one.exemption} == {"a reason"}


def test_a_comment_covers_the_findings_on_its_line() -> None:
    found = lint(manifest(behind="# tidewaiter: ignore[no-privileged] a reason"))
    assert statuses(found) == {"redis": "exempted", "web": "violation"}
    assert dangling(found) == []


def test_a_comment_above_a_block_covers_the_block() -> None:
    found = lint(manifest(above="# tidewaiter: ignore[no-privileged] a reason"))
    assert statuses(found) == {"redis": "exempted", "web": "violation"}
    assert dangling(found) == []


def test_inline_exemptions_do_not_count_where_they_are_turned_off() -> None:
    text = manifest(
        annotation="tidewaiter.dev/ignore.no-privileged: a reason",
        behind="# tidewaiter: ignore[no-privileged] a reason",
    )
    found = lint(text, inline=False)
    assert statuses(found) == {"redis": "violation", "web": "violation"}
    assert dangling(found) == []


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, {"redis": "exempted", "web": "exempted"}),
        (
            {"namespaces": ["leg*"], "kinds": ["Deployment"]},
            {"redis": "exempted", "web": "exempted"},
        ),
        ({"containers": ["red?s"]}, {"redis": "exempted", "web": "violation"}),
        ({"images": ["*/web"]}, {"redis": "violation", "web": "exempted"}),
        ({"names": ["other"]}, {"redis": "violation", "web": "violation"}),
        ({"files": ["b.yaml"]}, {"redis": "violation", "web": "violation"}),
    ],
)
def test_a_policy_exemption_covers_what_its_match_says(
    match: dict[str, Any], expected: dict[str, str]
) -> None:
    found = lint(manifest(), exemption(match=match))
    assert statuses(found) == expected
    assert bool(dangling(found)) == ("exempted" not in expected.values())


def test_a_policy_exemption_holds_on_its_last_day_and_not_after() -> None:
    last_day = lint(manifest(), exemption(expires=TODAY))
    assert set(statuses(last_day).values()) == {"exempted"}
    assert dangling(last_day) == []
    day_after = lint(manifest(), exemption(expires="2026-11-22"))
    assert set(statuses(day_after).values()) == {"violation"}
    (message,) = dangling(day_after)
    assert "expired on 2026-11-22" in message


def test_a_dangling_policy_exemption_is_placed_in_the_policy_file() -> None:
    found = lint(manifest(), exemption(match={"names": ["other"]}))
    (finding,) = [one for one in found if one.rule == DANGLING]
    assert finding.resource is None
    assert finding.file == "tidewaiter.yaml"
    assert finding.span is not None
    assert finding.span.line == 7
    assert "matches nothing" in finding.message


def test_a_policy_exemption_is_not_judged_where_the_run_is_a_part() -> None:
    assert dangling(lint(manifest(), exemption(match={"names": ["other"]}), complete=False)) == []


def test_a_policy_exemption_of_a_rule_that_did_not_run_is_not_judged() -> None:
    assert dangling(lint(manifest(), exemption(), only=(DANGLING,))) == []
    assert dangling(lint(manifest(), exemption(), only=(), skip=[PRIVILEGED])) == []


def test_inline_exemptions_of_a_rule_that_did_not_run_are_not_judged() -> None:
    text = manifest(
        annotation="tidewaiter.dev/ignore.no-privileged: a reason",
        behind="# tidewaiter: ignore[no-privileged] a reason",
    )
    assert dangling(lint(text, only=(DANGLING,))) == []


@pytest.mark.parametrize(
    ("parts", "words", "line"),
    [
        ({"annotation": "tidewaiter.dev/ignore.no-duplicate-env: r"}, "matches nothing", 7),
        ({"template": 'tidewaiter.dev/ignore.no-privileged: ""'}, "has no reason", 11),
        ({"template": "tidewaiter.dev/ignore.no-privileged: 5"}, "has no reason", 11),
        (
            {"annotation": "tidewaiter.dev/ignore.no-priviledged: r"},
            "'no-privileged' is the nearest",
            7,
        ),
        ({"annotation": "tidewaiter.dev/ignore.qqqqqqqq: r"}, "which is no rule", 7),
        ({"behind": "# tidewaiter: ignore[no-privileged]"}, "has no reason", 18),
        (
            {"behind": "# tidewaiter: ignore[no-priviledged] r"},
            "'no-privileged' is the nearest",
            18,
        ),
        ({"behind": "# tidewaiter: ignore no-privileged"}, "is not understood", 18),
        ({"behind": "# tidewaiter: skip[no-privileged]"}, "is not understood", 18),
        ({"above": "# tidewaiter: ignore[] r"}, "is not understood", 14),
    ],
)
def test_a_dangling_inline_exemption_is_reported_at_its_place(
    parts: dict[str, str], words: str, line: int
) -> None:
    text = manifest(**parts)
    found = lint(text, only=(PRIVILEGED, "no-duplicate-env", DANGLING))
    (finding,) = [one for one in found if one.rule == DANGLING]
    assert words in finding.message
    span = finding.span or locate(text.encode(), 0).at(finding.pointer)
    assert span.line == line


def test_only_the_rules_that_a_comment_does_not_need_are_named() -> None:
    text = manifest(behind="# tidewaiter: ignore[no-privileged,no-duplicate-env] a reason")
    found = lint(text, only=(PRIVILEGED, "no-duplicate-env", DANGLING))
    assert statuses(found)["redis"] == "exempted"
    (message,) = dangling(found)
    assert "no-duplicate-env" in message
    assert PRIVILEGED not in message


def test_an_exemption_that_another_one_makes_needless_is_no_lie() -> None:
    text = manifest(
        annotation="tidewaiter.dev/ignore.no-privileged: a reason",
        behind="# tidewaiter: ignore[no-privileged] a reason",
    )
    found = lint(text, exemption())
    assert {one.exemption.source for one in found if one.exemption} == {"policy"}
    assert dangling(found) == []


def test_a_comment_in_a_list_covers_its_own_item_and_is_reported_once() -> None:
    item = manifest(web="false").strip().replace("\n", "\n    ")
    commented = item.replace(
        "privileged: true ", "privileged: true # tidewaiter: ignore[no-privileged] r"
    )
    text = f"apiVersion: v1\nkind: List\nitems:\n  - {item}\n  - {commented}\n"
    found = lint(text)
    privileged = [
        (one.resource.prefix, one.status)
        for one in found
        if one.resource and one.rule == PRIVILEGED
    ]
    assert privileged == [("/items/0", "violation"), ("/items/1", "exempted")]
    assert dangling(found) == []
    needless = text.replace("ignore[no-privileged]", "ignore[no-duplicate-env]")
    found = lint(needless, only=(PRIVILEGED, "no-duplicate-env", DANGLING))
    (finding,) = [one for one in found if one.rule == DANGLING]
    assert finding.resource is not None
    assert finding.resource.prefix == "/items/1"


def test_the_rule_about_exemptions_can_be_exempted_too() -> None:
    annotations = (
        "tidewaiter.dev/ignore.no-privileged: r, tidewaiter.dev/ignore.no-dangling-exemption: r"
    )
    text = manifest(annotation=annotations, web="false").replace(
        "privileged: true", "privileged: false"
    )
    found = lint(text)
    assert [one.status for one in found if one.rule == DANGLING] == ["exempted"]


def test_a_comment_covers_a_repeated_key_on_its_line() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: a\n  k: b # tidewaiter: ignore[no-duplicate-keys] r\n  k: c\n"
    found = lint(text, only=("no-duplicate-keys", DANGLING))
    placed = [(one.status, one.span.line) for one in found if one.span]
    assert placed == [("exempted", 6), ("violation", 7)]
