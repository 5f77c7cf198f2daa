"""An edit changes what it is about and no other byte, whatever the layout; else it is refused."""

from __future__ import annotations

from difflib import ndiff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.rules.fixes.edit import APPEND, REMOVE, SET
from tidewaiter.rules.fixes.text_edit import edited_text, read_value
from tidewaiter.rules.fixes.value_edit import Refused, edited_value, same

if TYPE_CHECKING:
    from tidewaiter.rules.fixes.edit import PlainEdit

POD = """\
# who owns it
spec:
    containers:
    -   name: "api"   # first
        image: 'x:1'
        args: &args [a, b]
        # still to come
    - name: log
      securityContext:
      args: *args
"""


def edit(text: str, *edits: PlainEdit, is_json: bool = False) -> str:
    value = read_value(text)
    for one in edits:
        text, value = edited_text(text, value, one, is_json=is_json)
    return text


def added_lines(before: str, after: str) -> list[str]:
    """Return the lines that came; no line of `before` may have gone or changed."""
    lines = list(ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True)))
    assert not [line for line in lines if line.startswith("- ")]
    return [line[2:] for line in lines if line.startswith("+ ")]


def test_a_new_field_stands_at_the_end_of_its_mapping_indented_like_its_siblings() -> None:
    after = edit(POD, (SET, "/spec/containers/0/securityContext/privileged", False))
    assert added_lines(POD, after) == [
        "        securityContext:\n",
        "            privileged: false\n",
    ]
    assert after.index("# still to come") < after.index("securityContext")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_comments_on_the_last_entry_stay_when_it_goes(newline: str) -> None:
    text = "a:\n  b:   # why\n    # what\n    - c  # mlock\n  d: 1\n".replace("\n", newline)
    kept = "a:\n  b: []   # why\n    # what  # mlock\n  d: 1\n".replace("\n", newline)
    assert edit(text, (REMOVE, "/a/b/0", None)) == kept


def test_comments_at_the_end_of_a_block_stay_in_it() -> None:
    text = "a:\n  b:\n    - c: 1\n      # d: 2\n\n      # far\n    # - e\n  # f\n# g\n"
    deep = edit(text, (SET, "/a/b/0/x", 1))
    assert deep == text.replace("# far\n", "# far\n      x: 1\n")
    item = edit(text, (APPEND, "/a/b", {"x": 1}))
    assert item == text.replace("# - e\n", "# - e\n    - x: 1\n")
    assert edit(text, (SET, "/a/x", 1)) == text.replace("# f\n", "# f\n  x: 1\n")
    assert edit(text, (SET, "/x", 1)) == text.replace("# f\n", "# f\nx: 1\n")


def test_an_empty_field_is_filled_below_its_key() -> None:
    after = edit(POD, (SET, "/spec/containers/1/securityContext/privileged", False))
    assert added_lines(POD, after) == ["          privileged: false\n"]


def test_a_value_keeps_its_quotes_and_comment() -> None:
    text = "a: 'x' # why\nb: \"y\"\n"
    assert edit(text, (SET, "/a", "it's"), (SET, "/b", "z")) == "a: 'it''s' # why\nb: \"z\"\n"


def test_text_that_looks_like_something_else_is_quoted() -> None:
    words = [
        "yes",
        "0644",
        "1e3",
        "null",
        "~",
        "a: b",
        "a #b",
        "- x",
        "*x",
        "",
        "12:30",
        "é",
        "=",
        "y",
    ]
    for word in words:
        after = edit("a: 1\n", (SET, "/b", word))
        assert read_value(after)["b"] == word
        assert yaml.safe_load(after)["b"] == word


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("is_ended", [True, False])
def test_line_ends_are_those_of_the_file(end: str, is_ended: bool) -> None:
    text = f"a:{end}  b: 1{end if is_ended else ''}"
    after = edit(text, (SET, "/a/c", 2))
    assert after == f"a:{end}  b: 1{end}  c: 2{end if is_ended else ''}"


def test_a_list_gets_its_item_where_its_dashes_stand() -> None:
    text = "volumes:\n- name: a\nx:\n    -  y\n"
    after = edit(text, (APPEND, "/volumes", {"name": "b", "emptyDir": {}}), (APPEND, "/x", "z"))
    assert added_lines(text, after) == ["- name: b\n", "  emptyDir: {}\n", "    -  z\n"]


