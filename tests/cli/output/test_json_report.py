"""The JSON report: its shape, its order and its bytes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.cli.output.results import EXEMPTED, MALFORMED, UNKNOWN, finding, result
from tidewaiter.cli.output.json_report import render
from tidewaiter.cli.result import LintError
from tidewaiter.rules.version import __version__

DETAILS = {
    "rule": "image-digest",
    "severity": "error",
    "status": "violation",
    "message": "container api uses registry.example.com/api:1.4, which no digest pins",
    "remediation": "Pin the image:\nimage: api@sha256:...",
    "fixable": False,
    "resource": {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": "payments",
        "name": "api",
    },
    "container": "api",
    "pointer": "/spec/template/spec/containers/0/image",
    "location": {"file": "api.yaml", "line": 23, "column": 18, "endLine": 23, "endColumn": 46},
    "exemption": None,
}


def test_the_report_has_the_agreed_shape_and_order() -> None:
    report = json.loads(render(result(finding(), errors=(MALFORMED,))))
    expected = {
        "version": 1,
        "tool": {"name": "tidewaiter", "version": __version__},
        "summary": {
            "files": 3,
            "resources": 5,
            "findings": {"error": 1, "warning": 0, "info": 0},
            "unknown": 0,
            "exempted": 0,
            "errors": 1,
        },
        "findings": [DETAILS],
        "errors": [
            {"file": "broken.yaml", "line": 3, "column": 1, "message": "a mapping is not closed"}
        ],
    }
    assert report == expected
    assert json.dumps(report) == json.dumps(expected), "the keys are in another order"


def test_an_empty_report_has_empty_lists() -> None:
    report = json.loads(render(result()))
    assert (report["findings"], report["errors"]) == ([], [])


def test_unknown_and_exempted_are_counted_but_listed_only_when_asked_for() -> None:
    found = result(finding(), UNKNOWN, EXEMPTED)
    hidden = json.loads(render(found))
    assert [one["status"] for one in hidden["findings"]] == ["violation"]
    assert (hidden["summary"]["unknown"], hidden["summary"]["exempted"]) == (1, 1)
    assert hidden["summary"]["findings"] == {"error": 1, "warning": 0, "info": 0}
    shown = json.loads(render(found, show=frozenset({"exempted"})))
    assert shown["findings"][1]["exemption"] == {
        "source": "policy",
        "reason": "built nightly",
        "expires": "2027-01-31",
    }
    assert shown["summary"] == hidden["summary"]


def test_fingerprints_are_those_of_sarif_where_they_are_asked_for() -> None:
    from tidewaiter.cli.output import sarif

    found = result(finding(), finding(line=40), finding(container="b"), UNKNOWN)
    plain = json.loads(render(found))["findings"]
    assert all("fingerprint" not in one for one in plain)
    marked = json.loads(render(found, show=frozenset({"fingerprints"})))["findings"]
    marks = [one.pop("fingerprint") for one in marked]
    assert marked == plain
    assert len(set(marks)) == 3
    (run,) = json.loads("".join(sarif.pieces(found)))["runs"]
    assert marks == [one["partialFingerprints"]["tidewaiter/v1"] for one in run["results"]]


def test_what_is_not_there_is_null() -> None:
    report = json.loads(
        render(
            result(
                finding(namespace=None, container=None),
                finding(kind="", name="", api_version=""),
                errors=(LintError("", None, None, "no such file"),),
            )
        )
    )
    first, second = report["findings"]
    assert first["resource"]["namespace"] is None
    assert first["container"] is None
    assert second["resource"] is None
    assert report["errors"] == [
        {"file": "", "line": None, "column": None, "message": "no such file"}
    ]


@given(st.text(st.characters(codec=None)))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    report = render(result(finding(message=text, name=text, file=text)))
    read = json.loads(report)["findings"][0]
    assert report.isascii()
    assert (read["message"], read["resource"]["name"], read["location"]["file"]) == (text,) * 3
