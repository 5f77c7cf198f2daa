"""Named formats: format.dns1123Label().validate('my-name').

validate() gives optional.none() for a text of the format, and otherwise what is wrong with it.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-format-library
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tidewaiter.rules.cel.function import Overload, function
from tidewaiter.rules.cel.library.urls import parse_url
from tidewaiter.rules.cel.types import STRING, Type, list_of, optional_of
from tidewaiter.rules.cel.values import ABSENT, OptionalValue

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = Type("kubernetes.NamedFormat")
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_OLD_LABEL = "[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_WORDS = "and must start and end with an alphanumeric character"
_LABEL_TEXT = f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_WORDS}"
_SUBDOMAIN_TEXT = f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', {_WORDS}"
_OLD_LABEL_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character"
)
_NAME_TEXT = f"must consist of alphanumeric characters, '-', '_' or '.', {_WORDS}"
_VALUE_TEXT = f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', {_WORDS}"
_UUID = re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TIME = re.compile(r"[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


class Format:
    """A format by its name. problems: what is wrong with a text, nothing where it fits."""

    __slots__ = ("name", "problems")
    cel_type = FORMAT

    def __init__(self, name: str, problems: Callable[[str], list[str]]) -> None:
        self.name, self.problems = name, problems

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Format) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


def _too_long(text: str, most: int, unit: str = "characters") -> list[str]:
    return [f"must be no more than {most} {unit}"] if len(text.encode()) > most else []


def _mismatch(text: str, pattern: str, message: str, *examples: str) -> list[str]:
    if re.fullmatch(pattern, text):
        return []
    shown = " or ".join(f"'{example}', " for example in examples)
    return [f"{message} (e.g. {shown}regex used for validation is '{pattern}')"]


def _label(text: str) -> list[str]:
    problems = _too_long(text, 63)
    if not re.fullmatch(_LABEL, text):
        if re.fullmatch(_SUBDOMAIN, text):
            return [*problems, "must not contain dots"]
        problems += _mismatch(text, _LABEL, _LABEL_TEXT, "my-name", "123-abc")
    return problems


def _subdomain(text: str) -> list[str]:
    return [*_too_long(text, 253), *_mismatch(text, _SUBDOMAIN, _SUBDOMAIN_TEXT, "example.com")]


def _old_label(text: str) -> list[str]:
    return [
        *_too_long(text, 63),
        *_mismatch(text, _OLD_LABEL, _OLD_LABEL_TEXT, "my-name", "abc-123"),
    ]


def _qualified_name(text: str) -> list[str]:
    examples = ("MyName", "my.name", "123-abc")
    prefix, slash, name = text.partition("/")
    if "/" in name:
        message = _mismatch("", _NAME, f"a valid label key {_NAME_TEXT}", *examples)[0]
        return [
            f"{message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    problems = []
    if not slash:
        name = text
    elif not prefix:
        problems = ["prefix part must be non-empty"]
    else:
        problems = [f"prefix part {each}" for each in _subdomain(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    problems += [f"name part {each}" for each in _too_long(name, 63, "bytes")]
    return problems + [
        f"name part {each}" for each in _mismatch(name, _NAME, _NAME_TEXT, *examples)
    ]


def _label_value(text: str) -> list[str]:
    found = _mismatch(text, f"({_NAME})?", _VALUE_TEXT, "MyValue", "my_value", "12345")
    return [*_too_long(text, 63, "bytes"), *found]


def _as_prefix(problems: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """Return a format for what a name is generated from: it may end with a hyphen."""
    return lambda text: problems(f"{text[:-2]}a" if len(text) > 1 and text.endswith("-") else text)


def _unless(holds: Callable[[str], bool], message: str) -> Callable[[str], list[str]]:
    return lambda text: [] if holds(text) else [message]


def _is_date(text: str) -> bool:
    from datetime import date

    found = _DATE.fullmatch(text)
    try:
        return found is not None and bool(date(*map(int, found.groups())))
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    return _is_date(text[:10]) and _TIME.fullmatch(text[10:]) is not None


FORMATS = {
    name: Format(name, problems)
    for name, problems in {
        "dns1123Label": _label,
        "dns1123Subdomain": _subdomain,
        "dns1035Label": _old_label,
        "qualifiedName": _qualified_name,
        "dns1123LabelPrefix": _as_prefix(_label),
        "dns1123SubdomainPrefix": _as_prefix(_subdomain),
        "dns1035LabelPrefix": _as_prefix(_old_label),
        "labelValue": _label_value,
        "uri": _unless(lambda text: parse_url(text) is not None, "invalid URI for request"),
        "uuid": _unless(
            lambda text: _UUID.fullmatch(text) is not None, "does not match the UUID format"
        ),
        "byte": _unless(
            lambda text: bool(text) and _BASE64.fullmatch(text) is not None, "invalid base64"
        ),
        "date": _unless(_is_date, "invalid date"),
        "datetime": _unless(_is_time, "invalid datetime"),
    }.items()
}


def _named(name: str) -> OptionalValue:
    return OptionalValue(FORMATS[name]) if name in FORMATS else ABSENT


def _validate(wanted: Format, text: str) -> OptionalValue:
    problems = wanted.problems(text)
    return OptionalValue(problems) if problems else ABSENT


def _cost(wanted: Format, text: str) -> int:  # noqa: ARG001 - an overload's cost takes its arguments
    return -(-len(text) // 10) * 15


FUNCTIONS: tuple[Overload, ...] = (
    function("format.named", (STRING,), optional_of(FORMAT), _named),
    Overload(
        "validate",
        (FORMAT, STRING),
        optional_of(list_of(STRING)),
        _validate,
        member=True,
        cost=_cost,
    ),
    *(
        function(f"format.{name}", (), FORMAT, lambda found=found: found)
        for name, found in FORMATS.items()
    ),
)
