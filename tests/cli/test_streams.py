"""What is printed cannot be written: the run says so and is no pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLEAN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n"


def tidewaiter(
    folder: Path, redirection: str, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    (folder / "a.yaml").write_text(CLEAN)
    command = f'exec "$0" -m tidewaiter.cli.main "$@" {redirection}'
    return subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words", [("lint", "a.yaml"), ("lint", "a.yaml", "--format=json"), ("rules",), ("--version",)]
)
@pytest.mark.parametrize(
    ("redirection", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)  # fmt: skip
def test_stdout_that_takes_nothing_is_told_of(
    tmp_path: Path, redirection: str, why: str, words: tuple[str, ...], unbuffered: str
) -> None:
    run = tidewaiter(tmp_path, redirection, *words, PYTHONUNBUFFERED=unbuffered)
    assert run.stderr == f"tidewaiter: standard output cannot be written: {why}\n"
    assert run.returncode == 2


def test_a_closed_stdout_does_not_matter_where_nothing_is_printed(tmp_path: Path) -> None:
    run = tidewaiter(tmp_path, ">&-", "lint", "a.yaml", "--output=report.txt")
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "report.txt").read_text()
    assert tidewaiter(tmp_path, ">&-", "lint", "--help").stderr == ""


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_errors_never_go_into_the_report(tmp_path: Path, redirection: str) -> None:
    run = tidewaiter(tmp_path, redirection, "lint", "a.yaml", "none.yaml", "--format=json")
    assert run.returncode == 2
    assert "none.yaml: error" not in run.stdout
    assert tidewaiter(tmp_path, redirection, "lint", "a.yaml").returncode == 0


HOSTILE = 'apiVersion: v1\nkind: Pod\nmetadata: {name: "p\\e[2J\\u202eü"}\nspec: {containers: [{name: "c\\e]0;x\\a", image: "x:1"}]}\n'


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    "words",
    [
        ("lint", "."),
        ("fix", "--check", "."),
        ("fix", "--diff", "."),
        ("pin", "--check", "."),
        ("init", "--dry-run"),
        ("diff", "a.yaml", "."),
        ("checklist", "."),
        ("policy", "show", "hostile.yaml"),
    ],
    ids=lambda words: words[0],
)
def test_no_name_does_anything_to_a_terminal(
    tmp_path: Path, words: tuple[str, ...], encoding: str
) -> None:
    (tmp_path / "hostile.yaml").write_text(HOSTILE, encoding="utf-8")
    (tmp_path / "fol\x1b[31mder").mkdir()
    (tmp_path / "fol\x1b[31mder" / "pod\n.yaml").write_text(HOSTILE, encoding="utf-8")
    (tmp_path / "broken\x1b[31m.yaml").write_text("a: [", encoding="utf-8")
    run = tidewaiter(tmp_path, "", *words, PYTHONIOENCODING=encoding, LC_ALL="C")
    assert "internal error" not in run.stderr
    shown = run.stdout + run.stderr
    assert all(each.isprintable() or each in "\n\t" for each in shown)
    assert "\\x1b[" in shown or "\\033[" in shown


def test_a_diff_of_strange_names_is_one_that_git_applies(tmp_path: Path) -> None:
    folder = tmp_path / 'a"b\\\t\x1bü'
    folder.mkdir()
    (folder / "pod.yaml").write_text(HOSTILE, encoding="utf-8")
    diff = tidewaiter(tmp_path, "", "fix", "--diff", ".").stdout
    applied = subprocess.run(
        ["git", "apply", "-"], cwd=tmp_path, input=diff.encode(), capture_output=True, check=False
    )
    assert applied.stderr == b""
    assert "allowPrivilegeEscalation: false" in (folder / "pod.yaml").read_text(encoding="utf-8")
