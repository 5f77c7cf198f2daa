"""The objects of a List are edited by themselves, and it comes out as if the whole had been edited."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any

import pytest

from tidewaiter.rules.fixes.draft import Draft
from tidewaiter.rules.fixes.edit import APPEND, REMOVE, SET
from tidewaiter.rules.fixes.list_items import take_apart
from tidewaiter.rules.fixes.text_edit import edited_text, read_value

if TYPE_CHECKING:
    from tidewaiter.rules.fixes.edit import PlainEdit

LIST = """\
# what the cluster has
apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a}
  spec:
    containers:
    - name: a
      image: x:1   # first
      # of the container
  # of the object
# between
-   # the second
  kind: Pod
  apiVersion: v1
  spec: {containers: [{name: b, command: [a, b]}]}

- kind: Pod
  apiVersion: v1
  spec:
    containers:
    - {name: c}
    volumes:
    - name: tmp
      emptyDir:
  # of the last
# of the list
kind: List
metadata: {resourceVersion: ""}
"""
EDITS: list[PlainEdit] = [
    (SET, "/items/0/spec/containers/0/securityContext/capabilities/drop", ["ALL"]),
    (SET, "/items/0/spec/securityContext/seccompProfile/type", "RuntimeDefault"),
    (SET, "/items/0/metadata/namespace", "shop"),
    (SET, "/items/2/automountServiceAccountToken", False),
    (APPEND, "/items/2/spec/volumes", {"name": "new", "emptyDir": {}}),
    (REMOVE, "/items/2/spec/volumes/0", None),
    (SET, "/items/2/spec/volumes/0/emptyDir/sizeLimit", "1Gi"),
    (SET, "/metadata/name", "all"),
]
"""Edits of objects that are taken apart; the second of `LIST` has a comment at its dash, so that `PLAIN` is used."""
PLAIN = LIST.replace("-   # the second\n  kind", "- kind")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("indent", [0, 2, 4])
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{edit[0]} {edit[1]}")
def test_an_object_comes_out_as_if_the_whole_had_been_edited(
    edit: PlainEdit, indent: int, newline: str
) -> None:
    head, begin, rest = PLAIN.partition("- apiVersion")
    objects, _, tail = (begin + rest).partition("# of the list\n")
    margin = " " * indent
    shifted = "".join(margin + line if line.strip() else line for line in objects.splitlines(True))
    text = f"{head}{shifted}# of the list\n{tail}".replace("\n", newline)
    value = read_value(text)
    parts = take_apart(text, value, is_json=False)
    assert parts is not None
    assert parts.whole() == text
    assert len(parts.items) == 3
    draft = Draft(text.encode())
    assert draft.apply((True, 0, (edit,)))
    expected, _ = edited_text(text, value, edit, is_json=False)
    assert draft.data().decode() == expected


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{edit[0]} {edit[1]}")
def test_an_object_of_json_comes_out_as_if_the_whole_had_been_edited(
    edit: PlainEdit, indent: int | str | None
) -> None:
    value = read_value(PLAIN)
    for text in (dumps(value, indent=indent), _a_line_for_each(value)):
        parts = take_apart(text, value, is_json=True)
        assert parts is not None
        assert parts.whole() == text
        draft = Draft(text.encode())
        assert draft.apply((True, 0, (edit,)))
        expected, _ = edited_text(text, value, edit, is_json=True)
        assert draft.data().decode() == expected


def _a_line_for_each(value: Any) -> str:
    rows = ",\n".join(f"    {dumps(one)}" for one in value["items"])
    others = dumps({key: one for key, one in value.items() if key != "items"})
    return f'{others[:-1]}, "items": [\n{rows}]}}\n'


def test_several_edits_of_several_objects_and_of_the_list_itself() -> None:
    draft = Draft(PLAIN.encode())
    text, value = PLAIN, read_value(PLAIN)
    for edit in (EDITS[0], EDITS[3], EDITS[1], EDITS[7], EDITS[2]):
        kept = draft.state()
        assert draft.apply((True, 0, (edit,)))
        draft.restore(kept)
        assert draft.data().decode() == text
        assert draft.apply((True, 0, (edit,)))
        text, value = edited_text(text, value, edit, is_json=False)
        assert draft.data().decode() == text


@pytest.mark.parametrize(
    "text",
    [
        LIST,
        "items:\n- &a {b: 1}\n- *a\n",
        "items:\n- &a\n  b: 1\n- c: *a\n",
        "items: [{a: 1}, {b: 1}]\n",
        "items:\n- a: 1\n",
        "items:\n- a: 1\n- - b\n",
        "items:\n- a: 1\n-\n- b: 1\n",
        "items:\n  - a: 1\n  - {b: 1}\n",
        "- items\n",
        "items: 1\n",
    ],
)
def test_what_cannot_be_taken_apart_is_edited_whole(text: str) -> None:
    value = read_value(text)
    assert take_apart(text, value, is_json=False) is None


def test_hundreds_of_objects_do_not_take_the_square_of_their_number() -> None:
    count = 0

    def reading(text: str) -> object:
        nonlocal count
        count += len(text)
        return original(text)

    from tidewaiter.rules.fixes import text_edit

    original = text_edit.read_value
    one = "- kind: Pod\n  apiVersion: v1\n  spec:\n    containers:\n    - {name: c}\n"
    text = f"kind: List\napiVersion: v1\nitems:\n{one * 200}"
    draft = Draft(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_edit, "read_value", reading)
        for number in range(200):
            assert draft.apply((True, 0, ((SET, f"/items/{number}/spec/x", 1),)))
    assert count < 4 * len(text)
    assert draft.data().decode().count("    x: 1\n") == 200
