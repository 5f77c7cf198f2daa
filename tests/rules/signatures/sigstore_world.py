"""A made-up Sigstore: a certificate authority, two logs and a time-stamping authority, all real in form.

What it signs is verified by the real library against the trust root that it gives.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.rules.signatures.signing import BUNDLE, b64, envelope, pae

ISSUER = "https://issuer.test"
SUBJECT = "https://forge.test/shop/api/.github/workflows/release.yml@refs/heads/main"
HAS_OPENSSL = shutil.which("openssl") is not None

_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_FULCIO = "1.3.6.1.4.1.57264.1."


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def der_text(text: str) -> bytes:
    content = text.encode()
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return b"\x0c" + length + content


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def usage(*, sign_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A root certificate that issues others."""

    def __init__(self, common_name: str = "root.test", above: Authority | None = None) -> None:
        self.key = new_key()
        start = datetime.now(UTC) - timedelta(days=365)
        self.certificate: x509.Certificate = (
            x509.CertificateBuilder()
            .subject_name(name(common_name))
            .issuer_name(above.certificate.subject if above else name(common_name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=3650))
            .add_extension(
                x509.BasicConstraints(ca=True, path_length=0 if above else 1), critical=True
            )
            .add_extension(usage(sign_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .sign(above.key if above else self.key, hashes.SHA256())
        )

    def issuer(self, common_name: str) -> Authority:
        """Return an authority that this one has certified."""
        return Authority(common_name, self)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def leaf(
        self,
        key: ec.EllipticCurvePrivateKey,
        *,
        start: datetime,
        minutes: int = 10,
        subject: str = SUBJECT,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
        critical_purpose: bool = False,
        extensions: dict[str, bytes] | None = None,
        common_name: str = "",
    ) -> x509.CertificateBuilder:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common_name) if common_name else x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(minutes=minutes))
            .add_extension(usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=critical_purpose)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(subject)]),
                critical=not common_name,
            )
        )
        for oid, value in (extensions or {}).items():
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
            builder = builder.add_extension(extension, critical=False)
        return builder

    def issue(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self.key, hashes.SHA256())


