"""Label selectors, and the syntax of labels and names.

Read and evaluated as `metav1.LabelSelectorAsSelector` does; the syntax is that of apimachinery's
`util/validation`:
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors and
https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import escape
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LOWER = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_ALPHANUMERIC = _LOWER + _LOWER.upper() + _DIGITS
_DNS = _LOWER + _DIGITS
_LONGEST_LABEL = 63
_LONGEST_SUBDOMAIN = 253
_LONGEST_PORT_NAME = 15
_SET_OPERATORS = frozenset({"In", "NotIn"})
_KEY_OPERATORS = frozenset({"Exists", "DoesNotExist"})
_WORD = "must be letters, digits, '-', '_' and '.', and must start and end with a letter or a digit"


class InvalidSelector(ValueError):
    """A selector that Kubernetes refuses.

    `path` is a JSON pointer relative to the selector (`/matchExpressions/0/operator`, empty for the
    selector itself), `message` a sentence without it.
    """

    def __init__(self, path: str, message: str) -> None:
        """Keep the place and the message apart."""
        super().__init__(message)
        self.path = path
        self.message = message


@record
class Selector:
    """What labels must be like: all the equalities and all the expressions hold.

    `equalities` are pairs of key and value that everything selected must have, from `matchLabels`
    and from `In` with one value, so an index can be asked by them. `expressions` are the other
    requirements, as key, operator (`In`, `NotIn`, `Exists`, `DoesNotExist`) and values.
    """

    equalities: tuple[tuple[str, str], ...]
    expressions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    selects_nothing: bool = False

    @property
    def selects_everything(self) -> bool:
        """Whether the selector is there and has no requirement."""
        return not (self.equalities or self.expressions or self.selects_nothing)

    def matches(self, labels: Mapping[str, object] | None) -> bool:
        """Tell whether the selector selects an object with such labels, None meaning no labels."""
        if self.selects_nothing:
            return False
        if labels is None:
            labels = {}
        for key, value in self.equalities:
            if _label(labels, key) != value:
                return False
        return all(
            _holds(_label(labels, key), operator, values)
            for key, operator, values in self.expressions
        )


EVERYTHING = Selector(())
"""The empty selector, `{}`."""

NOTHING = Selector((), (), selects_nothing=True)
"""No selector."""


def parse_selector(value: object) -> Selector:
    """Read a LabelSelector. Raises `InvalidSelector`.

    None, which is no selector, gives `NOTHING`; an empty one gives `EVERYTHING`. Some fields give
    these another meaning (`namespaceSelector` of a pod affinity term), which is for the caller.
    Labels written beside `matchLabels` instead of in it are refused, as kubectl does by default.
    """
    if value is None:
        return NOTHING
    fields = _as_mapping(value, "", "a selector")
    for name in fields:
        if name not in {"matchLabels", "matchExpressions"}:
            raise InvalidSelector(
                f"/{escape(str(name))}",
                f"{_shown(name)} is not a field of a selector; labels stand below matchLabels",
            )
    equalities = _pairs(fields.get("matchLabels"), "/matchLabels")
    expressions: list[tuple[str, str, tuple[str, ...]]] = []
    for index, item in enumerate(
        _as_list(fields.get("matchExpressions"), "/matchExpressions", "matchExpressions")
    ):
        key, operator, values = _expression(item, f"/matchExpressions/{index}")
        if operator == "In" and len(set(values)) == 1:
            equalities.append((key, values[0]))
        else:
            expressions.append((key, operator, values))
    if not equalities and not expressions:
        return EVERYTHING
    return Selector(tuple(equalities), tuple(expressions))


def parse_map_selector(value: object) -> Selector:
    """Read a plain map of labels, the selector of a Service. Raises `InvalidSelector`.

    None and an empty map give `NOTHING`: such a Service selects no pods. A ReplicationController
    without a selector takes the labels of its template, which is for the caller.
    """
    pairs = _pairs(value, "")
    return Selector(tuple(pairs)) if pairs else NOTHING


def label_key_problem(key: str) -> str | None:
    """Say why a text is no key of a label or annotation, or return None (`IsQualifiedName`)."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return "must have at most one '/'"
    if slash:
        problem = dns_subdomain_problem(prefix)
        if problem is not None:
            return f"prefix {problem}"
    if not name:
        return "name must not be empty"
    if len(name) > _LONGEST_LABEL:
        return f"name must have at most {_LONGEST_LABEL} characters"
    return None if _is_word(name) else f"name {_WORD}"


def label_value_problem(value: str) -> str | None:
    """Say why a text is no value of a label, or return None (`IsValidLabelValue`)."""
    if len(value) > _LONGEST_LABEL:
        return f"must have at most {_LONGEST_LABEL} characters"
    return None if not value or _is_word(value) else _WORD


