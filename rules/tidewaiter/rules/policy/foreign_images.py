"""What the policies of others on signed images have in common, in the form of our section `images`.

Whatever cannot be said here becomes something that lets nothing through, so that no policy is weaker after its
import than it was before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.policy.image_patterns import pattern_problem
from tidewaiter.rules.signatures.authority import CLAIMS

if TYPE_CHECKING:
    from collections.abc import Iterable

PUBLIC_LOG = "rekor.sigstore.dev"
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_DOCKER_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}
_TYPES = {"custom", "cyclonedx", "link", "openvex", "slsaprovenance", "slsaprovenance02"}
_TYPES |= {"slsaprovenance1", "spdx", "spdxjson", "vuln"}


class Notes(list[str]):
    """What could not be carried over, each sentence once."""

    def add(self, note: str) -> None:
        """Take a note."""
        if note not in self:
            self.append(note)


def nobody(why: str, notes: Notes) -> dict[str, Any]:
    """Return an authority that lets nothing through, in the place of one that cannot be said."""
    notes.add(f"{why}; nothing is let through in its place")
    return {"name": f"not carried over: {why}"[:120], "static": "deny"}


def incomplete(authority: dict[str, Any], why: str, notes: Notes) -> dict[str, Any]:
    """Return an authority with what lets nothing through beside it, until somebody has completed it."""
    return {"allOf": [authority, nobody(why, notes)]}


def any_of(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return one authority of several, of which one is enough."""
    found = list(parts)
    return found[0] if len(found) == 1 else {"anyOf": found}


