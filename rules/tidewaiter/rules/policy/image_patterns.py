"""Patterns of images: a registry and a path, where `*` stops at a slash and `**` does not.

What is matched is the name as runtimes complete it, without tag and digest: `nginx` is
`docker.io/library/nginx`. A tag in a pattern would leave out the same image by its digest, so there is none.
`*` alone means every image, as `**` does: it must not leave out those of other registries.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.image import DOCKER_HUB
from tidewaiter.rules.policy.match import expression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from re import Pattern

    from tidewaiter.rules.manifest.image import ImageReference

_DOCKER_HUB_HOSTS = frozenset(
    {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}
)
"""Other names of Docker Hub's registry."""
_GLOB_SIGNS = "*?["


def pattern_problem(pattern: str) -> str:
    """Say what is wrong with a pattern, or return an empty text."""
    last = pattern.rpartition("/")[2]
    if "/" not in pattern and ("." in pattern or ":" in pattern):
        return (
            f"{pattern!r} is a registry without a path, or has a tag; for all images of a registry, "
            "end with /**"
        )
    if "@" in pattern or ":" in last:
        return f"{pattern!r} has a tag or digest; a pattern is registry and path alone"
    if any(character.isspace() for character in pattern):
        return f"{pattern!r} contains white space"
    if "://" in pattern:
        return f"{pattern!r} is a URL; an image has no scheme such as https://"
    if pattern.endswith("/") or pattern.startswith("/") or "//" in pattern:
        return f"{pattern!r} has a slash too many; for all images below it, end with /**"
    try:
        expression(completed_pattern(pattern), in_path=True)
    except ValueError as error:
        return f"{pattern!r} is no glob: {error}"
    return ""


def compile_patterns(patterns: Sequence[str]) -> Pattern[str]:
    """Return one regular expression for valid patterns, to be matched in full with `image_name`."""
    import re

    return re.compile(
        "|".join(expression(completed_pattern(pattern), in_path=True) for pattern in patterns)
    )


def completed_pattern(pattern: str) -> str:
    """Return a pattern with the registry that it leaves out, which is then Docker Hub."""
    if pattern in {"*", "**"}:
        return "**"
    host, slash, path = pattern.partition("/")
    if not slash:
        return f"{DOCKER_HUB}/library/{pattern}"
    if host in _DOCKER_HUB_HOSTS:
        host = DOCKER_HUB
    elif not (any(sign in host for sign in (*_GLOB_SIGNS, ".", ":")) or host == "localhost"):
        return f"{DOCKER_HUB}/{pattern}"
    if host == DOCKER_HUB and "/" not in path and "**" not in path:
        path = f"library/{path}"
    return f"{_registry(host)}/{path}"


def image_name(reference: ImageReference) -> str:
    """Return the name that patterns are matched with: other spellings of one registry are one."""
    if not reference.registry:
        return reference.repository
    return f"{_registry(reference.registry)}/{reference.repository}"


def _registry(host: str) -> str:
    lowered = host.lower().removesuffix(":443")
    return DOCKER_HUB if lowered in _DOCKER_HUB_HOSTS else lowered
