"""Ignore comments cover what they stand beside or above, and nothing else."""

from __future__ import annotations

import time

from tidewaiter.rules.loading.ignores import CommentIgnore, comment_ignores
from tidewaiter.rules.loading.positions import locate


def ignores(text: str, document: int = 0) -> tuple[CommentIgnore, ...]:
    return comment_ignores(locate(text.encode(), document))


def only(text: str) -> CommentIgnore:
    (found,) = ignores(text)
    return found


def test_a_comment_behind_a_value_covers_its_line() -> None:
    found = only(
        "spec:\n  image: x # tidewaiter: ignore[image-digest, no-latest-tag] built here\n  other: y\n"
    )
    assert (found.line, found.rules, found.reason, found.problem) == (
        2,
        ("image-digest", "no-latest-tag"),
        "built here",
        "",
    )
    assert found.covers("/spec/image")
    assert not found.covers("/spec/other")
    assert not found.covers("/spec")


def test_a_comment_on_its_own_line_covers_the_field_below_with_all_in_it() -> None:
    found = only("a: 0\n# tidewaiter: ignore[r] why\n\n# more\nspec:\n  x:\n    y: 1\nz: 2\n")
    assert found.covers("/spec")
    assert found.covers("/spec/x/y")
    assert found.covers("/spec/missing")
    assert not found.covers("/z")
    assert not found.covers("/a")


def test_a_comment_above_a_list_item_covers_that_item_only() -> None:
    text = "l:\n  # tidewaiter: ignore[r] why\n  - name: a\n    image: b\n  - name: c\n"
    found = only(text)
    assert found.covers("/l/0")
    assert found.covers("/l/0/image")
    assert found.covers("/l/0/missing")
    assert not found.covers("/l/1/name")
    assert not found.covers("/l")


def test_a_comment_above_the_first_field_of_a_nested_mapping_covers_that_field_only() -> None:
    found = only("spec:\n  # tidewaiter: ignore[r] why\n  a: 1\n  b: 2\n")
    assert found.covers("/spec/a")
    assert not found.covers("/spec/b")


def test_a_comment_above_the_first_field_of_a_document_covers_the_document() -> None:
    text = "a: 1\n---\n# tidewaiter: ignore[r] why\nb: 1\nc:\n  d: 1\n"
    (found,) = ignores(text, 1)
    assert found.line == 3
    assert found.covers("")
    assert found.covers("/c/d")
    assert found.covers("/missing")
    assert ignores(text, 0) == ()


def test_texts_hold_no_comments() -> None:
    text = (
        "a: |\n  # tidewaiter: ignore[r] x\nb: 'x # tidewaiter: ignore[r] x'\n"
        'c: "x\n  # tidewaiter: ignore[r] x"\nd: x#tidewaiter: ignore[r]\ntidewaiter: ignore[r]\n'
        "e: 1 # see tidewaiter: ignore[r]\n"
    )
    assert ignores(text) == ()


def test_a_comment_behind_a_quoted_hash_is_found() -> None:
    found = only("a: 'x # y' # tidewaiter: ignore[r] z\n")
    assert found.covers("/a")


def test_a_comment_that_cannot_be_understood_covers_nothing_and_says_why() -> None:
    for comment in ("ignore", "ignore image-digest", "ignore[]", "skip[r] x", "ignore[r", ""):
        found = only(f"a: 1 # tidewaiter: {comment}\n")
        assert found.problem, comment
        assert not found.covers("/a")


def test_lines_with_a_carriage_return_are_read_alike() -> None:
    found = only("a: 1\r\n# tidewaiter: ignore[r] why\r\nb:\r\n  c: 1\r\nd: 1\r\n")
    assert found.reason == "why"
    assert found.covers("/b/c")
    assert not found.covers("/d")


def test_many_comments_take_time_in_proportion() -> None:
    block = "# tidewaiter: ignore[r] why\n" * 20_000
    fields = "".join(f"# tidewaiter: ignore[r] why\nk{number}: 1\n" for number in range(20_000))
    started = time.process_time()
    assert len(ignores(block + "a: 1\n" + fields)) == 40_000
    assert time.process_time() - started < 5
