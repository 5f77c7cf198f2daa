"""To which network addresses a registry client may speak.

A name is resolved once, its addresses are judged, and the connection goes to the very address that
was judged, so that a name which resolves otherwise a moment later gains nothing. Link-local addresses
(which cloud providers serve machine credentials at) are never spoken to. A host that a registry names,
in a redirect or as the place where tokens are had, must not be private, unless the registry itself is.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Literal

from httpcore import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream, ConnectError

from tidewaiter.rules.signatures.registry_errors import BadAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from httpcore import SOCKET_OPTION

Reach = Literal["public", "private", "loopback", "forbidden"]

_METADATA = frozenset({"100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "168.63.129.16"})
"""Where providers serve a machine's credentials outside the link-local range."""
_SHARED = ip_network("100.64.0.0/10")
_TRANSLATED = ip_network("64:ff9b::/96")
_TRANSLATED_LOCAL = ip_network("64:ff9b:1::/48")


def reach(text: str) -> Reach:
    """Say where an address leads, seen through the forms of IPv6 that carry an IPv4 address."""
    try:
        address = _plain(ip_address(text.partition("%")[0]))
    except ValueError:
        return "forbidden"
    if str(address) in _METADATA or address.is_link_local:
        return "forbidden"
    if address.is_unspecified or address.is_multicast:
        return "forbidden"
    if address.is_loopback:
        return "loopback"
    if address.is_private or (isinstance(address, IPv4Address) and address in _SHARED):
        return "private"
    return "public" if address.is_global else "forbidden"


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    carried = address.ipv4_mapped or address.sixtofour
    if carried is None and address.teredo is not None:
        carried = address.teredo[1]
    if carried is None and (address in _TRANSLATED or address in _TRANSLATED_LOCAL):
        carried = IPv4Address(address.packed[-4:])
    if carried is None and address.packed[:12] == bytes(12) and address.packed[12:14] != bytes(2):
        carried = IPv4Address(address.packed[-4:])
    return carried or address


class GuardedNetwork(AsyncNetworkBackend):
    """Connects to hosts whose addresses all have a permitted reach."""

    def __init__(self, permitted: frozenset[Reach]) -> None:
        """Permit these."""
        self._permitted = permitted
        self._inner = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Resolve a host, judge each of its addresses, connect to the first that answers."""
        failure: Exception = ConnectError(f"{host} has no address")
        for address in await self._addresses(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except ConnectError as error:
                failure = error
        raise failure

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:
            raise ConnectError(f"{host} cannot be resolved: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            where = reach(address)
            if where not in self._permitted:
                said = "link-local or reserved" if where == "forbidden" else where
                shown = address if host == address else f"{host} ({address})"
                raise BadAnswer(f"{shown} is a {said} address, which must not be spoken to")
        return addresses
