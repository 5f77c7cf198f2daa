"""Every field of every form, changed or dropped one at a time: what was signed must never verify otherwise.

A mutant is served consistently, as a registry in the attacker's hands would: with digests and sizes that fit.
Fields within base64 and within JSON in a text count as well. Those that may be changed without any effect are
listed, each with the reason why nothing rests on it.
"""

from __future__ import annotations

import asyncio
import base64
import fnmatch
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.rules.signatures.registry_server import (
    INDEX,
    MANIFEST,
    RegistryServer,
    Reply,
    digest_of,
)
from tests.rules.signatures.signing import (
    DSSE,
    b64,
    envelope,
    key_bundle,
    keys,
    payload,
    push_bundle,
    push_simple,
    push_simple_referrer,
    signed_payload,
    statement,
)
from tests.rules.signatures.sigstore_world import (
    HAS_OPENSSL,
    ISSUER,
    SUBJECT,
    World,
    dsse_body,
    intoto_1_body,
    new_key,
    sign,
)
from tidewaiter.rules.signatures.authority import (
    AttestationRequirement,
    CertificateAuthority,
    Identity,
    ImageRequirement,
    KeyAuthority,
    KeylessAuthority,
    TextMatch,
    TrustedRoot,
)
from tidewaiter.rules.signatures.registry import RegistryClient
from tidewaiter.rules.signatures.verdict import ImageVerdict
from tidewaiter.rules.signatures.verify import verify_image

VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"
Path = tuple[str, ...]


