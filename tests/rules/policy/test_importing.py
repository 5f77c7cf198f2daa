"""Policies of other tools become ours: what they ask is asked here, and what cannot be said lets nothing through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.cli.main import main
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.importing import import_policy, importers
from tidewaiter.rules.policy.validation import validated

KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ==\n-----END PUBLIC KEY-----\n"
OTHER = KEY.replace("MFkw", "MFkx")
KEYED = {"key": {"data": KEY}}
GITHUB = "https://token.actions.githubusercontent.com"
CHAIN = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def imported(document: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Import a document, validate the text, and return its entries and all notes."""
    text, parts = import_policy(yaml.safe_dump(document).encode(), "file.yaml")
    validated(text.encode(), "imported")
    notes = " | ".join(note for part in parts for note in part.notes)
    lines = [line for line in text.splitlines() if line.startswith("#")]
    assert all(
        any(" ".join(note.split()) in line for line in lines)
        for part in parts
        for note in part.notes
    )
    return yaml.safe_load(text)["spec"].get("images", []), notes


def sigstore(
    *authorities: dict[str, Any], globs: tuple[str, ...] = ("ghcr.io/shop/**",), **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": "shop"},
        "spec": {
            "images": [{"glob": glob} for glob in globs],
            "authorities": list(authorities),
            **spec,
        },
    }


def kyverno(*rows: dict[str, Any], **rule: Any) -> dict[str, Any]:
    verify = [{"imageReferences": ["ghcr.io/shop/*"], **row} for row in rows]
    match = {"any": [{"resources": {"kinds": ["Pod"]}}]}
    return {
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "shop"},
        "spec": {"rules": [{"name": "signed", "match": match, "verifyImages": verify, **rule}]},
    }


def attestors(*entries: dict[str, Any], **count: int) -> dict[str, Any]:
    return {"attestors": [{**count, "entries": list(entries)}]}


def public(*keys: str) -> dict[str, Any]:
    return {"keys": {"publicKeys": "".join(keys), "rekor": {"ignoreTlog": True}}}


IGNORED = {**KEYED, "transparencyLog": "ignored"}
OTHER_IGNORED = {"key": {"data": OTHER}, "transparencyLog": "ignored"}


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ({"key": {"data": KEY}}, KEYED),
        ({"key": {"data": KEY}, "ctlog": {}}, IGNORED),
        ({"key": {"data": KEY}, "ctlog": {"url": "https://rekor.sigstore.dev"}}, KEYED),
        (
            {"key": {"data": KEY, "hashAlgorithm": "sha512"}},
            {"key": {"data": KEY, "hashAlgorithm": "sha512"}},
        ),
        (
            {"key": {"secretRef": {"name": "release"}}},
            {"key": {"secretRef": {"namespace": "cosign-system", "name": "release"}}},
        ),
        (
            {
                "keyless": {
                    "url": "https://fulcio.sigstore.dev",
                    "identities": [{"issuer": GITHUB, "subjectRegExp": "^https://a/"}],
                }
            },
            {"keyless": {"issuer": GITHUB, "subjectRegExp": "^https://a/"}},
        ),
        (
            {
                "keyless": {
                    "identities": [{"issuer": "a", "subject": "b"}, {"issuer": "c", "subject": "d"}]
                }
            },
            {
                "anyOf": [
                    {"keyless": {"issuer": "a", "subject": "b"}},
                    {"keyless": {"issuer": "c", "subject": "d"}},
                ]
            },
        ),
        ({"static": {"action": "pass"}}, {"static": "pass"}),
        ({"static": {"action": "fail"}}, {"static": "deny"}),
    ],
)
def test_an_authority_of_sigstore_is_ours(
    authority: dict[str, Any], expected: dict[str, Any]
) -> None:
    (entry,), _ = imported(sigstore(authority))
    assert entry["authorities"] == expected
    assert entry["match"] == ["ghcr.io/shop/**"]