def dns_label_problem(name: str) -> str | None:
    """Say why a text is no RFC 1123 label, or return None (`IsDNS1123Label`)."""
    if not name:
        return "must not be empty"
    if len(name) > _LONGEST_LABEL:
        return f"must have at most {_LONGEST_LABEL} characters"
    if _is_dns_label(name):
        return None
    if all(map(_is_dns_label, name.split("."))):
        return "must not contain dots"
    return (
        "must be lowercase letters, digits and '-', and must start and end with a letter or a digit"
    )


def dns_subdomain_problem(name: str) -> str | None:
    """Say why a text is no RFC 1123 subdomain, or return None (`IsDNS1123Subdomain`)."""
    if not name:
        return "must not be empty"
    if len(name) > _LONGEST_SUBDOMAIN:
        return f"must have at most {_LONGEST_SUBDOMAIN} characters"
    if all(map(_is_dns_label, name.split("."))):
        return None
    return (
        "must be lowercase letters, digits, '-' and '.', and each part between dots must start and "
        "end with a letter or a digit"
    )


def port_name_problem(name: str) -> str | None:
    """Say why a text is no name of a port (RFC 6335), or return None (`IsValidPortName`)."""
    if not name:
        return "must not be empty"
    if len(name) > _LONGEST_PORT_NAME:
        return f"must have at most {_LONGEST_PORT_NAME} characters"
    if name.strip(_DNS + "-"):
        return "must be lowercase letters, digits and '-'"
    if not name.strip(_DIGITS + "-"):
        return "must have at least one letter"
    if "--" in name:
        return "must not have two '-' in a row"
    return "must not start or end with '-'" if "-" in {name[0], name[-1]} else None


def _is_word(text: str) -> bool:
    """Tell whether a non-empty text is a label's value."""
    return (
        text[0] in _ALPHANUMERIC
        and text[-1] in _ALPHANUMERIC
        and not text.strip(_ALPHANUMERIC + "-_.")
    )


def _is_dns_label(text: str) -> bool:
    """Tell whether a text is an RFC 1123 label of any length."""
    return text != "" and "-" not in {text[0], text[-1]} and not text.strip(_DNS + "-")


def _label(labels: Mapping[str, object], key: str) -> object:
    """Return the label's value, or None where there is no such label. A null value is empty."""
    value = labels.get(key)
    return "" if value is None and key in labels else value


def _holds(label: object, operator: str, values: tuple[str, ...]) -> bool:
    """Evaluate one requirement against a label, None meaning that there is none."""
    if operator == "In":
        return label in values
    if operator == "NotIn":
        return label not in values
    return (label is not None) == (operator == "Exists")


def _pairs(value: object, path: str) -> list[tuple[str, str]]:
    """Read a map of labels."""
    pairs: list[tuple[str, str]] = []
    for key, text in ({} if value is None else _as_mapping(value, path, "labels")).items():
        place = f"{path}/{escape(str(key))}"
        pairs.append((_key(key, place), _value(text, place)))
    return pairs


def _expression(item: object, path: str) -> tuple[str, str, tuple[str, ...]]:
    """Read one of `matchExpressions`."""
    fields = _as_mapping({} if item is None else item, path, "an expression")
    operator = fields.get("operator")
    values = _as_list(fields.get("values"), f"{path}/values", "values")
    if not isinstance(operator, str) or operator not in _SET_OPERATORS | _KEY_OPERATORS:
        raise InvalidSelector(
            f"{path}/operator",
            f"{_shown(operator)} is not an operator; In, NotIn, Exists or DoesNotExist is wanted",
        )
    key = _key(fields.get("key"), f"{path}/key")
    if operator in _SET_OPERATORS and not values:
        raise InvalidSelector(f"{path}/values", f"{operator} wants at least one value")
    if operator in _KEY_OPERATORS and values:
        raise InvalidSelector(f"{path}/values", f"{operator} takes no values")
    return (
        key,
        operator,
        tuple(_value(text, f"{path}/values/{index}") for index, text in enumerate(values)),
    )


def _key(key: object, path: str) -> str:
    """Check the key of a label."""
    if not isinstance(key, str):
        raise InvalidSelector(path, f"the key of a label is a string, not {_shown(key)}")
    problem = label_key_problem(key)
    if problem is not None:
        raise InvalidSelector(path, f"{_shown(key)} is not a label: {problem}")
    return key


def _value(value: object, path: str) -> str:
    """Check the value of a label; a null is read as empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidSelector(path, f"the value of a label is a string, not {_shown(value)}")
    problem = label_value_problem(value)
    if problem is not None:
        raise InvalidSelector(path, f"{_shown(value)} is not the value of a label: {problem}")
    return value


def _as_mapping(value: object, path: str, what: str) -> dict[str, object]:
    """Check that a value is a mapping."""
    if not isinstance(value, dict):
        raise InvalidSelector(path, f"{what} must be a mapping, not {_shown(value)}")
    return value


def _as_list(value: object, path: str, what: str) -> list[object]:
    """Check that a value is a list; a null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidSelector(path, f"{what} must be a list, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    """Name a value of any type shortly, as YAML would write it."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else f"{value[:60]}…")
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a number"
