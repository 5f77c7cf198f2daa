"""Source lines around a finding, which a report shows though nothing was found at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidewaiter.cli.main import main

MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {name: app, namespace: shop}
spec:
  containers:
    - name: app
      env:
        - {name: LEVEL, value: LINE}
        - name: DB_PASSWORD
          value: LINE
      image: app:latest
      args:
        - --password=LINE
        - "--token LINE"
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop}
stringData:
  # before
  anything: LINE
  long: |
    LINE
    LINE
data: {other: LINE}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data:
  password: LINE
  url: postgres://app:LINE@db/app
  key.pem: |
    -----BEGIN PRIVATE KEY-----
    LINE
  json: '{"password": "LINE"}'
"""
VALUE = "c0rrect-Horse-battery9Staple"


@pytest.mark.parametrize(
    "words", [["--profile=all"], ["--only=no-latest-tag"], ["--only=required-labels"], ["--only=valid-schema"], ["--only=no-secret-manifest"]]
)  # fmt: skip
def test_no_credential_is_shown_whichever_rule_finds_something(
    words: list[str], tmp_path: Path
) -> None:
    manifest = tmp_path / "app.yaml"
    manifest.write_text(MANIFEST.replace("LINE", VALUE), encoding="utf-8")
    page = tmp_path / "page.html"
    assert main(["lint", str(manifest), "--format=html", f"--output={page}", *words]) in {0, 1}
    text = page.read_text(encoding="utf-8")
    assert VALUE not in text
    assert VALUE[:12] not in text


def test_what_is_no_credential_is_shown(tmp_path: Path) -> None:
    manifest = tmp_path / "app.yaml"
    manifest.write_text(MANIFEST, encoding="utf-8")
    page = tmp_path / "page.html"
    assert main(
        ["lint", str(manifest), "--format=html", f"--output={page}", "--only=no-latest-tag"]
    )
    text = page.read_text(encoding="utf-8")
    for line in ("      args:", "          value: ***", "      image: app:latest", "        - name: DB_PASSWORD"):  # fmt: skip
        assert line in text, line
