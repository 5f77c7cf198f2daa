"""What a scalar means, exactly as Kubernetes reads it.

Kubernetes turns YAML into JSON with sigs.k8s.io/yaml, which resolves scalars by go.yaml.in/yaml/v2:
YAML 1.1 booleans (`y`, `Yes`, `off`, ...), integers in bases 2, 8 and 16 with underscores, leading-zero
octals, no base-60 numbers, and timestamps left as the strings they are. JSON has no infinities and
keeps no difference between 1.0 and 1, so neither does a value here. Keys become strings.
"""

from __future__ import annotations

from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Scalar = str | int | float | bool | None

TAG_PREFIX = "tag:yaml.org,2002:"
MERGE_TAG = TAG_PREFIX + "merge"
MERGE_KEY = "<<"


class ScalarProblem(Exception):
    """A scalar that has no JSON value, as one sentence."""


_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True
    ),
    **dict.fromkeys(
        ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False
    ),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_NUMERIC_START = frozenset("0123456789+-.")
_DIGITS = {2: frozenset("01"), 8: frozenset("01234567"), 10: frozenset("0123456789")}
_DIGITS[16] = _DIGITS[10] | frozenset("abcdefABCDEF")
_BASES = {"0x": 16, "0X": 16, "0o": 8, "0O": 8, "0b": 2, "0B": 2}
_INT64 = 1 << 63
_UINT64 = 1 << 64


@lru_cache(maxsize=8192)
def plain_value(text: str) -> Scalar:
    """The JSON value of a plain scalar. Raises ScalarProblem for an infinity and for NaN."""
    if text in _WORDS or (text and text[0] in _NUMERIC_START):
        return _json_value(_resolve(text), text)
    return text


@lru_cache(maxsize=8192)
def plain_key(text: str) -> str:
    """The JSON key that a plain scalar becomes. Raises ScalarProblem for null and beyond int64."""
    if text in _WORDS or (text and text[0] in _NUMERIC_START):
        return _json_key(_resolve(text), text)
    return text


def tagged_value(text: str, tag: str) -> Scalar:
    """The JSON value of a scalar with an explicit tag; Kubernetes reads an unknown tag as a string.

    Raises ScalarProblem where the text is not what the tag says.
    """
    return _json_value(_resolve_tagged(text, tag), text)


def tagged_key(text: str, tag: str) -> str:
    """The JSON key that a scalar with an explicit tag becomes. Raises ScalarProblem."""
    return _json_key(_resolve_tagged(text, tag), text)


def value_as_key(value: Scalar) -> str:
    """The JSON key that an aliased value becomes. Raises ScalarProblem."""
    return _json_key(value, str(value))


def _json_value(value: Scalar, text: str) -> Scalar:
    if type(value) is float:
        if value - value != 0:
            raise ScalarProblem(f"{text} is a number that JSON, and so Kubernetes, cannot hold")
        if abs(value) < 1e21 and value == int(value):
            whole = _decimal(value)
            return whole if -_INT64 <= whole < _INT64 else value
    return value


def _decimal(value: float) -> int:
    """The integer whose digits Go's JSON encoder writes for a whole float: the shortest, then zeros."""
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if not exponent:
        return int(whole)
    zeros = int(exponent) - len(fraction)
    return int(whole + fraction + "0" * zeros)


def _json_key(value: Scalar, text: str) -> str:
    if type(value) is str:
        return value
    if value is None:
        raise ScalarProblem("a key is null; quote it if it is meant as text")
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is int:
        if value >= _INT64:
            raise ScalarProblem(f"the key {text} is a number too big for Kubernetes; quote it")
        return str(value)
    return _short_float(float(value))