class World:
    """Everything that keyless signing needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority("fulcio.test")
        self.ct_key = new_key()
        self.log_key = new_key()
        self.timestamps = Timestamps(folder) if HAS_OPENSSL else None

    @property
    def trusted_root(self) -> str:
        start = {"start": "2020-01-01T00:00:00Z"}

        def log(key: ec.EllipticCurvePrivateKey, url: str) -> dict[str, Any]:
            return {
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": b64(spki(key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": start,
                },
                "logId": {"keyId": b64(hashlib.sha256(spki(key)).digest())},
            }

        def authority(certificates: list[x509.Certificate], url: str) -> dict[str, Any]:
            raw = [{"rawBytes": b64(one.public_bytes(Encoding.DER))} for one in certificates]
            return {
                "subject": {"organization": "test", "commonName": url},
                "uri": url,
                "certChain": {"certificates": raw},
                "validFor": start,
            }

        stamps = self.timestamps
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log(self.log_key, "https://log.test")],
                "certificateAuthorities": [
                    authority([self.authority.certificate], "https://ca.test")
                ],
                "ctlogs": [log(self.ct_key, "https://ct.test")],
                "timestampAuthorities": [
                    authority([stamps.leaf, stamps.authority.certificate], "https://tsa.test")
                ]
                if stamps
                else [],
            }
        )

    def certificate(
        self,
        key: ec.EllipticCurvePrivateKey,
        *,
        start: datetime | None = None,
        subject: str = SUBJECT,
        issuer: str = ISSUER,
        claims: dict[int, str] | None = None,
        stamped: bool = True,
    ) -> x509.Certificate:
        """Issue a certificate for ten minutes, with the stamp of the CT log in it."""
        extensions = {f"{_FULCIO}1": issuer.encode(), f"{_FULCIO}8": der_text(issuer)}
        for number, claim in (claims or {}).items():
            extensions[f"{_FULCIO}{number}"] = claim.encode() if number < 7 else der_text(claim)
        moment = (start or datetime.now(UTC) - timedelta(minutes=1)).replace(microsecond=0)
        builder = self.authority.leaf(key, start=moment, subject=subject, extensions=extensions)
        if not stamped:
            return self.authority.issue(builder)
        tbs = self.authority.issue(builder).tbs_certificate_bytes
        stamp = self._stamp(tbs, int(moment.timestamp() * 1000))
        extension = x509.UnrecognizedExtension(_SCT_LIST, stamp)
        return self.authority.issue(builder.add_extension(extension, critical=False))

    def _stamp(self, tbs: bytes, milliseconds: int) -> bytes:
        """RFC 6962, section 3.2, for a precertificate."""
        issuer = hashlib.sha256(spki(self.authority.key)).digest()
        signed = struct.pack("!BBQH", 0, 0, milliseconds, 1) + issuer
        signed += len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = sign(self.ct_key, signed)
        log = hashlib.sha256(spki(self.ct_key)).digest()
        stamp = b"\0" + log + struct.pack("!QH", milliseconds, 0) + b"\4\3"
        stamp += struct.pack("!H", len(signature)) + signature
        listed = struct.pack("!H", len(stamp)) + stamp
        content = struct.pack("!H", len(listed)) + listed
        return (
            b"\x04"
            + (bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)]))
            + content
        )

    def entry(
        self, body: dict[str, Any], moment: datetime | None, *, promised: bool = True
    ) -> dict[str, Any]:
        """Enter a body into the log, alone in its tree; without a promise as Rekor 2 does it."""
        raw = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        log_id = hashlib.sha256(spki(self.log_key)).digest()
        root = b64(hashlib.sha256(b"\0" + raw).digest())
        note = f"log.test\n1\n{root}\n"
        signed_note = b64(log_id[:4] + sign(self.log_key, note.encode()))
        entry: dict[str, Any] = {
            "logIndex": "0",
            "logId": {"keyId": b64(log_id)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": root,
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n— log.test {signed_note}\n"},
            },
            "canonicalizedBody": b64(raw),
        }
        if promised and moment is not None:
            seconds = int(moment.timestamp())
            entry["integratedTime"] = str(seconds)
            promise = self.promise(b64(raw), seconds)
            entry["inclusionPromise"] = {"signedEntryTimestamp": promise}
        return entry

    def promise(self, body: str, seconds: int) -> str:
        """The signed entry timestamp of Rekor 1."""
        promised = {
            "body": body,
            "integratedTime": seconds,
            "logID": hashlib.sha256(spki(self.log_key)).hexdigest(),
            "logIndex": 0,
        }
        return b64(sign(self.log_key, json.dumps(promised, separators=(",", ":")).encode()))

    def bundle(
        self,
        document: dict[str, Any],
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        certificate: x509.Certificate | None = None,
        moment: datetime | None = None,
        log: int | None = 1,
        stamped: bool = False,
    ) -> dict[str, Any]:
        """Sign a statement as an identity; `log` is the version of Rekor, None for no entry."""
        key = key or new_key()
        certificate = certificate or self.certificate(key)
        moment = moment or datetime.now(UTC)
        content = json.dumps(document).encode()
        signed = envelope(content, lambda message: sign(key, message))
        signature = signed["signatures"][0]["sig"]
        material: dict[str, Any] = {
            "certificate": {"rawBytes": b64(certificate.public_bytes(Encoding.DER))},
            "tlogEntries": [],
        }
        if log == 1:
            body = dsse_body(content, signature, certificate.public_bytes(Encoding.PEM))
            material["tlogEntries"] = [self.entry(body, moment)]
        elif log == 2:
            verifier = {
                "x509Certificate": {"rawBytes": b64(certificate.public_bytes(Encoding.DER))},
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            }
            body = record_2_body(pae(content), signature, verifier)
            material["tlogEntries"] = [self.entry(body, None, promised=False)]
        if (stamped or log == 2) and self.timestamps:
            import base64

            stamp = self.timestamps.stamp(base64.b64decode(signature))
            material["timestampVerificationData"] = {
                "rfc3161Timestamps": [{"signedTimestamp": b64(stamp)}]
            }
        return {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": signed}

    def annotations(
        self,
        content: bytes,
        key: ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        moment: datetime | None = None,
    ) -> dict[str, str]:
        """Sign a payload of simple signing as cosign 2 does without a key."""
        signature = b64(sign(key, content))
        pem = certificate.public_bytes(Encoding.PEM)
        body = record_body(content, signature, pem)
        return {
            "dev.cosignproject.cosign/signature": signature,
            "dev.sigstore.cosign/certificate": pem.decode(),
            "dev.sigstore.cosign/chain": self.authority.pem,
            "dev.sigstore.cosign/bundle": self.log_annotation(body, moment),
        }

    def log_annotation(self, body: dict[str, Any], moment: datetime | None = None) -> str:
        raw = b64(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
        seconds = int((moment or datetime.now(UTC)).timestamp())
        return json.dumps(
            {
                "SignedEntryTimestamp": self.promise(raw, seconds),
                "Payload": {
                    "body": raw,
                    "integratedTime": seconds,
                    "logIndex": 0,
                    "logID": hashlib.sha256(spki(self.log_key)).hexdigest(),
                },
            }
        )


def dsse_body(content: bytes, signature: str, verifier: bytes) -> dict[str, Any]:
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()},
            "signatures": [{"signature": signature, "verifier": b64(verifier)}],
        },
    }


def intoto_1_body(envelope: bytes, content: bytes, verifier: bytes) -> dict[str, Any]:
    """What `cosign attest` of older versions has a log record: no signature, two hashes."""
    return {
        "apiVersion": "0.0.1",
        "kind": "intoto",
        "spec": {
            "content": {
                "hash": {"algorithm": "sha256", "value": hashlib.sha256(envelope).hexdigest()},
                "payloadHash": {
                    "algorithm": "sha256",
                    "value": hashlib.sha256(content).hexdigest(),
                },
            },
            "publicKey": b64(verifier),
        },
    }


def intoto_2_body(content: bytes, signature: str, verifier: bytes) -> dict[str, Any]:
    """What generators of SLSA provenance have a log record: the signature is base64 twice."""
    return {
        "apiVersion": "0.0.2",
        "kind": "intoto",
        "spec": {
            "content": {
                "envelope": {
                    "payloadType": "application/vnd.in-toto+json",
                    "signatures": [
                        {"publicKey": b64(verifier), "sig": b64(signature.encode())},
                    ],
                },
                "hash": {"algorithm": "sha256", "value": "0" * 64},
                "payloadHash": {
                    "algorithm": "sha256",
                    "value": hashlib.sha256(content).hexdigest(),
                },
            }
        },
    }


def record_body(content: bytes, signature: str, verifier: bytes) -> dict[str, Any]:
    return {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()}},
            "signature": {"content": signature, "publicKey": {"content": b64(verifier)}},
        },
    }


def record_2_body(message: bytes, signature: str, verifier: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": {
            "hashedRekordV002": {
                "data": {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(message).digest())},
                "signature": {"content": signature, "verifier": verifier},
            }
        },
    }


def dsse_2_body(content: bytes, signature: str, verifier: dict[str, Any]) -> dict[str, Any]:
    """What cosign 2.6 and 3.0 have a log of Rekor 2 record of an envelope."""
    hashed = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(content).digest())}
    return {
        "apiVersion": "0.0.2",
        "kind": "dsse",
        "spec": {
            "dsseV002": {
                "payloadHash": hashed,
                "signatures": [{"content": signature, "verifier": verifier}],
            }
        },
    }


class Timestamps:
    """A time-stamping authority that openssl plays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority("tsa-root.test")
        key = new_key()
        self.leaf = self.authority.issue(
            self.authority.leaf(
                key,
                start=datetime.now(UTC) - timedelta(days=1),
                minutes=60 * 24 * 30,
                subject="https://tsa.test",
                purpose=ExtendedKeyUsageOID.TIME_STAMPING,
                critical_purpose=True,
                common_name="tsa.test",
            )
        )
        (folder / "tsa.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (folder / "tsa.pem").write_bytes(self.leaf.public_bytes(Encoding.PEM))
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(
            "[tsa]\ndefault_tsa = one\n[one]\n"
            f"serial = {folder}/serial\nsigner_cert = {folder}/tsa.pem\nsigner_key = {folder}/tsa.key\n"
            "signer_digest = sha256\ndefault_policy = 1.2.3.4\ndigests = sha256\naccuracy = secs:1\n"
            "ess_cert_id_alg = sha256\n"
        )

    @property
    def chain(self) -> str:
        return self.leaf.public_bytes(Encoding.PEM).decode() + self.authority.pem

    def stamp(self, signature: bytes) -> bytes:
        """Return a response (RFC 3161) over a signature, of now."""
        (self.folder / "signature").write_bytes(signature)
        query, reply = self.folder / "query", self.folder / "reply"
        commands: tuple[list[str | Path], ...] = (
            ["-query", "-data", self.folder / "signature", "-sha256", "-cert", "-out", query],
            ["-reply", "-queryfile", query, "-config", self.folder / "tsa.cnf", "-out", reply],
        )
        for words in commands:
            subprocess.run(["openssl", "ts", *words], check=True, capture_output=True)
        return reply.read_bytes()
