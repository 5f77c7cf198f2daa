"""Kyverno's policies on images: `verifyImages` of a ClusterPolicy or Policy, and ImageValidatingPolicies.

https://kyverno.io/docs/policy-types/cluster-policy/verify-images/
https://kyverno.io/docs/policy-types/image-validating-policy/
"""

from __future__ import annotations

import re
from typing import Any

from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.policy.attestation_conditions import mistakes_in
from tidewaiter.rules.policy.foreign_images import (
    Notes,
    all_of,
    any_of,
    attestation_of,
    incomplete,
    is_narrow,
    keyless_of,
    keys_in,
    log_of,
    nobody,
    pattern_of,
    patterns_of,
    texts_of,
    unread,
)
from tidewaiter.rules.policy.importing import Imported

NAME = "ClusterPolicy, Policy (verifyImages) and ImageValidatingPolicy (Kyverno)"
_VALIDATING = ("ImageValidatingPolicy", "NamespacedImageValidatingPolicy")
_ROW = (
    *("image", "imageReferences", "skipImageReferences", "type", "failureAction", "attestors"),
    *("attestations", "annotations", "repository", "mutateDigest", "verifyDigest", "required"),
    *("imageRegistryCredentials", "useCache", "cosignOCI11"),
    # What older versions had in place of attestors.
    *("key", "subject", "issuer", "roots", "additionalExtensions"),
)
_KINDS = {"keys", "keyless", "certificates", "attestor"}
_ENTRY = (*_KINDS, "annotations", "repository", "signatureAlgorithm")
_KEYS = ("publicKeys", "kms", "secret", "rekor", "ctlog", "signatureAlgorithm")
_KEYLESS = (
    *("issuer", "issuerRegExp", "subject", "subjectRegExp", "roots", "rekor", "ctlog"),
    "additionalExtensions",
)
_COSIGN = ("key", "keyless", "certificate", "source", "ctlog", "annotations", "tuf")
_LIST = r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]"
_SIGNED = re.compile(rf"verifyImageSignatures\(\s*image\s*,\s*{_LIST}\s*\)")
_ATTESTED = re.compile(
    rf"verifyAttestationSignatures\(\s*image\s*,\s*attestations\.(\w+)\s*,\s*{_LIST}\s*\)"
)
_ATTESTOR = re.compile(r"""attestors(?:\.(\w+)|\[\s*(?:'([^']*)'|"([^"]*)")\s*\])""")
_IMAGES = r"(?:images\.\w+|\(\s*images\.[\w\s.?+()\[\]]*\))"
"""Those of some containers, or of several kinds; here those of all are asked for."""
_COUNTED = tuple(
    re.compile(_IMAGES + form, re.DOTALL)
    for form in (
        r"\.map\(\s*image\s*,(.*)\)\s*\.all\(\s*(\w+)\s*,\s*\2\s*>\s*0\s*\)",
        r"\.map\(\s*image\s*,(.*?)>\s*0\s*\)\s*\.all\(\s*(\w+)\s*,\s*\2\s*\)",
        r"\.all\(\s*image\s*,(.*?)>\s*0\s*\)",
    )
)
"""That of each image so many attestors as stand inside have signed, one at least."""
_PAYLOAD = re.compile(
    r"(?:extractPayload|payload)\(\s*image\s*,\s*attestations\.(\w+)\s*\)\.predicate\b"
)
_EACH = tuple(
    re.compile(_IMAGES + form, re.DOTALL)
    for form in (
        r"\.map\(\s*image\s*,(.*)\)\s*\.all\(\s*(\w+)\s*,\s*\2\s*\)",
        r"\.all\(\s*image\s*,(.*)\)",
    )
)


def reads(document: dict[str, Any]) -> bool:
    """Tell a Kyverno policy on images by its group, kind and content."""
    group = text(document.get("apiVersion")).partition("/")[0]
    if document.get("kind") in _VALIDATING:
        return group == "policies.kyverno.io"
    rules = sequence(mapping(document.get("spec")).get("rules"))
    return (
        group == "kyverno.io"
        and document.get("kind") in {"ClusterPolicy", "Policy"}
        and any(mapping(rule).get("verifyImages") for rule in rules)
    )