@pytest.mark.parametrize(
    "authority",
    [
        {"key": {"kms": "gcpkms://projects/a"}},
        {"key": {}},
        {"keyless": {"identities": []}},
        {"keyless": {"ca-cert": {"data": "x"}, "identities": [{"issuer": "a", "subject": "b"}]}},
        {"key": {"data": KEY}, "rfc3161timestamp": {"trustRootRef": "tsa"}},
        {"static": {"action": "unheard-of"}},
        {"key": {"data": KEY}, "static": {"action": "pass"}},
        {"key": {"data": KEY, "secretRef": {"name": "release"}}},
        {"key": {"data": KEY, "unheard-of": {}}},
        {"keyless": {"identities": [{"issuer": "a", "subject": "b"}], "unheard-of": 1}},
        {},
    ],
)
def test_what_cannot_be_said_lets_nothing_through(authority: dict[str, Any]) -> None:
    (entry,), _ = imported(sigstore(authority))
    assert entry["authorities"]["static"] == "deny"


def test_another_trust_root_must_be_given_first() -> None:
    keyless = {"identities": [{"issuer": "a", "subject": "b"}]}
    for more in ({"url": "https://fulcio.internal"}, {"trustRootRef": "own"}):
        (entry,), notes = imported(sigstore({"keyless": {**keyless, **more}}))
        first, second = entry["authorities"]["allOf"]
        assert first == {"keyless": {"issuer": "a", "subject": "b"}}
        assert second["static"] == "deny"
        assert "to be given as trustedRoot" in notes


def test_several_authorities_are_one_of_them() -> None:
    (entry,), notes = imported(sigstore(KEYED, {"key": {"kms": "awskms:///a"}}))
    assert [*entry["authorities"]] == ["anyOf"]
    assert entry["authorities"]["anyOf"][0] == KEYED
    assert "key management system (awskms:///a)" in notes


def test_an_attestation_of_sigstore_takes_the_place_of_a_signature() -> None:
    cue = {"type": "cue", "data": "predicate: {}"}
    wanted = [{"name": "provenance", "predicateType": "slsaprovenance", "policy": cue}]
    (entry,), notes = imported(sigstore({**KEYED, "attestations": wanted}))
    assert entry["signatures"] == "ignored"
    (attestation,) = entry["attestations"]
    assert (attestation["type"], attestation["authorities"]) == ("slsaprovenance", KEYED)
    assert [row["expression"] for row in attestation["conditions"]] == ["false"]
    assert "the cue policy of attestation provenance; write it in CEL" in notes


def test_a_policy_over_all_authorities_is_not_passed_over() -> None:
    (entry,), _ = imported(sigstore(KEYED, policy={"type": "rego", "data": "x"}))
    assert entry["authorities"]["allOf"][0] == KEYED
    assert entry["authorities"]["allOf"][1]["static"] == "deny"


@pytest.mark.parametrize(
    ("glob", "image", "matches"),
    [
        ("**", "ghcr.io/shop/api", True),
        ("*", "nginx", True),
        ("*", "shop/api", False),
        ("*/*", "shop/api", True),
        ("index.docker.io/library/*", "nginx", True),
        ("ghcr.io/shop/api:*", "ghcr.io/shop/api:1", True),
        ("ghcr.io/shop/api:v1*", "ghcr.io/shop/api:2", True),
        ("ghcr.io/shop/api@sha256:*", "ghcr.io/shop/api:2", True),
        ("ghcr.io/shop/*", "ghcr.io/shop/deep/api", False),
        ("localhost:5000/**", "localhost:5000/a", True),
        ("gcr.io**", "gcr.io/a/b", True),
        ("**demo**", "ghcr.io/shop/demo:1", True),
        ("**demo**", "demo", True),
        ("**demo**", "registry.local:5000/a/demo-api/b", True),
        ("**demo**", "ghcr.io/shop/api", False),
        ("**demo", "ghcr.io/shop/demo", True),
        ("image*", "image-of-mine", True),
        ("image*", "images.example.com/a/b", True),
    ],
)
def test_a_glob_of_sigstore_is_for_the_same_images(glob: str, image: str, matches: bool) -> None:
    text, _ = import_policy(yaml.safe_dump(sigstore(KEYED, globs=(glob,))).encode(), "f")
    facts = Policy(validated(text.encode(), "f")).images
    assert facts is not None
    assert facts.asks(image) is matches


