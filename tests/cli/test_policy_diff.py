"""What `tidewaiter policy diff` says of two policies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidewaiter.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HEAD = "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: a}\nspec: "


def diff(folder: Path, before: str, after: str, *options: str) -> int:
    one, other = folder / "one.yaml", folder / "other.yaml"
    one.write_text(HEAD + before)
    other.write_text(HEAD + after)
    return main(["policy", "diff", str(one), str(other), *options])


def test_what_stands_elsewhere_is_no_difference(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert diff(tmp_path, "{}", "\n\n  {profile: recommended, failOn: error}") == 0
    assert capfdbinary.readouterr().out == b"no difference\n"


def test_rules_overrides_and_exemptions_are_told_one_by_one(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    exemption = "{match: {names: [a]}, rules: [pdb], reason: because}"
    before = f"{{overrides: [{{match: {{}}, mode: warn}}], exemptions: [{exemption}]}}"
    after = (
        "{rules: {min-replicas: {severity: info, parameters: {minimum: 5}}, pdb: {enabled: false}}}"
    )
    assert diff(tmp_path, before, after, "--format", "json") == 1
    found = json.loads(capfdbinary.readouterr().out)
    changes = {each["place"]: (each["before"], each["after"]) for each in found["changes"]}
    assert changes["rules.min-replicas.severity"] == ("warning", "info")
    assert changes["rules.min-replicas.parameters.minimum"] == (2, 5)
    assert changes["rules.pdb"][1] == "off"
    assert changes["overrides"] == ({"match": {}, "mode": "warn"}, None)
    assert changes["exemptions"][0]["reason"] == "because"
    assert len(changes) == 5


def test_a_policy_with_a_mistake_cannot_be_compared(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert diff(tmp_path, "{}", "{profil: all}") == 2
    assert b"did you mean 'profile'" in capfdbinary.readouterr().err
