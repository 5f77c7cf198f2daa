"""Texts and places, on which quick fixes and diagnostics rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol.types import Position, PositionEncodingKind, Range

from tidewaiter.cli.editor.edits import silenced, split_lines
from tidewaiter.cli.editor.explaining import rule_at
from tidewaiter.cli.editor.places import Places

TEXTS = st.text(st.sampled_from("ab \n\r\u2028\x85é😀"), max_size=30)
UTF16 = PositionEncodingKind.Utf16


@given(TEXTS)
def test_lines_make_the_text_and_end_where_yaml_and_editors_end_them(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    ended = text.replace("\r\n", "\n").replace("\r", "\n")
    assert len(lines) == ended.count("\n") + (not ended.endswith("\n") and bool(ended))
    assert all(line for line in lines)


@given(TEXTS, TEXTS)
def test_the_edits_of_two_texts_make_the_one_of_the_other(before: str, after: str) -> None:
    text = before
    for edit in reversed(Places(before, UTF16).edits(after)):
        start, end = _offset(before, edit.range.start), _offset(before, edit.range.end)
        text = text[:start] + edit.new_text + text[end:]
    assert text == after


def _offset(text: str, position: Position) -> int:
    lines = split_lines(text)
    before = sum(map(len, lines[: position.line]))
    if position.line >= len(lines):
        return before
    units = 0
    for index, char in enumerate(lines[position.line]):
        if units == position.character:
            return before + index
        units += len(char.encode("utf-16-le")) // 2
    return before + len(lines[position.line])


def test_a_place_behind_the_text_stays_in_it() -> None:
    places = Places("a: b\n", UTF16)
    assert places.span(9, 9, 9, 9) == Range(Position(8, 0), Position(8, 0))
    assert places.span(1, 4, 1, 99) == Range(Position(0, 3), Position(0, 4))


def test_a_byte_order_mark_counts_as_the_editor_counts_it() -> None:
    places = Places("\ufeffa: b\n", UTF16)
    assert places.span(1, 4, 1, 5) == Range(Position(0, 4), Position(0, 5))


def test_a_comment_is_put_where_it_covers_the_line_and_changes_no_value() -> None:
    comment = "# tidewaiter: ignore[image-digest] say why"
    cases = {
        b"a:\n  image: x\n": f"a:\n  image: x  {comment}\n",
        b"a:\n  image: x # why\n": f"a:\n  {comment}\n  image: x # why\n",
        b"a:\r\n  image: x\r\n": f"a:\r\n  image: x  {comment}\r\n",
        b"a:\n  image: x # tidewaiter: ignore[other] known\n": (
            "a:\n  image: x # tidewaiter: ignore[image-digest, other] known\n"
        ),
    }
    for before, after in cases.items():
        assert silenced(before, "image-digest", 2).decode() == after
    inside = b"a: |\n  image: x\n"
    assert silenced(inside, "image-digest", 2) == inside


@given(st.binary(max_size=60), st.integers(-2, 9))
def test_silencing_raises_for_no_bytes(data: bytes, line: int) -> None:
    silenced(data, "image-digest", line)


def test_a_rule_is_named_by_policies_comments_and_annotations_only() -> None:
    assert rule_at("image-digest: off", 3, is_policy=True) == ("image-digest", 0, 12)
    assert rule_at("image-digest: off", 3, is_policy=False) is None
    line = 'tidewaiter.dev/ignore.image-digest: "why"'
    assert rule_at(line, line.index("image") + 2, is_policy=False) == ("image-digest", 22, 34)
    assert rule_at("x: y # tidewaiter: ignore[image-digest]", 0, is_policy=False) is None
