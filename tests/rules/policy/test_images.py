"""The section `images`: its mistakes, which images it speaks of, and what its files hold."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.rules.policy.policies import spec, write
from tidewaiter.rules.errors import PolicyError
from tidewaiter.rules.image_answers import ImageAnswer
from tidewaiter.rules.manifest.image import InvalidImage
from tidewaiter.rules.policy.attestation_conditions import condition_of
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.file import load_policy, policy_warnings
from tidewaiter.rules.policy.images import ImageFacts

KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ==\n-----END PUBLIC KEY-----\n"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def mistakes(folder: Path, text: str) -> list[str]:
    path = write(folder, spec(text))
    with pytest.raises(PolicyError) as caught:
        load_policy(path, use_cache=False)
    return [line.removeprefix(path + ":") for line in str(caught.value).splitlines()]


def entry(authorities: str, more: str = "") -> str:
    return f"images: [{{match: ['**'], authorities: {authorities}{more}}}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("images: []", "5:11: images is empty"),
        ("images: [{authorities: {static: pass}}]", "5:12: match is missing"),
        (
            "images: [{match: [ghcr.io], authorities: {static: pass}}]",
            (
                "5:21: 'ghcr.io' is a registry without a path, or has a tag; for all images of a registry, end "
                "with /**"
            ),
        ),
        (
            "images: [{match: ['ghcr.io/a:1'], authorities: {static: pass}}]",
            "5:21: 'ghcr.io/a:1' has a tag or digest; a pattern is registry and path alone",
        ),
        (entry("{kee: {}}"), "5:47: there is no key 'kee' here; did you mean 'key'?"),
        (entry("{static: maybe}"), "5:50: static is 'maybe', not one of pass, deny"),
        (
            entry("{key: {data: a, file: b}}"),
            "5:47: one of data, file, secretRef is asked for here, not data and file",
        ),
        (
            entry("{keyless: {issuer: a}}"),
            "5:51: one of subject, subjectRegExp is asked for here",
        ),
        (
            entry("{keyless: {issuer: a, subjectRegExp: '('}}"),
            "5:78: subjectRegExp: '(' is no regular expression: missing ): (",
        ),
        (
            entry("{keyless: {issuer: a, subject: b, claims: {sourceRepositoryUrl: c}}}"),
            "5:105: there is no key 'sourceRepositoryUrl' here; did you mean 'sourceRepositoryUri'?",
        ),
        (
            entry("{keyless: {issuer: a, subject: b}, transparencyLog: ignored}"),
            "5:41: a keyless signature is nothing without its entry in a transparency log",
        ),
        (
            entry("{atLeast: {count: 3, of: [{static: pass}]}}"),
            "5:51: 3 of 1 is more than there are",
        ),
        (
            entry("{atLeast: {count: 0, of: [{static: pass}]}}"),
            "5:59: count: input should be greater than or equal to 1",
        ),
        (
            entry("{static: pass}", ", attestations: [{type: slsa}]"),
            (
                "5:79: type: 'slsa' is neither a URI nor one of custom, cyclonedx, link, openvex, slsaprovenance, slsaprovenance02, slsaprovenance1, spdx, spdxjson, vuln"
            ),
        ),
        (
            entry("{static: pass}", ", signatures: ignored"),
            "5:12: this asks for nothing: signatures are ignored, attestations not named",
        ),
        (
            entry("{key: {file: absent.pub}}"),
            "5:54: absent.pub: does not exist",
        ),
        (
            entry("{key: {data: nonsense}}"),
            "5:54: this holds no PEM where -----BEGIN PUBLIC KEY----- is asked for",
        ),
        (
            entry(
                "{static: pass}",
                ", attestations: [{type: vuln, conditions: [{expression: predicate.a}]}]",
            ),
            "5:111: the expression must give a bool, not dyn; write bool(...)",
        ),
        (
            entry(
                "{static: pass}",
                ", attestations: [{type: vuln, conditions: [{expression: 'noww > now'}]}]",
            ),
            "5:111: there is no variable noww; did you mean now?",
        ),
        (
            entry("{atLeast: {count: 2, of: [{static: pass}, {static: pass, name: a}]}}"),
            "5:83: this authority stands above already: one signature must not count twice",
        ),
        ("imageSettings: {matching: any}", "5:29: matching is 'any', not one of all, first"),
        (
            "imageSettings: {keepVerified: 200h}",
            "5:33: keepVerified: is not between 0 and 168h",
        ),
    ],
)
def test_a_mistake_has_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, text) == [expected]


def test_a_private_key_is_refused_without_being_shown(tmp_path: Path) -> None:
    secret = "MC4CAQAwBQYDK2VwBCIEI"
    file = tmp_path / "cosign.key"
    file.write_text(f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n")
    (found,) = mistakes(tmp_path, entry("{key: {file: cosign.key}}"))
    assert "holds a private key" in found
    assert secret not in found


def test_the_plain_policy_holds_what_its_files_hold_now(tmp_path: Path) -> None:
    key = tmp_path / "release.pub"
    key.write_text(KEY)
    path = write(tmp_path, spec(entry("{key: {file: release.pub}}")))
    assert load_policy(path)["images"][0]["authorities"]["key"]["data"] == KEY
    key.write_text(KEY.replace("MFkw", "MFkx"))
    assert "MFkx" in load_policy(path)["images"][0]["authorities"]["key"]["data"]


def test_a_signer_who_may_be_anybody_is_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path, spec(entry("{keyless: {issuer: a, subjectRegExp: shop}}")))
    assert policy_warnings(load_policy(path)) == [
        (
            "images[0]: subjectRegExp 'shop' may be found anywhere in a name, that of somebody else among them; "
            "^ at its beginning prevents that"
        )
    ]


def facts(*patterns: str, exclude: list[str] | None = None, **settings: Any) -> ImageFacts:
    rows: list[dict[str, Any]] = [
        {"match": [pattern], "authorities": {"static": "deny"}} for pattern in patterns
    ]
    if exclude:
        rows[0]["exclude"] = exclude
    return ImageFacts(rows, settings)


@pytest.mark.parametrize(
    ("pattern", "image", "matches"),
    [
        ("**", "nginx", True),
        ("*", "ghcr.io/shop/api:1", True),
        ("nginx", "nginx:1", True),
        ("nginx", "docker.io/library/nginx@sha256:" + "0" * 64, True),
        ("docker.io/nginx", "nginx", True),
        ("library/*", "nginx", True),
        ("shop/*", "docker.io/shop/api", True),
        ("shop/*", "ghcr.io/shop/api", False),
        ("ghcr.io/*", "ghcr.io/api", True),
        ("ghcr.io/*", "ghcr.io/shop/api", False),
        ("ghcr.io/**", "ghcr.io/shop/api", True),
        ("ghcr.io/**", "GHCR.io:443/shop/api", True),
        ("GHCR.io/**", "ghcr.io/shop/api", True),
        ("ghcr.io/**", "ghcr.io.evil.example/shop/api", False),
        ("ghcr.io/**", "evil.example/ghcr.io/shop/api", False),
        ("ghcr.io/**", "ghcr.io:5000/shop/api", False),
        ("*/shop/api", "ghcr.io/shop/api", True),
        ("*/shop/api", "ghcr.io/other/shop/api", False),
        ("localhost:5000/**", "localhost:5000/a/b:1", True),
        ("index.docker.io/library/*", "registry-1.docker.io/library/nginx", True),
    ],
)
def test_a_pattern_is_for_the_completed_name(pattern: str, image: str, matches: bool) -> None:
    assert facts(pattern).asks(image) is matches


def test_the_first_or_all_entries_hold() -> None:
    patterns = ("ghcr.io/shop/**", "**")
    assert facts(*patterns).places("ghcr.io/shop/api") == (0, 1)
    assert facts(*patterns, matching="first").places("ghcr.io/shop/api") == (0,)
    assert facts(*patterns, exclude=["ghcr.io/shop/a*"]).places("ghcr.io/shop/api") == (1,)


def test_what_no_entry_matches_is_let_through_or_refused() -> None:
    assert not facts("ghcr.io/**").asks("nginx")
    strict = facts("ghcr.io/**", unmatched="deny")
    answer = strict.answer("nginx")
    assert strict.asks("nginx", "signature")
    assert isinstance(answer, ImageAnswer)
    assert answer.signature


def test_what_is_no_reference_is_never_unmatched() -> None:
    with pytest.raises(InvalidImage):
        facts("ghcr.io/**").asks("ghcr.io/Shop/api")


def test_the_rules_are_on_where_the_policy_has_images() -> None:
    names = {"image-signature", "image-attestation"}
    row = {"match": ["**"], "authorities": {"static": "pass"}}
    assert not names & set(Policy({"profiles": ["all"]}).settings(None).rules)
    assert names <= set(Policy({"images": [row]}).settings(None).rules)
    off: Any = {"image-attestation": {"enabled": False}}
    assert names & set(Policy({"images": [row], "rules": off}).settings(None).rules) == {
        "image-signature"
    }


@pytest.mark.parametrize(
    ("expression", "predicate", "holds"),
    [
        ("predicate.builder.id == 'ci'", {"builder": {"id": "ci"}}, True),
        ("predicate.builder.id == 'ci'", {"builder": {"id": "me"}}, False),
        ("predicate.builder.id == 'ci'", {}, False),
        ("predicate.builder.id == 'ci'", "text", False),
        ("predicate.builder.id == 'ci'", None, False),
        (
            "now - timestamp(predicate.at) < duration('168h')",
            {"at": "2026-11-20T00:00:00Z"},
            True,
        ),
        (
            "now - timestamp(predicate.at) < duration('168h')",
            {"at": "2026-11-10T00:00:00Z"},
            False,
        ),
        (
            "!predicate.v.exists(v, v.severity == 'CRITICAL' && v.fixed != '')",
            {"v": [{"severity": "CRITICAL", "fixed": ""}, {"severity": "LOW", "fixed": "2"}]},
            True,
        ),
        (
            "!predicate.v.exists(v, v.severity == 'CRITICAL' && v.fixed != '')",
            {"v": [{"severity": "CRITICAL", "fixed": "2"}]},
            False,
        ),
        ("predicate.n > 1", {"n": 10**400}, False),
        ("predicate.n > 1.0", {"n": 10**30}, True),
        ("today == '2026-11-25' && predicateType == 'vuln'", {}, True),
    ],
)
def test_a_condition_holds_or_says_why_not(expression: str, predicate: Any, holds: bool) -> None:
    condition = condition_of([{"expression": expression}], "vuln", NOW)
    why = condition(predicate)
    assert (why is None) is holds
    assert why is None or why


def test_a_condition_answers_for_what_is_nested_without_end() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    assert condition_of([{"expression": "size(predicate) > 0"}], "vuln", NOW)(deep)