@pytest.mark.parametrize(
    ("reference", "image", "matches"),
    [
        ("*", "ghcr.io/a/b/c", True),
        ("*nginx*", "ghcr.io/a/nginx/b", True),
        ("*nginx*", "nginx", True),
        ("nginx*", "nginx:1", True),
        ("docker.io/nginx*", "nginx", True),
        ("docker.io/*", "bitnami/redis", True),
        ("*.dkr.ecr.*.amazonaws.com/*", "1.dkr.ecr.eu.amazonaws.com/a/b", True),
        ("*nginx*", "ghcr.io/a/redis", False),
    ],
)
def test_a_reference_of_kyverno_is_for_the_same_images(
    reference: str, image: str, matches: bool
) -> None:
    row = {"imageReferences": [reference], **attestors(public(KEY))}
    text, _ = import_policy(yaml.safe_dump(kyverno(row)).encode(), "f")
    facts = Policy(validated(text.encode(), "f")).images
    assert facts is not None
    assert facts.asks(image) is matches


def test_a_wide_pattern_does_not_let_more_pass() -> None:
    """What must be signed may be more than before, what need not be may not."""
    passing = {"static": {"action": "pass"}}
    text, _ = import_policy(yaml.safe_dump(sigstore(passing, globs=("image*",))).encode(), "f")
    facts = Policy(validated(text.encode(), "f")).images
    assert facts is not None
    assert not facts.asks("image-of-mine")
    (entry,), _ = imported(sigstore(passing, match=[{"resource": "pods", "version": "v1"}]))
    assert entry["authorities"]["allOf"][1]["static"] == "deny"


def test_a_policy_without_authorities_lets_nothing_through() -> None:
    """The controller refuses such an object, unless it is told to let everything pass by it."""
    (entry,), notes = imported(sigstore())
    assert entry["authorities"]["static"] == "deny"
    assert "a policy without authorities" in notes


def test_a_field_that_is_not_known_is_not_passed_over() -> None:
    (entry,), notes = imported(sigstore(KEYED, unheardOf={"a": 1}))
    assert entry["authorities"]["allOf"][1]["static"] == "deny"
    assert "the policy has unheardOf" in notes
    (entry,), _ = imported(sigstore({**KEYED, "unheardOf": 1}))
    assert entry["authorities"]["allOf"][1]["static"] == "deny"
    validate = {"deny": {"conditions": {"any": [{"key": "a", "operator": "Equals", "value": "b"}]}}}
    (entry,), notes = imported(kyverno({**attestors(public(KEY)), "validate": validate}))
    assert entry["authorities"]["allOf"][1]["static"] == "deny"
    assert "in verifyImages has validate" in notes
    _, notes = imported(kyverno(attestors(public(KEY)), imageExtractors={"Task": [{"path": "/a"}]}))
    assert "imageExtractors of rule signed is not carried over" in notes


