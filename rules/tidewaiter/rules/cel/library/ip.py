"""IP addresses: ip('10.0.0.1').family(), isIP('::1').

As Go's net/netip reads them, without zones and without IPv4 inside IPv6.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-ip-address-library
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.rules.cel.function import Overload, function, member
from tidewaiter.rules.cel.types import BOOL, INT, STRING, Type
from tidewaiter.rules.cel.values import EvaluationError

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

IP = Type("net.IP")


class Address:
    """An address; equal addresses are equal however they are written."""

    __slots__ = ("value",)
    cel_type = IP

    def __init__(self, value: IPv4Address | IPv6Address) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)


def parse_address(text: str) -> Address:
    """Read an address. Raises EvaluationError."""
    from ipaddress import IPv6Address, ip_address

    try:
        value = ip_address(text) if text.isascii() else None
    except ValueError:
        value = None
    if value is None or "%" in text:
        raise EvaluationError(f"IP Address {text!r} parse error during conversion from string")
    if isinstance(value, IPv6Address) and value.ipv4_mapped is not None:
        raise EvaluationError(f"IPv4-mapped IPv6 address {text!r} is not allowed")
    return Address(value)


def _is_ip(text: str) -> bool:
    try:
        parse_address(text)
    except EvaluationError:
        return False
    return True


def _is_global_unicast(address: Address) -> bool:
    value = address.value
    is_broadcast = value.version == 4 and int(value) == 2**32 - 1
    others = value.is_unspecified or value.is_loopback or value.is_multicast or value.is_link_local
    return not (is_broadcast or others)


def _is_link_local_multicast(address: Address) -> bool:
    number = int(address.value)
    if address.value.version == 4:
        return number >> 8 == 0xE00000
    return number >> 112 & 0xFF0F == 0xFF02


FUNCTIONS: tuple[Overload, ...] = (
    function("ip", (STRING,), IP, parse_address),
    function("isIP", (STRING,), BOOL, _is_ip),
    function(
        "ip.isCanonical", (STRING,), BOOL, lambda text: str(parse_address(text).value) == text
    ),
    function("string", (IP,), STRING, lambda address: str(address.value)),
    member("family", (IP,), INT, lambda address: address.value.version),
    member("isUnspecified", (IP,), BOOL, lambda address: address.value.is_unspecified),
    member("isLoopback", (IP,), BOOL, lambda address: address.value.is_loopback),
    member("isLinkLocalMulticast", (IP,), BOOL, _is_link_local_multicast),
    member("isLinkLocalUnicast", (IP,), BOOL, lambda address: address.value.is_link_local),
    member("isGlobalUnicast", (IP,), BOOL, _is_global_unicast),
)
