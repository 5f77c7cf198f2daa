"""The reports for other programs, each against its published schema or read by a real reader of it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import xmlschema
import yaml
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from tap.parser import Parser

from tests.cli.output.results import EXEMPTED, MALFORMED, UNKNOWN, finding, result
from tidewaiter.cli.output import (
    github,
    gitlab,
    html,
    junit,
    markdown,
    policyreport,
    sarif,
    tap,
)
from tidewaiter.cli.output.line_hash import line_hashes
from tidewaiter.cli.result import LintFinding, LintResult
from tidewaiter.rules.fixes.draft import Draft

SCHEMAS = Path(__file__).parent / "schemas"
ALL = frozenset({"exempted", "unknown"})
FORMATS = {
    "github": github,
    "gitlab": gitlab,
    "html": html,
    "junit": junit,
    "markdown": markdown,
    "policyreport": policyreport,
    "sarif": sarif,
    "tap": tap,
}
WARNING = finding(
    rule="no-latest-tag", severity="warning", line=40, end_line=40, file="folder/b c.yaml"
)
MIXED = result(UNKNOWN, finding(), EXEMPTED, WARNING, errors=(MALFORMED,))
HOSTILE = (
    "</script><script>alert(1)</script>",
    "]]>&amp;\"'",
    "a\n::error::b ##[error]c",
    "a%0Ab,c:d",
    "\x1b[31m\x00\x07\ufffe\uffff",
    "\udc80\ud800",
    "# TODO # SKIP \\ not ok",
    "```\n# head\n[x](javascript:alert(1)) @team <img src=x onerror=1> | a |",
    "🚢 ünï \u202e \u2028",
    "../../etc/passwd",
    "",
)


def render(name: str, found: LintResult, **options: Any) -> str:
    return "".join(FORMATS[name].pieces(found, **options))


def hostile(text: str) -> LintFinding:
    return finding(
        rule="own-rule",
        file=text or "x",
        message=text,
        remediation=f"{text}\n{text}",
        kind=text,
        namespace=text,
        name=text,
        container=text,
        pointer=f"/{text}",
        field=f"/{text}",
        status="exempted",
        exemption={"source": "policy", "reason": text, "expires": None},
    )


def _valid_sarif(text: str) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(text)
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(log)
    return log


def _valid_junit(text: str) -> ET.Element:
    xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd")).validate(text)
    return ET.fromstring(text)


def _valid_gitlab(text: str) -> list[dict[str, Any]]:
    issues: list[dict[str, Any]] = json.loads(text)
    schema = json.loads((SCHEMAS / "gitlab-code-quality.json").read_text(encoding="utf-8"))
    jsonschema.validate(issues, schema)
    marks = [issue["fingerprint"] for issue in issues]
    assert len(set(marks)) == len(marks)
    return issues


def _valid_tap(text: str) -> list[Any]:
    lines = list(Parser().parse(StringIO(text)))
    assert [line.category for line in lines if line.category == "unknown"] == []
    points = [line for line in lines if line.category == "test"]
    (plan,) = [line for line in lines if line.category == "plan"]
    assert plan.expected_tests == len(points)
    return points


def _valid_reports(text: str) -> list[dict[str, Any]]:
    schema = json.loads((SCHEMAS / "policyreport-v1alpha2.json").read_text(encoding="utf-8"))
    reports: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    for report in reports:
        jsonschema.validate(report, schema)
    return reports


READERS = {
    "gitlab": _valid_gitlab,
    "junit": _valid_junit,
    "policyreport": _valid_reports,
    "sarif": _valid_sarif,
    "tap": _valid_tap,
}


@pytest.mark.parametrize("name", sorted(READERS))
@pytest.mark.parametrize("found", [result(), MIXED, result(errors=(MALFORMED,))])
def test_a_report_is_valid_with_and_without_findings(name: str, found: LintResult) -> None:
    READERS[name](render(name, found, show=ALL))


@pytest.mark.parametrize("name", sorted(READERS))
@pytest.mark.parametrize("text", HOSTILE)
def test_a_report_of_hostile_names_is_valid_and_can_be_encoded(name: str, text: str) -> None:
    found = result(hostile(text), errors=(MALFORMED._replace(file=text, message=text),))  # type: ignore[attr-defined]
    report = render(name, found, show=ALL)
    READERS[name](report)
    report.encode("utf-8")


@given(st.text())
def test_any_text_goes_into_any_report(text: str) -> None:
    found = result(hostile(text))
    for name, read in READERS.items():
        if name not in {"sarif", "junit"}:
            read(render(name, found, show=ALL))
    ET.fromstring(render("junit", found, show=ALL))
    json.loads(render("sarif", found, show=ALL))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_exempted_and_unknown_findings_are_shown_when_asked_for(name: str) -> None:
    assert "built nightly" not in render(name, MIXED)
    assert "built nightly" in render(name, MIXED, show=ALL)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_two_renderings_are_the_same(name: str) -> None:
    assert render(name, MIXED, show=ALL) == render(name, MIXED, show=ALL)


# SARIF


def test_sarif_has_what_code_scanning_reads() -> None:
    (run,) = _valid_sarif(render("sarif", MIXED, show=ALL))["runs"]
    driver = run["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == ["image-digest", "no-latest-tag", "pdb"]
    digest = driver["rules"][0]
    assert digest["properties"]["security-severity"] == "8.0"
    assert "security" in digest["properties"]["tags"]
    assert digest["helpUri"].startswith("https://")
    assert "````yaml" in digest["help"]["markdown"]
    assert digest["defaultConfiguration"] == {"level": "error"}
    assert "security-severity" not in driver["rules"][2]["properties"]
    unknown, violation, exempted, warning = run["results"]
    assert (unknown["kind"], unknown["level"]) == ("open", "none")
    assert violation["level"] == "error"
    assert driver["rules"][violation["ruleIndex"]]["id"] == violation["ruleId"] == "image-digest"
    assert exempted["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "built nightly"}
    ]
    assert warning["level"] == "warning"
    place = warning["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "folder/b%20c.yaml", "uriBaseId": "SRCROOT"}
    logical = violation["locations"][0]["logicalLocations"][0]
    assert logical["fullyQualifiedName"] == "payments/Deployment/api/api"
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    (note,) = invocation["toolExecutionNotifications"]
    assert note["level"] == "error"
    assert note["locations"][0]["physicalLocation"]["region"] == {"startLine": 3}


def test_sarif_paths_are_relative_to_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "deploy").mkdir()
    monkeypatch.chdir(tmp_path / "deploy")
    inside = sarif.artifact_location("api.yaml")
    assert inside == {"uri": "deploy/api.yaml", "uriBaseId": "SRCROOT"}
    assert sarif.artifact_location(str(tmp_path / "a.yaml"))["uri"] == "a.yaml"
    assert sarif.artifact_location("/else/a b.yaml") == {"uri": "file:///else/a%20b.yaml"}
    assert sarif.artifact_location("-") == {"uri": "stdin"}


def test_sarif_counts_columns_in_utf16_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("api.yaml").write_text('a: {ship: "🚢🚢", image: x}\n', encoding="utf-8")
    found = result(finding(line=1, end_line=1, column=24, end_column=25))
    (one,) = _valid_sarif(render("sarif", found))["runs"][0]["results"]
    region = one["locations"][0]["physicalLocation"]["region"]
    assert (region["startColumn"], region["endColumn"]) == (26, 27)


@pytest.mark.parametrize("source", ["a: {b: 1}\n", "a:\n  b: 1 # one\n", '{"a": {"b": 1}}'])
def test_a_fix_of_sarif_gives_what_the_fixing_command_gives(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("api.yaml").write_text(source, encoding="utf-8")
    fix = (True, 0, (("set", "/a/b", 2), ("set", "/a/c", "🚢")))
    (one,) = _valid_sarif(render("sarif", result(finding(fix=fix))))["runs"][0]["results"]
    (replacement,) = one["fixes"][0]["artifactChanges"][0]["replacements"]
    region = replacement["deletedRegion"]
    lines = source.splitlines(keepends=True)
    start = sum(map(len, lines[: region["startLine"] - 1])) + region["startColumn"] - 1
    end = sum(map(len, lines[: region["endLine"] - 1])) + region["endColumn"] - 1
    draft = Draft(source.encode())
    draft.apply(fix)
    replaced = source[:start] + replacement["insertedContent"]["text"] + source[end:]
    assert replaced.encode() == draft.data()


def test_sarif_keeps_the_gravest_where_code_scanning_takes_no_more() -> None:
    minor = tuple(finding(severity="info", line=line) for line in range(1, 25_001))
    found = result(*minor, finding(line=30_000))
    (run,) = json.loads(render("sarif", found))["runs"]
    assert len(run["results"]) == sarif.RESULT_LIMIT
    assert run["results"][-1]["level"] == "error"
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("1 findings are left out")


def test_sarif_says_what_code_scanning_will_not_show_and_keeps_to_its_lengths() -> None:
    rows = [finding(line=line) for line in range(1, sarif.SHOWN_LIMIT + 1)]
    (run,) = json.loads(render("sarif", result(*rows)))["runs"]
    assert "toolExecutionNotifications" not in run["invocations"][0]
    (run,) = json.loads(render("sarif", result(*rows, finding(message="ä" * 3_000))))["runs"]
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "of 5001 findings code scanning shows the gravest 5000"
    assert len(run["results"]) == sarif.SHOWN_LIMIT + 1
    message = run["results"][-1]["message"]["text"]
    assert len(message) == sarif.TEXT_LIMIT
    assert message.endswith("…")


@pytest.mark.parametrize(
    ("text", "hashes"),
    [
        ("", ["c129715d7a2bc9a3:1"]),
        (
            " a\nb\n  \t\tc\n d",
            ["271789c17abda88f:1", "54703d4cd895b18:1", "180aee12dab6264:1", "a23a3dc5e078b07b:1"],
        ),
        (
            " hello; \t\r\nworld!!!\r\n\r\n\r\n  \t\tGreetings\r\n End\r\n",
            [
                "e9496ae3ebfced30:1",
                "fb7c023a8b9ccb3f:1",
                "ce8ba1a563dcdaca:1",
                "e20e36e16fcb0cc8:1",
                "b3edc88f2938467e:1",
                "c8e28b0b4002a3a0:1",
                "c129715d7a2bc9a3:1",
            ],
        ),
    ],
)
def test_line_hashes_are_those_of_the_upload_action(text: str, hashes: list[str]) -> None:
    wanted = range(1, len(hashes) + 1)
    assert line_hashes(text, wanted) == dict(zip(wanted, hashes, strict=True))


# JUnit


def test_junit_fails_where_the_run_fails() -> None:
    for fail_on, failures in (("error", 1), ("warning", 2), ("never", 0)):
        suites = JUnitXml.fromstring(
            render("junit", MIXED, show=ALL, fail_on=fail_on).encode("utf-8")
        )
        assert (suites.tests, suites.failures, suites.errors) == (5, failures, 1)
        cases = [case for suite in suites for case in suite]
        assert sum(not case.result for case in cases) == 0
    assert {suite.name for suite in suites} == {"api.yaml", "folder/b c.yaml", "input"}


def test_junit_of_a_clean_run_has_a_test_that_passes() -> None:
    suites = JUnitXml.fromstring(render("junit", result()).encode("utf-8"))
    ((case,),) = [list(suite) for suite in suites]
    assert case.name == "no findings in 3 files"
    assert case.result == []


# GitHub


def test_github_annotations_escape_what_would_end_them() -> None:
    text = "100% of\na, b: c"
    report = render("github", result(finding(file="a,b:c%.yaml", message=text)))
    command = report.splitlines()[0]
    assert command.startswith(
        "::error file=a%2Cb%3Ac%25.yaml,line=23,endLine=23,col=18,endColumn=45,title=image-digest::"
        "100%25 of\\na, b: c%0A"
    )


def test_github_shows_ten_of_a_kind_and_lists_the_rest() -> None:
    report = render(
        "github",
        result(
            *(finding(line=line, end_line=line) for line in range(1, 13)),
            *(finding(severity="warning", line=line, end_line=line) for line in range(1, 12)),
            finding(message="##[error]x ::error::y", severity="warning"),
        ),
    )
    lines = report.splitlines()
    assert sum(line.startswith("::error ") for line in lines) == 10
    assert sum(line.startswith("::warning ") for line in lines) == 10
    assert "GitHub shows 10 annotations of a kind for each step; 4 more findings:" in lines
    rest = lines[21:-1]
    assert len(rest) == 4
    assert all(line.startswith("- api.yaml:") and "##[" not in line for line in rest)
    assert lines[-1] == "tidewaiter: 12 error, 12 warning in 3 files"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_begins_a_github_command(text: str) -> None:
    found = result(*(hostile(text) for _ in range(25)))
    lines = render("github", found, show=ALL).splitlines()
    assert sum(line.lstrip().startswith("::") for line in lines) == 10
    assert not any("##[" in line for line in lines if not line.startswith("::"))


# GitLab


def test_gitlab_tells_twins_apart() -> None:
    issues = _valid_gitlab(render("gitlab", result(finding(), finding(line=50), finding(file="b"))))
    assert [issue["severity"] for issue in issues] == ["critical"] * 3
    assert issues[1]["location"] == {"path": "api.yaml", "lines": {"begin": 50, "end": 50}}


# TAP


def test_tap_fails_where_the_run_fails() -> None:
    unknown, violation, exempted, warning, error = _valid_tap(render("tap", MIXED, show=ALL))
    assert (violation.ok, violation.todo, violation.skip) == (False, False, False)
    assert violation.yaml_block["remedy"].startswith("Pin the image:\n")
    assert (unknown.skip, exempted.skip) == (True, True)
    assert (warning.ok, warning.todo) == (False, True)
    assert (error.ok, error.todo) == (False, False)


# PolicyReport


def test_reports_are_by_namespace() -> None:
    reports = _valid_reports(
        render(
            "policyreport",
            result(
                finding(),
                WARNING,
                finding(
                    kind="ClusterRole", api_version="rbac.authorization.k8s.io/v1", namespace=None
                ),
                finding(namespace=None),
                EXEMPTED,
                UNKNOWN,
            ),
            show=ALL,
        )
    )
    places = [(each["kind"], each["metadata"].get("namespace")) for each in reports]
    assert places == [
        ("ClusterPolicyReport", None),
        ("PolicyReport", None),
        ("PolicyReport", "payments"),
    ]
    assert reports[2]["summary"] == {"pass": 0, "fail": 1, "warn": 1, "error": 1, "skip": 1}
    assert "timestamp" not in reports[2]["results"][0]


def test_a_long_report_is_cut_into_several_objects() -> None:
    reports = _valid_reports(render("policyreport", result(*(finding() for _ in range(501)))))
    assert [each["metadata"]["name"] for each in reports] == ["tidewaiter", "tidewaiter-2"]


def test_a_stated_time_is_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (report,) = _valid_reports(render("policyreport", result(finding())))
    assert report["results"][0]["timestamp"] == {"seconds": 1700000000, "nanos": 0}


# Markdown


def _rendered(text: str) -> str:
    page: str = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    return page


def test_markdown_has_a_summary_and_details_by_file() -> None:
    page = _rendered(render("markdown", MIXED, show=ALL))
    assert page.count("<details>") == page.count("</details>") == 2
    assert "<table>" in page
    assert '<code class="language-yaml">image: api@sha256:...' in page
    assert "1 error" in page
    assert "not everything could be checked" in page


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_hostile_names_as_text(text: str) -> None:
    page = _rendered(render("markdown", result(hostile(text)), show=ALL))
    for tag in ("<script", "<img", "<h1", "<a ", "javascript:alert(1)</a"):
        assert tag not in page
    assert "@team" not in page


def test_markdown_fits_into_a_comment_and_says_what_it_leaves_out() -> None:
    many = result(*(finding(line=n, file=f"{n // 40}.yaml", name=f"api-{n}") for n in range(2000)))
    text = render("markdown", many)
    assert len(text) <= markdown.LIMIT
    assert len(text) > markdown.LIMIT - 2000
    assert text.count("<details>") == text.count("</details>")
    shown = text.count("**image\\-digest**") or text.count("**image-digest**")
    assert f"{2000 - shown} more findings left out" in text
