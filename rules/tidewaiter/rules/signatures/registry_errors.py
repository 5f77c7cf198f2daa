"""What can go wrong between an image and the registry that should have it.

Whoever verifies must keep these apart: `BadAnswer` is a registry that was heard and cannot be believed,
`NotFound` one that has no such thing, the others leave the question open.
"""

from __future__ import annotations

from tidewaiter.rules.errors import RegistryError


class NotFound(RegistryError):
    """The registry has no such repository, tag, manifest or blob."""


class AccessDenied(RegistryError):
    """The registry wants credentials, or other ones."""


class Unreachable(RegistryError):
    """The registry cannot be reached, is too slow, too busy, or broken."""


class NoConnection(Unreachable):
    """Nothing listens at the registry's address, or nothing that it is spoken to by."""


class OddAnswer(Unreachable):
    """The registry answers with a status that says neither yes nor no, and is not that of an outage."""


class BadAnswer(RegistryError):
    """The registry's answer breaks a rule: wrong digest, too large, malformed, a forbidden address."""


class TooMuch(BadAnswer):
    """There is more than is looked at, so that nothing can be concluded from what was seen."""