def convert(document: dict[str, Any]) -> Imported:
    """Return each `verifyImages` as an entry of `images`."""
    kind = text(document.get("kind"))
    name = text(mapping(document.get("metadata")).get("name")) or "unnamed"
    spec = mapping(document.get("spec"))
    notes = Notes()
    if kind in _VALIDATING:
        entries = _validating(name, spec, notes)
    else:
        entries = _rules(name, spec, notes)
    if kind.startswith("Namespaced") or kind == "Policy":
        notes.add("the policy is of one namespace; here every namespace is meant")
    return Imported(f"{kind} {name}", {"images": entries} if entries else {}, notes)


def _rules(name: str, spec: dict[str, Any], notes: Notes) -> list[dict[str, Any]]:
    entries = []
    action = text(spec.get("validationFailureAction") or spec.get("failureAction"))
    for rule in map(mapping, sequence(spec.get("rules"))):
        rows = [mapping(row) for row in sequence(rule.get("verifyImages"))]
        if not rows:
            notes.add(f"rule {text(rule.get('name'))} verifies no images")
            continue
        for field in rule.keys() - {"name", "match", "verifyImages", "skipBackgroundRequests"}:
            if rule.get(field):
                notes.add(
                    f"{field} of rule {text(rule.get('name'))} is not carried over; every workload is meant"
                )
        if "namespace" in repr(rule.get("match")):
            notes.add("namespaces in match are not carried over; every namespace is meant")
        for index, row in enumerate(rows):
            own = f"{name}-{text(rule.get('name')) or 'rule'}" + (f"-{index}" if index else "")
            stated = text(row.get("failureAction")) or action
            if stated.lower() == "audit":
                notes.add(
                    "the policy only audits; set rules.image-signature.mode to audit for the same"
                )
            entry = _entry(own, row, notes)
            if entry is not None:
                entries.append(entry)
    return entries


def _entry(name: str, row: dict[str, Any], notes: Notes) -> dict[str, Any] | None:
    stated = texts_of(row.get("imageReferences")) or texts_of([row.get("image")])
    match = list(
        dict.fromkeys(
            pattern for each in stated for pattern in patterns_of(each, notes, star_crosses=True)
        )
    )
    if not match:
        notes.add(
            f"{name} has no image pattern that can be carried over, so nothing of it is in force"
        )
        return None
    entry: dict[str, Any] = {"name": name, "match": match}
    exclude = _excluded(row, notes)
    if exclude:
        entry["exclude"] = exclude
    _note_rest(row, notes)
    found = _asked(row, notes)
    unknown = unread(row, _ROW, f"{name} in verifyImages", notes)
    if unknown is not None:
        found["authorities"] = all_of([found["authorities"], unknown])
        found.pop("signatures", None)
    annotations = {key: text(each) for key, each in mapping(row.get("annotations")).items()}
    for owner in _attestors(row):
        annotations |= {key: text(each) for key, each in mapping(owner.get("annotations")).items()}
    if annotations:
        notes.add("annotations are asked of every signature here, whichever attestor named them")
        found["annotations"] = annotations
    places = [row.get("repository"), *(owner.get("repository") for owner in _attestors(row))]
    named = list(dict.fromkeys(place for place in map(text, places) if place))
    if named:
        found["signatureRepository"] = named[0]
    if len(named) > 1:
        notes.add(f"of several repositories only the first is carried over: {named[0]}")
    return {**entry, **found}


def _excluded(row: dict[str, Any], notes: Notes) -> list[str]:
    found = []
    for each in texts_of(row.get("skipImageReferences")):
        pattern = None if is_narrow(each) else pattern_of(each, notes, star_crosses=True)
        if pattern is None:
            notes.add(
                f"the exception {each!r} is left out: here exceptions are not of some tags only"
            )
        else:
            found.append(pattern)
    return found


def _note_rest(row: dict[str, Any], notes: Notes) -> None:
    if row.get("mutateDigest", True) is not False:
        notes.add("mutateDigest: nothing is changed at admission; `tidewaiter pin` writes digests")
    if row.get("verifyDigest", True) is not False:
        notes.add("verifyDigest: the rule image-digest asks for digests")
    if row.get("required") is False:
        notes.add("required is false; here a signature is always asked for")
    if row.get("imageRegistryCredentials"):
        notes.add("imageRegistryCredentials: log in by the docker configuration")


