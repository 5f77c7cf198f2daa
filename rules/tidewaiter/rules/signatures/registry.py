"""Read an image registry."""

from __future__ import annotations


class RegistryClient:
    """A client of any number of registries; used as `async with RegistryClient() as client`."""
