"""Results as a lint run makes them, for the tests of the outputs."""

from __future__ import annotations

from typing import Any

from tidewaiter.cli.result import LintError, LintFinding, LintResult

LINE = "          image: registry.example.com/api:1.4"


def finding(**changes: Any) -> LintFinding:
    """Return a violation of image-digest in api.yaml, with some fields changed."""
    fields: dict[str, Any] = {
        "file": "api.yaml",
        "line": 23,
        "column": 18,
        "end_line": 23,
        "end_column": 46,
        "rule": "image-digest",
        "severity": "error",
        "status": "violation",
        "message": "container api uses registry.example.com/api:1.4, which no digest pins",
        "remediation": "Pin the image:\nimage: api@sha256:...",
        "api_version": "apps/v1",
        "kind": "Deployment",
        "namespace": "payments",
        "name": "api",
        "container": "api",
        "pointer": "/spec/template/spec/containers/0/image",
        "exemption": None,
    }
    return LintFinding(**(fields | changes))


def result(*findings: LintFinding, **changes: Any) -> LintResult:
    """Return a result with these findings over three files, with some fields changed."""
    fields: dict[str, Any] = {
        "files": 3,
        "resources": 5,
        "skipped": (),
        "findings": findings,
        "errors": (),
        "lines": {(one.file, one.line): LINE for one in findings},
    }
    return LintResult(**(fields | changes))


MALFORMED = LintError("broken.yaml", 3, 1, "a mapping is not closed")
EXEMPTED = finding(
    status="exempted",
    line=30,
    end_line=30,
    exemption={"source": "policy", "reason": "built nightly", "expires": "2027-01-31"},
)
UNKNOWN = finding(
    rule="pdb",
    status="unknown",
    message="whether a PodDisruptionBudget selects the pods is not known from one file",
    line=4,
    end_line=4,
    column=1,
    end_column=5,
    container=None,
    pointer="",
)
