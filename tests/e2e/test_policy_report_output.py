"""What `tidewaiter lint --format policyreport` prints, taken by a real API server that knows the definitions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.client import Refused
from tests.e2e.report_definitions import POLICY_REPORTS
from tidewaiter.cli.main import main

if TYPE_CHECKING:
    from tests.e2e.api_server import ApiServer

EXAMPLE = Path(__file__).parents[2] / "deploy/examples/payments-broken"


def test_the_server_takes_every_report_and_drops_no_field(
    api_server: ApiServer, namespace: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for definition in POLICY_REPORTS:
        api_server.admin.apply(definition)
    manifests = "\n---\n".join(
        path.read_text(encoding="utf-8") for path in sorted(EXAMPLE.glob("*.yaml"))
    )
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\nrules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]"
    source = tmp_path / "all.yaml"
    source.write_text(
        manifests.replace("namespace: payments", f"namespace: {namespace}") + f"\n---\n{role}\n",
        encoding="utf-8",
    )
    words = ["lint", str(source), "--format=policyreport", "--show=unknown,exempted"]
    assert main([*words, "--profile=all"]) == 1
    reports = [
        report
        for report in yaml.safe_load_all(capfd.readouterr().out)
        if report["metadata"].get("namespace", namespace) == namespace
    ]
    assert {report["kind"] for report in reports} == {"PolicyReport", "ClusterPolicyReport"}
    for report in reports:
        report["metadata"]["name"] = f"{report['metadata']['name']}-{namespace}"
        if report["kind"] == "PolicyReport":
            report["metadata"]["namespace"] = namespace
        stored = _created(api_server, report)
        assert stored["results"] == report["results"]
        assert stored["summary"] == report["summary"]


def _created(server: ApiServer, report: dict[str, object]) -> dict[str, object]:
    """Create a report as soon as the server knows its kind; a field it does not know is refused."""
    for _ in range(100):
        try:
            return server.admin.create(report, fieldValidation="Strict")
        except (Refused, KeyError, LookupError) as problem:
            if isinstance(problem, Refused) and problem.code != 404:
                raise
            time.sleep(0.1)
    message = "the server does not serve reports"
    raise AssertionError(message)
