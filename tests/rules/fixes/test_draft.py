"""A file under edit: whatever its encoding and however many documents, only the edited lines change."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.fixes.draft import Draft
from tidewaiter.rules.fixes.edit import APPEND, REMOVE, SET
from tidewaiter.rules.fixes.value_edit import Refused
from tidewaiter.rules.fixes.writing import create, rewrite

TEXT = '%YAML 1.1\n# é\n---\na: 1   # one\n...\n---\n\n---\nb:\t"2"\nc: {d: [x]} \n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_bytes_outside_the_edit_stay_in_every_encoding(encoding: str) -> None:
    data = TEXT.encode(encoding)
    draft = Draft(data)
    assert draft.data() == data
    assert draft.apply((True, 2, ((SET, "/b", "3"), (APPEND, "/c/d", "z"))))
    assert draft.apply((True, 0, ((SET, "/n", None),)))
    expected = TEXT.replace('"2"', '"3"').replace("[x]", "[x, z]")
    expected = expected.replace("# one\n", '# one\n"n": null\n')
    assert draft.data() == expected.encode(encoding)


def test_a_fix_is_made_whole_or_not_at_all() -> None:
    draft = Draft(b"a: 1\nb: &x {c: 1}\nd: *x\n")
    with pytest.raises(Refused):
        draft.apply((True, 0, ((SET, "/a", 2), (SET, "/b/c", 2))))
    assert draft.data() == b"a: 1\nb: &x {c: 1}\nd: *x\n"


def test_a_place_that_was_changed_or_has_moved_waits_for_the_next_judgement() -> None:
    draft = Draft(b"a: [1, 2, 3]\nb: 1\n")
    assert draft.apply((True, 0, ((REMOVE, "/a/1", None),)))
    assert not draft.apply((True, 0, ((REMOVE, "/a/2", None),)))
    assert draft.apply((True, 0, ((REMOVE, "/a/0", None),)))
    assert draft.apply((True, 0, ((SET, "/b", 2),)))
    assert not draft.apply((True, 0, ((SET, "/b", 3),)))
    assert draft.data() == b"a: [3]\nb: 2\n"


def test_what_two_findings_ask_for_alike_is_done_once() -> None:
    draft = Draft(b"a: 1\n")
    assert draft.apply((True, 0, ((SET, "/b", 2),)))
    assert draft.apply((True, 0, ((SET, "/b", 2),)))
    assert draft.data() == b"a: 1\nb: 2\n"


def test_an_anchor_is_edited_where_each_of_its_uses_is_to_change_alike() -> None:
    data = b"a: &x {c: 1} # shared\nb: *x\nd:\n- *x\n"
    fixes = [(True, 0, ((SET, pointer, 2),)) for pointer in ("/a/n", "/b/n", "/d/0/n")]
    draft = Draft(data)
    with pytest.raises(Refused, match="other places would change"):
        draft.apply(fixes[0], fixes[:2])
    assert all(draft.apply(fix, fixes) for fix in fixes)
    assert draft.data() == b'a: &x {c: 1, "n": 2} # shared\nb: *x\nd:\n- *x\n'


def test_an_anchored_scalar_keeps_its_anchor() -> None:
    draft = Draft(b"a: &x 'one' # first\nb: *x\n")
    fixes = [(True, 0, ((SET, pointer, "two"),)) for pointer in ("/a", "/b")]
    assert all(draft.apply(fix, fixes) for fix in fixes)
    assert draft.data() == b"a: &x 'two' # first\nb: *x\n"


def test_a_broken_document_does_not_keep_the_others_from_being_edited() -> None:
    draft = Draft(b"a: [\n---\nb: 1\n")
    assert draft.apply((True, 1, ((SET, "/b", 2),)))
    assert draft.data() == b"a: [\n---\nb: 2\n"


def test_several_json_values_in_one_file_are_edited_apart() -> None:
    draft = Draft(b'{"a": 1}\n{"b": {}}\n')
    assert draft.apply((True, 1, ((SET, "/b/c", "x"),)))
    assert draft.data() == b'{"a": 1}\n{"b": {"c": "x"}}\n'


def test_a_file_that_somebody_else_has_written_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"theirs")
    with pytest.raises(InputError, match="changed by somebody else"):
        rewrite(str(file), b"before", b"after")
    assert file.read_bytes() == b"theirs"


def test_a_rewritten_file_keeps_its_mode_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"before")
    file.chmod(0o751)
    rewrite(str(file), b"before", b"after")
    assert file.read_bytes() == b"after"
    assert stat.S_IMODE(file.stat().st_mode) == 0o751
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    create(str(file), b"new")
    with pytest.raises(InputError, match="File exists"):
        create(str(file), b"newer")
    assert file.read_bytes() == b"new"
