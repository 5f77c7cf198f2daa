"""The chain of the audit log shows where lines were changed, removed, moved or cut off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidewaiter.rules.audit_chain import GENESIS, hash_of, last_link, verify
from tidewaiter.rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def chain(count: int, start: int = 1, previous: str = GENESIS) -> list[bytes]:
    """Return the lines of a log."""
    lines = []
    for number in range(start, start + count):
        line = json.dumps({"seq": number, "previous": previous, "uid": f"uid-{number}"}).encode()
        lines.append(line)
        previous = hash_of(line)
    return lines


def log(folder: Path, lines: Sequence[bytes], name: str = "audit.log") -> str:
    path = folder / name
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return str(path)


def places(path: str) -> list[tuple[int, str]]:
    return [(each.place.line, each.message) for each in verify([path]).breaks]


def test_a_whole_chain_has_no_breaks(tmp_path: Path) -> None:
    lines = chain(20)
    found = verify([log(tmp_path, lines)])
    assert not found.breaks
    assert (found.lines, found.first, found.last, found.head) == (20, 1, 20, hash_of(lines[-1]))


@pytest.mark.parametrize("at", [0, 1, 9, 18])
def test_a_changed_line_is_found(tmp_path: Path, at: int) -> None:
    lines = chain(20)
    lines[at] = lines[at].replace(b"uid-", b"uid:")
    (place,) = places(log(tmp_path, lines))
    assert place[0] == at + 1
    assert f"line {at + 1} of the log was changed" in place[1]


def test_the_last_line_is_beyond_what_a_chain_shows(tmp_path: Path) -> None:
    lines = chain(5)
    lines[-1] = lines[-1].replace(b"uid-", b"uid:")
    found = verify([log(tmp_path, lines)])
    assert not found.breaks
    assert found.head != hash_of(chain(5)[-1])


@pytest.mark.parametrize(("start", "end"), [(1, 2), (4, 5), (4, 9), (1, 18)])
def test_removed_lines_are_found(tmp_path: Path, start: int, end: int) -> None:
    lines = chain(20)
    (place,) = places(log(tmp_path, lines[:start] + lines[end:]))
    assert place[0] == start + 1
    missing = f"line {end}" if end - start == 1 else f"lines {start + 1} to {end}"
    assert place[1].startswith(f"{missing} of the log")


def test_lines_removed_from_the_start_are_told(tmp_path: Path) -> None:
    found = verify([log(tmp_path, chain(20)[5:])])
    assert (found.first, found.last) == (6, 20)
    assert not found.breaks


def test_swapped_lines_are_found(tmp_path: Path) -> None:
    lines = chain(10)
    lines[3], lines[4] = lines[4], lines[3]
    found = places(log(tmp_path, lines))
    assert [(line, "was moved" in message) for line, message in found] == [(5, True)]


def test_a_line_moved_far_is_found_at_its_new_place(tmp_path: Path) -> None:
    lines = chain(10)
    lines.insert(8, lines.pop(2))
    assert [(line, "was moved" in message) for line, message in places(log(tmp_path, lines))] == [
        (9, True)
    ]


def test_a_line_that_stands_twice_is_found(tmp_path: Path) -> None:
    lines = chain(10)
    lines.insert(5, lines[2])
    ((line, message),) = places(log(tmp_path, lines))
    assert line == 6
    assert "stands here again" in message


def test_a_forged_line_in_between_is_found(tmp_path: Path) -> None:
    lines = chain(10)
    forged = json.dumps({"seq": 6, "previous": hash_of(lines[4]), "uid": "forged"}).encode()
    assert places(log(tmp_path, [*lines[:5], forged, *lines[6:]]))[0][0] == 6


@pytest.mark.parametrize("line", [b"", b"{}", b"null", b"\xff", b'{"seq": 5}', b'{"seq": true}'])
def test_what_is_no_line_is_found(tmp_path: Path, line: bytes) -> None:
    lines = chain(10)
    ((number, message),) = places(log(tmp_path, [*lines[:4], line, *lines[5:]]))
    assert number == 5
    assert "no line of an audit log" in message


@pytest.mark.parametrize("kept", [1, 30, 60])
def test_a_line_that_is_cut_off_is_found(tmp_path: Path, kept: int) -> None:
    path = log(tmp_path, chain(4))
    with open(path, "ab") as file:
        file.write(chain(5)[4][:kept])
    ((number, message),) = places(path)
    assert number == 5
    assert "cut off" in message


def test_a_chain_goes_across_files_in_any_order(tmp_path: Path) -> None:
    lines = chain(30)
    older = log(tmp_path, lines[:10], "audit.log.2")
    old = log(tmp_path, lines[10:20], "audit.log.1")
    new = log(tmp_path, lines[20:], "audit.log")
    assert not verify([new, older, old]).breaks
    (gap,) = verify([new, older]).breaks
    assert str(gap.place) == f"{new}:1"
    assert "lines 11 to 20 of the log are missing" in gap.message
    lines[9] = lines[9].replace(b"uid-", b"uid:")
    log(tmp_path, lines[:10], "audit.log.2")
    (changed,) = verify([old, older, new]).breaks
    assert str(changed.place) == f"{older}:10"


def test_a_new_chain_is_a_break_unless_it_is_allowed(tmp_path: Path) -> None:
    path = log(tmp_path, [*chain(5), *chain(4)])
    ((line, message),) = places(path)
    assert line == 6
    assert "a new chain begins here" in message
    found = verify([path], restarts=True)
    assert not found.breaks
    assert [place.line for place in found.chains] == [1, 6]


def test_a_first_line_that_is_not_the_first_is_found(tmp_path: Path) -> None:
    assert places(log(tmp_path, chain(3, previous="1" * 64)))[0][0] == 1


def test_a_hostile_number_costs_nothing(tmp_path: Path) -> None:
    lines = chain(3)
    lines.append(json.dumps({"seq": 10**18, "previous": GENESIS}).encode())
    assert places(log(tmp_path, lines))


def test_an_empty_file_is_no_chain(tmp_path: Path) -> None:
    assert verify([log(tmp_path, [])]).lines == 0


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        verify([str(tmp_path / "missing")])


def test_the_last_link_of_a_log_is_found() -> None:
    lines = chain(3)
    assert last_link(b"\n".join(lines) + b"\n") == (3, hash_of(lines[2]))
    assert last_link(b"rubbish\n") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_every_change_but_of_the_end_shows(tmp_path: Path, data: st.DataObject) -> None:
    content = b"".join(line + b"\n" for line in chain(8))
    # The last line, whose change no chain shows, is left alone.
    end = content.rstrip(b"\n").rindex(b"\n")
    at = data.draw(st.integers(0, end))
    what = data.draw(st.sampled_from(["change", "remove", "add"]))
    byte = bytes([data.draw(st.integers(0, 255))])
    changed = {
        "change": content[:at] + byte + content[at + 1 :],
        "remove": content[:at] + content[at + 1 :],
        "add": content[:at] + byte + content[at:],
    }[what]
    path = tmp_path / "audit.log"
    path.write_bytes(changed)
    assert bool(verify([str(path)]).breaks) == (changed != content)
