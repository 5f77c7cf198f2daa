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
    from re import Match, Pattern

_PRIVATE_KEY = (
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|\s){0,8}"
    r"(?:[\w-]{1,40}: [^\n]{0,200}\n\s{0,8}){0,4}(?!(.)\1{7})[A-Za-z0-9+/=]{16}"
)
"""A key's first line with the beginning of the key itself: programs name the first line alone."""
_FORMS = (
    ("-----BEGIN", "a private key", _PRIVATE_KEY),
    ("AKIA", "an AWS access key", r"\bAKIA[0-9A-Z]{16}\b"),
    ("ASIA", "an AWS access key", r"\bASIA[0-9A-Z]{16}\b"),
    ("ghp_", "a GitHub token", r"\bghp_[A-Za-z0-9]{36}"),
    ("gho_", "a GitHub token", r"\bgho_[A-Za-z0-9]{36}"),
    ("ghu_", "a GitHub token", r"\bghu_[A-Za-z0-9]{36}"),
    ("ghs_", "a GitHub token", r"\bghs_[A-Za-z0-9]{36}"),
    ("ghr_", "a GitHub token", r"\bghr_[A-Za-z0-9]{36}"),
    ("github_pat_", "a GitHub token", r"\bgithub_pat_[A-Za-z0-9_]{22}"),
    ("glpat-", "a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20}"),
    ("xox", "a Slack token", r"\bxox[abeprs]-[0-9][A-Za-z0-9-]{10}"),
    ("xapp-", "a Slack token", r"\bxapp-[0-9]-[A-Z0-9]{8,16}-[0-9]{8}"),
    (
        "hooks.slack.com",
        "a Slack webhook",
        r"hooks\.slack\.com/services/T\w{4,20}/B\w{4,20}/\w{16}",
    ),
    ("k_live_", "a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{16}"),
    ("AIza", "a Google API key", r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    ("GOCSPX-", "a Google client secret", r"\bGOCSPX-[0-9A-Za-z_-]{24}"),
    ("eyJ", "a JSON web token", r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16}"),
    ("npm_", "an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("pypi-", "a PyPI token", r"\bpypi-AgEIcHlwaS5vcmc[\w-]{20}"),
    ("SG.", "a SendGrid key", r"\bSG\.[\w-]{22}\.[\w-]{43}"),
    ("AccountKey=", "an Azure storage key", r"AccountKey=[A-Za-z0-9+/]{80}"),
    ("SharedAccessKey=", "an Azure access key", r"SharedAccessKey=[A-Za-z0-9+/]{40}"),
    ("hvs.", "a Vault token", r"\bhvs\.[A-Za-z0-9_-]{24}"),
    ("dop_v1_", "a DigitalOcean token", r"\bdop_v1_[a-f0-9]{64}\b"),
    ("sk-ant-", "an API key", r"\bsk-ant-(?:api|admin)[0-9]{2}-[A-Za-z0-9_-]{32}"),
    ("sk-proj-", "an API key", r"\bsk-proj-[A-Za-z0-9_-]{32}"),
    ("T3BlbkFJ", "an API key", r"\bsk-[A-Za-z0-9_-]{16,120}T3BlbkFJ[A-Za-z0-9]{16}"),
    ("AGE-SECRET-KEY-1", "an age key", r"\bAGE-SECRET-KEY-1[0-9A-Z]{50}"),
)
"""A text that must be there for the expression to match, what it is, and the expression."""
_ENCODED_PEM = "LS0tLS1CRUdJTi"
"""`-----BEGIN` in base64, up to the last character that what follows cannot change."""
_URL = r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"]{0,200}:([^\s@/'\"]{1,500})@(?!sha\d{3}:)"

_ASSIGNED = r"(?<!\w)([A-Za-z][\w.-]{0,100})[\"']?\s{0,3}[=:]\s{0,3}[\"']?([^\s&;,\"'()]{3,500})"
_AUTHORIZATION = (
    r"(?i)(authorization[\"']?\s{0,3}[=:]?\s{0,3}[\"']?(?:basic|bearer|token)\s{1,3})[^\s\"']{4,}"
)
_NAMED = ("pass", "pwd", "secret", "token", "credential", "key", "auth", "bearer")
"""A text that has none of these in it assigns no credential."""
MASK = "***"

_PASSWORDS = ("password", "passwd", "passphrase")
"""A name's word may have others before these without a gap: PGPASSWORD."""
_SHORT_PASSWORDS = frozenset({"pass", "pwd", "requirepass", "masterauth", "sshpass"})
_SECRETS = ("secret", "token", "apikey", "secretkey", "accesskey", "credential", "credentials", "bearer")  # fmt: skip
_KEYS = frozenset(
    {
        "access", "account", "api", "app", "application", "auth", "client", "encryption", "license",
        "master", "private", "secret", "session", "shared", "signing",
    }
)  # fmt: skip
"""Words that make a `key` behind them a secret one."""
_VALUED = frozenset(
    {
        "app", "client", "consumer", "cookie", "hmac", "jwt", "oauth", "session", "shared", "signing",
        "webhook",
    }
)  # fmt: skip
"""Words that make a `secret` behind them a text, and rarely a Secret by name."""
_NEGATED = ("change", "forgot", "no", "reset", "require", "show", "hide", "enable", "disable")
_BEFORE = frozenset(
    {
        "allow", "allowed", "ask", "auto", "automount", "bcrypt", "change", "checksum", "disable", "disabled",
        "enable", "enabled", "encrypted", "forgot", "has", "hash", "hashed", "hide", "max", "min", "no",
        "prompt", "pub", "public", "require", "required", "requires", "reset", "sealed", "show", "skip", "use",
        "with",
    }
)  # fmt: skip
"""Words that say, before the word for a credential, that the name is not for one: MAX_TOKEN."""
_AFTER = frozenset(
    {
        "address", "age", "algorithm", "allow", "allowed", "annotation", "arn", "attempts", "attribute",
        "audience", "audiences", "auth", "authentication", "auto", "automount", "backend", "check",
        "checksum", "claim", "class", "column", "command", "config", "configmap", "count", "data",
        "digest", "dir", "directory", "disable", "disabled", "duration", "email", "enable", "enabled",
        "encoding", "encryption", "endpoint", "env", "expiration", "expires", "expiry", "field", "file",
        "filename", "fingerprint", "folder", "format", "generator", "hash", "header", "hint", "host",
        "id", "ids", "interval", "issuer", "key", "keys", "kind", "label", "length", "lifetime", "limit",
        "link", "list", "location", "log", "manager", "md", "max", "message", "method", "min", "mode",
        "mount", "name", "namespace", "names", "param", "parameter", "path", "paths", "pattern", "per",
        "placeholder", "plugin", "policy", "port", "prefix", "property", "provider", "pub", "public",
        "query", "ref", "reference", "refresh", "regex", "region", "reload", "reloader", "renewal",
        "required", "requires", "reset", "resource", "retries", "review", "reviewer", "revision", "role",
        "rotation", "rule", "salt", "schema", "scope", "scopes", "seconds", "secretref", "selector",
        "server", "service", "sha", "size", "source", "store", "strategy", "suffix", "template", "timeout",
        "title", "ttl", "type", "uri", "url", "urls", "usage", "user", "username", "validation",
        "validity", "var", "variable", "version", "volume", "window",
    }
)  # fmt: skip
"""Words that say, after the word for a credential, that the name is about one: TOKEN_TTL."""
_EMPTY = frozenset(
    {"true", "false", "none", "null", "nil", "yes", "no", "on", "off", "undefined", "enabled", "disabled",
     "required", "optional", "redacted", "masked", "hidden", "placeholder", "todo", "tbd", "unset", "empty",
     "unused", "ignored", "n/a", "-"}
)  # fmt: skip
_ELSEWHERE = (
    "/", "./", "../", "~", "$", "%", "<", "{", "[", "@", "`", "=", "#{", "__", "ref+", "vault:", ">>vault:",
    "secret:", "secretref:", "arn:", "projects/", "file:", "env:", "awssm:", "awsssm:", "gcpsm:", "azurekv:",
    "keyvault:", "akeyless:", "base64:<", "enc[", "enc(", "!secret", "!vault", "!env", "!ref", "!sub",
    "replace", "your-", "your_", "insert-", "insert_", "sha256:", "sha512:", "sha1:", "md5:", "scram-sha-",
)  # fmt: skip
"""How a value begins, in small letters, that is a path, a variable, a hash, or names what is elsewhere."""
_INSIDE = ("$(", "${", "{{", "}}", "<", "*****", "xxxx", "XXXX", "...", "…")
"""What only placeholders have inside."""
_LEAST_WORD = 12
_LEAST_RANDOM = 12
_LEAST_ENTROPY = 4.0
"""Bits per character: random base64 of 40 characters has 4.6, words in camel case have less than 4."""


def credential_form(text: str) -> str | None:
    """Return what credential a text holds by its form ("a private key"), or None."""
    for hint, kind, pattern in _FORMS:
        if hint in text and expression(pattern).search(text):
            return kind
    if _ENCODED_PEM in text and _encodes_private_key(text):
        return "a private key"
    if "://" in text and "@" in text:
        for match in expression(_URL).finditer(text):
            if not is_placeholder(match[1]):
                return "a password in a URL"
    return None


def masked(text: str) -> str:
    """Return a text with MASK for each credential that it holds: by its form, in a URL, or after a name that says so."""
    for hint, _, pattern in _FORMS:
        if hint in text:
            text = expression(pattern).sub(MASK, text)
    if _ENCODED_PEM in text:
        text = expression(_ENCODED_PEM + r"[A-Za-z0-9+/=]*").sub(MASK, text)
    if "://" in text and "@" in text:
        text = expression(_URL).sub(_without_password, text)
    lowered = text.lower()
    if "authorization" in lowered:
        text = expression(_AUTHORIZATION).sub(rf"\1{MASK}", text)
    if ("=" in text or ":" in text) and any(word in lowered for word in _NAMED):
        text = expression(_ASSIGNED).sub(_without_assigned, text)
    return text


def _without_password(found: Match[str]) -> str:
    whole, password = found[0], found[1]
    return whole if is_placeholder(password) else f"{whole[: -len(password) - 1]}{MASK}@"


def _without_assigned(found: Match[str]) -> str:
    whole, name, value = found[0], found[1], found[2]
    is_one = is_literal_credential(name, value, in_variable=True)
    return f"{whole[: -len(value)]}{MASK}" if is_one else whole


def is_literal_credential(name: str, value: str, *, in_variable: bool = False) -> bool:
    """Tell whether a value that is given under this name is a credential itself.

    A name of passwords is enough, unless the value is a placeholder, a path or a reference; under names of
    tokens and keys the value has to look random, since names of objects stand there as well. In an
    environment variable (`in_variable`) a long word is enough, as names of objects have hyphens.
    """
    kind = kind_of_name(name[:200])
    if not kind or is_placeholder(value) or "://" in value:
        return False
    if any(character.isspace() for character in value):
        return False
    if kind == "password":
        return not ("/" in value and "#" in value)
    if kind == "valued" and not _may_be_object_name(value):
        return True
    if in_variable and len(value) >= _LEAST_WORD and value.isalnum():
        return True
    return _looks_random(value)


@lru_cache(maxsize=4096)
def kind_of_name(name: str) -> str:
    """Return what values of this name are: "password", "secret", "valued" or "" for nothing secret.

    A "secret" may also be an object's name; a "valued" one may not, if no object can be named so.
    """
    words = _words(name)
    for index in range(len(words) - 1, -1, -1):
        kind = _kind_of_word(words, index)
        if kind:
            after = words[index + 1 :]
            if not _AFTER.isdisjoint(after) or not _BEFORE.isdisjoint(words[:index]):
                return ""
            # What a password is qualified by, `password-hardening`, is not one; `password-prod` may be.
            return "secret" if after else kind
    return ""


def is_placeholder(value: str) -> bool:
    """Tell whether a value is empty, a switch, a path, or stands for one that comes from elsewhere."""
    lowered = value[:16].lower()
    return (
        len(value) < 3
        or lowered in _EMPTY
        or lowered.startswith(_ELSEWHERE)
        or any(part in value for part in _INSIDE)
        or len(set(value)) == 1
    )


def _kind_of_word(words: list[str], index: int) -> str:
    word = words[index]
    if word in _SHORT_PASSWORDS and index == len(words) - 1:
        return "password"
    if word.endswith(_PASSWORDS):
        return "" if word.startswith(_NEGATED) else "password"
    before = words[index - 1] if index else ""
    if word == "key" and before in _KEYS:
        return "secret"
    if word == "secret" and before in _VALUED:
        return "valued"
    return "secret" if word.endswith(_SECRETS) else ""


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


def _may_be_object_name(value: str) -> bool:
    """Tell whether a value may name an object (RFC 1123: small letters, digits, `-`, `.`)."""
    plain = value.replace("-", "").replace(".", "").replace("/", "")
    return plain.isalnum() and plain == plain.lower()


def _looks_random(value: str) -> bool:
    """Tell whether a value has letters and digits mixed as no word, path or object name has."""
    if len(value) < _LEAST_RANDOM:
        return False
    digits = sum(character.isdigit() for character in value)
    letters = sum(character.isalpha() for character in value)
    if not digits or not letters or not value.strip("0123456789.hmsdwunµ"):
        return False
    first, hyphen, _ = value.partition("-")
    small = value == value.lower()
    # `payments-secret-7d9f8b6c5d` has a word in front, and only paths have slashes and no capitals.
    if small and ((hyphen and first.isalpha()) or "/" in value):
        return False
    changes = sum(one.isdigit() != two.isdigit() for one, two in pairwise(value))
    if changes >= 4 or (not small and digits >= 2 and changes >= 2):
        return True
    return not small and len(value) >= 20 and _entropy(value) >= _LEAST_ENTROPY


def _entropy(value: str) -> float:
    """Return Shannon's entropy of a text in bits per character."""
    from math import log2

    shares = [value.count(character) / len(value) for character in set(value)]
    return -sum(share * log2(share) for share in shares)


def _encodes_private_key(text: str) -> bool:
    """Tell whether the first PEM texts that stand in base64 in a text hold a private key."""
    from base64 import b64decode

    start = text.find(_ENCODED_PEM)
    for _ in range(16):
        if start < 0:
            return False
        head = text[start : start + 160]
        coded = head[: len(head) - len(head.lstrip(_BASE64))]
        decoded = b64decode(coded[: len(coded) // 4 * 4]).decode("latin-1")
        if expression(_PRIVATE_KEY).search(decoded):
            return True
        start = text.find(_ENCODED_PEM, start + len(_ENCODED_PEM))
    return False


_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@lru_cache(maxsize=64)
def expression(pattern: str) -> Pattern[str]:
    """Compile an expression when it is first needed, for most manifests need none."""
    import re

    return re.compile(pattern, re.MULTILINE)
