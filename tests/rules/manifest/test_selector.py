"""Selectors and label syntax against verdicts of apimachinery."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.manifest.selector import (
    EVERYTHING,
    NOTHING,
    InvalidSelector,
    dns_label_problem,
    dns_subdomain_problem,
    label_key_problem,
    label_value_problem,
    parse_map_selector,
    parse_selector,
    port_name_problem,
)


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert parse_selector(None) is NOTHING
    assert not NOTHING.matches({"a": "1"})
    assert not NOTHING.selects_everything
    empties: list[dict[str, object]] = [
        {},
        {"matchLabels": {}},
        {"matchLabels": None, "matchExpressions": []},
    ]
    for empty in empties:
        assert parse_selector(empty) is EVERYTHING
    assert EVERYTHING.matches({})
    assert EVERYTHING.matches(None)
    assert EVERYTHING.selects_everything


def test_a_map_selects_by_equality_and_nothing_when_empty() -> None:
    selector = parse_map_selector({"app": "web", "tier": "front"})
    assert selector.equalities == (("app", "web"), ("tier", "front"))
    assert selector.matches({"app": "web", "tier": "front", "x": "y"})
    assert not selector.matches({"app": "web"})
    assert parse_map_selector(None) is NOTHING
    assert parse_map_selector({}) is NOTHING


def test_equalities_are_the_pairs_that_a_match_must_have() -> None:
    selector = parse_selector(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front"]},
                {"key": "env", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        }
    )
    assert selector.equalities == (("app", "web"), ("tier", "front"))
    assert selector.expressions == (("env", "In", ("a", "b")), ("old", "DoesNotExist", ()))
    assert selector.matches({"app": "web", "tier": "front", "env": "b"})
    assert not selector.matches({"app": "web", "tier": "front", "env": "b", "old": ""})


@pytest.mark.parametrize(
    ("operator", "values", "matching"),
    [
        ("In", ["1", "2"], {"1", "2"}),
        ("In", [None], {""}),
        ("NotIn", ["1"], {"2", "", None}),
        ("Exists", [], {"1", "2", ""}),
        ("Exists", None, {"1", "2", ""}),
        ("DoesNotExist", [], {None}),
    ],
)
def test_operators(operator: str, values: list[Any], matching: set[str | None]) -> None:
    selector = parse_selector(
        {"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}
    )
    seen = {value for value in ("1", "2", "") if selector.matches({"a": value})}
    assert seen | ({None} if selector.matches({"b": "1"}) else set()) == matching


def test_a_label_of_null_is_empty() -> None:
    selector = parse_selector({"matchLabels": {"a": None}})
    assert selector.matches({"a": None})
    assert selector.matches({"a": ""})
    assert not selector.matches({})


def _expression(**fields: object) -> dict[str, Any]:
    whole = {"key": "a", "operator": "In", "values": ["1"], **fields}
    return {"matchExpressions": [{"key": "a", "operator": "Exists"}, whole]}


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ("app=web", "", "a selector must be a mapping, not 'app=web'"),
        (["a"], "", "not a list"),
        ({"app": "web"}, "/app", "labels stand below matchLabels"),
        ({"a/b": "web"}, "/a~1b", "is not a field"),
        ({"matchLabels": ["a"]}, "/matchLabels", "labels must be a mapping"),
        ({"matchLabels": {"a": 1}}, "/matchLabels/a", "is a string, not a number"),
        ({"matchLabels": {"a": True}}, "/matchLabels/a", "is a string, not true"),
        ({"matchLabels": {"a": "b c"}}, "/matchLabels/a", "'b c' is not the value of a label"),
        ({"matchLabels": {"-a": "b"}}, "/matchLabels/-a", "'-a' is not a label"),
        ({"matchLabels": {"a/": "b"}}, "/matchLabels/a~1", "name must not be empty"),
        ({"matchExpressions": {}}, "/matchExpressions", "must be a list, not a mapping"),
        ({"matchExpressions": ["a"]}, "/matchExpressions/0", "an expression must be a mapping"),
        ({"matchExpressions": [None]}, "/matchExpressions/0/operator", "null is not an operator"),
        (_expression(operator="in"), "/matchExpressions/1/operator", "'in' is not an operator"),
        (_expression(operator="Gt"), "/matchExpressions/1/operator", "'Gt' is not an operator"),
        (_expression(operator=[]), "/matchExpressions/1/operator", "a list is not an operator"),
        (_expression(key=None), "/matchExpressions/1/key", "is a string, not null"),
        (_expression(key=""), "/matchExpressions/1/key", "name must not be empty"),
        (_expression(values=[]), "/matchExpressions/1/values", "In wants at least one value"),
        (_expression(values="1"), "/matchExpressions/1/values", "must be a list, not '1'"),
        (_expression(values=["1", 2]), "/matchExpressions/1/values/1", "not a number"),
        (_expression(operator="Exists"), "/matchExpressions/1/values", "Exists takes no values"),
    ],
)
def test_refuses_others_with_place_and_sentence(value: object, path: str, message: str) -> None:
    with pytest.raises(InvalidSelector) as caught:
        parse_selector(value)
    assert caught.value.path == path
    assert message in caught.value.message


KEYS = st.sampled_from(["a", "b", "example.com/c"])
VALUES = st.sampled_from(["", "1", "2", "x"])
LABELS = st.dictionaries(KEYS, VALUES)
EXPRESSIONS = st.one_of(
    st.fixed_dictionaries(
        {
            "key": KEYS,
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(VALUES, min_size=1, max_size=3),
        }
    ),
    st.fixed_dictionaries({"key": KEYS, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)


@given(LABELS, st.lists(EXPRESSIONS, max_size=3), LABELS)
def test_agrees_with_the_definition(
    match_labels: dict[str, str], expressions: list[dict[str, Any]], labels: dict[str, str]
) -> None:
    selector = parse_selector({"matchLabels": match_labels, "matchExpressions": expressions})
    wanted = match_labels.items() <= labels.items()
    for expression in expressions:
        label = labels.get(expression["key"])
        wanted = (
            wanted
            and {
                "In": label in expression.get("values", ()),
                "NotIn": label not in expression.get("values", ()),
                "Exists": label is not None,
                "DoesNotExist": label is None,
            }[expression["operator"]]
        )
    assert selector.matches(labels) == wanted
    assert not wanted or set(selector.equalities) <= labels.items()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["matchLabels", "matchExpressions", "key", "operator", "values", "a"]),
            inner | st.sampled_from(["In", "Exists"]),
            max_size=3,
        )
    ),
)


@given(ANYTHING, st.dictionaries(st.text(max_size=3), ANYTHING, max_size=3))
def test_any_value_is_read_or_refused(value: object, labels: dict[str, object]) -> None:
    for read in (parse_selector, parse_map_selector):
        try:
            selector = read(value)
        except InvalidSelector as error:
            assert error.path == "" or error.path.startswith("/")  # noqa: PT017
        else:
            assert selector.matches(labels) in {True, False}


N63, N64 = "n" * 63, "n" * 64
LONG = ".".join(["d" * 63] * 3 + ["d" * 61])


@pytest.mark.parametrize(
    "key",
    ["a", "A", "1", "a-b_c.D", "a..b", "a--b", "example.com/a", "1.2/a", f"x/{N63}", f"{LONG}/a"],
)
def test_keys_of_labels(key: str) -> None:
    assert label_key_problem(key) is None


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "name must not be empty"),
        ("/", "prefix must not be empty"),
        ("/a", "prefix must not be empty"),
        ("a/", "name must not be empty"),
        ("a/b/c", "must have at most one '/'"),
        (N64, "name must have at most 63 characters"),
        (f"x/{N64}", "name must have at most 63 characters"),
        (f"{LONG}d/a", "prefix must have at most 253 characters"),
        ("Example.com/a", "prefix must be lowercase"),
        ("a..b/c", "prefix must be lowercase"),
        ("-a", "name must be letters"),
        ("a.", "name must be letters"),
        ("a b", "name must be letters"),
        ("a\n", "name must be letters"),
        ("é", "name must be letters"),
        ("a１", "name must be letters"),
    ],
)
def test_texts_that_are_no_keys(key: str, problem: str) -> None:
    assert (label_key_problem(key) or "").startswith(problem)


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("", True),
        ("a", True),
        ("A.b_c-1", True),
        (N63, True),
        (N64, False),
        ("-", False),
        ("a-", False),
        (".a", False),
        ("a/b", False),
        ("a\n", False),
        ("ü", False),
    ],
)
def test_values_of_labels(value: str, valid: bool) -> None:
    assert (label_value_problem(value) is None) == valid


@pytest.mark.parametrize(
    ("name", "label", "subdomain"),
    [
        ("a", True, True),
        ("0-a", True, True),
        (N63, True, True),
        (N64, False, True),
        ("a.b", False, True),
        (LONG, False, True),
        (f"{LONG}d", False, False),
        ("", False, False),
        ("A", False, False),
        ("a_b", False, False),
        ("-a", False, False),
        ("a-", False, False),
        ("a..b", False, False),
        ("a.-b", False, False),
        (".a", False, False),
        ("a\n", False, False),
    ],
)
def test_names_of_dns(name: str, label: bool, subdomain: bool) -> None:
    assert (dns_label_problem(name) is None) == label
    assert (dns_subdomain_problem(name) is None) == subdomain


def test_says_when_only_dots_are_wrong() -> None:
    assert dns_label_problem("a.b") == "must not contain dots"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("http", None),
        ("80a", None),
        ("a-b-c", None),
        ("a23456789012345", None),
        ("a234567890123456", "must have at most 15 characters"),
        ("", "must not be empty"),
        ("8080", "must have at least one letter"),
        ("80-80", "must have at least one letter"),
        ("a--b", "must not have two '-' in a row"),
        ("-a", "must not start or end with '-'"),
        ("a-", "must not start or end with '-'"),
        ("HTTP", "must be lowercase letters, digits and '-'"),
        ("a_b", "must be lowercase letters, digits and '-'"),
        ("é", "must be lowercase letters, digits and '-'"),
    ],
)
def test_names_of_ports(name: str, problem: str | None) -> None:
    assert port_name_problem(name) == problem