def test_a_pass_for_some_tags_does_not_become_one_for_all() -> None:
    entries, notes = imported(sigstore({"static": {"action": "pass"}}, globs=("ghcr.io/a:v1",)))
    assert entries == []
    assert "lets some tags pass unsigned" in notes


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (attestors(public(KEY)), IGNORED),
        (attestors(public(KEY, OTHER)), {"allOf": [IGNORED, OTHER_IGNORED]}),
        (attestors(public(KEY, OTHER), count=1), {"anyOf": [IGNORED, OTHER_IGNORED]}),
        (
            attestors(
                public(KEY, OTHER),
                {
                    "keyless": {
                        "issuer": "a",
                        "subject": "b",
                        "rekor": {"url": "https://rekor.sigstore.dev"},
                    }
                },
                count=2,
            ),
            {
                "atLeast": {
                    "count": 2,
                    "of": [IGNORED, OTHER_IGNORED, {"keyless": {"issuer": "a", "subject": "b"}}],
                }
            },
        ),
        (
            {"attestors": [{"entries": [public(KEY)]}, {"entries": [public(OTHER)]}]},
            {"allOf": [IGNORED, OTHER_IGNORED]},
        ),
        (
            attestors({"attestor": {"count": 1, "entries": [public(KEY), public(OTHER)]}}),
            {"anyOf": [IGNORED, OTHER_IGNORED]},
        ),
        (
            attestors(
                {"keys": {"publicKeys": "k8s://keys/release", "rekor": {"ignoreTlog": True}}}
            ),
            {
                "key": {"secretRef": {"namespace": "keys", "name": "release"}},
                "transparencyLog": "ignored",
            },
        ),
        (
            attestors(
                {
                    "keyless": {
                        "issuer": GITHUB,
                        "subject": "https://github.com/shop/*",
                        "additionalExtensions": {"githubWorkflowTrigger": "push"},
                    }
                }
            ),
            {
                "keyless": {
                    "issuer": GITHUB,
                    "subjectRegExp": "^https://github\\.com/shop/.*$",
                    "claims": {"githubWorkflowTrigger": "push"},
                }
            },
        ),
        (
            attestors({"certificates": {"certChain": CHAIN, "rekor": {"ignoreTlog": True}}}),
            {"certificate": {"data": CHAIN}, "transparencyLog": "ignored"},
        ),
        ({"key": KEY}, KEYED),
    ],
)
def test_an_attestor_of_kyverno_is_ours(row: dict[str, Any], expected: dict[str, Any]) -> None:
    (entry,), _ = imported(kyverno(row))
    assert entry["authorities"] == expected
    assert entry["match"] == ["ghcr.io/shop/**"]


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"type": "Notary", **attestors(public(KEY))},
        attestors({"keys": {"kms": "awskms:///a"}}),
        attestors({"keys": {"publicKeys": "{{ keys.data.key }}"}}),
        attestors({"keyless": {"issuer": "a", "subject": "b", "roots": CHAIN}}),
        attestors({"certificates": {"cert": CHAIN}}),
        attestors(
            {"keyless": {"issuer": "a", "subject": "b", "additionalExtensions": {"9.9": "x"}}}
        ),
        attestors(),
        attestors({"unheard-of": {}}),
        attestors({"keyless": {"issuer": "a", "subject": "b"}, "keys": {"publicKeys": KEY}}),
        attestors({"keyless": {"issuer": "a", "subject": "b", "unheard-of": 1}}),
        attestors({"keys": {"publicKeys": KEY, "unheard-of": 1}}),
    ],
)
def test_what_kyverno_says_and_we_cannot_lets_nothing_through(row: dict[str, Any]) -> None:
    (entry,), _ = imported(kyverno(row))
    assert entry["authorities"]["static"] == "deny"


def test_the_rest_of_a_kyverno_rule_is_carried_over_or_named() -> None:
    row = {
        **attestors({**public(KEY), "annotations": {"env": "prod"}}),
        "skipImageReferences": ["ghcr.io/shop/base*", "ghcr.io/shop/api:v1"],
        "repository": "ghcr.io/shop/signatures",
        "attestations": [
            {"type": "https://slsa.dev/provenance/v1", "conditions": [{"all": []}]},
            {"predicateType": "cyclonedx", **attestors(public(OTHER))},
        ],
    }
    (entry,), notes = imported(kyverno(row, exclude={"any": []}, preconditions={"all": [{}]}))
    assert entry["exclude"] == ["ghcr.io/shop/base**"]
    assert entry["annotations"] == {"env": "prod"}
    assert entry["signatureRepository"] == "ghcr.io/shop/signatures"
    first, second = entry["attestations"]
    assert first["conditions"][0]["expression"] == "false"
    assert second == {"type": "cyclonedx", "authorities": OTHER_IGNORED}
    for what in (
        "mutateDigest",
        "verifyDigest",
        "the exception 'ghcr.io/shop/api:v1'",
        "preconditions",
    ):
        assert what in notes


