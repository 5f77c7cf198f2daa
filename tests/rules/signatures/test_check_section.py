"""What cannot be verified by is said when the policy is read, not when the first image comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.rules.signatures.signing import keys
from tests.rules.signatures.sigstore_world import Authority, World
from tidewaiter.rules.errors import PolicyError
from tidewaiter.rules.policy.images import ImageFacts
from tidewaiter.rules.signatures.check_section import check_section

KEYLESS = {"issuer": "https://issuer.test", "subject": "https://subject.test"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(World(tmp_path_factory.mktemp("world")).trusted_root)
    return made


def checked(authorities: dict[str, Any]) -> None:
    check_section(ImageFacts([{"match": ["**"], "authorities": authorities}]), "policy.yaml")


def test_what_can_be_verified_by(root: dict[str, Any]) -> None:
    whole = {"data": json.dumps(root)}
    logs = {"data": json.dumps({**root, "certificateAuthorities": [], "ctlogs": []})}
    key = {"data": keys()["Ed25519"].pem}
    parts = [
        {"key": key, "trustedRoot": logs},
        {"keyless": KEYLESS, "trustedRoot": whole},
        {"certificate": {"data": Authority().pem}, "timestamp": [{"data": Authority().pem}]},
    ]
    checked({"anyOf": parts})


@pytest.mark.parametrize("within", [None, "anyOf", "allOf"])
def test_each_mistake_is_named(root: dict[str, Any], within: str | None) -> None:
    no_log = {"data": json.dumps({**root, "tlogs": []})}
    no_authority = {"data": json.dumps({**root, "certificateAuthorities": []}), "file": "root.json"}
    no_stamps = {"data": json.dumps({**root, "ctlogs": []}), "file": "root.json"}
    key = {"data": keys()["RSA PSS"].pem}
    for part, message in (
        ({"key": {"data": "x", "file": "a.pub"}}, "images[0]: a.pub: is not one PEM public key"),
        ({"key": {"data": key["data"] * 2}}, "is not one PEM public key"),
        ({"certificate": {"data": "x"}}, "is no PEM certificate"),
        ({"key": key, "timestamp": [{"data": "x"}]}, "is no PEM certificate"),
        ({"key": key, "trustedRoot": no_log}, "the trust root names no transparency log"),
        (
            {"keyless": KEYLESS, "trustedRoot": no_authority},
            "root.json names no certificate authority",
        ),
        (
            {"keyless": KEYLESS, "trustedRoot": no_stamps},
            "root.json names no certificate authority",
        ),
    ):
        with pytest.raises(PolicyError) as raised:
            checked({within: [part, {"static": "deny"}]} if within else part)
        assert message in str(raised.value)
        assert Path(raised.value.file or "") == Path("policy.yaml")
