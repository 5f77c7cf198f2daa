"""What /metrics says, and that the documentation, the dashboard and the alerts speak of the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.webhook.running import PRIVILEGED, config_map, pod, review_of, running, until
from tidewaiter.webhook.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.webhook.running import Webhook

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/dashboards/tidewaiter.json").read_text())
RULES = yaml.safe_load((ROOT / "deploy/alerts/rules.yaml").read_text())
OPERATOR_RULES = yaml.safe_load((ROOT / "deploy/alerts/prometheusrule.yaml").read_text())


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    """A server that has answered some of each."""
    with running(tmp_path_factory.mktemp("metrics")) as server:
        server.review(PRIVILEGED)
        server.review(config_map())
        server.review({"apiVersion": "example.com/v1", "kind": "Game", "metadata": {"name": "a"}})
        server.review(pod(), operation="CONNECT", object=None)
        server.post("/validate", b"{")
        until(lambda: len(server.audit) == 4)
        yield server


def test_reviews_are_counted_by_verdict_operation_and_kind(asked: Webhook) -> None:
    total = "tidewaiter_reviews_total"
    assert asked.metric(total, verdict="denied", kind="Pod", operation="CREATE") == 1
    assert asked.metric(total, verdict="passed", operation="CONNECT") == 1
    assert asked.metric(total, kind="other", gate="validate") >= 1
    assert asked.metric(total, kind="Game") == 0
    assert asked.metric("tidewaiter_review_seconds_count", gate="validate") == 4
    assert asked.metric("tidewaiter_requests_refused_total", reason="json") == 1


def test_rules_are_counted_by_what_came_of_them(asked: Webhook) -> None:
    answers = "tidewaiter_rule_answers_total"
    assert asked.metric(answers, rule="no-privileged", status="violation", effect="deny") == 1


def test_hostile_names_make_no_series(webhook: Webhook) -> None:
    before = len(webhook.request("GET", "/metrics").body)
    for number in range(30):
        value = {"apiVersion": f"g{number}/v1", "kind": f"K{number}", "metadata": {"name": "a"}}
        webhook.review(value)
    assert len(webhook.request("GET", "/metrics").body) < before + 500


def test_the_page_is_what_prometheus_reads(asked: Webhook) -> None:
    answer = asked.request("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert "process_resident_memory" in {name.removesuffix("_bytes") for name in families}
    assert asked.metric("tidewaiter_ready") == 1
    assert asked.metric("tidewaiter_policy_valid") == 1


def test_every_metric_is_documented_and_no_other() -> None:
    """docs/metrics.md has a row for each, with its labels."""
    documented = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.split("|")]
        if len(cells) > 3 and cells[1].startswith("tidewaiter_"):
            labels = [label.strip("` ") for label in cells[2].split(",")]
            documented[cells[1]] = sorted(filter(None, labels))
    assert documented == {name: sorted(labels) for name, labels in _declared().items()}


def test_the_dashboard_and_the_alerts_name_metrics_that_exist() -> None:
    exported = set(_declared())
    exported |= {f"tidewaiter_review_seconds_{each}" for each in ("bucket", "sum", "count")}
    exported |= {"process_resident_memory_bytes"}
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    expressions += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    expressions += [alert["expr"] for group in RULES["groups"] for alert in group["rules"]]
    assert len(expressions) > 30
    for expression in expressions:
        named = _metrics_in(expression)
        assert named
        assert named <= exported, expression


def test_both_forms_of_the_alerts_are_the_same() -> None:
    assert OPERATOR_RULES["spec"] == RULES


def test_the_alerts_pass_our_own_rule(capsys: pytest.CaptureFixture[str]) -> None:
    from tidewaiter.cli.main import main

    path = str(ROOT / "deploy/alerts/prometheusrule.yaml")
    assert main(["lint", path, "--profile", "all", "--fail-on", "info", "--no-cache"]) == 0
    assert "alert-rule-quality" not in capsys.readouterr().out


def test_a_crash_of_a_rule_is_counted(tmp_path: Path) -> None:
    """The rule is made to raise in the server's process; the others still count."""
    (tmp_path / "sitecustomize.py").write_text(
        "from tidewaiter.rules import catalogue\n"
        "def check(subject, context):\n    raise ValueError('hunter2')\n"
        "catalogue.load('no-latest-tag').check_function = check\n"
    )
    with running(tmp_path, PYTHONPATH=str(tmp_path)) as server:
        response = server.review(PRIVILEGED)
        assert response["allowed"] is False
        assert "no-privileged" in response["status"]["message"]
        until(lambda: server.audit)
        assert server.metric("tidewaiter_rule_crashes_total", rule="no-latest-tag") == 1
        found = {each["rule"]: each for each in server.audit[0]["rules"]}
        assert found["no-latest-tag"]["status"] == "unknown"
        assert "no-latest-tag" in server.log
        assert "hunter2" not in server.log + str(server.audit)
        assert server.post("/validate", review_of(config_map())).json["response"]["allowed"]


def _declared() -> dict[str, list[str]]:
    """Return the name and labels of every metric of ours, as exported."""
    found = {}
    for name, metric in vars(Metrics()).items():
        if name.startswith("_") or name == "registry":
            continue
        kind: Any = metric
        (family,) = kind.describe()
        exported = f"{family.name}_total" if family.type == "counter" else family.name
        found[exported] = list(kind._labelnames)
    return found


def _metrics_in(expression: str) -> set[str]:
    for sign in '()[]{}<>=!~,+-*/"':
        expression = expression.replace(sign, " ")
    prefixes = ("tidewaiter_", "process_")
    return {word for word in expression.split() if word.startswith(prefixes)}
