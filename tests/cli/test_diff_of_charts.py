"""`tidewaiter diff` renders the charts of a commit with all of their files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.rules.rendering.charts import small
from tidewaiter.cli.main import main

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")


def test_a_chart_of_a_commit_has_its_helpers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ include "name" . }}}\n'
    chart = small(tmp_path, text)
    (chart / "templates" / "_helpers.tpl").write_text('{{ define "name" }}shop{{ end }}\n')
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "a")):
        subprocess.run([*GIT, *words], check=True)
    assert main(["diff", "main:", "."]) == 0
    assert "cannot be rendered" not in capsys.readouterr().err
