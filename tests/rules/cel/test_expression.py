"""Expressions: what is wrong with them and where, what they cost, and what cannot be known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.admission_policy.environment import environment
from tidewaiter.rules.cel.check import Environment
from tidewaiter.rules.cel.compiled import Budget, Expression
from tidewaiter.rules.cel.syntax import ExpressionError
from tidewaiter.rules.cel.types import DYN
from tidewaiter.rules.cel.values import CannotBeKnown, CostExceeded, EvaluationError, Unknown

KNOWN = Environment({"object": DYN, "other": DYN}, environment().functions)
OBJECT = {"spec": {"replicas": 3, "names": ["a", "b"]}, "metadata": {"labels": {"app": "x"}}}


def value(source: str, **values: object) -> object:
    return Expression(source, KNOWN).evaluate({"object": OBJECT, **values})


@pytest.mark.parametrize(
    ("source", "offset", "message"),
    [
        ("object.spec.", 12, "a field's name is wanted, not the end"),
        ("1 + ", 4, "a value is wanted, not the end of the expression"),
        ("(1 + 2", 6, ") is wanted, not the end of the expression"),
        ("'abc", 0, "a string without its closing quote"),
        ("1 ^ 2", 2, "unexpected '^'"),
        ("objct.spec == 1", 0, "there is no variable objct; did you mean object?"),
        ("'a'.startWith('b')", 4, "there is no function startWith(); did you mean startsWith?"),
        ("true && 'a' == 1", 12, "== does not take (string, int)"),
        ("[1, 'a']", 4, "all elements must have one type: int is wanted, not string"),
        ("'a'.matches('(')", 12, "'(' is no regular expression: missing ): ("),
        ("'%d'.format(['a'])", 13, "%d does not take a string"),
        ("has(1)", 4, "has() takes a field, as in has(object.spec)"),
        ("[1].all(x.y, true)", 10, "a macro's variable must be a plain name"),
        ("(" * 200 + "1" + ")" * 200, 100, "the expression is nested too deeply"),
        ("99999999999999999999", 0, "99999999999999999999 is too large for an integer"),
    ],
)
def test_a_mistake_has_its_place(source: str, offset: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression(source, KNOWN)
    assert (caught.value.offset, caught.value.message) == (offset, message)


def test_an_expression_tells_which_fields_it_reads() -> None:
    source = "object.spec.replicas > 1 && object.metadata.labels.all(key, key != other.name)"
    assert Expression(source, KNOWN).reads == (
        ("object", "spec", "replicas"),
        ("object", "metadata", "labels"),
        ("key",),
        ("other", "name"),
    )


def test_a_part_that_decides_makes_errors_not_count() -> None:
    assert value("object.nothing == 1 || true") is True
    assert value("false && object.nothing == 1") is False
    with pytest.raises(EvaluationError, match="no such key: nothing"):
        value("object.nothing == 1 || false")


def test_what_is_unknown_stays_unknown_unless_the_rest_decides() -> None:
    unknown = Unknown("who sends the request")
    assert value("other.name == 'x' || true", other=unknown) is True
    assert value("object.spec.names.exists(n, n == 'b' || other.name == n)", other=unknown) is True
    for source in (
        "other.name == 'x'",
        "other == 'x'",
        "'x' in [other]",
        "!other",
        "other.all(x, true)",
    ):
        with pytest.raises(CannotBeKnown, match="who sends the request"):
            value(source, other=unknown)


def test_an_error_beside_what_is_unknown_is_unknown() -> None:
    with pytest.raises(CannotBeKnown):
        value("object.nothing == 1 || other.name == 'x'", other=Unknown("x"))


def test_a_budget_ends_what_costs_too_much() -> None:
    numbers = Expression("lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))", KNOWN)
    with pytest.raises(CostExceeded):
        numbers.evaluate({}, Budget(100_000))
    with pytest.raises(CostExceeded):  # not an error that `||` may swallow
        Expression("lists.range(1000).all(x, x >= 0) || true", KNOWN).evaluate({}, Budget(1000))


def test_an_evil_pattern_takes_linear_time() -> None:
    assert value(f"'{'a' * 5000}'.matches('^(a+)+$b')") is False


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_no_value_makes_an_expression_raise_anything_else(given_value: object) -> None:
    for source in (
        "other.spec.replicas > 1",
        "other.all(x, x == 1)",
        "size(other) > 1 && other[0] == 'a'",
        "'a' in other || other + 1 == 2",
        "string(other) == 'x' || other.?a.orValue(1) == 1",
        "other < 1 || other == other",
    ):
        try:
            value(source, other=given_value)
        except EvaluationError:
            pass


@given(st.text(alphabet="ab.()[]{}'\"1+-*/&|!?:,=<> \n\\ruxü", max_size=40))
def test_every_text_is_an_expression_or_a_mistake(source: str) -> None:
    place = 0
    try:
        Expression(source, KNOWN)
    except ExpressionError as error:
        place = error.offset
    assert 0 <= place <= len(source)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integers_have_64_bits(left: int, right: int) -> None:
    for sign, expected in (("+", left + right), ("-", left - right), ("*", left * right)):
        try:
            found = value(f"object.left {sign} object.right", object={"left": left, "right": right})
        except EvaluationError:
            assert not -(2**63) <= expected < 2**63
        else:
            assert found == expected
