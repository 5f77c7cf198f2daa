"""A snapshot holds an inventory in a file: the same objects give the same bytes, and damage is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.rules.cluster.snapshot import is_snapshot, load, save
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.kept_fields import kept
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.manifest.template_record import RECORD

SECRET = "hunter2-S3cr3t-9f8e7d6c5b4a"


def made(kind: str, name: str, **fields: Any) -> Resource:
    metadata = {"name": name, "namespace": "shop"}
    return Resource({"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields})


OBJECTS = [made("Service", "b", spec={"selector": {"app": "ä"}}), made("Service", "a")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.snapshot"
    assert (
        save(str(path), OBJECTS, {"Secret": "the cluster does not let tidewaiter list them"}) == 2
    )
    return path


def test_what_is_saved_is_loaded(file: Path) -> None:
    snapshot = load(str(file))
    assert snapshot.objects == [OBJECTS[1].object, OBJECTS[0].object]
    assert snapshot.unreadable == {"Secret": "the cluster does not let tidewaiter list them"}
    assert is_snapshot(str(file))


def test_the_same_objects_give_the_same_bytes(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    save(str(other), OBJECTS[::-1], {"Secret": "the cluster does not let tidewaiter list them"})
    assert other.read_bytes() == file.read_bytes()
    assert set(tmp_path.iterdir()) == {file, other}


def test_one_that_was_unpacked_is_read_as_well(file: Path) -> None:
    file.write_bytes(gzip.decompress(file.read_bytes()))
    assert is_snapshot(str(file))
    assert len(load(str(file)).objects) == 2


def test_no_secret_gets_in_whatever_the_policy_reads(tmp_path: Path) -> None:
    path = tmp_path / "s"
    objects = [
        made("Secret", "a", data={"key": SECRET}, stringData={"key": SECRET}),
        made("ConfigMap", "b", data={"PASSWORD": SECRET, "file": f"a: b\npassword: {SECRET}\n"}),
        made("Widget", "c", spec={"password": SECRET, "url": f"amqp://app:{SECRET}@mq/"}),
    ]
    save(str(path), objects, {})
    assert SECRET.encode() not in gzip.decompress(path.read_bytes())


def test_what_means_something_in_one_process_only_is_left_out(tmp_path: Path) -> None:
    pod = {"containers": [{"name": "api", "image": "api"}]}
    content = kept(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "api", "namespace": "shop"},
            "spec": {"template": {"spec": pod}},
        }
    )
    assert content is not None
    save(str(tmp_path / "s"), [Resource(content)], {})
    [saved] = load(str(tmp_path / "s")).objects
    assert RECORD in content
    assert RECORD not in saved
    assert saved["spec"] == content["spec"]


def test_other_files_are_no_snapshots(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in (b"", b"kind: Pod\n", b'{"kind": "Pod"}', gzip.compress(b"x"), b"\x1f\x8b\x08"):
        path.write_bytes(content)
        assert not is_snapshot(str(path))
    assert not is_snapshot(str(tmp_path))
    assert not is_snapshot(str(tmp_path / "absent"))


def changed(file: Path, change: Any) -> None:
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    change(lines)
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))


def test_damage_is_told_with_its_place(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    with pytest.raises(InputError, match="cut short or damaged"):
        load(str(file))
    file.write_bytes(whole)
    changed(file, lambda lines: lines.pop())
    with pytest.raises(InputError, match="has 1 objects where it should have 2"):
        load(str(file))
    file.write_bytes(whole)
    changed(file, lambda lines: lines.__setitem__(1, [3]))
    with pytest.raises(InputError, match="is no object") as told:
        load(str(file))
    assert told.value.line == 2
    plain = gzip.decompress(whole)
    file.write_bytes(plain.replace(b'"a"', b'"a', 1))
    with pytest.raises(InputError, match="is no JSON"):
        load(str(file))


def test_another_version_is_refused(file: Path) -> None:
    changed(file, lambda lines: lines[0].update(version=2))
    with pytest.raises(InputError, match="of version 2, and this tidewaiter reads version 1"):
        load(str(file))


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: No such file"):
        save(str(tmp_path / "absent" / "x"), OBJECTS, {})
