"""Pointers are placed where a person would look."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.positions import Locator, locate

DEPLOYMENT = """\
# a comment
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "api"
  labels: {app: x, "a/b": y}
  empty:
spec:
  template:
    spec:
      containers:
        - name: api
          image: |
            text
            more

          ports: [80, 443]
        - image: b   # comment
      nested:
        - - one
          - two
"""


def at(text: str, pointer: str, document: int = 0) -> tuple[int, int, int, int, bool]:
    span = locate(text.encode(), document).at(pointer)
    return span.line, span.column, span.end_line, span.end_column, span.exact


PLACES = {
    "": (2, 1, 2, 11, True),
    "/kind": (3, 7, 3, 17, True),
    "/metadata": (4, 1, 4, 9, True),
    "/metadata/name": (5, 9, 5, 14, True),
    "/metadata/labels": (6, 11, 6, 29, True),
    "/metadata/labels/a~1b": (6, 27, 6, 28, True),
    "/metadata/labels/missing": (6, 3, 6, 9, False),
    "/metadata/empty": (7, 3, 7, 8, True),
    "/metadata/namespace": (4, 1, 4, 9, False),
    "/spec/template/spec/securityContext/runAsNonRoot": (10, 5, 10, 9, False),
    "/spec/template/spec/containers": (11, 7, 11, 17, True),
    "/spec/template/spec/containers/0": (12, 11, 12, 15, True),
    "/spec/template/spec/containers/0/image": (13, 18, 15, 17, True),
    "/spec/template/spec/containers/0/ports/1": (17, 23, 17, 26, True),
    "/spec/template/spec/containers/0/resources": (12, 11, 12, 15, False),
    "/spec/template/spec/containers/1/image": (18, 18, 18, 19, True),
    "/spec/template/spec/containers/1/name": (18, 11, 18, 16, False),
    "/spec/template/spec/containers/2": (11, 7, 11, 17, False),
    "/spec/template/spec/nested/0": (20, 13, 20, 16, True),
    "/spec/template/spec/nested/0/1": (21, 13, 21, 16, True),
    "/spec/template/spec/containers/x": (11, 7, 11, 17, False),
    "/status": (2, 1, 2, 11, False),
}


@pytest.mark.parametrize(("pointer", "place"), PLACES.items())
def test_a_pointer_is_placed_at_its_value_or_at_the_nearest_key(
    pointer: str, place: tuple[int, int, int, int, bool]
) -> None:
    assert at(DEPLOYMENT, pointer) == place


def test_columns_count_characters_and_not_bytes() -> None:
    assert at("größe: {ä: 😀, b: 1}", "/größe/b")[:2] == (1, 18)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_line_end_counts_once(line_end: str) -> None:
    assert at(line_end.join(["a: 1", "", "b:", "  c: x", ""]), "/b/c") == (4, 6, 4, 7, True)


def test_other_line_separators_of_yaml_end_no_line_of_the_file() -> None:
    assert at("b: 'a\u2028b\x85c'\na: 1\n", "/a")[:2] == (2, 4)


def test_positions_in_later_documents_are_those_of_the_file() -> None:
    text = "a: 1\n---\nb: [\n---\nc: 1\n---\n\nd:\n  e: 2\n"
    assert at(text, "/d/e", 3) == (9, 6, 9, 7, True)


def test_an_alias_is_the_place_of_all_it_brings_in() -> None:
    text = "a: &a {x: {k: 1}}\nb: *a\n"
    assert at(text, "/b/x/k") == (2, 4, 2, 6, True)
    assert at(text, "/b/z") == (2, 4, 2, 6, False)


def test_a_merge_key_is_the_place_of_the_keys_that_it_brings_in() -> None:
    text = "a: &a {x: {k: 1}}\nb:\n  <<: [*a, {z: 1}]\n  c: 2\n"
    assert at(text, "/b/x/k") == (3, 3, 3, 5, True)
    assert at(text, "/b/z") == (3, 3, 3, 5, True)
    assert at(text, "/b/c") == (4, 6, 4, 7, True)
    assert at(text, "/b/missing") == (2, 1, 2, 2, False)


def test_the_last_of_repeated_keys_is_the_one_placed() -> None:
    assert at("a: 1\na: 2\n", "/a") == (2, 4, 2, 5, True)


def test_json_is_placed_exactly() -> None:
    text = '{"a": {"b":\n [1, "\\ud83d\\ude00", {"c": null}]}}\n{"d"\n: true}'
    assert at(text, "/a/b/2/c") == (2, 28, 2, 32, True)
    assert at(text, "/a/missing") == (1, 2, 1, 5, False)
    assert at(text, "/d", 1) == (4, 3, 4, 7, True)


def test_positions_after_an_encoding_with_a_mark_are_in_characters() -> None:
    span = locate("a: ä\nb: 1".encode("utf-16"), 0).at("/b")
    assert (span.line, span.column) == (2, 4)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


def pointers(value: Any, prefix: str = "") -> Any:
    yield prefix, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from pointers(item, prefix + "/" + key.replace("~", "~0").replace("/", "~1"))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from pointers(item, f"{prefix}/{index}")


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), st.sampled_from([None, 1, 2]))
@settings(max_examples=200, deadline=None)
def test_the_text_at_a_json_value_s_place_is_that_value(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    positions = Locator(text.encode("utf-8", "surrogatepass")).document(0)
    lines = text.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))]
    for pointer, expected in pointers(value):
        span = positions.at(pointer)
        start = starts[span.line - 1] + span.column - 1
        end = starts[span.end_line - 1] + span.end_column - 1
        assert span.exact
        assert json.loads(text[start:end]) == expected


YAML_TEXT = st.text("abcxyz", min_size=1, max_size=4)
YAML_VALUE = st.recursive(
    YAML_TEXT,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(YAML_TEXT, inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


def block_yaml(value: Any, indent: int) -> str:
    pad = " " * indent
    if isinstance(value, dict):
        return "\n" + "\n".join(
            f"{pad}'{key}': {block_yaml(item, indent + 2)}" for key, item in value.items()
        )
    if isinstance(value, list):
        return "\n" + "\n".join(f"{pad}- {block_yaml(item, indent + 2)}" for item in value)
    return f'"{value}"'


@given(st.dictionaries(YAML_TEXT, YAML_VALUE, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_the_text_at_a_block_value_s_place_is_its_value_or_its_key(value: Any) -> None:
    text = block_yaml(value, 0)
    (document,) = load_documents(text.encode(), "f").documents
    assert document.value == value
    positions = locate(text.encode(), 0)
    lines = text.split("\n")
    for pointer, expected in pointers(value):
        span = positions.at(pointer)
        found = lines[span.line - 1][span.column - 1 : span.end_column - 1]
        last = pointer.rpartition("/")[2]
        if isinstance(expected, str):
            assert found == f'"{expected}"'
        elif pointer and not last.isdigit():
            assert found == f"'{last}'"
        assert positions.at(f"{pointer}/missing").exact is False
