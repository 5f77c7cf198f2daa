"""Image references: `nginx`, `ghcr.io/shop/api:1.4`, `localhost:5000/api@sha256:…`.

Read as container runtimes read them, with `ParseNormalizedNamed` of distribution/reference:
https://pkg.go.dev/github.com/distribution/reference

    reference := name [ ":" tag ] [ "@" digest ]
    name      := [ domain "/" ] component { "/" component }

The first component is a domain if it contains `.` or `:`, is `localhost` or has a capital letter;
otherwise the image is on Docker Hub, and in `library` where it has one component only.
"""

from __future__ import annotations

from functools import lru_cache

from tidewaiter.rules.record import record

DOCKER_HUB = "docker.io"
"""The registry of names without a domain."""

_HEX = "0123456789abcdef"
_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_LOWER_DIGITS = _LOWER + _DIGITS
_LETTERS = _LOWER + _LOWER.upper()
_ALPHANUMERIC = _LETTERS + _DIGITS
_PATH = _LOWER_DIGITS + "._-/"
# Components are lower-case words joined by one dot, one or two underscores, or hyphens.
_NEVER_IN_PATH = (
    "..",
    "//",
    "/.",
    "./",
    "._",
    "_.",
    ".-",
    "-.",
    "/-",
    "-/",
    "/_",
    "_/",
    "-_",
    "_-",
)
_LONGEST_PATH = 255
_LONGEST_TAG = 128
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class InvalidImage(ValueError):
    """A value that is no image reference. The message is a sentence that says what is wrong."""


@record
class ImageReference:
    """A reference taken apart, with the defaults of Docker Hub filled in, but no default tag.

    `registry` has its port, `repository` is the path below it (`library/nginx`), `digest` has its
    algorithm (`sha256:…`). `registry` is empty in the odd case that the first component has a dot
    and an underscore (`my_host.lan/api`), which the grammar takes for a path without a domain.
    """

    original: str
    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    @property
    def is_pinned(self) -> bool:
        """Whether a digest says which image it is, whatever the tag."""
        return self.digest is not None


def parse_image(text: object) -> ImageReference:
    """Read an image reference. Raises `InvalidImage`."""
    if not isinstance(text, str):
        raise InvalidImage("an image is a string")
    return _parse(text)


def place_problem(text: str) -> str | None:
    """Say why a text is no registry, nor the beginning of a repository's name in one; None where it is."""
    host, slash, path = text.rstrip("/").partition("/")
    if _is_host(host) and (not slash or _is_path(path)):
        return None
    return f"{text!r} is no registry as host:port, nor a path in one, without a scheme"


@lru_cache(maxsize=4096)
def _parse(text: str) -> ImageReference:
    """Read a reference given as text."""
    if len(text) == 64 and not text.strip(_HEX):
        raise InvalidImage(
            "invalid reference format: 64 hexadecimal digits alone are an image's id, not its name"
        )
    domain, remainder = _split_domain(text)
    named, _, digest = remainder.partition("@")
    path, _, tag = named.partition(":")
    registry = domain if _is_host(domain) else ""
    repository = path if registry else f"{domain}/{path}"
    if not _is_path(repository):
        raise InvalidImage(f"invalid reference format: {_path_problem(text, domain, path)}")
    if ":" in named and not _is_tag(tag):
        raise InvalidImage(f"invalid reference format: {_tag_problem(tag)}")
    if "@" in remainder:
        _check_digest(digest)
    if len(repository) > _LONGEST_PATH:
        raise InvalidImage(
            f"repository name must not be more than {_LONGEST_PATH} characters: it has "
            f"{len(repository)}"
        )
    return ImageReference(text, registry, repository, tag or None, digest or None)


def _split_domain(text: str) -> tuple[str, str]:
    """Split off the domain, that of Docker Hub where the text names none."""
    first, slash, rest = text.partition("/")
    if not slash:
        return DOCKER_HUB, f"library/{text}"
    if first == "index.docker.io":
        first = DOCKER_HUB
    elif not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return DOCKER_HUB, text
    if first == DOCKER_HUB and "/" not in rest:
        return DOCKER_HUB, f"library/{rest}"
    return first, rest