def test_appending_what_is_there_changes_nothing() -> None:
    text = "a: [ALL]\n"
    assert edit(text, (APPEND, "/a", "ALL")) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {b: 1} # c\n", "a: {b: 1, k: true} # c\n"),
        ("a: { b: 1 }\n", "a: { b: 1, k: true }\n"),
        ("a: {b: 1,}\n", "a: {b: 1, k: true,}\n"),
        ("a: {\n  b: 1 # c\n}\n", "a: {\n  b: 1, # c\n  k: true\n}\n"),
        ("a: {\n  b: 1, # c\n}\n", "a: {\n  b: 1, # c\n  k: true,\n}\n"),
        ("a: {}\n", "a:\n  k: true\n"),
        ("x: {a: {}}\n", None),
        ("a: ~ # c\n", "a: # c\n  k: true\n"),
        ("a:\n\n# c\nz: 1\n", "a:\n  k: true\n\n# c\nz: 1\n"),
        ("a:\n  b: |+\n    text\n\nz: 1\n", "a:\n  k: true\n  b: |+\n    text\n\nz: 1\n"),
        ("a:\n  b: |\n    text\n\nz: 1\n", "a:\n  b: |\n    text\n  k: true\n\nz: 1\n"),
        ("--- # c\na:\n  b: 1\n...\n", "--- # c\na:\n  b: 1\n  k: true\n...\n"),
        ("a:\n  <<: {b: 1}\n", "a:\n  <<: {b: 1}\n  k: true\n"),
    ],
)
def test_a_member_is_added_in_the_style_of_the_mapping(text: str, expected: str | None) -> None:
    pointer = "/a/k" if expected else "/x/a/k"
    assert edit(text, (SET, pointer, True)) == (expected or "x: {a: {k: true}}\n")


def test_json_stays_json() -> None:
    text = '{\n\t"a": {\n\t\t"b": "\\ud83d\\ude00"\n\t},\n\t"c": []\n}\n'
    after = edit(text, (SET, "/a/k", {"x": 1}), (APPEND, "/c", {"y": "z"}), is_json=True)
    assert after == (
        '{\n\t"a": {\n\t\t"b": "\\ud83d\\ude00",\n\t\t"k": {"x": 1}\n\t},\n\t"c": [{"y": "z"}]\n}\n'
    )


def test_json_over_several_lines_keeps_its_line_ends() -> None:
    text = '{\r\n  "a": {\r\n    "b": 1\r\n  }\r\n}'
    after = edit(text, (SET, "/a/k", {"x": ["y"]}), is_json=True)
    assert after == (
        '{\r\n  "a": {\r\n    "b": 1,\r\n    "k": {\r\n      "x": [\r\n        "y"\r\n      ]\r\n'
        "    }\r\n  }\r\n}"
    )


@pytest.mark.parametrize(
    ("text", "pointer", "expected"),
    [
        ("a:\n  b: 1 # c\n  d: 2\n", "/a/b", "a:\n  d: 2\n"),
        ("a:\n  - b: 1\n    d: 2\n", "/a/0/b", "a:\n  - d: 2\n"),
        ("a:\n  b: 1\nz: 1\n", "/a/b", "a: {}\nz: 1\n"),
        ("a:\n- 1\n- 2 # c\n# d\n- 3\n", "/a/1", "a:\n- 1\n# d\n- 3\n"),
        ("a: [1, 2, 3]\n", "/a/1", "a: [1, 3]\n"),
        ("a: [1, 2, 3]\n", "/a/2", "a: [1, 2]\n"),
        ("a: [1] # c\n", "/a/0", "a: [] # c\n"),
    ],
)
def test_what_is_removed_takes_its_lines_with_it(text: str, pointer: str, expected: str) -> None:
    assert edit(text, (REMOVE, pointer, None)) == expected


