"""The expressions of one policy, checked once and run for each object.

A policy of Kubernetes (ValidatingAdmissionPolicy) and a custom rule of ours are both programs.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.admission_policy.environment import environment
from tidewaiter.rules.cel.compiled import Budget, Expression
from tidewaiter.rules.cel.syntax import ExpressionError
from tidewaiter.rules.cel.types import BOOL, DYN, NULL, STRING
from tidewaiter.rules.cel.values import CannotBeKnown, CostExceeded, EvaluationError
from tidewaiter.rules.manifest.fields import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidewaiter.rules.cel.types import Type

_LONGEST_MESSAGE = 5 * 1024
"""MaxEvaluatedMessageExpressionSizeBytes of k8s.io/apiserver/pkg/apis/cel: longer ones are not used."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """An expression that cannot be run. pointer: the field with the expression; offset: where in it."""

    pointer: str
    message: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Validation:
    """What must be true, and what is said where it is not."""

    expression: Expression
    message: str = ""
    message_expression: Expression | None = None
    reason: str = "Invalid"
    pointer: str = ""
    """Where in the object the expression looks first, as a JSON pointer: where a finding stands."""


@dataclass(frozen=True, slots=True)
class Program:
    """A policy's expressions. fails: whether an expression without a value denies (`failurePolicy: Fail`)."""

    variables: Mapping[str, Expression]
    conditions: Mapping[str, Expression]
    validations: Sequence[Validation]
    annotations: Mapping[str, Expression]
    fails: bool = True


@dataclass(frozen=True, slots=True)
class Denial:
    """A validation that does not hold. index: which; unknown: whether it may hold all the same."""

    index: int
    message: str
    reason: str = "Invalid"
    unknown: bool = False


def compiled(spec: Mapping[str, Any], *, params: bool) -> tuple[Program | None, list[Mistake]]:
    """Return the program of a policy's `spec`, or None and what is wrong with its expressions.

    spec: variables, matchConditions, validations, auditAnnotations and failurePolicy as in a
    ValidatingAdmissionPolicy. params: whether it has parameters.
    """
    reader = _Reader(params)
    reader.read_variables(spec.get("variables") or ())
    conditions = {
        row["name"]: reader.expression(
            row["expression"], f"/matchConditions/{at}/expression", (BOOL,), plain=True
        )
        for at, row in enumerate(spec.get("matchConditions") or ())
    }
    validations = [
        reader.validation(row, f"/validations/{at}")
        for at, row in enumerate(spec.get("validations") or ())
    ]
    annotations = {
        row["key"]: reader.expression(
            row["valueExpression"],
            f"/auditAnnotations/{at}/valueExpression",
            (STRING, NULL),
            authorizer=False,
        )
        for at, row in enumerate(spec.get("auditAnnotations") or ())
    }
    if reader.mistakes:
        return None, reader.mistakes
    fails = spec.get("failurePolicy") != "Ignore"
    return Program(reader.variables, conditions, validations, annotations, fails), []  # type: ignore[arg-type]


