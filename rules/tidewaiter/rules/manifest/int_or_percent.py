"""Numbers that may be given as a share: `maxUnavailable: 1` or `maxUnavailable: 25%`.

Read as `intstr.IntOrString` is where the API wants a number or a percentage (rolling updates,
PodDisruptionBudget): https://pkg.go.dev/k8s.io/apimachinery/pkg/util/intstr. A string must be
digits and `%` (`IsValidPercent` in apimachinery's validation); `"1"` in quotes is refused.
"""

from __future__ import annotations

from tidewaiter.rules.record import record

_SMALLEST, _LARGEST = -(2**31), 2**31 - 1
_WANTED = 'a whole number or a percentage such as "25%" is wanted'


class InvalidIntOrPercent(ValueError):
    """A value that is neither a whole number nor a percentage. The message is a sentence."""


@record
class IntOrPercent:
    """A whole number, or so many hundredths of a total that is known elsewhere."""

    value: int
    is_percent: bool

    def scaled(self, total: int, *, round_up: bool) -> int:
        """Return the number that is meant for a total, as `GetScaledValueFromIntOrPercent`.

        A number stands for itself. Whether to round a share up is the field's own rule:
        `maxSurge` and a PodDisruptionBudget's fields round up, `maxUnavailable` of a Deployment
        rounds down.
        """
        if not self.is_percent:
            return self.value
        share = self.value * total
        return -(-share // 100) if round_up else share // 100


def parse_int_or_percent(value: object) -> IntOrPercent:
    """Read a manifest's value. Raises `InvalidIntOrPercent`.

    Negative numbers are read; whether a field may be negative is for the caller. A float without a
    fraction counts as a whole number, because it is written as one when YAML becomes JSON.
    """
    if isinstance(value, str):
        return _percentage(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidIntOrPercent(f"{_shown(value)} is not a number: {_WANTED}")
    if not _SMALLEST <= value <= _LARGEST:
        raise InvalidIntOrPercent("the number does not fit into 32 bits")
    return IntOrPercent(value, is_percent=False)


def _percentage(text: str) -> IntOrPercent:
    """Read a percentage. Raises `InvalidIntOrPercent`."""
    digits = text[:-1]
    if text[-1:] != "%" or not (digits.isascii() and digits.isdigit()):
        hint = " without quotes" if text.isascii() and text.isdigit() else ""
        raise InvalidIntOrPercent(f"{_shown(text)} is not a percentage: {_WANTED}{hint}")
    significant = digits.lstrip("0") or "0"
    if len(significant) > 19 or int(significant) >= 2**63:
        raise InvalidIntOrPercent(f"{_shown(text)} does not fit into 64 bits")
    return IntOrPercent(int(significant), is_percent=True)


def _shown(value: object) -> str:
    """Quote a value, shortened where it is long."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else f"{value[:60]}…")
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return "a list" if isinstance(value, list) else "a mapping"