def _resolve(text: str) -> Scalar:
    """Resolve a plain scalar, or one tagged as a number."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        plain = text.replace("_", "") if _separates_digits(text) else text
        return text if (number := _float(plain)) is None else number
    if text[0] not in _NUMERIC_START:
        return text
    plain = text.replace("_", "")
    for read in _INTEGERS:
        if (whole := read(plain)) is not None:
            return whole
    return text if (number := _float(plain)) is None else number


def _separates_digits(text: str) -> bool:
    """Tell whether each underscore stands between two digits, as strconv.ParseFloat wants it."""
    return all(part[:1] in _DIGITS[10] and part[-1:] in _DIGITS[10] for part in text[1:].split("_"))


def _integer(text: str) -> int | None:
    """Read an integer as strconv.ParseInt and, without a sign, ParseUint do in base 0."""
    signed = text[0] in "+-"
    digits = text[1:] if signed else text
    base = _BASES.get(digits[:2])
    if base:
        digits = digits[2:]
    elif digits[:1] == "0" and len(digits) > 1:
        base, digits = 8, digits[1:]
    else:
        base = 10
    return _bounded(digits, base, text[0] if signed else "")


def _stray_binary(text: str) -> int | None:
    """Read `0b-1`, which go-yaml takes because it reads the part behind `0b` as a signed number."""
    if text[:3] in {"0b+", "0b-"}:
        return _bounded(text[3:], 2, text[2])
    return None


_INTEGERS: tuple[Callable[[str], int | None], ...] = (_integer, _stray_binary)


def _bounded(digits: str, base: int, sign: str) -> int | None:
    if not digits or not _DIGITS[base].issuperset(digits) or len(digits.lstrip("0")) > 64:
        return None
    value = int(digits, base)
    if sign == "-":
        return -value if value <= _INT64 else None
    return value if value < (_INT64 if sign else _UINT64) else None


def _float(text: str) -> float | None:
    r"""Read `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` unless it overflows."""
    mantissa, exponent_mark, exponent = text.replace("E", "e").partition("e")
    mantissa = mantissa[1:] if mantissa[:1] in {"+", "-"} else mantissa
    whole, _point, fraction = mantissa.partition(".")
    if not _DIGITS[10].issuperset(whole + fraction) or not (whole or fraction):
        return None
    if exponent_mark:
        exponent = exponent[1:] if exponent[:1] in {"+", "-"} else exponent
        if not exponent or not _DIGITS[10].issuperset(exponent):
            return None
    number = float(text)
    return None if number - number != 0 else number


def _resolve_tagged(text: str, tag: str) -> Scalar:
    name = tag[len(TAG_PREFIX) :] if tag.startswith(TAG_PREFIX) else ""
    if name == "binary":
        return _binary(text)
    if name not in {"bool", "int", "float", "null", "timestamp"}:
        return text
    if name == "timestamp" and _is_timestamp(text):
        return text
    value = _resolve(text)
    if name == "float" and type(value) is int and value < _INT64:
        return float(value)
    if type(value) is not _TYPES.get(name, str) or name == "timestamp":
        raise ScalarProblem(f"'{text}' is tagged !!{name}, which it is not")
    return value


_TYPES: dict[str, type] = {"bool": bool, "int": int, "float": float, "null": type(None)}


def _binary(text: str) -> str:
    from binascii import Error, a2b_base64

    try:
        data = a2b_base64(text.replace("\n", "").replace("\r", ""), strict_mode=True)
    except (Error, ValueError):
        raise ScalarProblem("a !!binary value is not valid base64") from None
    # One replacement character a byte, as Go writes invalid UTF-8; "replace" would join some.
    text = data.decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


def _is_timestamp(text: str) -> bool:
    """Tell whether go-yaml's formats read the text: `2006-1-2`, with `15:4:5.9` and a zone behind T."""
    date, separator, time = text, "", ""
    for mark in "Tt ":
        if mark in text:
            date, separator, time = text.partition(mark)
            break
    parts = date.split("-")
    if len(parts) != 3 or len(parts[0]) != 4 or not all(map(_is_short_number, parts[1:])):
        return False
    if not (parts[0].isascii() and parts[0].isdigit() and _is_date(*map(int, parts))):
        return False
    return not separator or _is_time(time, zoned=separator != " ")


def _is_date(year: int, month: int, day: int) -> bool:
    if not 1 <= month <= 12:
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
    return 1 <= day <= days


def _is_time(time: str, *, zoned: bool) -> bool:
    if zoned:
        if time[-1:] == "Z":
            time = time[:-1]
        else:
            time, zone = time[:-6], time[-6:]
            if not (zone[:1] in {"+", "-"} and zone[3:4] == ":" and len(zone) == 6):
                return False
            if not _is_clock((zone[1:3], zone[4:6]), (24, 60)):
                return False
    clock, point, fraction = time.partition(".")
    if not point:
        clock, point, fraction = time.partition(",")
    if point and not (fraction.isascii() and fraction.isdigit()):
        return False
    return _is_clock(clock.split(":"), (23, 59, 59))


def _is_clock(parts: tuple[str, ...] | list[str], highest: tuple[int, ...]) -> bool:
    return len(parts) == len(highest) and all(
        _is_short_number(part) and int(part) <= most
        for part, most in zip(parts, highest, strict=True)
    )


def _is_short_number(text: str) -> bool:
    return 1 <= len(text) <= 2 and text.isascii() and text.isdigit()


def _short_float(number: float) -> str:
    """Write a float key as sigs.k8s.io/yaml does: Go's shortest form of it as a 32-bit float."""
    if number - number != 0:
        return ".nan" if str(number) == "nan" else (".inf" if number > 0 else "-.inf")
    from struct import error, pack, unpack

    try:
        single: float = unpack("f", pack("f", number))[0]
    except (error, OverflowError):
        single = number * float("inf")
    if single - single != 0:
        return ".inf" if number > 0 else "-.inf"
    if single == 0:
        return "-0" if str(number)[0] == "-" else "0"
    for digits in range(9):
        shown = f"{single:.{digits}e}"
        if unpack("f", pack("f", float(shown)))[0] == single:
            break
    mantissa, _, exponent = shown.partition("e")
    power = int(exponent)
    if -4 <= power < 6:
        return f"{float(shown):.{max(digits - power, 0)}f}"
    return f"{mantissa}e{'+' if power > 0 else '-'}{abs(power):02d}"