def mutants(value: Any) -> Iterator[tuple[Path, Any]]:
    """Yield a document's one-field changes with the path of each."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield (key, "-"), {name: each for name, each in value.items() if name != key}
            for path, changed in mutants(held):
                yield (key, *path), {**value, key: changed}
    elif isinstance(value, list):
        for place, held in enumerate(value):
            yield (str(place), "-"), value[:place] + value[place + 1 :]
            for path, changed in mutants(held):
                yield (str(place), *path), [*value[:place], changed, *value[place + 1 :]]
    elif isinstance(value, str):
        yield from _changed_texts(value)
    elif isinstance(value, bool) or value is None:
        yield ("!",), not value
    else:
        yield ("!",), value + 1


def _changed_texts(text: str) -> Iterator[tuple[Path, Any]]:
    yield ("!",), None
    held = _object_in(text.encode())
    if held is not None:
        for path, changed in mutants(held):
            yield ("(json)", *path), json.dumps(changed)
        return
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    held = _object_in(raw)
    if held is not None:
        for path, changed in mutants(held):
            yield ("(base64)", *path), b64(json.dumps(changed).encode())
    elif len(raw) >= 32:
        for place in (4, len(raw) // 3, len(raw) * 2 // 3, len(raw) - 1):
            yield (_named("byte", place, raw),), b64(_flipped(raw, place))
    else:
        plain = text.encode()
        for place in {0, len(plain) // 2, len(plain) - 1} if plain else ():
            yield (_named("char", place, plain),), _flipped(plain, place).decode()


def _named(what: str, place: int, held: bytes) -> str:
    return "end" if place == len(held) - 1 else f"{what} {place}"


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def _object_in(content: bytes) -> Any:
    try:
        held = json.loads(content)
    except ValueError:
        return None
    return held if isinstance(held, dict) else None


class Signed:
    """An image with one signature or attestation, and what is asked of it."""

    def __init__(self, registry: RegistryServer, world: World, form: str) -> None:
        self.registry = registry
        self.digest = registry.push_image("app", form)
        self.form = form
        held = set(registry.manifests)
        authority = self._sign(world)
        (self.name,) = {name for _, name in registry.manifests.keys() - held if ":" in name} or {""}
        self.tag = next(
            (name for _, name in registry.manifests if name.endswith((".sig", ".att"))), ""
        )
        demand = AttestationRequirement(VULN, authorities=authority)
        self.asked = (
            ImageRequirement(None, attestations=(demand,))
            if "attestation" in form
            else ImageRequirement(authority, annotations=(("env", "prod"),))
        )

    def _sign(self, world: World) -> KeyAuthority | CertificateAuthority | KeylessAuthority:
        key = keys()["ECDSA P-256"]
        document = statement(self.digest, env="prod")
        attested = statement(self.digest, VULN, {"scanner": {"result": ["none"]}})
        content = json.dumps(payload(self.digest, env="prod")).encode()
        private = new_key()
        certificate = world.certificate(private)
        identity = Identity(TextMatch(ISSUER), TextMatch(SUBJECT))
        root = TrustedRoot(world.trusted_root)
        if self.form == "key, tag":
            push_simple(self.registry, "app", self.digest, [signed_payload(content, key.sign)])
        elif self.form == "key, referrer":
            push_simple_referrer(
                self.registry, "app", self.digest, *signed_payload(content, key.sign)
            )
        elif self.form == "key, bundle":
            push_bundle(self.registry, "app", self.digest, key_bundle(document, key))
        elif self.form == "key, logged bundle":
            raw = json.dumps(document).encode()
            bundle = key_bundle(raw, key)
            signature = bundle["dsseEnvelope"]["signatures"][0]["sig"]
            entry = world.entry(dsse_body(raw, signature, key.pem.encode()), datetime.now(UTC))
            bundle["verificationMaterial"]["tlogEntries"] = [entry]
            push_bundle(self.registry, "app", self.digest, bundle)
            return KeyAuthority(key.pem, transparency_log=True, trusted_root=root)
        elif self.form in {"keyless, tag", "certificate, tag"}:
            note = world.annotations(content, private, certificate)
            push_simple(self.registry, "app", self.digest, [(content, note)])
            if self.form == "certificate, tag":
                return CertificateAuthority(world.authority.pem, subject=TextMatch(SUBJECT))
            return KeylessAuthority((identity,), root)
        elif self.form == "keyless attestation, tag":
            raw = json.dumps(attested).encode()
            signed = json.dumps(envelope(raw, lambda message: sign(private, message))).encode()
            pem = certificate.public_bytes(Encoding.PEM)
            note = {
                "dev.sigstore.cosign/certificate": pem.decode(),
                "dev.sigstore.cosign/bundle": world.log_annotation(intoto_1_body(signed, raw, pem)),
            }
            push_simple(self.registry, "app", self.digest, [(signed, note)], ".att", DSSE)
            return KeylessAuthority((identity,), root)
        else:
            bundle = world.bundle(
                attested if "attestation" in self.form else document,
                key=private,
                certificate=certificate,
                log=2 if "Rekor 2" in self.form else 1,
            )
            push_bundle(self.registry, "app", self.digest, bundle)
            return KeylessAuthority((identity,), root)
        return KeyAuthority(key.pem)

    def mutants(self) -> Iterator[tuple[str, dict[str, Any], bytes]]:
        """Yield the manifest and the layer of each mutant, with what was changed."""
        manifest = json.loads(self.registry.manifests["app", self.name])
        layer = self.registry.blobs["app", manifest["layers"][0]["digest"]]
        for path, changed in mutants(manifest):
            yield f"manifest/{'/'.join(path)}", changed, layer
        for path, changed in mutants(json.loads(layer)):
            content = json.dumps(changed).encode()
            served = json.loads(json.dumps(manifest))
            served["layers"][0].update(digest=digest_of(content), size=len(content))
            yield f"layer/{'/'.join(path)}", served, content

    def push(self, repository: str, manifest: dict[str, Any], layer: bytes) -> None:
        image = self.registry.manifests["app", self.digest]
        self.registry.manifests[repository, self.digest] = image
        self.registry.push_blob(repository, layer)
        self.registry.push_manifest(repository, manifest, self.tag)

    def list_all(self, _: str, path: str, __: dict[str, str]) -> Reply | None:
        """Answer as a registry that names all that it has as referrers, whatever is their subject."""
        before, found, _name = path.partition("/referrers/")
        if not found:
            return None
        repository = before.removeprefix("/v2/")
        listed = [
            {"mediaType": MANIFEST, "digest": name, "size": len(content)}
            for (held, name), content in self.registry.manifests.items()
            if held == repository and ":" in name and name != self.digest and not self.tag
        ]
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
        return Reply(200, body, {"Content-Type": INDEX})


FORMS = [
    "key, tag",
    "key, referrer",
    "key, bundle",
    "key, logged bundle",
    "certificate, tag",
    "keyless, tag",
    "keyless attestation, tag",
    "keyless, bundle",
    "keyless attestation, bundle, Rekor 2",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("form", FORMS)
def test_no_field_can_be_changed_that_was_signed(
    registry: RegistryServer, world: World, form: str
) -> None:
    if "Rekor 2" in form and not HAS_OPENSSL:
        pytest.skip("openssl, which plays the time-stamping authority, is not installed")
    signed = Signed(registry, world, form)
    registry.hooks.append(signed.list_all)
    names = []
    for at, (name, manifest, layer) in enumerate(signed.mutants()):
        names.append(name)
        signed.push(f"m{at}", manifest, layer)
    untouched, *verdicts = asyncio.run(
        _verdicts(signed, ["app", *(f"m{n}" for n in range(len(names)))])
    )
    assert untouched.status == "verified", untouched.reasons
    assert {verdict.status for verdict in verdicts} <= {"verified", "refused"}
    passed = [
        name for name, verdict in zip(names, verdicts, strict=True) if verdict.status == "verified"
    ]
    unsigned = [
        pattern for pattern, (forms, _) in UNSIGNED.items() if fnmatch.fnmatchcase(form, forms)
    ]
    surprising = [
        name for name in passed if not any(fnmatch.fnmatchcase(name, each) for each in unsigned)
    ]
    assert not surprising
    assert len(names) - len(passed) > 20


async def _verdicts(signed: Signed, repositories: list[str]) -> list[ImageVerdict]:
    turn = asyncio.Semaphore(8)
    async with RegistryClient() as client:

        async def one(repository: str) -> ImageVerdict:
            image = f"{signed.registry.host}/{repository}@{signed.digest}"
            async with turn:
                return await verify_image(image, signed.asked, client, now=datetime.now(UTC))

        return list(await asyncio.gather(*map(one, repositories)))


ANY = "*"
UNSIGNED: dict[str, tuple[str, str]] = {
    # What a manifest says around its layers decides only whether it is looked at, which withholding it does as well.
    "manifest/schemaVersion/*": (ANY, "the layers are read whatever the version"),
    "manifest/mediaType/*": (ANY, "the layers are read whatever it calls itself"),
    "manifest/config/*": (ANY, "the configuration is empty in each form and never fetched"),
    "manifest/subject/mediaType/*": (ANY, "the subject is named by its digest"),
    "manifest/subject/size/*": (ANY, "the subject is named by its digest"),
    "manifest/artifactType/*": (
        "*bundle*",
        "any version of the type; the bundle states its own",
    ),
    "manifest/layers/0/mediaType/*": ("*bundle*", "any version; the bundle states its own"),
    # Hints by which a reader may find a key sooner; ours are stated by the authority.
    "layer/verificationMaterial/publicKey/hint/*": ("key, *", "which key it is the authority says"),
    # What a log's entry says of itself outside of what the log has signed.
    "layer/verificationMaterial/tlogEntries/0/kindVersion/*/*": (
        "key, logged bundle",
        "the body, which the log has, says its kind",
    ),
    "layer/verificationMaterial/tlogEntries/0/integratedTime/[-!]": (
        "key, logged bundle",
        "without a time there is none to go by; the entry is in the log all the same",
    ),
    "layer/verificationMaterial/tlogEntries/0/inclusionPromise/-": (
        "key, logged bundle",
        "without a promise its time does not count; the entry is in the log all the same",
    ),
    "layer/verificationMaterial/tlogEntries/0/*logIndex/-": (
        "*bundle*",
        "absent is zero, as it is",
    ),
    "layer/verificationMaterial/tlogEntries/0/*/hashes/-": (
        "*bundle*",
        "absent is empty, as it is",
    ),
    "layer/verificationMaterial/tlogEntries/0/logIndex/*": (
        "*Rekor 2",
        "the place in the whole log; the proof has the one in its tree",
    ),
    "layer/verificationMaterial/tlogEntries/0/logId/keyId/*": (
        "*Rekor 2",
        "which key of the trust root is tried first; one of them must have signed",
    ),
    # Annotations around a signature.
    "manifest/layers/0/annotations/dev.sigstore.cosign/certificate/end": (
        "*, tag",
        "the line's end after a certificate, which is the same certificate",
    ),
    "manifest/layers/0/annotations/dev.sigstore.cosign/chain/*": (
        "*, tag",
        "further certificates may lead to a root, and here the leaf does by itself",
    ),
    "manifest/layers/0/annotations/dev.sigstore.cosign/bundle/*": (
        "certificate, tag",
        "an authority that demands no log entry does not read one",
    ),
}


def test_each_field_that_may_be_changed_is_so_in_a_form_that_is_tried() -> None:
    for pattern, (forms, reason) in UNSIGNED.items():
        assert any(fnmatch.fnmatchcase(form, forms) for form in FORMS), pattern
        assert reason