def test_an_image_validating_policy_is_read_by_its_validations() -> None:
    each = "images.containers.map(image, {}).all(e, e > 0)"
    document = {
        "apiVersion": "policies.kyverno.io/v1alpha1",
        "kind": "ImageValidatingPolicy",
        "metadata": {"name": "shop"},
        "spec": {
            "matchImageReferences": [{"glob": "ghcr.io/shop/*"}],
            "attestors": [
                {
                    "name": "release",
                    "cosign": {"key": {"data": KEY}, "ctlog": {"insecureIgnoreTlog": True}},
                },
                {
                    "name": "ci",
                    "cosign": {"keyless": {"identities": [{"issuer": "a", "subject": "b"}]}},
                },
            ],
            "attestations": [
                {
                    "name": "vuln",
                    "intoto": {"type": "https://cosign.sigstore.dev/attestation/vuln/v1"},
                }
            ],
            "validations": [
                {
                    "expression": each.format(
                        "verifyImageSignatures(image, [attestors.release, attestors.ci])"
                    )
                },
                {
                    "expression": each.format(
                        "verifyAttestationSignatures(image, attestations.vuln, [attestors.ci])"
                    )
                },
                {
                    "expression": "images.containers.map(image, extractPayload(image, attestations.vuln)"
                    ".predicate.critical == 0).all(e, e)",
                    "message": "critical findings",
                },
            ],
        },
    }
    (entry,), notes = imported(document)
    ci = {"keyless": {"issuer": "a", "subject": "b"}}
    assert entry["authorities"] == {"anyOf": [{"name": "release", **IGNORED}, ci]}
    assert entry["attestations"] == [
        {
            "type": "https://cosign.sigstore.dev/attestation/vuln/v1",
            "authorities": ci,
            "conditions": [
                {"expression": "predicate.critical == 0", "message": "critical findings"}
            ],
        }
    ]
    assert notes == ""
    document["spec"]["validations"].append({"expression": "object.metadata.name != 'a'"})  # type: ignore[index]
    (entry,), notes = imported(document)
    assert entry["authorities"]["allOf"][1]["static"] == "deny"
    assert "the validation" in notes


def validating(*expressions: str) -> dict[str, Any]:
    cosign = {"cosign": {"key": {"data": KEY}, "ctlog": {"insecureIgnoreTlog": True}}}
    other = {"cosign": {"key": {"data": OTHER}, "ctlog": {"insecureIgnoreTlog": True}}}
    vuln = "https://cosign.sigstore.dev/attestation/vuln/v1"
    return {
        "apiVersion": "policies.kyverno.io/v1beta1",
        "kind": "ImageValidatingPolicy",
        "metadata": {"name": "shop"},
        "spec": {
            "matchImageReferences": [{"glob": "ghcr.io/shop/*"}],
            "attestors": [{"name": "a", **cosign}, {"name": "the-other", **other}],
            "attestations": [{"name": "vuln", "intoto": {"type": vuln}}],
            "validations": [{"expression": expression} for expression in expressions],
        },
    }


ALL = "(images.containers + images.?initContainers.orValue([]))"
BOTH = "[attestors['the-other'], attestors.a]"
A = {"name": "a", **IGNORED}
OF_OTHER = {"name": "the-other", **OTHER_IGNORED}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            "images.containers.map(image, verifyImageSignatures(image, [attestors.a])).all(e, e > 0)",
            A,
        ),
        ("images.initContainers.all(image, verifyImageSignatures(image, [attestors.a]) > 0)", A),
        (f"{ALL}.map(image, verifyImageSignatures(image, [attestors.a]) > 0).all(ok, ok)", A),
        (
            f"images.containers.map(image, verifyImageSignatures(image, {BOTH})).all(e, e > 0)",
            {"anyOf": [OF_OTHER, A]},
        ),
    ],
)
def test_a_validation_of_signatures_is_ours(expression: str, expected: dict[str, Any]) -> None:
    (entry,), _ = imported(validating(expression))
    assert entry["authorities"] == expected