def _asked(row: dict[str, Any], notes: Notes) -> dict[str, Any]:
    if text(row.get("type") or "Cosign") not in {"Cosign", "SigstoreBundle"}:
        return {"authorities": nobody(f"signatures of type {text(row.get('type'))}", notes)}
    sets = [_set(mapping(each), notes) for each in sequence(row.get("attestors"))]
    sets += _deprecated(row, notes)
    wanted = []
    for attestation in map(mapping, sequence(row.get("attestations"))):
        own = [_set(mapping(each), notes) for each in sequence(attestation.get("attestors"))]
        kind = text(attestation.get("type")) or text(attestation.get("predicateType"))
        unsaid = f"conditions on {kind}" if attestation.get("conditions") else ""
        if not own and not sets:
            own = [nobody(f"attestation {kind} without attestors", notes)]
        wanted.append(attestation_of(kind, all_of(own) if own else None, unsaid, [], notes))
    found: dict[str, Any] = {}
    if sets:
        found["authorities"] = all_of(sets)
    elif wanted:
        found = {"authorities": wanted[0]["authorities"], "signatures": "ignored"}
    else:
        found["authorities"] = nobody("a rule without attestors", notes)
    if wanted:
        found["attestations"] = wanted
    return found


def _deprecated(row: dict[str, Any], notes: Notes) -> list[dict[str, Any]]:
    """Read the fields that older versions had in place of attestors."""
    found = []
    if row.get("key"):
        found.append(_keys({"publicKeys": row["key"]}, notes))
    if row.get("subject") or row.get("issuer"):
        found.append(_keyless(row, notes))
    return found


def _attestors(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        mapping(entry)
        for each in sequence(row.get("attestors"))
        for entry in sequence(mapping(each).get("entries"))
    ]


def _set(stated: dict[str, Any], notes: Notes, depth: int = 0) -> dict[str, Any]:
    """Return an attestor set: all of its entries, or so many; each key of a text counts as an entry."""
    parts: list[dict[str, Any]] = []
    for entry in map(mapping, sequence(stated.get("entries"))):
        unknown = unread(entry, _ENTRY, "an attestor", notes)
        if unknown is not None or len(entry.keys() & _KINDS) > 1:
            parts.append(unknown or nobody("an attestor of several kinds", notes))
        elif entry.get("keys") is not None:
            keys = _keys(mapping(entry["keys"]), notes)
            parts += keys.get("allOf", [keys])
        elif entry.get("keyless") is not None:
            keyless = mapping(entry["keyless"])
            parts.append(unread(keyless, _KEYLESS, "keyless", notes) or _keyless(keyless, notes))
        elif entry.get("certificates") is not None:
            parts.append(_certificate(mapping(entry["certificates"]), notes))
        elif entry.get("attestor") is not None and depth < 10:
            parts.append(_set(mapping(entry["attestor"]), notes, depth + 1))
        else:
            parts.append(nobody("an attestor of an unknown kind", notes))
    if not parts:
        return nobody("an attestor set without entries", notes)
    count = stated.get("count")
    if not isinstance(count, int) or count <= 0 or count >= len(parts):
        return all_of(parts)
    if count == 1:
        return any_of(parts)
    # One signer must not count twice, and what lets nothing through counts never.
    able = [
        part for at, part in enumerate(parts) if "static" not in part and part not in parts[:at]
    ]
    if len(able) < count:
        return nobody(f"{count} attestors of a set, of which {len(able)} can be said", notes)
    return all_of(able) if len(able) == count else {"atLeast": {"count": count, "of": able}}


