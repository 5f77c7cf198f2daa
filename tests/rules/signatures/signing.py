"""Signs images for tests in the forms that cosign writes, with keys of every supported kind."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl import bindings

from tests.rules.signatures.registry_server import EMPTY, MANIFEST, RegistryServer

SIGN = "https://sigstore.dev/cosign/sign/v1"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
IN_TOTO = "application/vnd.in-toto+json"

Sign = Callable[[bytes], bytes]


class Key:
    """A key pair and how it signs."""

    def __init__(self, private: Any, sign: Sign) -> None:
        self.private = private
        self.sign = sign

    @property
    def pem(self) -> str:
        public = self.private.public_key()
        pem: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode()

    @property
    def hint(self) -> str:
        public = self.private.public_key()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64(hashlib.sha256(der).digest())


def ecdsa(curve: ec.EllipticCurve, algorithm: hashes.HashAlgorithm) -> Key:
    private = ec.generate_private_key(curve)
    return Key(private, lambda message: private.sign(message, ec.ECDSA(algorithm)))


@cache
def keys() -> dict[str, Key]:
    """One key of each kind, made once."""
    rsa_key = rsa.generate_private_key(65537, 2048)
    edwards = ed25519.Ed25519PrivateKey.generate()
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return {
        "ECDSA P-256": ecdsa(ec.SECP256R1(), hashes.SHA256()),
        "ECDSA P-384": ecdsa(ec.SECP384R1(), hashes.SHA384()),
        "ECDSA P-384, SHA-256": ecdsa(ec.SECP384R1(), hashes.SHA256()),
        "ECDSA P-521": ecdsa(ec.SECP521R1(), hashes.SHA512()),
        "RSA PKCS#1 v1.5": Key(
            rsa_key, lambda message: rsa_key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        ),
        "RSA PSS": Key(rsa_key, lambda message: rsa_key.sign(message, pss, hashes.SHA256())),
        "Ed25519": Key(edwards, edwards.sign),
        "Ed25519ph": Key(edwards, lambda message: sign_hash(edwards, message)),
    }


def sign_hash(key: ed25519.Ed25519PrivateKey, message: bytes) -> bytes:
    """Sign by Ed25519ph, as cosign 3 does with a key of Ed25519."""
    seed = key.private_bytes_raw()
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, message)
    signature: bytes = bindings.crypto_sign_ed25519ph_final_create(state, secret)
    return signature


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def payload(digest: str, reference: str = "registry.test/app", **optional: str) -> dict[str, Any]:
    return {
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": optional or None,
    }


def statement(
    digest: str, predicate_type: str = SIGN, predicate: Any = None, **annotations: str
) -> dict[str, Any]:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"digest": {"sha256": digest.removeprefix("sha256:")}, "annotations": annotations}
        ],
        "predicateType": predicate_type,
        "predicate": predicate or {},
    }


def pae(content: bytes, kind: str = IN_TOTO) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(content), content)


def envelope(document: dict[str, Any] | bytes, sign: Sign) -> dict[str, Any]:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return {
        "payload": b64(content),
        "payloadType": IN_TOTO,
        "signatures": [{"sig": b64(sign(pae(content)))}],
    }


def key_bundle(document: dict[str, Any] | bytes, key: Key) -> dict[str, Any]:
    return {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": key.hint}},
        "dsseEnvelope": envelope(document, key.sign),
    }


def push_simple(
    registry: RegistryServer,
    repository: str,
    digest: str,
    contents: list[tuple[bytes, dict[str, str]]],
    suffix: str = ".sig",
    layer_type: str = SIMPLE,
) -> None:
    """Push payloads with their annotations at the tag of a digest."""
    registry.push_manifest(
        repository,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": EMPTY, **registry.push_blob(repository, b"{}")},
            "layers": [
                {
                    "mediaType": layer_type,
                    **registry.push_blob(repository, content),
                    "annotations": annotations,
                }
                for content, annotations in contents
            ],
        },
        digest.replace(":", "-") + suffix,
    )


def signed_payload(
    document: dict[str, Any] | bytes, sign: Sign, **more: str
) -> tuple[bytes, dict[str, str]]:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return content, {"dev.cosignproject.cosign/signature": b64(sign(content)), **more}


def push_bundle(
    registry: RegistryServer,
    repository: str,
    digest: str,
    bundle: dict[str, Any] | bytes,
    **more: Any,
) -> str:
    """Push a bundle as a referrer."""
    content = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    return registry.push_referrer(
        repository,
        digest,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": {"mediaType": EMPTY, **registry.push_blob(repository, b"{}")},
            "layers": [{"mediaType": BUNDLE, **registry.push_blob(repository, content)}],
            **more,
        },
    )


def push_simple_referrer(
    registry: RegistryServer,
    repository: str,
    digest: str,
    content: bytes,
    annotations: dict[str, str],
) -> str:
    """Push the third shape: a referrer whose config says that it is cosign's signature."""
    config_type = "application/vnd.dev.cosign.artifact.sig.v1+json"
    return registry.push_referrer(
        repository,
        digest,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": config_type, **registry.push_blob(repository, b"{}")},
            "layers": [
                {
                    "mediaType": SIMPLE,
                    **registry.push_blob(repository, content),
                    "annotations": annotations,
                }
            ],
        },
    )


def push_dsse(
    registry: RegistryServer, repository: str, digest: str, document: dict[str, Any], sign: Sign
) -> None:
    """Push an attestation at the tag of a digest."""
    content = json.dumps(envelope(document, sign)).encode()
    note = {"dev.cosignproject.cosign/signature": "", "predicateType": document["predicateType"]}
    push_simple(registry, repository, digest, [(content, note)], ".att", DSSE)
