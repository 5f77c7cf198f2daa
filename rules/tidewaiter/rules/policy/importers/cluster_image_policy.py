"""ClusterImagePolicies of Sigstore's policy controller.

https://docs.sigstore.dev/policy-controller/overview/
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.policy.foreign_images import (
    Notes,
    all_of,
    any_of,
    attestation_of,
    complete,
    incomplete,
    is_narrow,
    keyless_of,
    keys_in,
    log_of,
    nobody,
    pattern_of,
    patterns_of,
    unread,
)
from tidewaiter.rules.policy.importing import Imported

NAME = "ClusterImagePolicy (policy.sigstore.dev)"
_NAMESPACE = "cosign-system"
"""Where the controller looks for Secrets."""
_SPEC = ("images", "authorities", "policy", "mode", "match")
_AUTHORITY = (
    *("name", "key", "keyless", "static", "source", "ctlog", "attestations"),
    *("rfc3161timestamp", "signatureFormat"),
)
_KEYLESS = ("url", "identities", "trustRootRef", "ca-cert", "insecureIgnoreSCT")
_KEY = ("data", "secretRef", "kms", "hashAlgorithm")


def reads(document: dict[str, Any]) -> bool:
    """Tell a ClusterImagePolicy by its kind and group."""
    group = text(document.get("apiVersion")).partition("/")[0]
    return document.get("kind") == "ClusterImagePolicy" and group == "policy.sigstore.dev"


def convert(document: dict[str, Any]) -> Imported:
    """Return the policy as one entry of `images`."""
    name = text(mapping(document.get("metadata")).get("name")) or "unnamed"
    spec = mapping(document.get("spec"))
    notes = Notes()
    authorities = [mapping(row) for row in sequence(spec.get("authorities"))]
    passes = any(_static(row) == "pass" for row in authorities)
    patterns = _patterns(spec, notes, passes=passes)
    what = f"ClusterImagePolicy {name}"
    _note_rest(spec, notes)
    if not patterns:
        notes.add("no image pattern could be carried over, so nothing of it is in force")
        return Imported(what, {}, notes)
    entry: dict[str, Any] = {"name": name, "match": patterns, **_asked(spec, authorities, notes)}
    repository = _source(authorities, notes)
    if repository:
        entry["signatureRepository"] = repository
    return Imported(what, {"images": [entry]}, notes)


def _patterns(spec: dict[str, Any], notes: Notes, *, passes: bool) -> list[str]:
    found = []
    for row in sequence(spec.get("images")):
        stated = text(mapping(row).get("glob"))
        if not stated:
            notes.add("an image pattern that is no glob is left out")
            continue
        if passes and is_narrow(stated):
            notes.add(f"image pattern {stated!r} lets some tags pass unsigned; it is left out")
            continue
        known = {"*": "docker.io/library/*", "*/*": "docker.io/*/*"}.get(stated, stated)
        if passes:  # for no image more than before
            pattern = pattern_of(known, notes, star_crosses=False)
            found += [pattern] if pattern is not None else []
        else:
            found += patterns_of(known, notes, star_crosses=False)
    return list(dict.fromkeys(found))


def _note_rest(spec: dict[str, Any], notes: Notes) -> None:
    if spec.get("mode") == "warn":
        notes.add(
            "mode warn is not of one entry here: set rules.image-signature.mode or admission.mode"
        )
    notes.add(
        "images that no policy matches are refused by the controller unless it is told otherwise; here that is "
        "imageSettings.unmatched: deny"
    )
    if spec.get("match"):
        notes.add("match is for some resources only; here every workload with the image is meant")


def _asked(spec: dict[str, Any], rows: list[dict[str, Any]], notes: Notes) -> dict[str, Any]:
    """Return authorities and attestations: an authority with attestations asks for these, not for a signature."""
    if not rows:
        return {"authorities": nobody("a policy without authorities", notes)}
    made = [_authority(row, notes) for row in rows]
    attesting = [sequence(row.get("attestations")) for row in rows]
    found: dict[str, Any] = {"authorities": any_of(made)}
    if any(attesting):
        if len(rows) > 1:
            notes.add(
                "of several authorities with attestations one was enough; here the attestations of all are asked for"
            )
        found["attestations"] = [
            _attestation(mapping(each), authority, notes)
            for authority, wanted in zip(made, attesting, strict=True)
            for each in wanted
        ]
        if all(attesting):
            found["signatures"] = "ignored"
    beside = [unread(spec, _SPEC, "the policy", notes)]
    if spec.get("policy") is not None:
        beside.append(_policy_of_all(spec, notes))
    if spec.get("match") and any(_static(row) == "pass" for row in rows):
        beside.append(nobody("a pass for some resources only", notes))
    closed = [each for each in beside if each is not None]
    if closed:
        found["authorities"] = all_of([found["authorities"], *closed])
        found.pop("signatures", None)
    return found


def _policy_of_all(spec: dict[str, Any], notes: Notes) -> dict[str, Any]:
    kind = text(mapping(spec.get("policy")).get("type")) or "unknown"
    return nobody(f"the policy ({kind}) over all authorities", notes)


def _static(row: dict[str, Any]) -> str:
    return text(mapping(row.get("static")).get("action"))


def _authority(row: dict[str, Any], notes: Notes) -> dict[str, Any]:
    name = text(row.get("name"))
    what = f"authority {name or 'without a name'}"
    kinds = [kind for kind in ("key", "keyless", "static") if row.get(kind) is not None]
    if len(kinds) > 1:
        return nobody(f"{what} has {' and '.join(kinds)}, of which there may be one", notes)
    found = complete(_signer(row, notes), row, _AUTHORITY, what, notes)
    if row.get("rfc3161timestamp"):
        notes.add(
            "the timestamp authority's certificates are not carried over: give them as timestamp"
        )
        if "key" in found:
            found = nobody("a key with a timestamp authority", notes)
    return {"name": name, **found} if name and "name" not in found else found


def _signer(row: dict[str, Any], notes: Notes) -> dict[str, Any]:
    if row.get("static") is not None:
        action = _static(row)
        if mapping(row["static"]).get("message"):
            notes.add("the message of a static authority is not carried over")
        return {"static": "pass"} if action == "pass" else {"static": "deny"}
    if row.get("key") is not None:
        return _key(mapping(row["key"]), row.get("ctlog"), notes)
    if row.get("keyless") is None:
        return nobody("an authority without key, keyless or static", notes)
    return _keyless(mapping(row["keyless"]), row.get("ctlog"), notes)


def _keyless(stated: dict[str, Any], ctlog: object, notes: Notes) -> dict[str, Any]:
    unknown = unread(stated, _KEYLESS, "keyless", notes)
    if unknown is not None:
        return unknown
    if stated.get("ca-cert"):
        return nobody("keyless with a ca-cert of its own", notes)
    if stated.get("insecureIgnoreSCT"):
        notes.add(
            "insecureIgnoreSCT is not carried over: a certificate needs its transparency stamp"
        )
    own_root = ""
    if stated.get("trustRootRef"):
        own_root = f"TrustRoot {text(stated['trustRootRef'])}"
    elif (url := text(stated.get("url"))) and "fulcio.sigstore.dev" not in url:
        own_root = f"the certificate authority {url}"
    if ctlog is not None:
        log_of(ctlog, notes, missing="required")
        if not mapping(ctlog):
            notes.add(
                "ctlog is switched off; a keyless signature needs its entry here all the same"
            )
    identities = sequence(stated.get("identities"))
    if not identities:
        return nobody("keyless without identities, which anybody fulfils", notes)
    found = any_of([keyless_of(each, notes) for each in identities])
    if own_root:
        return incomplete(found, f"{own_root}, to be given as trustedRoot", notes)
    return found


def _key(row: dict[str, Any], ctlog: object, notes: Notes) -> dict[str, Any]:
    unknown = unread(row, _KEY, "a key", notes)
    if unknown is not None:
        return unknown
    if len([kind for kind in ("data", "secretRef", "kms") if row.get(kind)]) > 1:
        return nobody("a key that is given in several ways", notes)
    if ctlog is not None and not mapping(ctlog):
        log: dict[str, Any] = {"transparencyLog": "ignored"}
    else:
        log = log_of(ctlog, notes, missing="required")
    if row.get("kms"):
        return nobody(f"the key in a key management system ({text(row['kms'])})", notes)
    materials: list[dict[str, Any]] = [{"data": key} for key in keys_in(text(row.get("data")))]
    if row.get("secretRef"):
        reference = mapping(row["secretRef"])
        notes.add(
            "a Secret's key is read from its field cosign.pub: name another one where it differs"
        )
        materials = [
            {
                "secretRef": {
                    "namespace": text(reference.get("namespace")) or _NAMESPACE,
                    "name": text(reference.get("name")) or "unnamed",
                }
            }
        ]
    if not materials:
        return nobody("a key without a public key", notes)
    algorithm = text(row.get("hashAlgorithm"))
    if algorithm and algorithm not in {"sha256", "sha384", "sha512"}:
        return nobody(f"the hash algorithm {algorithm}", notes)
    chosen = {"hashAlgorithm": algorithm} if algorithm else {}
    return any_of([{"key": {**each, **chosen}, **log} for each in materials])


def _attestation(row: dict[str, Any], authority: dict[str, Any], notes: Notes) -> dict[str, Any]:
    stated = mapping(row.get("policy"))
    unsaid = ""
    if row.get("policy") is not None:
        kind = text(stated.get("type")) or "unknown"
        unsaid = f"the {kind} policy of attestation {text(row.get('name')) or 'without a name'}"
    return attestation_of(text(row.get("predicateType")), authority, unsaid, [], notes)


def _source(rows: list[dict[str, Any]], notes: Notes) -> str:
    places = [
        text(mapping(source).get("oci")) for row in rows for source in sequence(row.get("source"))
    ]
    for row in rows:
        for source in sequence(row.get("source")):
            if mapping(source).get("signaturePullSecrets"):
                notes.add(
                    "signaturePullSecrets are not carried over: log in by the docker configuration"
                )
            if mapping(source).get("tagPrefix"):
                notes.add(
                    "tagPrefix is not carried over: signatures are looked for under their usual tags"
                )
    named = sorted({place for place in places if place})
    if len(named) > 1:
        notes.add(f"of several sources only the first is carried over: {named[0]}")
    return named[0] if named else ""
