"""Texts that are credentials: by their own form, or by the name that they are given.

Nothing here returns or quotes the value. The forms are those that the issuers document, for example
https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html and RFC 7468 (PEM), RFC 7519 (JWT).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from re import Pattern

_FORMS = (
    ("-----BEGIN", "a private key", r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    ("A", "an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("gh", "a GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    ("github_pat_", "a GitHub token", r"\bgithub_pat_[A-Za-z0-9_]{22,}"),
    ("glpat-", "a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("xox", "a Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
    ("hooks.slack.com", "a Slack webhook", r"hooks\.slack\.com/services/T\w+/B\w+/\w{16,}"),
    ("k_live_", "a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{16,}"),
    ("AIza", "a Google API key", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("eyJ", "a JSON web token", r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}"),
    ("npm_", "an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("pypi-", "a PyPI token", r"\bpypi-AgEIcHlwaS5vcmc[\w-]{20,}"),
    ("SG.", "a SendGrid key", r"\bSG\.[\w-]{22}\.[\w-]{43}\b"),
    ("AccountKey=", "an Azure storage key", r"AccountKey=[A-Za-z0-9+/]{80,}={0,2}"),
    ("hvs.", "a Vault token", r"\bhvs\.[A-Za-z0-9_-]{24,}"),
    ("dop_v1_", "a DigitalOcean token", r"\bdop_v1_[a-f0-9]{64}\b"),
    ("sk-", "an API key", r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}"),
    ("AGE-SECRET-KEY-", "an age key", r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}"),
)
"""A text that must be there for the expression to match, what it is, and the expression."""
_URL = r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"]*:([^\s@/'\"]+)@"
_ASSIGNMENT = (
    r"""(?:^|[\s;,&{?])(?:--?(?P<flag>[A-Za-z][\w.-]{2,60})\s+"""
    r"""|-{0,2}["']?(?P<name>[A-Za-z][\w.-]{2,60})["']?\s*[:=]\s*)["']?(?P<value>[^\s"',;&]+)"""
)
"""`--name value`, and `name=value` or `name: value` with quotes, commas and hyphens around them."""

_PASSWORDS = frozenset({"password", "passwd", "pwd", "passphrase", "pass"})
_SECRETS = frozenset({"secret", "token", "apikey", "credential", "credentials", "bearer"})
_KEYS = frozenset(
    {
        "api",
        "access",
        "account",
        "auth",
        "client",
        "encryption",
        "master",
        "private",
        "secret",
        "signing",
        "session",
        "shared",
    }
)
"""Words that make a `key` behind them a secret one."""
_ABOUT = frozenset(
    {
        "age", "algorithm", "allow", "allowed", "arn", "attempts", "audience", "auto", "automount", "check",
        "checksum", "class", "count", "digest", "dir", "directory", "disable", "disabled", "duration", "email",
        "enable", "enabled", "encoding", "endpoint", "expiration", "expires", "expiry", "field", "file",
        "filename", "folder", "format", "hash", "header", "host", "id", "ids", "interval", "issuer", "kind",
        "label", "length", "lifetime", "limit", "location", "manager", "max", "method", "min", "mode", "mount",
        "name", "namespace", "names", "path", "pattern", "per", "policy", "port", "prefix", "provider",
        "public", "pub", "ref", "reference", "regex", "region", "reload", "reloader", "required", "requires",
        "reset", "resource", "retries", "review", "revision", "role", "rotation", "salt", "scope", "scopes",
        "seconds", "selector", "server", "service", "size", "source", "store", "strategy", "suffix", "template",
        "timeout", "ttl", "type", "uri", "url", "usage", "use", "user", "username", "validity", "version",
        "volume", "window",
    }
)  # fmt: skip
"""Words that say that a name is about a credential and not one: PASSWORD_FILE, TOKEN_TTL."""
_EMPTY = frozenset(
    {"true", "false", "none", "null", "nil", "yes", "no", "on", "off", "undefined", "enabled", "disabled",
     "required", "optional", "redacted", "n/a", "-"}
)  # fmt: skip
_ELSEWHERE = ("/", "./", "~", "$", "%", "<", "{", "[", "@", "ref+", "vault:", "secret:", "secretref:", "arn:", "projects/", "file:", "env:", "op://", "awssm:", "gcpsm:", "azurekv:", "keyvault:", "sm://", "ENC[")  # fmt: skip
"""How a value begins that names a secret kept elsewhere, a path or a variable."""
_INSIDE = ("$(", "${", "{{", "}}", "<", "*****", "xxxx", "XXXX", "...")
"""What only placeholders have inside."""
_LEAST_RANDOM = 8


def credential_form(text: str) -> str | None:
    """Return what credential a text holds by its form ("a private key"), or None."""
    for hint, kind, _ in _FORMS:
        if hint in text and _form(kind, hint).search(text):
            return kind
    if "://" in text and "@" in text:
        for match in _expression(_URL).finditer(text):
            if not _is_placeholder(match[1]):
                return "a password in a URL"
    return None


def is_literal_credential(name: str, value: str) -> bool:
    """Tell whether a value that is given under this name is a credential itself.

    A name of passwords is enough, unless the value is a placeholder, a path or a reference; under names of
    tokens and keys the value has to look random, since names of objects stand there as well.
    """
    kind = _kind_of_name(name)
    if not kind or _is_placeholder(value):
        return False
    if any(character.isspace() for character in value) or "://" in value:
        return False
    return kind == "password" or _looks_random(value)


def literal_credential(text: str) -> str | None:
    """Return the name under which a longer text, such as a file or a script, holds a credential."""
    lowered = text.lower()
    if not any(word in lowered for word in ("pass", "pwd", "secret", "token", "key", "credential")):
        return None
    for line in text.splitlines():
        for name, value in _assignments(line):
            if is_literal_credential(name, value):
                return name
    return None


def _assignments(line: str) -> Iterator[tuple[str, str]]:
    if len(line) > 2000:
        return
    for match in _expression(_ASSIGNMENT).finditer(line):
        yield match["flag"] or match["name"], match["value"]


@lru_cache(maxsize=4096)
def _kind_of_name(name: str) -> str:
    """Return "password", "secret" or "" for what values of this name are."""
    words = _words(name)
    if not words or not _ABOUT.isdisjoint(words):
        return ""
    if not _PASSWORDS.isdisjoint(words):
        return "password"
    if not _SECRETS.isdisjoint(words):
        return "secret"
    pairs = pairwise(words)
    return "secret" if any(one in _KEYS and two == "key" for one, two in pairs) else ""


def _words(name: str) -> list[str]:
    """Split a name at everything but letters, and where a capital follows a small letter."""
    spaced = ""
    before = ""
    for character in name:
        if not character.isalpha():
            spaced += " "
        elif character.isupper() and before.islower():
            spaced += " " + character
        else:
            spaced += character
        before = character
    return spaced.lower().split()


def _is_placeholder(value: str) -> bool:
    return (
        len(value) < 3
        or value.lower() in _EMPTY
        or value.startswith(_ELSEWHERE)
        or any(part in value for part in _INSIDE)
        or len(set(value)) == 1
    )


def _looks_random(value: str) -> bool:
    """Tell whether a value has letters and digits mixed as no word or object name has."""
    if len(value) < _LEAST_RANDOM:
        return False
    digits = sum(character.isdigit() for character in value)
    letters = sum(character.isalpha() for character in value)
    if not digits or not letters:
        return False
    changes = sum(one.isdigit() != two.isdigit() for one, two in pairwise(value))
    has_cases = value.lower() != value and value.upper() != value
    # `payments-secret-v2` has one step from letters to digits, a random text has many.
    return changes >= 4 or (has_cases and digits >= 2 and changes >= 2)


@lru_cache(maxsize=64)
def _form(kind: str, hint: str) -> Pattern[str]:
    return _expression(next(row[2] for row in _FORMS if row[:2] == (hint, kind)))


@lru_cache(maxsize=64)
def _expression(pattern: str) -> Pattern[str]:
    import re

    return re.compile(pattern, re.MULTILINE)