def _is_host(domain: str) -> bool:
    """Tell whether a domain is a host name or a bracketed IPv6 address, with an optional port."""
    if domain[:1] == "[":
        address, bracket, port = domain[1:].partition("]")
        if not bracket or not address or address.strip("0123456789abcdefABCDEF:"):
            return False
    else:
        host, colon, digits = domain.partition(":")
        port = colon + digits
        if host.strip(_ALPHANUMERIC):
            for part in host.split("."):
                if not part or part.strip(_ALPHANUMERIC + "-") or "-" in {part[0], part[-1]}:
                    return False
        elif not host:
            return False
    return not port or (port[0] == ":" and len(port) > 1 and not port[1:].strip(_DIGITS))


def _is_path(path: str) -> bool:
    """Tell whether a repository's path follows the grammar."""
    if not path or path.strip(_PATH) or path[0] in "._-/" or path[-1] in "._-/":
        return False
    return not ("___" in path or any(pair in path for pair in _NEVER_IN_PATH))


def _is_tag(tag: str) -> bool:
    """Tell whether a tag follows the grammar."""
    if not tag or len(tag) > _LONGEST_TAG or tag[0] in ".-":
        return False
    return not tag.strip(_ALPHANUMERIC + "_.-")


def _check_digest(digest: str) -> None:
    """Raise `InvalidImage` where a digest is not one of a known algorithm."""
    algorithm, _, encoded = digest.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if not encoded:
        raise InvalidImage(
            f"invalid reference format: {_shown(digest)} is not a digest, such as sha256 with a "
            "colon and 64 hexadecimal digits"
        )
    if length is None:
        raise InvalidImage(
            f"unsupported digest algorithm {_shown(algorithm)}: sha256, sha384 or sha512 is wanted"
        )
    shown = f"{algorithm}:{encoded[:12]}…" if len(encoded) > 12 else digest
    if encoded.strip(_HEX):
        raise InvalidImage(
            f"invalid checksum digest format: {shown!r} must have lowercase hexadecimal digits only"
        )
    if len(encoded) != length:
        raise InvalidImage(
            f"invalid checksum digest length: {shown!r} has {len(encoded)} hexadecimal digits, "
            f"{algorithm} has {length}"
        )


def _path_problem(text: str, domain: str, path: str) -> str:
    """Say what is wrong with a name that does not follow the grammar."""
    if not text:
        return "the image is empty"
    if any(char.isspace() for char in text):
        return f"{_shown(text)} contains white space"
    if "://" in text:
        return f"{_shown(text)} is a URL; an image has no scheme such as https://"
    if "{{" in text or "$" in text:
        return f"{_shown(text)} contains a placeholder that nothing has filled in"
    if not _is_host(domain) and not _is_path(domain):
        return f"{_shown(domain)} is not a registry's host, with a port in digits if any"
    if path in {"", "library/"}:
        return "the repository has no name"
    shown = _shown(path.removeprefix("library/"))
    if path != path.lower():
        return f"repository name {shown} must be lowercase"
    return (
        f"repository name {shown} must be lowercase letters and digits, parted by single slashes, "
        "and within by a dot, by one or two underscores or by hyphens"
    )


def _tag_problem(tag: str) -> str:
    """Say what is wrong with a tag that does not follow the grammar."""
    if not tag:
        return "the tag after the colon is empty"
    if len(tag) > _LONGEST_TAG:
        return f"a tag has at most {_LONGEST_TAG} characters, {_shown(tag)} has {len(tag)}"
    return (
        f"tag {_shown(tag)} must be letters, digits, underscores, dots and hyphens, and must not "
        "start with a dot or a hyphen"
    )


def _shown(text: str) -> str:
    """Quote a text, shortened where it is long."""
    return repr(text if len(text) <= 80 else f"{text[:60]}…")
