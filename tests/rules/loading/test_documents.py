"""Files become documents, whatever their encoding and however much of them is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.limits import Limits

if TYPE_CHECKING:
    from tidewaiter.rules.errors import InputError


def values(data: bytes) -> list[object]:
    loaded = load_documents(data, "f.yaml")
    assert loaded.errors == ()
    return [document.value for document in loaded.documents]


def only_error(data: bytes) -> InputError:
    loaded = load_documents(data, "f.yaml")
    assert len(loaded.errors) == 1, loaded.errors
    return loaded.errors[0]


MANIFEST = "kind: Pod\nname: grün\n---\nkind: Service\n"


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_encoding_and_line_end_that_yaml_allows_is_read(encoding: str, line_end: str) -> None:
    data = MANIFEST.replace("\n", line_end).encode(encoding)
    assert values(data) == [{"kind": "Pod", "name": "grün"}, {"kind": "Service"}]


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_a_byte_order_mark_of_utf_16_is_no_part_of_the_first_key(mark: bytes) -> None:
    encoding = "utf-16-le" if mark == b"\xff\xfe" else "utf-16-be"
    assert values(mark + "a: 1".encode(encoding)) == [{"a": 1}]


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"\x1f\x8b\x08\x00\x00",
        b"\x7fELF\x02\x01\x01\x00",
        b"a: b\x00c",
    ],
)
def test_what_is_no_text_is_named_so(data: bytes) -> None:
    assert only_error(data).message.startswith("is not text")


def test_a_byte_of_another_encoding_is_placed() -> None:
    error = only_error("a: 1\nb: grün\n".encode("latin-1"))
    assert (error.line, error.column) == (2, 6)
    assert "0xfc" in error.message


def test_a_control_character_is_placed() -> None:
    error = only_error(b"a: 1\nb: x\x07y\n")
    assert (error.line, error.column) == (2, 5)
    assert "U+0007" in error.message


def test_a_broken_document_loses_neither_those_before_nor_those_behind() -> None:
    loaded = load_documents(b"a: 1\n---\nb: [1\n---\nc: 3\n---\nd: 'x\n---\ne: 5\n", "f.yaml")
    assert [(document.index, document.value, document.line) for document in loaded.documents] == [
        (0, {"a": 1}, 1),
        (2, {"c": 3}, 4),
        (4, {"e": 5}, 8),
    ]
    assert [error.line for error in loaded.errors] == [3, 7]
    assert {error.file for error in loaded.errors} == {"f.yaml"}


def test_document_markers_inside_texts_are_none() -> None:
    assert values(b"a: |\n  ---\n  ...\nb: x --- y\n--- # next\nc: 1\n...\n---\nd: ---x\n") == [
        {"a": "---\n...\n", "b": "x --- y"},
        {"c": 1},
        {"d": "---x"},
    ]


def test_comments_and_directives_before_a_document_are_no_document() -> None:
    assert values(b"# licence\n%YAML 1.1\n---\na: 1\n...\n# more\n---\nb: 2\n...\n# end\n") == [
        {"a": 1},
        {"b": 2},
    ]


def test_an_empty_document_between_markers_counts() -> None:
    loaded = load_documents(b"---\n# nothing\n---\na: 1\n", "f.yaml")
    assert [(document.index, document.value) for document in loaded.documents] == [
        (0, None),
        (1, {"a": 1}),
    ]


BROKEN = {
    b"a:\n\tb: 1\n": ("tab", 2, 1),
    b"a: b: c\n": ("': ' cannot stand here", 1, 5),
    b'a: 1\nb: "x\nc: 2\n': ("never closed", 2, 4),
    b"a: 1\nb: [1, 2\nc: 3\n": ("list in [ ]", 2, 4),
    b"a: 1\nb: {c: 1\nd: [\n": ("mapping in { }", 2, 4),
    b"name: {{ .Values.name }}\n": ("template", 1, 7),
    b"a: 1\n{{- if .Values.x }}\nb: 2\n{{- end }}\n": ("template", 2, 1),
    b"{% if x %}\na: 1\n{% endif %}\n": ("template", 1, 1),
    b"a: @x\n": ("quotes", 1, 4),
    b"a: `x`\n": ("quotes", 1, 4),
    b"a: *nowhere\n": ("no anchor", 1, 4),
    b"a: &a [*a]\n": ("inside its own anchor", 1, 8),
    b"a:\n  b: 1\n c: 2\n": ("indentation", 3, 2),
    b"a:\n- b\nc\n": ("':'", 3, 1),
    b'a: "\\d"\n': ("escape", 1, 5),
}


@pytest.mark.parametrize(("data", "expected"), BROKEN.items())
def test_a_mistake_is_explained_and_placed(data: bytes, expected: tuple[str, int, int]) -> None:
    error = only_error(data)
    words, line, column = expected
    assert words in error.message
    assert (error.line, error.column) == (line, column)


def test_a_repeated_key_is_noted_with_both_lines_and_the_last_value_counts() -> None:
    loaded = load_documents(b"# x\n---\nspec:\n  - a/b: 1\n    c: 2\n    a/b: 3\n", "f.yaml")
    document = loaded.documents[0]
    assert document.value == {"spec": [{"a/b": 3, "c": 2}]}
    (repeated,) = document.duplicates
    assert (repeated.pointer, repeated.key) == ("/spec/0/a~1b", "a/b")
    assert (repeated.line, repeated.column, repeated.first_line) == (6, 5, 4)


def test_keys_that_differ_only_as_written_are_the_same_key() -> None:
    (document,) = load_documents(b"yes: 1\n'true': 2\n", "f.yaml").documents
    assert [repeated.key for repeated in document.duplicates] == ["true"]


def test_a_merged_key_written_over_is_not_repeated() -> None:
    (document,) = load_documents(b"a: &a {x: 1}\nb:\n  <<: *a\n  x: 2\n", "f.yaml").documents
    assert document.duplicates == ()


def test_json_is_read_as_json() -> None:
    data = b'{"a": "\\ud83d\\ude00 \\/", "b": 1.0, "c": [12345678901234567890123, -1.5e3], "yes": "no"}'
    assert values(data) == [
        {"a": "😀 /", "b": 1, "c": [12345678901234567890123.0, -1500], "yes": "no"}
    ]


def test_a_stream_of_json_values_is_several_documents() -> None:
    loaded = load_documents(b'{"a": 1}{"b": 2}\n\n[3]\n', "f.json")
    assert [(document.value, document.line) for document in loaded.documents] == [
        ({"a": 1}, 1),
        ({"b": 2}, 1),
        ([3], 1),
    ]


def test_a_key_repeated_in_json_is_noted() -> None:
    (document,) = load_documents(b'{"x": [{"a": 1,\n "a": 2}]}', "f.json").documents
    assert [
        (each.pointer, each.line, each.column, each.first_line) for each in document.duplicates
    ] == [("/x/0/a", 2, 2, 1)]


@pytest.mark.parametrize("data", [b'{"a": NaN}', b'{"a": 1,}', b"{a: NaN}", b'{"a": 1} # comment'])
def test_what_only_looks_like_json_is_read_as_yaml(data: bytes) -> None:
    (value,) = values(data)
    assert value in ({"a": "NaN"}, {"a": 1})


def test_broken_json_is_explained() -> None:
    error = only_error(b'{"kind": "Pod",\n "spec": {"a": 1\n')
    assert "is not closed" in error.message
    assert error.line == 2


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert values(b'{"a": "x\\ud83d"}') == [{"a": "x\ufffd"}]


@pytest.mark.parametrize(
    "data", [b"- " * 40 + b"x", b'{"a":' * 40 + b"1" + b"}" * 40, b"[" * 40 + b"]" * 40]
)
def test_nesting_beyond_the_limit_is_an_error(data: bytes) -> None:
    (error,) = load_documents(data, "f", limits=Limits(depth=30)).errors
    assert "nests more than 30 levels" in error.message
    assert load_documents(data, "f", limits=Limits(depth=40)).errors == ()


def test_aliases_cannot_nest_beyond_the_limit() -> None:
    chain = b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (i, i, i - 1) for i in range(1, 60))
    (error,) = load_documents(chain, "f", limits=Limits(depth=30)).errors
    assert "nests more than 30 levels" in error.message


def test_values_beyond_the_limit_end_the_file() -> None:
    data = b"a: [1, 2, 3]\n---\nb: [1, 2, 3]\n---\nc: 1\n"
    loaded = load_documents(data, "f", limits=Limits(values=8))
    assert [document.value for document in loaded.documents] == [{"a": [1, 2, 3]}]
    assert len(loaded.errors) == 1
    assert "more than 8 values" in loaded.errors[0].message


def test_a_file_beyond_the_limit_is_refused() -> None:
    (error,) = load_documents(b"a: 1" * 3, "f", limits=Limits(file_bytes=11)).errors
    assert "MiB" in error.message


def test_aliases_share_what_they_stand_for() -> None:
    (value,) = values(b"a: &a {x: [1]}\nb: *a\nc: *a\n")
    assert isinstance(value, dict)
    assert value == {"a": {"x": [1]}, "b": {"x": [1]}, "c": {"x": [1]}}
    assert value["b"] is value["c"]


def test_documents_that_may_hold_ignore_comments_are_marked() -> None:
    loaded = load_documents(b"a: 1\n---\n# tidewaiter: ignore[x] y\nb: 1\n", "f.yaml")
    assert [document.may_ignore for document in loaded.documents] == [False, True]
