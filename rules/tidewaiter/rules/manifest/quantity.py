"""Resource quantities: `500m`, `1.5`, `128Mi`, `1e3`.

Read as `resource.ParseQuantity` of apimachinery reads them:
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/

    quantity := [+-] digits [. digits] suffix
    suffix   := n u m "" k M G T P E | Ki Mi Gi Ti Pi Ei | (e|E) [+-] digits

A quantity is an exact `int` here, counted in nano-units: `1` is `NANO`, `100m` is `NANO // 10`.
Kubernetes keeps nothing finer and rounds the rest away from zero, so equal quantities are equal
numbers, and comparing is comparing.
"""

from __future__ import annotations

from functools import lru_cache

NANO = 10**9
"""Nano-units in one unit."""

LARGEST_BINARY = (2**63 - 1) * NANO
"""Where a quantity with a binary suffix is cut off, in nano-units."""

BEYOND = 10**2100
"""What a decimal exponent above a thousand is read as, in nano-units: more than all the others.

Kubernetes has no bound there. Equal treatment of such numbers keeps a hostile one cheap.
"""

_LONGEST = 1000
_LARGEST_SHIFT = 1009
_DIGITS = "0123456789"
_SUFFIX_LETTERS = "eEinumkKMGTP"
_DECIMAL = {
    "n": -9,
    "u": -6,
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
# Space that JSON leaves as it is in a string; tabs and line breaks arrive escaped, thus as text.
_SPACE = " \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"


class InvalidQuantity(ValueError):
    """A text that is no quantity. The message is a sentence that quotes it."""


def quantity_of(value: object) -> int | None:
    """Return a manifest's value in nano-units, or None where it is absent or no quantity.

    Strings and numbers are quantities, as `Quantity.UnmarshalJSON` takes them; outer spaces of a
    string do not count. Negative quantities are read like others.
    """
    if isinstance(value, str):
        try:
            return parse(value if value.isalnum() else value.strip(_SPACE))
        except InvalidQuantity:
            return None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value * NANO
    if isinstance(value, float) and value - value == 0:  # neither infinite nor NaN
        # Python and JSON both write the shortest digits that mean this float.
        return parse(repr(value))
    return None


@lru_cache(maxsize=4096)
def parse(text: str) -> int:
    """Return the nano-units that a quantity means.

    Text of more than a thousand characters is refused, which Kubernetes does not do. Raises
    `InvalidQuantity`.
    """
    unit = _BINARY.get(text[-2:])
    digits = text[:-2] if unit else text
    if unit and digits.isascii() and digits.isdigit() and len(digits) < _LONGEST:
        return min((int(digits) << unit) * NANO, LARGEST_BINARY)
    if not text or len(text) > _LONGEST:
        raise _invalid(text)

    negative = text[0] == "-"
    whole, fraction, suffix = _split(text)
    digits = whole + fraction
    if suffix in _BINARY:
        # Without a digit (`Ki`), Kubernetes reads zero as long as it stays on its fast path.
        if not digits and _BINARY[suffix] > _BINARY["Ti"]:
            raise _invalid(text)
        amount = int(digits or "0") << _BINARY[suffix]
        nano = min(_scaled(amount, 9 - len(fraction)), LARGEST_BINARY)
    else:
        exponent = _exponent(text, suffix)
        if not digits and exponent < -9:
            raise _invalid(text)
        nano = _scaled(int(digits or "0"), 9 + exponent - len(fraction))
    return -nano if negative else nano


def _split(text: str) -> tuple[str, str, str]:
    """Split into whole digits, digits of the fraction, and suffix. Raises `InvalidQuantity`."""
    number = text[1:] if text[0] in "+-" else text
    rest = number.lstrip(_DIGITS)
    whole = number[: len(number) - len(rest)]
    fraction = ""
    if rest[:1] == ".":
        suffix = rest[1:].lstrip(_DIGITS)
        fraction = rest[1 : len(rest) - len(suffix)]
        rest = suffix
    exponent = rest.lstrip(_SUFFIX_LETTERS)
    if exponent[:1] in {"+", "-"}:
        exponent = exponent[1:]
    if exponent.lstrip(_DIGITS):
        raise _invalid(text)
    return whole, fraction, rest


def _exponent(text: str, suffix: str) -> int:
    """Return the power of ten that a suffix means. Raises `InvalidQuantity`.

    `E` alone is exa; before digits it starts an exponent.
    """
    power = _DECIMAL.get(suffix)
    if power is not None:
        return power
    digits = suffix[2:] if suffix[1:2] in {"+", "-"} else suffix[1:]
    if suffix[0] not in "eE" or not digits.isdigit():
        raise _invalid(text)
    power = -int(digits) if suffix[1] == "-" else int(digits)
    if not -(2**63) <= power < 2**63:
        raise _invalid(text)
    # Kubernetes keeps the low 32 bits, so that `1e4294967296` is 1.
    return (power + 2**31) % 2**32 - 2**31


def _scaled(amount: int, shift: int) -> int:
    """Return `amount` times ten to the power of `shift`, rounded up to a whole number."""
    if amount == 0 or shift == 0:
        return amount
    if shift > _LARGEST_SHIFT:
        return BEYOND
    if shift > 0:
        return amount * int(10**shift)
    # An amount has fewer digits than twice the longest text.
    return -(-amount // int(10 ** min(-shift, 2 * _LONGEST)))


def _invalid(text: str) -> InvalidQuantity:
    """Say that a text is no quantity."""
    shown = text if len(text) <= 80 else f"{text[:60]}…"
    return InvalidQuantity(
        f"{shown!r} is not a quantity: a number with an optional suffix such as m, k, M, G, Ki, Mi, "
        "Gi or e3 is wanted"
    )


def canonical(text: str) -> str:
    """Return a quantity as Kubernetes writes it: `0.5` as `500m`, `1.5Gi` as `1536Mi`, `1000m` as `1`.

    Raises `InvalidQuantity`.
    """
    text = text.strip(_SPACE)
    nano = parse(text)
    sign, amount = ("-" if nano < 0 else ""), abs(nano)
    suffix = text.lstrip("+-").lstrip(_DIGITS + ".")
    if suffix in _BINARY and amount >= 1024 * NANO and amount % NANO == 0:
        return sign + _with_suffix(amount // NANO, 1024, ("", *_BINARY))
    if suffix[:1] in {"e", "E"} and suffix != "E":
        return sign + _with_exponent(amount)
    return sign + _with_suffix(amount, 1000, tuple(_DECIMAL))


def _with_suffix(amount: int, base: int, suffixes: tuple[str, ...]) -> str:
    """Return an amount with the largest suffix that leaves a whole number."""
    place = 0
    while amount and amount % base == 0 and place + 1 < len(suffixes):
        amount //= base
        place += 1
    return f"{amount}{suffixes[place]}" if amount else "0"


def _with_exponent(nano: int) -> str:
    amount, exponent = nano, -9
    while amount and amount % 1000 == 0:
        amount //= 1000
        exponent += 3
    return f"{amount}e{exponent}" if amount and exponent else str(amount)
