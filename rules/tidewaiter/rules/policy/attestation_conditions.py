"""Conditions on attestations, in CEL: checked when the policy is read, run on each verified predicate.

An expression sees `predicate` (the attestation's content), `predicateType`, `now` (the time of the run) and
`today` (its date as YYYY-MM-DD), and the functions that Kubernetes has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.admission_policy.environment import function_table
from tidewaiter.rules.admission_policy.program import Mistake
from tidewaiter.rules.cel.check import Environment
from tidewaiter.rules.cel.compiled import Expression
from tidewaiter.rules.cel.syntax import ExpressionError
from tidewaiter.rules.cel.types import BOOL, DYN, STRING, TIMESTAMP
from tidewaiter.rules.cel.values import (
    LEAST_INT,
    MOST_INT,
    CostExceeded,
    EvaluationError,
    Timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

_DEEPEST = 200
"""How deep a predicate may be nested; those of real tools take about ten levels."""


def mistakes_in(rows: Sequence[Mapping[str, Any]]) -> list[Mistake]:
    """Return what is wrong with the conditions of an attestation; pointers are from their list."""
    found = []
    for index, row in enumerate(rows):
        pointer = f"/{index}/expression"
        try:
            expression = _compiled(row["expression"])
        except ExpressionError as error:
            found.append(Mistake(pointer, error.message, error.offset))
            continue
        if expression.type != BOOL:
            hint = "; write bool(...)" if expression.type == DYN else ""
            text = f"the expression must give a bool, not {expression.type}{hint}"
            found.append(Mistake(pointer, text))
    return found


def condition_of(
    rows: Sequence[Mapping[str, Any]], predicate_type: str, now: datetime
) -> Callable[[Any], str | None]:
    """Return what says why a predicate does not fulfil valid conditions, or None where it does.

    A condition that has no value, as it reads what is not there, is not fulfilled. Nothing raises.
    """
    conditions = [(_compiled(row["expression"]), row.get("message", "")) for row in rows]
    values = {
        "predicateType": predicate_type,
        "now": Timestamp(int(now.timestamp() * 10**9)),
        "today": now.strftime("%Y-%m-%d"),
    }

    def condition(predicate: Any) -> str | None:
        try:
            seen = {**values, "predicate": _value(predicate, 0)}
        except ValueError as error:
            return str(error)
        for expression, message in conditions:
            shown = message or f"{expression.source.strip()} does not hold"
            try:
                if expression.evaluate(seen) is not True:
                    return shown
            except (EvaluationError, CostExceeded) as error:
                return f"{shown} ({error})"
            except RecursionError:
                return f"{shown} (it is nested too deeply)"
        return None

    return condition


def _compiled(source: str) -> Expression:
    variables = {"predicate": DYN, "predicateType": STRING, "now": TIMESTAMP, "today": STRING}
    return Expression(source, Environment(variables, function_table()))


def _value(value: Any, depth: int) -> Any:
    """Return JSON as expressions see it: whole numbers beyond 64 bits are doubles."""
    if depth > _DEEPEST:
        msg = f"the predicate is nested deeper than {_DEEPEST} levels"
        raise ValueError(msg)
    if isinstance(value, dict):
        return {key: _value(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(each, depth + 1) for each in value]
    if type(value) is int and not LEAST_INT <= value <= MOST_INT:
        try:
            return float(value)
        except OverflowError:
            msg = "the predicate has a number that is too large"
            raise ValueError(msg) from None
    return value
