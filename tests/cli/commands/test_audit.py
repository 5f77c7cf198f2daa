"""`tidewaiter audit verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.rules.test_audit_chain import chain, log
from tidewaiter.cli.main import main
from tidewaiter.rules.audit_chain import hash_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_whole_log_is_told_with_its_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = chain(5)
    assert main(["audit", "verify", log(tmp_path, lines)]) == 0
    out = capsys.readouterr().out
    assert "5 lines, 1 to 5 of the log: the chain is whole" in out
    assert f"last line: {hash_of(lines[-1])}" in out
    assert "does not show lines missing from its end" in out


def test_a_break_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = chain(5)
    path = log(tmp_path, [*lines[:2], *lines[3:]])
    assert main(["audit", "verify", path]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"{path}:3: line 3 of the log is missing before this one")
    assert "the chain is broken" in out


def test_the_expected_end_shows_that_lines_are_missing_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = chain(5)
    path = log(tmp_path, lines[:4])
    assert main(["audit", "verify", path, "--expect-last", hash_of(lines[3])]) == 0
    assert main(["audit", "verify", path, "--expect-last", hash_of(lines[4])]) == 1
    assert "not the expected one" in capsys.readouterr().out


def test_further_chains_are_allowed_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = log(tmp_path, [*chain(3), *chain(3)])
    assert main(["audit", "verify", path]) == 1
    assert main(["audit", "verify", path, "--restarts"]) == 0
    assert "chains begin at" in capsys.readouterr().out


def test_what_cannot_be_done_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", str(tmp_path / "missing")]) == 2
    assert main(["audit", "verify", log(tmp_path, chain(1)), "--expect-last", "abc"]) == 2
    err = capsys.readouterr().err
    assert "cannot be read: No such file or directory" in err
    assert "64 hexadecimal digits" in err