def _keys(stated: dict[str, Any], notes: Notes) -> dict[str, Any]:
    unknown = unread(stated, _KEYS, "a key", notes)
    if unknown is not None:
        return unknown
    if stated.get("rekor") is None and stated.get("ctlog") is None:
        notes.add(
            "a key without rekor: an entry in the public log is asked for; where signatures are in none, "
            "say transparencyLog: ignored"
        )
    log = log_of(stated.get("rekor"), notes, missing="required")
    algorithm = text(stated.get("signatureAlgorithm"))
    chosen = {"hashAlgorithm": algorithm} if algorithm in {"sha256", "sha384", "sha512"} else {}
    public = text(stated.get("publicKeys"))
    if stated.get("kms") or "://" in public.split("-----", 1)[0].removeprefix("k8s://"):
        return nobody("a key in a key management system", notes)
    secret = mapping(stated.get("secret"))
    if public.strip().startswith("k8s://"):
        namespace, _, name = public.strip().removeprefix("k8s://").partition("/")
        secret = {"namespace": namespace, "name": name}
    if secret:
        place = {key: text(secret.get(key)) or "unnamed" for key in ("namespace", "name")}
        return {"key": {"secretRef": place, **chosen}, **log}
    found = [{"key": {"data": key, **chosen}, **log} for key in keys_in(public)]
    return all_of(found) if found else nobody("a key that is no PEM, such as a variable", notes)


def _keyless(stated: dict[str, Any], notes: Notes) -> dict[str, Any]:
    if stated.get("roots"):
        return nobody("keyless with roots of its own", notes)
    log_of(stated.get("rekor"), notes, missing="required")
    return keyless_of(stated, notes)


def _certificate(stated: dict[str, Any], notes: Notes) -> dict[str, Any]:
    chain = text(stated.get("certChain"))
    if "-----BEGIN CERTIFICATE-----" not in chain:
        return nobody("one certificate without its chain", notes)
    if stated.get("cert"):
        return nobody("a chain for one certificate alone: name its subject instead", notes)
    log = log_of(stated.get("rekor"), notes, missing="required")
    return {"certificate": {"data": chain}, **log}


def _validating(name: str, spec: dict[str, Any], notes: Notes) -> list[dict[str, Any]]:
    patterns: list[str] = []
    for row in map(mapping, sequence(spec.get("matchImageReferences") or spec.get("imageRules"))):
        if row.get("expression") or row.get("cel"):
            notes.add("images are chosen by an expression, in place of which every image is meant")
            patterns.append("**")
            continue
        patterns += patterns_of(text(row.get("glob")), notes, star_crosses=True)
    if not patterns:
        notes.add("no image pattern could be carried over, so nothing of it is in force")
        return []
    for field in ("matchConditions", "variables", "images"):
        if spec.get(field):
            notes.add(f"{field} is not carried over")
    if texts_of(spec.get("validationActions")) not in ([], ["Deny"]):
        notes.add("validationActions other than Deny: set rules.image-signature.mode for the same")
    attestors = {
        text(mapping(row).get("name")): _attestor(mapping(row), notes)
        for row in sequence(spec.get("attestors"))
    }
    types = {
        text(mapping(row).get("name")): text(mapping(mapping(row).get("intoto")).get("type"))
        for row in sequence(spec.get("attestations"))
    }
    asked = _Asked(attestors, types, notes)
    for row in sequence(spec.get("validations")):
        asked.take(text(mapping(row).get("expression")), text(mapping(row).get("message")))
    return [{"name": name, "match": list(dict.fromkeys(patterns)), **asked.entry()}]


