"""Ranges of IP addresses: cidr('10.0.0.0/8').containsIP('10.1.2.3').

https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-cidr-library
"""

from __future__ import annotations

from tidewaiter.rules.cel.function import Overload, function, member
from tidewaiter.rules.cel.library.ip import IP, Address, parse_address
from tidewaiter.rules.cel.types import BOOL, INT, STRING, Type
from tidewaiter.rules.cel.values import EvaluationError

CIDR = Type("net.CIDR")


class Prefix:
    """An address and the length of the range's prefix; the address may have bits beyond it."""

    __slots__ = ("address", "length")
    cel_type = CIDR

    def __init__(self, address: Address, length: int) -> None:
        self.address, self.length = address, length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prefix) and (other.address, other.length) == (
            self.address,
            self.length,
        )

    def __hash__(self) -> int:
        return hash((self.address, self.length))

    def __str__(self) -> str:
        return f"{self.address.value}/{self.length}"


def parse_prefix(text: str) -> Prefix:
    """Read a range. Raises EvaluationError."""
    address, slash, length = text.rpartition("/")
    fits = (
        slash
        and len(length) <= 3
        and length.isascii()
        and length.isdigit()
        and (length == "0" or length[0] != "0")
    )
    found = parse_address(address) if fits else None
    if found is None or int(length) > found.value.max_prefixlen:
        raise EvaluationError(
            f"network address parse error during conversion from string: {text!r}"
        )
    return Prefix(found, int(length))


def _is_cidr(text: str) -> bool:
    try:
        parse_prefix(text)
    except EvaluationError:
        return False
    return True


def _network(prefix: Prefix) -> int:
    return int(prefix.address.value) >> (prefix.address.value.max_prefixlen - prefix.length)


def _contains_address(prefix: Prefix, address: Address) -> bool:
    if prefix.address.value.version != address.value.version:
        return False
    return _network(Prefix(address, prefix.length)) == _network(prefix)


def _contains_prefix(prefix: Prefix, other: Prefix) -> bool:
    return other.length >= prefix.length and _contains_address(prefix, other.address)


def _masked(prefix: Prefix) -> Prefix:
    value = prefix.address.value
    number = _network(prefix) << (value.max_prefixlen - prefix.length)
    return Prefix(Address(type(value)(number)), prefix.length)


FUNCTIONS: tuple[Overload, ...] = (
    function("cidr", (STRING,), CIDR, parse_prefix),
    function("isCIDR", (STRING,), BOOL, _is_cidr),
    function("string", (CIDR,), STRING, str),
    member("containsIP", (CIDR, IP), BOOL, _contains_address),
    member(
        "containsIP",
        (CIDR, STRING),
        BOOL,
        lambda one, text: _contains_address(one, parse_address(text)),
    ),
    member("containsCIDR", (CIDR, CIDR), BOOL, _contains_prefix),
    member(
        "containsCIDR",
        (CIDR, STRING),
        BOOL,
        lambda one, text: _contains_prefix(one, parse_prefix(text)),
    ),
    member("ip", (CIDR,), IP, lambda prefix: prefix.address),
    member("masked", (CIDR,), CIDR, _masked),
    member("prefixLength", (CIDR,), INT, lambda prefix: prefix.length),
)