@pytest.mark.parametrize(
    ("text", "pointer", "why"),
    [
        ("a: &x\n  b: 1\nc: *x\n", "/a/b", "anchor &x"),
        ("a: &x\n  b: 1\nc: *x\n", "/c/b", r"alias \*x"),
        ("a: &x {b: {d: 1}}\nc:\n  <<: *x\n", "/c/b/d", "merge key"),
        ("a: text\n", "/a/b", "no mapping"),
        ("a: [1]\n", "/a/4/b", "no entry 4"),
    ],
)
def test_what_would_change_another_place_is_refused(text: str, pointer: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        edit(text, (SET, pointer, 2))


def test_an_anchor_that_nobody_uses_is_no_hindrance() -> None:
    assert edit("a: &x\n  b: 1\n", (SET, "/a/b", 2)) == "a: &x\n  b: 2\n"


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-9, 9),
    st.none(),
    st.sampled_from(["a", "b c", "0x1", "yes", "#", "k: v"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=8,
)


def _places(value: Any, pointer: str = "") -> list[str]:
    found = [pointer]
    if isinstance(value, dict):
        found += [place for key in value for place in _places(value[key], f"{pointer}/{key}")]
        found.append(f"{pointer}/new")
    elif isinstance(value, list):
        found += [
            place for at, one in enumerate(value) for place in _places(one, f"{pointer}/{at}")
        ]
    return found


@settings(deadline=None)
@given(
    value=st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1, max_size=3),
    new=VALUES,
    operation=st.sampled_from([SET, APPEND, REMOVE]),
    choice=st.randoms(use_true_random=False),
    layout=st.sampled_from([None, False, True]),
    indent=st.integers(2, 5),
)
def test_an_edit_of_any_layout_comes_out_right_or_not_at_all(
    value: dict[str, Any], new: Any, operation: str, choice: Any, layout: bool | None, indent: int
) -> None:
    text = yaml.safe_dump(value, default_flow_style=layout, indent=indent, width=40)
    text = "".join(
        line + (" # c" if choice.random() < 0.3 and not layout else "") + "\n"
        for line in text.splitlines()
    )
    try:
        before = read_value(text)
    except Refused:
        return
    pointer = choice.choice([place for place in _places(before) if place])
    try:
        wanted = edited_value(before, (operation, pointer, new))
        after, found = edited_text(text, before, (operation, pointer, new), is_json=False)
    except Refused:
        return
    assert same(found, wanted)
    assert same(read_value(after), wanted)
    assert text.count("# c") - after.count("# c") <= (
        0 if operation == APPEND else text.count("# c")
    )


@settings(deadline=None)
@given(
    value=st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1, max_size=3),
    new=VALUES,
    choice=st.randoms(use_true_random=False),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    is_indented=st.booleans(),
)
def test_adding_to_indented_yaml_keeps_every_line_as_it_is(
    value: dict[str, Any], new: Any, choice: Any, end: str, is_indented: bool
) -> None:
    dumper = _Indented if is_indented else yaml.SafeDumper
    lines = yaml.dump(value, Dumper=dumper, default_flow_style=False, width=40).splitlines()
    for _ in range(choice.randrange(3)):
        lines.insert(choice.randrange(len(lines) + 1), choice.choice(["# c", "      # c", ""]))
    end = end if len(lines) > 1 else "\n"  # a single line does not say how lines end
    text = end.join(lines) + choice.choice(["", end])
    before = read_value(text)
    places = [
        place for place in _places(before) if place.endswith("/new") and _parent(before, place)
    ]
    pointer = choice.choice(places)
    after = edit(text, (SET, pointer, new))
    assert same(read_value(after), edited_value(before, (SET, pointer, new)))
    kept = iter(after.split(end))
    assert all(line in kept for line in text.split(end)), (text, after)


class _Indented(yaml.SafeDumper):
    """Lists stand further in than their keys."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _parent(value: Any, place: str) -> Any:
    for part in place.split("/")[1:-1]:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def test_most_edits_of_plain_layouts_are_possible() -> None:
    text = (
        Path(__file__).parents[3].joinpath("deploy/examples/payments/api.yaml").read_text("utf-8")
    )
    first = text.partition("\n---\n")[0] + "\n"
    value = read_value(first)
    refused = []
    for place in _places(value):
        if place.endswith("/new"):
            after, _ = edited_text(first, value, (SET, place, {"x": [{"y": 1}]}), is_json=False)
            assert "new:" in after
        elif place:
            try:
                edited_text(first, value, (REMOVE, place, None), is_json=False)
            except Refused:
                refused.append(place)
    assert not refused
