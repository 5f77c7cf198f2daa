"""From an entry of the policy's section `images` to what is asked of an image's signatures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.signatures.authority import (
    PUBLIC_GOOD,
    AllOf,
    AnyOf,
    AtLeast,
    AttestationRequirement,
    CertificateAuthority,
    Identity,
    ImageRequirement,
    KeyAuthority,
    KeylessAuthority,
    StaticAuthority,
    TextMatch,
    TimestampAuthority,
    TrustedRoot,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tidewaiter.rules.signatures.authority import Authorities, Authority

    SecretName = tuple[str, str, str]
    """Namespace, name and key."""


@dataclass(slots=True)
class Materials:
    """What the Secrets hold that a policy names; `missing` says of those that were asked for in vain."""

    texts: Mapping[SecretName, str] = field(default_factory=dict, repr=False)
    missing: list[str] = field(default_factory=list)

    def text(self, row: Mapping[str, Any]) -> str | None:
        """Return a material's text, or None where its Secret could not be read or holds none."""
        if "secretRef" not in row:
            return str(row["data"])
        name = secret_name(row)
        found = self.texts.get(name)
        place = f"key {name[2]} of Secret {name[0]}/{name[1]}"
        if found is None:
            self.missing.append(f"{place} could not be read")
        elif not found.strip():  # an empty trust root must not stand for the public instance's
            self.missing.append(f"{place} is empty")
            return None
        return found


def secret_name(row: Mapping[str, Any]) -> SecretName:
    """Return which Secret a material is in."""
    stated = row["secretRef"]
    return stated["namespace"], stated["name"], stated["key"]


def signature_requirement(entry: Mapping[str, Any], materials: Materials) -> ImageRequirement:
    """Return what an entry asks of an image's signatures."""
    return ImageRequirement(
        authorities_of(entry["authorities"], materials),
        annotations=tuple(entry.get("annotations", {}).items()),
        target=entry.get("target", "index"),
        same_reference=entry.get("sameReference", False),
        signature_repository=entry.get("signatureRepository", ""),
    )


def attestation_requirement(
    entry: Mapping[str, Any], materials: Materials, now: datetime
) -> ImageRequirement:
    """Return what an entry asks to be attested of an image, at a time that conditions may look at."""
    return ImageRequirement(
        None,
        attestations=tuple(
            _attestation(row, entry, materials, now) for row in entry.get("attestations", ())
        ),
        target=entry.get("target", "index"),
        signature_repository=entry.get("signatureRepository", ""),
    )


def _attestation(
    row: Mapping[str, Any], entry: Mapping[str, Any], materials: Materials, now: datetime
) -> AttestationRequirement:
    condition = None
    if row.get("conditions"):
        from tidewaiter.rules.policy.attestation_conditions import condition_of

        condition = condition_of(row["conditions"], row["type"], now)
    return AttestationRequirement(
        row["type"],
        condition,
        authorities_of(row.get("authorities", entry["authorities"]), materials),
    )


def authorities_of(row: Mapping[str, Any], materials: Materials) -> Authorities:
    """Return an authority of the policy, or a combination; one whose Secret is missing signs nothing."""
    if "anyOf" in row:
        return AnyOf(tuple(authorities_of(each, materials) for each in row["anyOf"]))
    if "allOf" in row:
        return AllOf(tuple(authorities_of(each, materials) for each in row["allOf"]))
    if "atLeast" in row:
        stated = row["atLeast"]
        parts = tuple(authorities_of(each, materials) for each in stated["of"])
        return AtLeast(stated["count"], parts)
    if "static" in row:
        passes = row["static"] == "pass"
        why = "" if passes else "the policy refuses it whoever has signed it"
        return StaticAuthority(passes, why, row.get("name", "static"))
    before = len(materials.missing)
    if "key" in row:
        made: Authority = _key(row, materials)
    elif "certificate" in row:
        made = _certificate(row, materials)
    else:
        made = _keyless(row, materials)
    if len(materials.missing) > before:
        return StaticAuthority(passes=False, message=materials.missing[-1], name=made.name)
    return made


def _key(row: Mapping[str, Any], materials: Materials) -> KeyAuthority:
    stated = row["key"]
    return KeyAuthority(
        materials.text(stated) or "",
        row.get("name") or stated.get("file") or "key",
        stated.get("hashAlgorithm"),
        transparency_log=_is_logged(row),
        trusted_root=_trusted_root(row, materials) if _is_logged(row) else None,
        timestamps=_timestamps(row, materials),
    )


def _certificate(row: Mapping[str, Any], materials: Materials) -> CertificateAuthority:
    stated = row["certificate"]
    between = stated.get("intermediates")
    return CertificateAuthority(
        materials.text(stated) or "",
        (materials.text(between) or "") if between is not None else "",
        _match(stated, "subject"),
        _match(stated, "issuer"),
        row.get("name") or stated.get("file") or "certificate",
        transparency_log=_is_logged(row),
        trusted_root=_trusted_root(row, materials) if _is_logged(row) else None,
        timestamps=_timestamps(row, materials),
    )


def _keyless(row: Mapping[str, Any], materials: Materials) -> KeylessAuthority:
    stated = row["keyless"]
    issuer, subject = _match(stated, "issuer"), _match(stated, "subject")
    assert issuer is not None  # noqa: S101 - the model has seen to it
    assert subject is not None  # noqa: S101
    claims = [(name, TextMatch(text)) for name, text in stated.get("claims", {}).items()]
    claims += [
        (name, TextMatch(text, is_pattern=True))
        for name, text in stated.get("claimsRegExp", {}).items()
    ]
    return KeylessAuthority(
        (Identity(issuer, subject, tuple(claims)),),
        _trusted_root(row, materials),
        row.get("name") or str(subject),
    )


def _is_logged(row: Mapping[str, Any]) -> bool:
    return bool(row.get("transparencyLog", "required") == "required")


def _trusted_root(row: Mapping[str, Any], materials: Materials) -> TrustedRoot:
    if "trustedRoot" not in row:
        return PUBLIC_GOOD
    return TrustedRoot(materials.text(row["trustedRoot"]) or "")


def _timestamps(row: Mapping[str, Any], materials: Materials) -> tuple[TimestampAuthority, ...]:
    return tuple(
        TimestampAuthority(materials.text(each) or "") for each in row.get("timestamp", ())
    )


def _match(row: Mapping[str, Any], name: str) -> TextMatch | None:
    if name in row:
        return TextMatch(row[name])
    pattern = row.get(f"{name}RegExp")
    return TextMatch(pattern, is_pattern=True) if pattern is not None else None
