"""Resource quantities: quantity('1.5Gi').isLessThan(quantity('2Gi')).

https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-quantity-library
"""

from __future__ import annotations

import math

from tidewaiter.rules.cel.function import Overload, function, member
from tidewaiter.rules.cel.types import BOOL, DOUBLE, INT, STRING, Type
from tidewaiter.rules.cel.values import LEAST_INT, MOST_INT, EvaluationError
from tidewaiter.rules.manifest.quantity import NANO, InvalidQuantity, parse

QUANTITY = Type("kubernetes.Quantity")


class Quantity:
    """A quantity in nano-units; equal quantities are equal however they are written.

    is_whole: whether asInteger() gives it as an integer. `1000m` and `1.0` are not given so, as Kubernetes keeps
    their fraction.
    """

    __slots__ = ("is_whole", "nano")
    cel_type = QUANTITY

    def __init__(self, nano: int, *, is_whole: bool) -> None:
        self.nano, self.is_whole = nano, is_whole

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and other.nano == self.nano

    def __hash__(self) -> int:
        return hash(self.nano)


def _quantity(text: str) -> Quantity:
    try:
        nano = parse(text)
    except InvalidQuantity as error:
        raise EvaluationError(str(error)) from None
    return Quantity(nano, is_whole=_is_written_whole(text, nano))


def _is_written_whole(text: str, nano: int) -> bool:
    """Tell whether a quantity is kept as an integer: without a fraction, and with few enough digits."""
    digits = text.lstrip("+-")
    number = digits.rstrip("numkMGTPEiKe+-")
    suffix = digits[len(number) :]
    if "." in number or suffix in {"n", "u", "m"} or nano % NANO:
        return False
    count = len(number.lstrip("0"))
    if suffix.endswith("i"):
        return 15 - count - int((" KMGTPE".index(suffix[0]) * 10) * 3 / 10) - 1 >= 0
    return count <= 18


def _is_quantity(text: str) -> bool:
    try:
        parse(text)
    except InvalidQuantity:
        return False
    return True


def _is_integer(value: Quantity) -> bool:
    return value.is_whole and LEAST_INT <= value.nano // NANO <= MOST_INT


def _as_integer(value: Quantity) -> int:
    if _is_integer(value):
        return value.nano // NANO
    raise EvaluationError("cannot convert value to integer")


def _sum(one: Quantity, other: Quantity | int) -> Quantity:
    added = _from_int(other) if isinstance(other, int) else other
    return Quantity(one.nano + added.nano, is_whole=one.is_whole and added.is_whole)


def _difference(one: Quantity, other: Quantity | int) -> Quantity:
    taken = _from_int(other) if isinstance(other, int) else other
    return _sum(one, Quantity(-taken.nano, is_whole=taken.is_whole))


def _from_int(count: int) -> Quantity:
    return Quantity(count * NANO, is_whole=True)


def _as_float(value: Quantity) -> float:
    try:
        return value.nano / NANO
    except OverflowError:
        return math.inf if value.nano > 0 else -math.inf


def _compare(one: Quantity, other: Quantity) -> int:
    return (one.nano > other.nano) - (one.nano < other.nano)


_PAIR = (QUANTITY, QUANTITY)
_WITH_INT = (QUANTITY, INT)

FUNCTIONS: tuple[Overload, ...] = (
    function("quantity", (STRING,), QUANTITY, _quantity),
    function("isQuantity", (STRING,), BOOL, _is_quantity),
    function("sign", (QUANTITY,), INT, lambda value: (value.nano > 0) - (value.nano < 0)),
    member("isInteger", (QUANTITY,), BOOL, _is_integer),
    member("asInteger", (QUANTITY,), INT, _as_integer),
    member("asApproximateFloat", (QUANTITY,), DOUBLE, _as_float),
    member("add", _PAIR, QUANTITY, _sum),
    member("add", _WITH_INT, QUANTITY, _sum),
    member("sub", _PAIR, QUANTITY, _difference),
    member("sub", _WITH_INT, QUANTITY, _difference),
    member("isLessThan", _PAIR, BOOL, lambda one, other: one.nano < other.nano),
    member("isGreaterThan", _PAIR, BOOL, lambda one, other: one.nano > other.nano),
    member("compareTo", _PAIR, INT, _compare),
)
