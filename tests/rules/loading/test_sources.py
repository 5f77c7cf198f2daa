"""Files are found in a fixed order, and nothing in the way keeps the others from being read."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.limits import Limits
from tidewaiter.rules.loading.sources import discover, read_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(root: Path, *names: str, text: str = "a: 1\n") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(*paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    found = discover(paths or (".",), exclude)
    assert found.errors == ()
    return [file.path for file in found.files]


def test_manifests_are_found_in_order_of_their_names(tree: Path) -> None:
    write(tree, "b.yaml", "a/z.yml", "a/B.JSON", "c.txt", "a.yaml", "Makefile", ".github/ci.yaml")
    assert names() == [".github/ci.yaml", "a/B.JSON", "a/z.yml", "a.yaml", "b.yaml"]


def test_a_named_file_is_read_whatever_its_name_and_marked(tree: Path) -> None:
    write(tree, "manifest", "d/x.yaml")
    found = discover(["manifest", "d", "./manifest", "-"])
    assert [(file.path, file.explicit) for file in found.files] == [
        ("manifest", True),
        ("d/x.yaml", False),
        ("-", True),
    ]


def test_paths_outside_the_working_directory_are_shown_as_given(tree: Path) -> None:
    write(tree, "in/here.txt", "out/x.yaml")
    os.chdir(tree / "in")
    assert names("../out") == ["../out/x.yaml"]
    assert names(str(tree / "out")) == [str(tree / "out" / "x.yaml")]


def test_gitignore_files_are_honoured_the_inner_over_the_outer(tree: Path) -> None:
    write(
        tree,
        "a.yaml",
        "gen/x.yaml",
        "sub/gen/keep.yaml",
        "sub/b.tmp.yaml",
        "sub/c.yaml",
        "only/d.yaml",
    )
    write(tree, ".gitignore", text="# made\ngen/\n*.tmp.yaml\n/only/*\n")
    write(tree, "sub/.gitignore", text="!gen/\nc.yaml\n!b.tmp.yaml\n")
    assert names() == ["a.yaml", "sub/b.tmp.yaml", "sub/gen/keep.yaml"]


def test_gitignore_files_above_the_folder_and_git_s_own_excludes_are_honoured(tree: Path) -> None:
    write(tree, "repo/a/b/x.yaml", "repo/a/b/y.yaml", "repo/a/b/z.yaml", "repo/.git/config.yaml")
    write(tree, "repo/.gitignore", text="/a/b/x.yaml\n")
    write(tree, "repo/.git/info/exclude", text="y.yaml\n")
    assert names("repo/a/b") == ["repo/a/b/z.yaml"]
    os.chdir(tree / "repo" / "a")
    assert names() == ["b/z.yaml"]
    assert names("b/x.yaml") == ["b/x.yaml"]


def test_git_agrees_about_what_is_ignored(tree: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    write(
        tree,
        "a.yaml",
        "x/a.yaml",
        "x/y/a.yaml",
        "x/y/b.yaml",
        "logs/a.yaml",
        "x/logs/c.yaml",
        "foo bar.yaml",
    )
    write(
        tree, "x/y/deep/one.yaml", "x/y/deep/two.yaml", "build.yaml/in.yaml", "é.yaml", "!odd.yaml"
    )
    write(tree, ".gitignore", text="/logs\nx/**/b.yaml\n*.yaml/\nfoo\\ bar.yaml\n\\!odd.yaml\n")
    write(tree, "x/y/.gitignore", text="deep/*\n!deep/two.yaml\n")
    subprocess.run([git, "init", "-q", "."], check=True)
    listed = subprocess.run(
        [git, "-c", "core.quotePath=false", "ls-files", "-co", "--exclude-standard", "*.yaml"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert sorted(names()) == sorted(listed)


def test_exclude_patterns_leave_out_files_and_folders_named_ones_too(tree: Path) -> None:
    write(tree, "a.yaml", "legacy/b.yaml", "x/legacy/c.yaml", "x/d.test.yaml")
    assert names(".", "a.yaml", exclude=("legacy/", "*.test.yaml")) == ["a.yaml"]
    assert names("a.yaml", exclude=("a.yaml",)) == []


def test_names_outside_utf_8_are_found_ignored_and_excluded_like_others(tree: Path) -> None:
    kept, ignored, excluded = map(os.fsdecode, (b"\xff-a.yaml", b"\xff-b.yaml", b"\xff-c.yaml"))
    write(tree, *(f"app/{name}" for name in (kept, ignored, excluded)))
    (tree / "app/.gitignore").write_bytes(b"\xff-b.yaml\n")
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    assert names("app", exclude=(excluded,)) == [f"app/{kept}"]


def test_the_folders_of_git_and_of_node_are_not_walked(tree: Path) -> None:
    write(tree, ".git/a.yaml", "x/node_modules/b.yaml", "c.yaml")
    assert names() == ["c.yaml"]


def test_a_link_to_a_folder_is_followed_once_and_a_loop_is_an_error(tree: Path) -> None:
    write(tree, "real/a.yaml", "z.yaml")
    (tree / "real" / "loop").symlink_to(tree, target_is_directory=True)
    (tree / "other").symlink_to(tree / "real", target_is_directory=True)
    (tree / "self.yaml").symlink_to("self.yaml")
    found = discover(["."])
    assert [file.path for file in found.files] == ["other/a.yaml", "z.yaml"]
    assert sorted((error.file, "leads back" in error.message) for error in found.errors) == [
        ("other/loop", True),
        ("self.yaml", True),
    ]


def test_what_only_has_the_name_of_a_manifest_is_an_error(tree: Path) -> None:
    write(tree, "a.yaml", "folder.yaml/in.yaml")
    os.mkfifo(tree / "pipe.yaml")
    os.mkfifo(tree / "pipe")
    (tree / "gone.yaml").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.yml")
        found = discover(["."])
    assert [file.path for file in found.files] == ["a.yaml", "folder.yaml/in.yaml"]
    assert {error.file: error.message for error in found.errors} == {
        "gone.yaml": "does not exist",
        "pipe.yaml": "is a named pipe, not a file",
        "socket.yml": "is a socket, not a file",
    }


def test_a_path_that_is_not_there_is_an_error_and_the_others_are_found(tree: Path) -> None:
    write(tree, "a.yaml")
    found = discover(["nowhere", "a.yaml", "a.yaml/x", "nul\0"])
    assert [file.path for file in found.files] == ["a.yaml"]
    assert [error.file for error in found.errors] == ["nowhere", "a.yaml/x", "nul\0"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_an_error_and_the_others_are_found(tree: Path) -> None:
    write(tree, "closed/a.yaml", "b.yaml", "c.yaml")
    (tree / "closed").chmod(0)
    (tree / "b.yaml").chmod(0)
    found = discover(["."])
    (tree / "closed").chmod(0o755)
    assert [file.path for file in found.files] == ["b.yaml", "c.yaml"]
    assert [error.file for error in found.errors] == ["closed"]
    with pytest.raises(InputError, match="permission denied"):
        read_file("b.yaml")


def test_a_file_is_read_whole(tree: Path) -> None:
    data = bytes(range(256)) * 1000
    (tree / "a").write_bytes(data)
    assert read_file("a") == data


def test_a_file_beyond_the_limit_is_refused_unread(tree: Path) -> None:
    with (tree / "big.yaml").open("wb") as stream:
        stream.truncate(200 * 1024 * 1024)
    with pytest.raises(InputError, match="200 MiB") as caught:
        read_file("big.yaml")
    assert caught.value.file == "big.yaml"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "named pipe"),
        (os.mkdir, "folder"),
        (lambda path: os.symlink(path, path), "leads back to itself"),
        (lambda path: os.symlink("/dev/zero", path), "device"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_is_no_file_is_refused_at_once(tree: Path, make: object, words: str) -> None:
    assert callable(make)
    make("x.yaml")
    with pytest.raises(InputError, match=words):
        read_file("x.yaml")


def test_standard_input_is_read_up_to_the_limit() -> None:
    code = (
        "import sys\nfrom tidewaiter.rules.errors import InputError\n"
        "from tidewaiter.rules.loading.limits import Limits\n"
        "from tidewaiter.rules.loading.sources import read_file\n"
        "try:\n    print(len(read_file('-', Limits(file_bytes=int(sys.argv[1])))))\n"
        "except InputError as error:\n    print(error)\n"
    )
    for limit, answer in (("10", "10"), ("9", "-: is ")):
        done = subprocess.run(
            [sys.executable, "-c", code, limit],
            input=b"0123456789",
            capture_output=True,
            check=True,
        )
        assert done.stdout.decode().startswith(answer), done.stderr


def test_a_file_that_grows_while_it_is_read_is_bounded(tree: Path) -> None:
    (tree / "a").write_bytes(b"x" * 10)
    with pytest.raises(InputError):
        read_file("a", Limits(file_bytes=9))