class _Asked:
    """What the validations of an ImageValidatingPolicy ask for, as far as it can be said."""

    def __init__(
        self, attestors: dict[str, dict[str, Any]], types: dict[str, str], notes: Notes
    ) -> None:
        self._attestors = attestors
        self._types = types
        self._notes = notes
        self._signed: list[dict[str, Any]] = []
        self._attested: dict[str, list[dict[str, Any]]] = {}
        self._conditions: dict[str, list[dict[str, str]]] = {}

    def take(self, expression: str, message: str) -> None:
        """Read one validation: of a form that is known as a whole, as what stands beside would be lost."""
        counted = next(
            (
                found[1].strip()
                for each in _COUNTED
                if (found := each.fullmatch(expression.strip()))
            ),
            "",
        )
        signed, attested = _SIGNED.fullmatch(counted), _ATTESTED.fullmatch(counted)
        if signed:
            self._signed.append(self._those(signed[1]))
        elif attested:
            self._attested.setdefault(attested[1], []).append(self._those(attested[2]))
        elif not self._is_condition(expression, message):
            self._signed.append(nobody(f"the validation {expression.strip()[:60]!r}", self._notes))

    def _is_condition(self, expression: str, message: str) -> bool:
        inner = next(
            (found[1] for each in _EACH if (found := each.fullmatch(expression.strip()))), ""
        )
        names = set(_PAYLOAD.findall(inner))
        if len(names) != 1:
            return False
        row = {"expression": _PAYLOAD.sub("predicate", inner).strip()}
        if mistakes_in([row]):
            return False
        self._conditions.setdefault(names.pop(), []).append(
            row | ({"message": message} if message else {})
        )
        return True

    def _those(self, listed: str) -> dict[str, Any]:
        names = [_attestor_name(part) for part in listed.split(",") if part.strip()]
        return any_of(
            [
                self._attestors.get(name) or nobody(f"there is no attestor {name}", self._notes)
                for name in names
            ]
            or [nobody("a validation that names no attestor", self._notes)]
        )

    def entry(self) -> dict[str, Any]:
        """Return authorities and attestations."""
        wanted = []
        for name in dict.fromkeys((*self._attested, *self._conditions)):
            authorities = all_of(
                self._attested.get(name)
                or [
                    nobody(
                        f"attestation {name} is read and nobody's signature verified", self._notes
                    )
                ]
            )
            kind = self._types.get(name, "")
            if not kind:
                self._notes.add(f"attestation {name} is of no in-toto type")
            rows = self._conditions.get(name, [])
            wanted.append(attestation_of(kind or name, authorities, "", rows, self._notes))
        if not self._signed and not wanted:
            return {"authorities": nobody("a policy without validations", self._notes)}
        if not self._signed:
            return {
                "authorities": wanted[0]["authorities"],
                "signatures": "ignored",
                "attestations": wanted,
            }
        found: dict[str, Any] = {"authorities": all_of(self._signed)}
        return {**found, "attestations": wanted} if wanted else found


def _attestor_name(expression: str) -> str:
    found = _ATTESTOR.fullmatch(expression.strip())
    return next(filter(None, found.groups()), "") if found else expression.strip()[:60]


def _attestor(row: dict[str, Any], notes: Notes) -> dict[str, Any]:
    cosign = mapping(row.get("cosign"))
    name = text(row.get("name"))
    if not cosign:
        return nobody(f"attestor {name} is not of cosign", notes)
    unknown = unread(cosign, _COSIGN, f"attestor {name}", notes)
    if unknown is not None:
        return unknown
    if mapping(cosign.get("source")):
        notes.add("source of an attestor is not carried over: say signatureRepository")
    if cosign.get("annotations"):
        return nobody(f"annotations of attestor {name}", notes)
    log = cosign.get("ctlog")
    if cosign.get("key") is not None:
        stated = mapping(cosign["key"])
        secret = mapping(stated.get("secretRef"))
        if stated.get("kms") or stated.get("expression"):
            return nobody(f"the key of attestor {name}, which is no text", notes)
        keys = {
            "publicKeys": stated.get("data"),
            "secret": secret,
            "rekor": log,
            "ctlog": log,
            "signatureAlgorithm": stated.get("hashAlgorithm"),
        }
        return {"name": name, **_keys(keys, notes)}
    if cosign.get("certificate") is not None:
        certificate = mapping(cosign["certificate"])
        chain = {
            key: mapping(certificate.get(key)).get("value") or certificate.get(key)
            for key in ("cert", "certChain")
        }
        return {"name": name, **_certificate({**chain, "rekor": log}, notes)}
    keyless = mapping(cosign.get("keyless"))
    if keyless.get("roots"):
        return nobody(f"attestor {name} with roots of its own", notes)
    identities = sequence(keyless.get("identities"))
    if not identities:
        return nobody(f"attestor {name} without identities", notes)
    found = any_of([keyless_of(each, notes) for each in identities])
    if cosign.get("tuf"):
        return incomplete(
            found, f"the trust root of attestor {name}, to be given as trustedRoot", notes
        )
    return found