@pytest.mark.parametrize(
    "inner",
    [
        "verifyImageSignatures(image, [attestors.a]) > 0 && verifyImageSignatures(image, [attestors['the-other']]) > 0",
        "verifyImageSignatures(image, [attestors.a]) > 0 || true",
        "verifyImageSignatures(image, [attestors.a]) > 0 && image != ''",
        "verifyImageSignatures(image, [attestors.a]) > 1",
        "verifyImageSignatures(image, [attestors.a, attestors['the-other']]) == 2",
        "!(verifyImageSignatures(image, [attestors.a]) > 0)",
        "verifyImageSignatures(image, [attestors.unheardOf]) > 0",
    ],
)
@pytest.mark.parametrize("form", ["all(image, {})", "map(image, {}).all(e, e)"])
def test_what_stands_beside_a_signature_in_a_validation_is_not_lost(inner: str, form: str) -> None:
    """Taking the first call for the whole would let through what the second one refuses."""
    (entry,), notes = imported(validating(f"images.containers.{form.format(inner)}"))
    assert entry["authorities"]["static"] == "deny"
    assert "nothing is let through in its place" in notes


def test_several_validations_of_one_attestation_are_all_asked() -> None:
    form = "images.containers.map(image, verifyAttestationSignatures(image, attestations.vuln, [{}])).all(e, e > 0)"
    (entry,), _ = imported(
        validating(form.format("attestors.a"), form.format("attestors['the-other']"))
    )
    (attestation,) = entry["attestations"]
    assert attestation["authorities"] == {"allOf": [A, OF_OTHER]}


def test_a_list_and_other_objects_are_told_apart() -> None:
    items = [sigstore(KEYED), kyverno(attestors(public(KEY))), {"apiVersion": "v1", "kind": "Pod"}]
    text, parts = import_policy(
        yaml.safe_dump({"kind": "List", "apiVersion": "v1", "items": items}).encode(), "f"
    )
    assert len(yaml.safe_load(text)["spec"]["images"]) == 2
    assert parts[-1].notes == ["1 other objects of the file are not imported"]
    with pytest.raises(InputError, match="nothing here can be imported"):
        import_policy(b"apiVersion: v1\nkind: Pod\n", "f")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "key",
                    "data",
                    "keyless",
                    "identities",
                    "static",
                    "action",
                    "attestations",
                    "policy",
                    "entries",
                    "keys",
                    "publicKeys",
                    "attestors",
                    "imageReferences",
                    "verifyImages",
                    "name",
                    "cosign",
                    "glob",
                    "issuer",
                    "subject",
                    "predicateType",
                    "type",
                    "ctlog",
                    "url",
                    "count",
                    "attestor",
                    "expression",
                    "validations",
                    "intoto",
                    "images",
                    "authorities",
                    "matchImageReferences",
                    "rules",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KINDS = [
    ("policy.sigstore.dev/v1beta1", "ClusterImagePolicy"),
    ("kyverno.io/v1", "ClusterPolicy"),
    ("policies.kyverno.io/v1alpha1", "ImageValidatingPolicy"),
]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(KINDS), JSON)
def test_nothing_raises_and_what_comes_of_it_is_valid(kind: tuple[str, str], spec: Any) -> None:
    document = {"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": "a"}, "spec": spec}
    if not any(each.reads(document) for each in importers()):
        return
    text, parts = import_policy(yaml.safe_dump(document).encode(), "f")
    validated(text.encode(), "f")
    assert any(part.spec.get("images") for part in parts) or any(part.notes for part in parts)


def test_the_command_prints_a_policy_and_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(sigstore(KEYED, mode="warn")))
    assert main(["policy", "import", str(file)]) == 0
    captured = capsys.readouterr()
    (tmp_path / "tidewaiter.yaml").write_text(captured.out)
    assert "mode warn is not of one entry here" in captured.err
    assert main(["policy", "check", str(tmp_path / "tidewaiter.yaml")]) == 2, "the key is none"
    file.write_text("kind: Pod\n")
    assert main(["policy", "import", str(file)]) == 2


def test_one_signer_does_not_count_twice() -> None:
    kms = {"keys": {"kms": "awskms:///a"}}
    (entry,), _ = imported(
        kyverno(attestors(public(KEY), public(KEY), public(OTHER), kms, count=2))
    )
    assert entry["authorities"] == {"allOf": [IGNORED, OTHER_IGNORED]}
    (entry,), _ = imported(kyverno(attestors(public(KEY), public(KEY), kms, kms, count=2)))
    assert entry["authorities"]["static"] == "deny"
