"""What makes a finding the same in two runs, and what does not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.output.results import finding
from tidewaiter.cli.fingerprint import fingerprints, identity
from tidewaiter.cli.run.lint import Job, lint
from tidewaiter.cli.stable_field import stable_field

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy/examples/payments-broken"
POD = {"spec": {"containers": [{"name": "log"}, {"name": "api", "env": [{"name": "LEVEL"}, {}]}]}}


@pytest.mark.parametrize(
    ("pointer", "field"),
    [
        ("", ""),
        ("/spec/containers/1", "/spec/containers[api]"),
        ("/spec/containers/1/image", "/spec/containers[api]/image"),
        ("/spec/containers/1/env/0/value", "/spec/containers[api]/env[LEVEL]/value"),
        ("/spec/containers/1/env/1/value", "/spec/containers[api]/env[*]/value"),
        ("/spec/containers/7/image", "/spec/containers[*]/image"),
        ("/spec/volumes/0/hostPath", "/spec/volumes[*]/hostPath"),
        ("/metadata/annotations/a~1b", "/metadata/annotations/a~1b"),
    ],
)
def test_an_entry_of_a_list_goes_by_its_name(pointer: str, field: str) -> None:
    assert stable_field(POD, pointer) == field


def test_scalar_entries_are_not_named_since_they_may_be_secret() -> None:
    assert stable_field({"args": ["--password=hunter2"]}, "/args/0") == "/args[*]"


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), st.text("/0123456789ab~"))  # fmt: skip
def test_any_object_and_pointer_gives_a_field(obj: Any, pointer: str) -> None:
    assert isinstance(stable_field(obj, pointer), str)


@given(st.permutations(["a", "b", "c", "d"]), st.integers(0, 3))
def test_the_order_of_named_entries_does_not_matter(names: list[str], index: int) -> None:
    pod = {"containers": [{"name": name} for name in names]}
    assert stable_field(pod, f"/containers/{index}/image") == f"/containers[{names[index]}]/image"


@given(
    st.integers(1, 10**6),
    st.integers(1, 200),
    st.text(),
    st.sampled_from(["apps/v1", "apps/v1beta2"]),
    st.sampled_from(["error", "warning", "info"]),
)
def test_line_message_severity_and_api_version_do_not_matter(
    line: int, column: int, message: str, version: str, severity: str
) -> None:
    moved = finding(
        line=line, column=column, message=message, api_version=version, severity=severity
    )
    assert fingerprints([moved]) == fingerprints([finding()])


@pytest.mark.parametrize(
    "change",
    [
        {"rule": "no-latest-tag"},
        {"kind": "StatefulSet"},
        {"namespace": "shop"},
        {"namespace": None},
        {"name": "other"},
        {"container": "sidecar"},
        {"field": "/spec/template/spec/containers[sidecar]/image"},
    ],
)
def test_rule_object_container_and_field_matter(change: dict[str, Any]) -> None:
    assert fingerprints([finding(**change)]) != fingerprints([finding()])


@given(st.lists(st.sampled_from(["a.yaml", "b.yaml"]), max_size=8))
def test_fingerprints_are_unique_and_those_of_a_file_do_not_depend_on_others(
    files: list[str],
) -> None:
    findings = [finding(file=file) for file in files]
    marks = fingerprints(findings)
    assert len(set(marks)) == len(marks)
    alone = fingerprints([one for one in findings if one.file == "b.yaml"])
    assert [mark for mark, file in zip(marks, files, strict=True) if file == "b.yaml"] == alone


def _marks(folder: Path) -> dict[str, list[str]]:
    job = Job((str(folder),), (), (), (), {"profiles": ["all"]}, 1, "2026-01-01", use_cache=False)
    found = lint(job).findings
    by_file: dict[str, list[str]] = {}
    for one, mark in zip(found, fingerprints(found, by_file=False), strict=True):
        by_file.setdefault(Path(one.file).name, []).append(mark)
    return {file: sorted(marks) for file, marks in by_file.items()}


@pytest.mark.parametrize("seed", range(3))
def test_lines_comments_and_the_order_of_documents_may_move(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    for source in sorted(EXAMPLE.glob("*.yaml")):
        documents = source.read_text(encoding="utf-8").split("\n---\n")
        chance.shuffle(documents)
        moved = [f"\n\n# moved\n{text.strip()}\n# end\n" for text in documents]
        (tmp_path / source.name).write_text("\n---\n".join(moved), encoding="utf-8")
    assert _marks(tmp_path) == _marks(EXAMPLE)


def test_a_fingerprint_stays_what_it_is_in_later_versions() -> None:
    assert identity(finding())[1] == "Deployment.apps"
    assert fingerprints([finding(field="/spec/containers[api]/image")]) == [
        "35abbabb823d108dbb450d4f1bbf510a"
    ]
    assert json.dumps(fingerprints([])) == "[]"
