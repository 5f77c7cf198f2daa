"""URLs: url('https://example.com:80/path').getHost(), isURL('x').

Read as Go's url.ParseRequestURI reads them: absolute, or a path that begins with a slash.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-url-library
"""

from __future__ import annotations

import re

from tidewaiter.rules.cel.function import Overload, function, member
from tidewaiter.rules.cel.types import BOOL, STRING, Type, list_of, map_of
from tidewaiter.rules.cel.values import EvaluationError

URL = Type("kubernetes.URL")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=\"<>\x80-\U0010ffff]|%[0-9A-Fa-f]{2})*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATH_SIGNS = "$&+,/:;=@!'()*-_.~%[]"


class Url:
    """A URL, in its parts as they are written."""

    __slots__ = ("host", "path", "query", "scheme")
    cel_type = URL

    def __init__(self, scheme: str, host: str, path: str, query: str) -> None:
        self.scheme, self.host, self.path, self.query = scheme, host, path, query

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[str, ...]:
        return self.scheme, self.host, self.path, self.query

    @property
    def port(self) -> str:
        """The port, empty where there is none."""
        host, colon, port = self.host.rpartition(":")
        return (
            port
            if (colon and not host.startswith("[") | port.endswith("]")) or host.endswith("]")
            else ""
        )

    @property
    def hostname(self) -> str:
        """The host without its port and brackets."""
        host = self.host
        if host.startswith("["):
            return host[1:].partition("]")[0]
        return host.partition(":")[0] if ":" in host else host


def _url(text: str) -> Url:
    found = parse_url(text)
    if found is None:
        raise EvaluationError(f"URL parse error during conversion from string: {text!r}")
    return found


def parse_url(text: str) -> Url | None:
    """Return a URL, or None where the text is none."""
    split = _after_scheme(text) if text and not _CONTROL.search(text) else None
    if split is None:
        return None
    scheme, rest = split
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme and not text.startswith("/"):
            return Url(scheme, "", "", query) if rest else None
        return None
    host = ""
    if scheme and rest.startswith("//") and not rest.startswith("///"):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        _, _, host = authority.rpartition("@")
        if not _is_host(host):
            return None
    elif rest.startswith("///"):
        rest = rest[2:]
    if _BAD_ESCAPE.search(rest):
        return None
    return Url(scheme, _unescaped(host), rest, query)


def _after_scheme(text: str) -> tuple[str, str] | None:
    """Return the scheme and what follows it, or None where there is a colon without one."""
    scheme = _SCHEME.match(text)
    if scheme and text[scheme.end() : scheme.end() + 1] == ":":
        return scheme[0].lower(), text[scheme.end() + 1 :]
    return None if text.startswith(":") else ("", text)


def _is_host(host: str) -> bool:
    name, colon, port = host, "", ""
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return False
        port = rest[1:]
        return not port or (port.isascii() and port.isdigit())
    name, colon, port = host.partition(":")
    if colon and port and not (port.isascii() and port.isdigit()):
        return False
    return _HOST.fullmatch(name) is not None


def _unescaped(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)


def _escaped_path(url: Url) -> str:
    from urllib.parse import quote, unquote

    plain = unquote(url.path)
    return (
        url.path
        if all(sign in _PATH_SIGNS or (sign.isalnum() and sign.isascii()) for sign in url.path)
        else quote(plain, safe="$&+,/:;=@")
    )


def _query(url: Url) -> dict[str, list[str]]:
    from urllib.parse import unquote_plus

    found: dict[str, list[str]] = {}
    for pair in url.query.split("&"):
        if not pair or ";" in pair or _BAD_ESCAPE.search(pair):
            continue
        key, _, value = pair.partition("=")
        found.setdefault(unquote_plus(key), []).append(unquote_plus(value))
    return found


FUNCTIONS: tuple[Overload, ...] = (
    function("url", (STRING,), URL, _url),
    function("isURL", (STRING,), BOOL, lambda text: parse_url(text) is not None),
    member("getScheme", (URL,), STRING, lambda url: url.scheme),
    member("getHost", (URL,), STRING, lambda url: url.host),
    member("getHostname", (URL,), STRING, lambda url: url.hostname),
    member("getPort", (URL,), STRING, lambda url: url.port),
    member("getEscapedPath", (URL,), STRING, _escaped_path),
    member("getQuery", (URL,), map_of(STRING, list_of(STRING)), _query),
)