def all_of(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return one authority of several, all of which are needed."""
    found = list(parts)
    return found[0] if len(found) == 1 else {"allOf": found}


def keys_in(pem: str) -> list[str]:
    """Return the public keys of a text."""
    return [f"{found}\n" for found in _PEM.findall(pem)]


def pattern_of(stated: str, notes: Notes, *, star_crosses: bool) -> str | None:
    """Return a pattern for images that another tool's glob is for, of any tag, or None.

    It is for no others than these: a glob without a slash is taken for registries alone.
    star_crosses: whether a single `*` of that tool stands for slashes too.
    """
    pattern = _untagged(stated, notes, star_crosses=star_crosses)
    if "/" not in pattern and pattern.strip("*") and any(sign in pattern for sign in ".:*"):
        pattern = f"{pattern.rstrip('*')}*/**"
    problem = pattern_problem(pattern) if pattern else "it is empty"
    if problem:
        notes.add(f"image pattern {stated!r} is left out: {problem}")
        return None
    return pattern


def patterns_of(stated: str, notes: Notes, *, star_crosses: bool) -> list[str]:
    """Return patterns that are together for all images that another tool's glob is for, of any tag.

    Other tools match the whole name as one text, in which `**demo**` may be a registry, a path or both.
    """
    first = pattern_of(stated, notes, star_crosses=star_crosses)
    if first is None:
        return []
    glob = _untagged(stated, notes, star_crosses=star_crosses)
    host, slash, rest = glob.partition("/")
    found = [first]
    if not slash and glob.startswith("*") and glob.strip("*"):
        found.append(f"**/**{glob.lstrip('*')}")
    elif not slash and "*" in glob and glob.strip("*"):
        found += [f"docker.io/{glob}", f"docker.io/library/{glob}"]
    elif host in _DOCKER_HUB and "/" not in rest and "**" in rest and rest.strip("*"):
        found.append(f"{host}/library/{rest}")
    return [each for each in dict.fromkeys(found) if not pattern_problem(each)]


def _untagged(stated: str, notes: Notes, *, star_crosses: bool) -> str:
    """Return a glob without its tag or digest."""
    head, slash, last = stated.rpartition("/")
    name, colon, tag = last.partition("@" if "@" in last else ":")
    if not slash and tag.isdigit():
        name, colon, tag = last, "", ""
    if colon and tag.strip("*"):
        notes.add(f"image pattern {stated!r} is for a tag or digest; it is for all of them here")
    pattern = f"{head}{slash}{name}"
    return re.sub(r"\*+", "**", pattern) if star_crosses else pattern


def unread(
    stated: dict[str, Any], known: Iterable[str], what: str, notes: Notes
) -> dict[str, Any] | None:
    """Return what lets nothing through where a part has fields that are not known, else None."""
    more = sorted(str(name) for name in stated.keys() - set(known))
    return nobody(f"{what} has {', '.join(more)[:60]}", notes) if more else None


def complete(
    authority: dict[str, Any],
    stated: dict[str, Any],
    known: Iterable[str],
    what: str,
    notes: Notes,
) -> dict[str, Any]:
    """Return an authority, with what lets nothing through beside it where fields of it are not known."""
    unknown = unread(stated, known, what, notes)
    return authority if unknown is None else {"allOf": [authority, unknown]}


def is_narrow(stated: str) -> bool:
    """Tell whether a glob is for some tags of its images only."""
    last = stated.rpartition("/")[2]
    tag = last.partition("@" if "@" in last else ":")[2]
    return bool(tag.strip("*")) and not ("/" not in stated and tag.isdigit())


def keyless_of(row: object, notes: Notes) -> dict[str, Any]:
    """Return a keyless authority of issuer and subject, each exact, with wildcards or as regular expression."""
    stated = mapping(row)
    found: dict[str, Any] = {}
    for name, other in (("issuer", "issuerRegExp"), ("subject", "subjectRegExp")):
        exact = text(stated.get(name))
        pattern = text(stated.get(other)) or text(stated.get(f"{name}Regex"))
        if pattern:
            found[other] = pattern
        elif "*" in exact or "?" in exact:
            found[other] = _anchored(exact)
        elif exact:
            found[name] = exact
        else:
            notes.add(f"an identity names no {name}; any is taken, as before")
            found[other] = "^.+$"
    extensions = mapping(stated.get("additionalExtensions"))
    names = {name.lower(): name for name in CLAIMS} | {oid: name for name, oid in CLAIMS.items()}
    for key, value in extensions.items():
        claim = names.get(key.lower())
        if claim is None:
            return nobody(f"certificate extension {key!r} is not known", notes)
        if "*" in text(value) or "?" in text(value):
            found.setdefault("claimsRegExp", {})[claim] = _anchored(text(value))
        else:
            found.setdefault("claims", {})[claim] = text(value)
    return {"keyless": found}


def _anchored(wildcards: str) -> str:
    parts = {"*": ".*", "?": "."}
    return f"^{''.join(parts.get(char, re.escape(char)) for char in wildcards)}$"


def attestation_of(
    predicate_type: str,
    authorities: dict[str, Any] | None,
    unsaid: str,
    conditions: list[dict[str, str]],
    notes: Notes,
) -> dict[str, Any]:
    """Return a demand for an attestation; `unsaid` names conditions that are not in CEL."""
    kind = predicate_type if ":" in predicate_type or predicate_type in _TYPES else ""
    found: dict[str, Any] = {"type": kind or f"unknown:{predicate_type or 'none'}"}
    if not kind:
        notes.add(f"predicate type {predicate_type!r} is not known; no attestation will be found")
    if authorities is not None:
        found["authorities"] = authorities
    rows = list(conditions)
    if unsaid:
        notes.add(
            f"{unsaid}; write it in CEL in place of the condition `false`, which nothing fulfils"
        )
        rows.append({"expression": "false", "message": f"{unsaid}: not carried over"[:200]})
    if rows:
        found["conditions"] = rows
    return found


def log_of(stated: object, notes: Notes, *, missing: str) -> dict[str, Any]:
    """Return whether a log entry is needed, by the `ctlog` or `rekor` of another tool."""
    if stated is None:
        return {"transparencyLog": missing} if missing == "ignored" else {}
    row = mapping(stated)
    if row.get("ignoreTlog") is True or row.get("insecureIgnoreTlog") is True:
        return {"transparencyLog": "ignored"}
    url = text(row.get("url"))
    if row.get("trustRootRef") or row.get("pubkey") or row.get("rekorPubKey"):
        notes.add("the log's own trust root is not carried over: give the authority a trustedRoot")
    elif url and PUBLIC_LOG not in url:
        notes.add(f"the log {url} is not carried over: give the authority a trustedRoot")
    return {}


def texts_of(value: object) -> list[str]:
    """Return the texts of a list."""
    return [each for each in sequence(value) if isinstance(each, str)]
