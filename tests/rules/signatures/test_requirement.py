"""An entry of the policy says the same as the requirement that is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter.rules.signatures.authority import (
    PUBLIC_GOOD,
    AtLeast,
    CertificateAuthority,
    Identity,
    KeyAuthority,
    KeylessAuthority,
    StaticAuthority,
    TextMatch,
    TimestampAuthority,
    TrustedRoot,
)
from tidewaiter.rules.signatures.requirement import (
    Materials,
    authorities_of,
    signature_requirement,
)

ROOT = {"data": '{"mediaType": "x"}'}


def made(row: dict[str, Any]) -> object:
    return authorities_of(row, Materials())


def test_a_key_needs_a_log_entry_unless_it_says_otherwise() -> None:
    key = {"data": "PEM", "hashAlgorithm": "sha384"}
    assert made({"key": key, "name": "release"}) == KeyAuthority(
        "PEM", "release", "sha384", transparency_log=True, trusted_root=PUBLIC_GOOD
    )
    ignored = {"key": key, "transparencyLog": "ignored", "timestamp": [{"data": "TSA"}]}
    assert made(ignored) == KeyAuthority(
        "PEM", "key", "sha384", timestamps=(TimestampAuthority("TSA"),)
    )
    own = made({"key": key, "trustedRoot": ROOT})
    assert isinstance(own, KeyAuthority)
    assert own.trusted_root == TrustedRoot(ROOT["data"])


def test_a_certificate_has_roots_intermediates_and_names() -> None:
    row = {
        "data": "ROOTS",
        "intermediates": {"data": "BETWEEN"},
        "subjectRegExp": "^a",
        "issuer": "b",
    }
    found = made({"certificate": row, "transparencyLog": "ignored"})
    assert found == CertificateAuthority(
        "ROOTS", "BETWEEN", TextMatch("^a", is_pattern=True), TextMatch("b"), "certificate"
    )


def test_an_identity_has_issuer_subject_and_claims() -> None:
    row = {
        "issuer": "a",
        "subjectRegExp": "^b$",
        "claims": {"buildTrigger": "push"},
        "claimsRegExp": {"sourceRepositoryRef": "^refs/tags/"},
    }
    claims = (
        ("buildTrigger", TextMatch("push")),
        ("sourceRepositoryRef", TextMatch("^refs/tags/", is_pattern=True)),
    )
    identity = Identity(TextMatch("a"), TextMatch("^b$", is_pattern=True), claims)
    assert made({"keyless": row, "trustedRoot": ROOT, "name": "ci"}) == KeylessAuthority(
        (identity,), TrustedRoot(ROOT["data"]), "ci"
    )


def test_a_material_whose_secret_is_missing_signs_nothing() -> None:
    reference = {"secretRef": {"namespace": "keys", "name": "tsa", "key": "chain"}}
    materials = Materials()
    row = {"key": {"data": "PEM"}, "transparencyLog": "ignored", "timestamp": [reference]}
    other = {"key": {"data": "OTHER"}, "transparencyLog": "ignored"}
    found = authorities_of({"atLeast": {"count": 1, "of": [row, other]}}, materials)
    assert isinstance(found, AtLeast)
    assert isinstance(found.parts[0], StaticAuthority)
    assert not found.parts[0].passes
    assert isinstance(found.parts[1], KeyAuthority)
    assert materials.missing == ["key chain of Secret keys/tsa could not be read"]
    known = Materials({("keys", "tsa", "chain"): "TSA"})
    assert isinstance(authorities_of(row, known), KeyAuthority)
    assert known.missing == []


@pytest.mark.parametrize("held", ["", " \n"])
def test_an_empty_trust_root_is_not_that_of_the_public_instance(held: str) -> None:
    reference = {"secretRef": {"namespace": "keys", "name": "root", "key": "json"}}
    materials = Materials({("keys", "root", "json"): held})
    for row in (
        {"keyless": {"issuer": "a", "subject": "b"}, "trustedRoot": reference},
        {"key": {"data": "PEM"}, "trustedRoot": reference},
    ):
        found = authorities_of(row, materials)
        assert isinstance(found, StaticAuthority)
        assert not found.passes
    assert materials.missing[0] == "key json of Secret keys/root is empty"


def test_the_fields_of_an_entry_are_those_of_the_requirement() -> None:
    entry = {
        "authorities": {"static": "pass"},
        "annotations": {"env": "prod"},
        "target": "platforms",
        "sameReference": True,
        "signatureRepository": "ghcr.io/shop/signatures",
    }
    found = signature_requirement(entry, Materials())
    assert found.annotations == (("env", "prod"),)
    assert (found.target, found.same_reference) == ("platforms", True)
    assert found.signature_repository == "ghcr.io/shop/signatures"
