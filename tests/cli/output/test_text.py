"""The text report, whole."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from tests.cli.output.results import EXEMPTED, MALFORMED, UNKNOWN, finding, result
from tidewaiter.cli.output.text import render


def test_a_finding_has_its_line_a_caret_its_object_and_its_remedy() -> None:
    assert render(result(finding())) == dedent("""\
        api.yaml
          23:18  error  image-digest  container api uses registry.example.com/api:1.4, which no digest pins
                 Deployment payments/api, container api: /spec/template/spec/containers/0/image
             23 |           image: registry.example.com/api:1.4
                |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                 remedy: Pin the image:
                   image: api@sha256:...

        1 error in 1 of 3 files (5 resources)
        """)


def test_a_remedy_is_printed_once_for_a_rule_and_file() -> None:
    lines = render(
        result(
            finding(),
            finding(line=40, end_line=40),
            finding(line=50, end_line=50, remediation="Something else."),
            finding(file="b.yaml"),
        )
    ).splitlines()
    assert [line.strip() for line in lines if "remedy" in line] == [
        "remedy: Pin the image:",
        "remedy: as at 23:18",
        "remedy: Something else.",
        "remedy: Pin the image:",
    ]


def test_the_summary_counts_everything_and_says_what_is_hidden() -> None:
    report = render(
        result(
            finding(),
            finding(severity="warning", file="b.yaml"),
            finding(severity="info", file="b.yaml"),
            finding(severity="info", file="b.yaml", line=24, end_line=24),
            EXEMPTED,
            UNKNOWN,
            skipped=(("values.yaml", "no apiVersion"),),
            errors=(MALFORMED,),
        )
    )
    assert report.splitlines()[-3:] == [
        (
            "1 error, 1 warning, 2 info in 2 of 3 files "
            "(5 resources; 1 unknown, 1 exempted; 1 file skipped)"
        ),
        "--show unknown prints what could not be decided from these files alone.",
        "Incomplete: 1 problem, see the errors.",
    ]
    assert "built nightly" not in report
    assert "PodDisruptionBudget" not in report


def test_exempted_and_unknown_findings_are_shown_when_asked_for() -> None:
    report = render(result(UNKNOWN, EXEMPTED), show=frozenset({"unknown", "exempted"}))
    assert report == dedent("""\
        api.yaml
          4:1  unknown  pdb  whether a PodDisruptionBudget selects the pods is not known from one file
               Deployment payments/api
            4 |           image: registry.example.com/api:1.4
              | ^^^^

          30:18  exempted  image-digest  container api uses registry.example.com/api:1.4, which no digest pins
                 Deployment payments/api, container api: /spec/template/spec/containers/0/image
             30 |           image: registry.example.com/api:1.4
                |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                 exempted by policy: built nightly, until 2027-01-31

        No findings in 3 files (5 resources; 1 unknown, 1 exempted)
        """)


def test_quiet_is_one_line_for_each_finding() -> None:
    assert render(result(finding()), quiet=True) == (
        "api.yaml:23:18: error: container api uses registry.example.com/api:1.4, "
        "which no digest pins [image-digest]\n"
    )
    assert render(result(), quiet=True) == ""


def test_statistics_count_by_rule_with_the_most_frequent_first() -> None:
    report = render(
        result(UNKNOWN, finding(), finding(line=30, end_line=30), EXEMPTED), statistics=True
    )
    assert report.splitlines()[-6:-2] == [
        "rule          error  warning  info  unknown  exempted",
        "image-digest      2        -     -        -         1",
        "pdb               -        -     -        1         -",
        "",
    ]


@pytest.mark.parametrize(
    ("found", "first"),
    [
        (result(files=0, resources=0), "Nothing to check: no YAML or JSON file was found here."),
        (
            result(resources=0, skipped=(("a", ""), ("b", ""), ("c", ""))),
            "Nothing to check: no Kubernetes object in 3 files.",
        ),
        (result(), "No findings in 3 files (5 resources)"),
        (
            result(resources=0, errors=(MALFORMED,)),
            "No findings in 3 files (0 resources)",
        ),
    ],
)
def test_where_there_is_nothing_to_report_it_says_why(found: object, first: str) -> None:
    assert render(found).splitlines()[0] == first  # type: ignore[arg-type]


def test_a_finding_on_the_policy_file_names_no_object() -> None:
    report = render(
        result(finding(file="tidewaiter.yaml", kind="", name="", container=None, pointer=""))
    )
    assert report.splitlines()[2].lstrip().startswith("23 |")


def test_a_span_over_several_lines_is_marked_to_the_end_of_its_first() -> None:
    report = render(result(finding(end_line=25, end_column=3)))
    assert "                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n" in report


def test_there_is_colour_only_where_it_is_asked_for() -> None:
    assert "\033" not in render(result(finding(), UNKNOWN))
    colored = render(result(finding()), color=True)
    assert "\033[1;31merror\033[0m" in colored
    assert "^^^^\033[0m" in colored


def test_escape_sequences_of_a_manifest_do_not_reach_the_terminal() -> None:
    hostile = finding(
        message="the image \033[2J is\nnew\rline",
        name="api\033]0;x\a",
        remediation="Remove \033[1m.",
    )
    found = result(hostile, lines={("api.yaml", 23): "image: \033[2Japi \u202e"})
    report = render(found)
    assert all(character.isprintable() or character == "\n" for character in report)
    assert r"the image \x1b[2J is\nnew\rline" in report


def test_it_imports_nothing_that_is_slow_to_load() -> None:
    slow = "re typing json dataclasses enum pathlib datetime unicodedata logging"
    code = (
        "import sys; before = set(sys.modules); import tidewaiter.cli.output.text, "
        "tidewaiter.cli.output.json_report; "
        f"print(*sorted((set(sys.modules) - before) & set({slow.split()!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
