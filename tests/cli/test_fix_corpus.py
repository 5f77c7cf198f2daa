"""Fixing the whole corpus: what is fixed is gone, nothing new is found, and a second run changes nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tidewaiter.cli.result import LintFinding
from tidewaiter.cli.run.fix import fix
from tidewaiter.cli.run.lint import Job, lint
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.fixes.draft import Draft
from tidewaiter.rules.fixes.value_edit import Refused
from tidewaiter.rules.loading.sources import discover, read_file

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
TREES = [
    pytest.param(tree, marks=[pytest.mark.slow] if tree.parent == CORPUS else [], id=tree.name)
    for tree in (*sorted(CORPUS.glob("*/")), *sorted(EXAMPLES.glob("*/")))
]


def _job(tree: Path) -> Job:
    return Job(
        paths=(str(tree),),
        exclude=(),
        inventory=(),
        schemas=(),
        plain_policy={"profiles": ["all"]},
        jobs=2,
        today="2026-11-25",
        use_cache=False,
    )


def _identity(finding: LintFinding) -> tuple[object, ...]:
    return (
        finding.file,
        finding.rule,
        finding.kind,
        finding.name,
        finding.namespace,
        finding.container,
        finding.message,
    )


@pytest.mark.parametrize("tree", TREES)
def test_a_draft_without_fixes_is_the_file_to_the_byte(tree: Path) -> None:
    for file in discover([str(tree)]).files:
        try:
            data = read_file(file.path)
            draft = Draft(data)
        except (InputError, Refused):
            continue
        assert draft.data() == data


@pytest.mark.parametrize("unsafe", [False, True], ids=["safe", "unsafe"])
@pytest.mark.parametrize("tree", TREES)
def test_fixes_remove_their_findings_and_add_none(tree: Path, unsafe: bool) -> None:
    job = _job(tree)
    before = Counter(map(_identity, lint(job).findings))
    result = fix(job, unsafe=unsafe)
    contents = {path: after for path, (_, after) in result.changed.items()}
    after = lint(job, contents=contents)
    now = Counter(map(_identity, after.findings))
    assert now - before == Counter()
    for finding in result.fixed:
        assert now[_identity(finding)] < before[_identity(finding)]
    assert fix(job, unsafe=unsafe, contents=contents).changed == {}
    for path, (old, new) in result.changed.items():
        kept, lines = set(new.splitlines()), old.splitlines()
        gone = [line for line in lines if line not in kept]
        assert len(gone) <= len(result.fixed), path
