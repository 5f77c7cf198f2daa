"""Every fix against its rule's fixtures: `fixed/<name>` is what becomes of `fail/<name>`.

All fixes are applied, unsafe ones too, to the fail fixture without its marks. `python -m
tests.rules.checks.test_fixed` writes the folders anew, to be read before they are committed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tidewaiter.cli.run.fix import FixResult, fix
from tidewaiter.cli.run.lint import Job

ROOT = Path(__file__).parent
FAILING = sorted(ROOT.glob("*/fail/*"))


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.yaml")) if path.is_dir() else [path]


def _settings(path: Path) -> dict[str, Any]:
    for file in _files(path):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        if first.startswith("# settings:"):
            settings: dict[str, Any] = json.loads(first.removeprefix("# settings:"))
            return settings
    return {}


def without_marks(data: bytes) -> bytes:
    """Return a fixture without the comments that mark its violations."""
    lines = []
    for line in data.decode().splitlines(keepends=True):
        head, mark, comment = line.partition(" # ")
        marked = mark and set(comment.split()) <= {"violation"}
        lines.append(head.rstrip() + "\n" if marked else line)
    return "".join(lines).encode()


def fix_fixture(path: Path, folder: Path, *, unsafe: bool = True) -> tuple[FixResult, Path]:
    """Fix a copy of a fixture in an empty folder; return the result and where the copy is."""
    settings = _settings(path)
    rule = path.parent.parent.name
    copy = folder / "copy"
    target = copy / path.name if path.is_dir() else copy
    target.mkdir(parents=True)
    for file in _files(path):
        (target / file.name).write_bytes(without_marks(file.read_bytes()))
    whole = settings.get("complete", True)
    paths = [copy] if whole or path.is_dir() else _files(copy)
    job = Job(
        paths=tuple(map(str, paths)),
        exclude=(),
        inventory=(),
        schemas=(),
        plain_policy={
            "profiles": [settings.get("profile", "recommended")],
            "kubernetesVersion": settings.get("kubernetesVersion", "1.37"),
            "only": [rule, *settings.get("with", [])],
            "rules": {rule: {"parameters": settings.get("parameters", {})}},
            "exemptions": settings.get("exemptions", []),
        },
        jobs=1,
        today="2026-11-23",
        use_cache=False,
    )
    result = fix(job, unsafe=unsafe)
    for name, (_, after) in result.changed.items():
        Path(name).write_bytes(after)
    return result, target


def _contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in _files(path)}


@pytest.mark.parametrize("path", FAILING, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_a_failing_fixture_is_fixed_as_its_fixed_form_says(path: Path, tmp_path: Path) -> None:
    expected = path.parent.parent / "fixed" / path.name
    result, target = fix_fixture(path, tmp_path)
    assert bool(result.changed) == expected.exists()
    if not result.changed:
        return
    made = target if path.is_dir() else target / path.name
    assert _contents(made) == _contents(expected)
    assert [left.reason for left in result.left if left.reason] == []
    again, _ = fix_fixture(made.rename(tmp_path / path.name), tmp_path / path.parent.parent.name)
    assert not again.changed


def test_every_fixed_form_has_its_failing_fixture() -> None:
    failing = {(path.parent.parent.name, path.name) for path in FAILING}
    fixed = {(path.parent.parent.name, path.name) for path in ROOT.glob("*/fixed/*")}
    assert fixed <= failing


def test_the_documentation_lists_the_rules_with_fixes() -> None:
    page = (ROOT.parents[2] / "docs" / "fix.md").read_text(encoding="utf-8")
    table = page.partition("## Which rules have fixes")[2]
    listed = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert listed == sorted(path.name for path in ROOT.iterdir() if (path / "fixed").exists())


def _write_all() -> None:
    for path in FAILING:
        expected = path.parent.parent / "fixed" / path.name
        with TemporaryDirectory() as folder:
            result, target = fix_fixture(path, Path(folder))
            if result.changed:
                expected.parent.mkdir(exist_ok=True)
                if path.is_dir():
                    shutil.copytree(target, expected, dirs_exist_ok=True)
                else:
                    shutil.copy(target / path.name, expected)
            for left in result.left:
                if left.reason:
                    print(path, left.finding.line, left.finding.message, left.reason)


if __name__ == "__main__":
    _write_all()