class _Reader:
    """Checks expressions one after the other, and keeps what is wrong."""

    def __init__(self, params: bool) -> None:
        self.params = params
        self.variables: dict[str, Expression] = {}
        self.types: dict[str, Type] = {}
        self.mistakes: list[Mistake] = []

    def read_variables(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Read the policy's variables; each sees those above it."""
        for at, row in enumerate(rows):
            found = self.expression(row["expression"], f"/variables/{at}/expression", ())
            if row["name"] in self.types:
                self.mistakes.append(
                    Mistake(f"/variables/{at}/name", f"there are two variables {row['name']}")
                )
            elif found is not None:
                self.variables[row["name"]] = found
            # A variable with a mistake is still one: what uses it has none of its own.
            self.types[row["name"]] = found.type if found is not None else DYN

    def validation(self, row: Mapping[str, Any], pointer: str) -> Validation | None:
        """Read one validation."""
        found = self.expression(row["expression"], f"{pointer}/expression", (BOOL,))
        said = None
        if row.get("messageExpression"):
            place = f"{pointer}/messageExpression"
            said = self.expression(row["messageExpression"], place, (STRING,), authorizer=False)
        if found is None:
            return None
        reason = row.get("reason") or "Invalid"
        return Validation(found, row.get("message") or "", said, reason, self._looks_at(found))

    def _looks_at(self, expression: Expression) -> str:
        paths = []
        for path in expression.reads:
            if path[0] == "variables" and len(path) > 1 and path[1] in self.variables:
                own = self._looks_at(self.variables[path[1]])
                paths.append("".join((own, *(f"/{escape(part)}" for part in path[2:]))))
            elif path[0] == "object":
                paths.append("".join(f"/{escape(part)}" for part in path[1:]))
        return next((path for path in paths if path), "")

    def expression(
        self,
        source: str,
        pointer: str,
        types: tuple[Type, ...],
        *,
        plain: bool = False,
        authorizer: bool = True,
    ) -> Expression | None:
        """Read one expression, of one of the types where some are given; plain: it sees no variables."""
        known = environment(
            params=self.params,
            authorizer=authorizer,
            variables=None if plain else self.types.copy(),
        )
        try:
            found = Expression(source, known)
        except ExpressionError as error:
            self.mistakes.append(Mistake(pointer, error.message, error.offset))
            return None
        if types and found.type not in types:
            wanted = " or ".join(str(each) for each in types)
            hint = f"; write {wanted}(...)" if found.type.name == "dyn" and len(types) == 1 else ""
            text = f"the expression must give a {wanted}, not {found.type}{hint}"
            self.mistakes.append(Mistake(pointer, text))
            return None
        return found


class Variables:
    """The policy's variables for one object: each is computed when it is first asked for."""

    __slots__ = ("_budget", "_expressions", "_found", "_values")

    def __init__(
        self, expressions: Mapping[str, Expression], values: dict[str, Any], budget: Budget
    ) -> None:
        self._expressions, self._values, self._budget = expressions, values, budget
        self._found: dict[str, Any] = {}

    def field(self, name: str, *, test: bool) -> Any:
        """Return a variable's value, or with `test` whether there is such a variable.

        Raises EvaluationError, the same one each time.
        """
        if test:
            return name in self._expressions
        if name not in self._found:
            try:
                self._found[name] = self._expressions[name].evaluate(self._values, self._budget)
            except EvaluationError as error:
                self._found[name] = error
        found = self._found[name]
        if isinstance(found, EvaluationError):
            raise found
        return found


def applies(program: Program, values: Mapping[str, Any]) -> bool:
    """Return whether all match conditions hold: one that does not decides, whatever errors others have.

    Raises EvaluationError, or CostExceeded, where that is not settled.
    """
    budget = Budget()
    failed: EvaluationError | None = None
    for name, expression in program.conditions.items():
        try:
            if not expression.evaluate(values, budget):
                return False
        except EvaluationError as error:
            kind = CannotBeKnown if isinstance(error, CannotBeKnown) else EvaluationError
            failed = failed or kind(f"match condition '{name}' resulted in error: {error}")
    if failed is not None:
        raise failed
    return True


def denials(program: Program, values: dict[str, Any]) -> list[Denial]:
    """Return the validations that do not hold for an object, in order.

    values: object, oldObject, request, namespaceObject and params, as environment.py declares them.
    """
    try:
        if not applies(program, values):
            return []
    except CannotBeKnown as error:
        return [Denial(-1, str(error), unknown=True)]
    except (EvaluationError, CostExceeded) as error:
        return [Denial(-1, str(error))] if program.fails else []
    budget = Budget()
    with_variables = {**values}
    with_variables["variables"] = Variables(program.variables, with_variables, budget)
    found = []
    for index, validation in enumerate(program.validations):
        denial = _denial(index, validation, with_variables, budget, fails=program.fails)
        if denial is not None:
            found.append(denial)
    return found + _annotation_errors(program, with_variables)


def _denial(
    index: int, validation: Validation, values: Mapping[str, Any], budget: Budget, *, fails: bool
) -> Denial | None:
    try:
        if validation.expression.evaluate(values, budget):
            return None
    except CannotBeKnown as error:
        return Denial(index, f"{_message(validation, values)}: it needs {error}", unknown=True)
    except (EvaluationError, CostExceeded) as error:
        text = f"expression '{_shown(validation.expression)}' resulted in error: {error}"
        return Denial(index, text) if fails else None
    return Denial(index, _message(validation, values), validation.reason)


def _message(validation: Validation, values: Mapping[str, Any]) -> str:
    """Return what a validation says: its message expression, or else its message, or else itself."""
    if validation.message_expression is not None:
        try:
            said = validation.message_expression.evaluate(values).strip()
        except (EvaluationError, CostExceeded):
            said = ""
        if said and "\n" not in said and len(said.encode()) <= _LONGEST_MESSAGE:
            return str(said)
    return validation.message.strip() or f"failed expression: {_shown(validation.expression)}"


def _shown(expression: Expression) -> str:
    return expression.source.strip()


def _annotation_errors(program: Program, values: Mapping[str, Any]) -> list[Denial]:
    """Return the audit annotations that have no value: under `failurePolicy: Fail` they deny too."""
    found = []
    for key, expression in program.annotations.items():
        try:
            expression.evaluate(values)
        except CannotBeKnown as error:
            found.append(Denial(-1, f"audit annotation {key} needs {error}", unknown=True))
        except (EvaluationError, CostExceeded) as error:
            if program.fails:
                text = f"expression '{_shown(expression)}' resulted in error: {error}"
                found.append(Denial(-1, text))
    return found
