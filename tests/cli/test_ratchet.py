"""`--baseline`, `--write-baseline`, `--changed-since` and `tidewaiter baseline`, as a team uses them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.output.results import finding
from tidewaiter.cli import baseline
from tidewaiter.cli.main import main

BASE = ["--only=no-privileged", "--only=no-latest-tag"]


def pod(name: str, *lines: str, image: str = "shop:1", privileged: bool = True) -> str:
    security = "      securityContext: {privileged: true}\n" if privileged else ""
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  containers:\n"
        f"    - name: app\n      image: {image}\n{security}"
        + "".join(f"{line}\n" for line in lines)
    )


@pytest.fixture(autouse=True)
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    git("init", "-q", "-b", "main")


def git(*words: str) -> str:
    who = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(message: str = "change") -> None:
    git("add", "-A")
    git("commit", "-q", "--allow-empty", "-m", message)


def write(name: str, *documents: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text("---\n".join(documents), encoding="utf-8")


def lint(capfd: pytest.CaptureFixture[str], *words: str, code: int | None = None) -> Any:
    capfd.readouterr()
    got = main(["lint", ".", "--format=json", *BASE, *words])
    if code is not None:
        assert got == code
    return json.loads(capfd.readouterr().out)


def names(report: Any) -> list[str]:
    return sorted(f"{each['rule']} {each['resource']['name']}" for each in report["findings"])


# The baseline


def test_what_the_baseline_holds_neither_shows_nor_fails(capfd: pytest.CaptureFixture[str]) -> None:
    write("a.yaml", pod("one"), pod("two", image="shop:latest"))
    lint(capfd, "--write-baseline", code=0)
    report = lint(capfd, "--baseline=tidewaiter-baseline.json", code=0)
    assert report["findings"] == []
    assert report["summary"]["baseline"] == {"findings": 3, "unmatched": 0}


def test_it_survives_moved_lines_objects_and_files_and_a_new_api_version(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("a.yaml", pod("one"), pod("two"))
    lint(capfd, "--write-baseline")
    write("folder/b.yaml", "# moved\n\n" + pod("two"), "# and turned round\n" + pod("one"))
    Path("a.yaml").unlink()
    lint(capfd, "--baseline=tidewaiter-baseline.json", code=0)


def test_a_new_finding_fails_and_so_does_one_more_of_the_same_kind_in_the_same_place(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("a.yaml", pod("one"))
    lint(capfd, "--write-baseline")
    write("a.yaml", pod("one"), pod("new"))
    assert names(lint(capfd, "--baseline=tidewaiter-baseline.json", code=1)) == [
        "no-privileged new"
    ]
    write("a.yaml", pod("one"), pod("one"))
    report = lint(capfd, "--baseline=tidewaiter-baseline.json", code=1)
    assert len(report["findings"]) == 1


def test_a_copy_in_another_file_is_new_while_the_first_one_is_there(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("dev/a.yaml", pod("one"))
    lint(capfd, "--write-baseline")
    write("prod/a.yaml", pod("one"))
    report = lint(capfd, "--baseline=tidewaiter-baseline.json", code=1)
    assert [each["location"]["file"] for each in report["findings"]] == ["prod/a.yaml"]
    write("dev/a.yaml", pod("one", privileged=False))
    lint(capfd, "--baseline=tidewaiter-baseline.json", code=1)


def test_it_reads_the_same_from_a_subfolder(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("deploy/a.yaml", pod("one"))
    lint(capfd, "--write-baseline")
    monkeypatch.chdir("deploy")
    report = lint(capfd, "--baseline=../tidewaiter-baseline.json", code=0)
    assert report["summary"]["baseline"]["findings"] == 1


def test_its_file_is_sorted_one_entry_a_line_and_the_same_each_time(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("b.yaml", pod("two"), pod("one"), pod("one"))
    write("a.yaml", pod("three", image="shop:latest"))
    lint(capfd, "--write-baseline")
    first = Path("tidewaiter-baseline.json").read_text(encoding="utf-8")
    lint(capfd, "--write-baseline", "--jobs=1")
    assert Path("tidewaiter-baseline.json").read_text(encoding="utf-8") == first
    lines = first.splitlines()
    assert lines[0] == '{"version": 1, "findings": ['
    assert [json.loads(line.rstrip(","))["count"] for line in lines[1:-1]] == [1, 2, 1, 1][
        : len(lines) - 2
    ]
    assert "privileged: true" not in first
    assert json.loads(first)["version"] == 1


def test_branches_that_add_findings_merge(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "m", "z"):
        write(f"{name}.yaml", pod(name))
    lint(capfd, "--write-baseline")
    commit()
    git("checkout", "-q", "-b", "other")
    write("b.yaml", pod("b"))
    lint(capfd, "--write-baseline")
    commit()
    git("checkout", "-q", "main")
    write("n.yaml", pod("n"))
    lint(capfd, "--write-baseline")
    commit()
    git("merge", "-q", "--no-edit", "other")
    assert lint(capfd, "--baseline=tidewaiter-baseline.json", code=0)["findings"] == []


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("{", 1, "no JSON"),
        ('{"version": 1, "findings": [\n<<<<<<< HEAD\n]}', 2, "merge conflict"),
        ("[]", 1, "no list"),
        ('{"version": 9, "findings": []}', 1, "version 9"),
        ('{"version": 1, "findings": [\n{"fingerprint": "a", "file": "b"},\n3]}', 3, "no object"),
        ('{"version": 1, "findings": [\n{"fingerprint": "a", "file": "b", "count": 0}]}', 2, "count"),
        ('{"version": 1, "findings": [\n{"fingerprint": "a"}]}', 2, "`file`"),
        ("\xff", None, "UTF-8"),
        ("[" * 100_000, None, ""),
    ],
)  # fmt: skip
def test_a_broken_file_is_reported_with_its_line(
    content: str, line: int | None, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("base.json").write_bytes(content.encode("latin-1"))
    for command in (["lint", "--baseline=base.json"], ["baseline", "show", "base.json"]):
        assert main(command) == 2
        said = capfd.readouterr().err
        assert said.startswith(f"tidewaiter: base.json{f':{line}' if line else ''}:")
        assert words in said


def test_a_missing_file_says_how_to_make_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--baseline=none.json"]) == 2
    assert "--write-baseline --baseline none.json" in capfd.readouterr().err


def test_an_incomplete_run_writes_and_prunes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    write("a.yaml", pod("one"))
    lint(capfd, "--write-baseline")
    before = Path("tidewaiter-baseline.json").read_bytes()
    write("b.yaml", "kind: [\n")
    lint(capfd, "--write-baseline", code=2)
    assert main(["baseline", "prune", "tidewaiter-baseline.json"]) == 2
    assert Path("tidewaiter-baseline.json").read_bytes() == before


def test_prune_drops_what_is_fixed_and_only_that(capfd: pytest.CaptureFixture[str]) -> None:
    policy = "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: default}\nspec: {profile: pss-baseline}\n"
    write("tidewaiter.yaml", policy)
    write("a.yaml", pod("one"), pod("two"), pod("two"))
    write("b.yaml", pod("three"))
    write("c.yaml", pod("four"))
    assert main(["lint", "--write-baseline", "--fail-on=never", "-q", "--baseline=base.json"]) == 0
    before = sum(entry.count for entry in baseline.load("base.json"))
    assert before == 5
    write("a.yaml", pod("one", privileged=False), pod("two"), pod("two", privileged=False))
    write("b.yaml", pod("three", privileged=False))
    Path("c.yaml").unlink()
    assert main(["baseline", "prune", "base.json", "a.yaml", "--check"]) == 1
    Path("tidewaiter-baseline.json").write_bytes(Path("base.json").read_bytes())
    assert main(["baseline", "prune", "--check"]) == 1
    assert main(["baseline", "show"]) == 0
    assert main(["baseline", "prune", "base.json", "a.yaml"]) == 0
    # b.yaml is fixed, but was not looked at; c.yaml is gone.
    after = sum(entry.count for entry in baseline.load("base.json"))
    assert before - after == 3
    assert main(["baseline", "prune", "base.json"]) == 0
    assert sum(entry.count for entry in baseline.load("base.json")) == after - 1
    assert main(["baseline", "prune", "base.json", "--check"]) == 0
    assert "0 findings would be dropped" in capfd.readouterr().out


def test_prune_keeps_what_cannot_be_told_from_a_part_of_the_tree(
    capfd: pytest.CaptureFixture[str],
) -> None:
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app, namespace: shop}\n"
        "spec: {replicas: 3, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a}]}}}\n"
    )
    write("a.yaml", deployment)
    write("b.yaml", pod("other"))
    assert main(["lint", ".", "--write-baseline", "--only=pdb", "-q", "--baseline=base.json"]) == 0
    assert [entry.rule for entry in baseline.load("base.json")] == ["pdb"]
    assert main(["baseline", "prune", "base.json", "a.yaml"]) == 0
    assert [entry.rule for entry in baseline.load("base.json")] == ["pdb"]
    assert "0 findings dropped" in capfd.readouterr().out


def test_statistics_say_what_the_baseline_still_holds(capfd: pytest.CaptureFixture[str]) -> None:
    write("a.yaml", pod("one"), pod("two"))
    lint(capfd, "--write-baseline")
    write("a.yaml", pod("one"))
    main(["lint", *BASE, "--baseline=tidewaiter-baseline.json", "--statistics"])
    said = capfd.readouterr().out
    assert "The baseline still holds 1 finding:\nrule" in said
    assert "1 more of it were not found in this run" in said
    assert main(["baseline", "show", "tidewaiter-baseline.json"]) == 0
    assert "2  no-privileged" in capfd.readouterr().out


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x.yaml", "y.yaml"])), max_size=12),
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x.yaml", "y.yaml"])), max_size=12),
)
def test_a_baseline_holds_exactly_as_many_as_it_counts(
    old: list[tuple[str, str]], new: list[tuple[str, str]]
) -> None:
    known = baseline.entries_of([finding(name=name, file=file) for name, file in old])
    found = [finding(name=name, file=file, line=n) for n, (name, file) in enumerate(new, 1)]
    parts = baseline.split(found, known)
    assert sorted([*parts.held, *parts.others], key=lambda one: one.line) == found
    left = sum(entry.count for entry in parts.left)
    assert len(parts.held) + left == len(old)
    for name in "ab":
        # Neither file is there, so that what one holds may have moved to the other.
        most = min(sum(n == name for n, _ in old), sum(n == name for n, _ in new))
        assert sum(one.name == name for one in parts.held) == most
    assert baseline.split(parts.others, parts.left).held == ()


# Changed since


def test_only_objects_that_were_touched_count(capfd: pytest.CaptureFixture[str]) -> None:
    write("a.yaml", pod("one"), pod("two"), pod("three"))
    write("b.yaml", pod("four"))
    commit()
    write("a.yaml", pod("one"), pod("two", "      tty: true"), pod("three"))
    report = lint(capfd, "--changed-since=HEAD", code=1)
    assert names(report) == ["no-privileged two"]
    assert report["summary"]["unchanged"] == 3


def test_an_object_that_moved_within_its_file_is_untouched(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("a.yaml", pod("one"), pod("two"))
    commit()
    write("a.yaml", pod("two"), pod("zero", privileged=False), pod("one"))
    assert names(lint(capfd, "--changed-since=HEAD", code=0)) == []


def test_a_deletion_touches_the_object_it_is_in_and_not_its_neighbours(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("a.yaml", pod("one", "      tty: true"), pod("two"), pod("three"))
    commit()
    write("a.yaml", pod("one"), pod("three"))
    assert names(lint(capfd, "--changed-since=HEAD", code=1)) == ["no-privileged one"]
    assert main(["lint", ".", "--changed-since=HEAD", *BASE]) == 1
    assert "deleted since HEAD: Pod shop/two." in capfd.readouterr().err


def test_items_of_a_list_are_objects(capfd: pytest.CaptureFixture[str]) -> None:
    def items(second: str) -> str:
        rows = [
            f"- apiVersion: v1\n  kind: Pod\n  metadata: {{name: {name}}}\n"
            f"  spec: {{containers: [{{name: app, image: {image}, securityContext: {{privileged: true}}}}]}}\n"
            for name, image in (("one", "shop:1"), ("two", second), ("three", "shop:1"))
        ]
        return "apiVersion: v1\nkind: List\nitems:\n" + "".join(rows)

    write("a.yaml", items("shop:1"))
    commit()
    write("a.yaml", items("shop:2"))
    assert names(lint(capfd, "--changed-since=HEAD", code=1)) == ["no-privileged two"]


def test_new_renamed_and_untracked_files_have_changed_whole(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("old name.yaml", pod("renamed"))
    write("same.yaml", pod("same"))
    commit()
    git("mv", "old name.yaml", "nëw\tname.yaml")
    write("added.yaml", pod("added"))
    git("add", "added.yaml")
    write("untracked.yaml", pod("untracked"))
    report = lint(capfd, "--changed-since=HEAD", code=1)
    assert names(report) == [f"no-privileged {name}" for name in ("added", "renamed", "untracked")]


def test_the_rest_of_the_tree_is_still_the_inventory(capfd: pytest.CaptureFixture[str]) -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: app, namespace: shop}\n"
    spec = "spec: {selector: {app: one}, ports: [{port: 80, targetPort: {}}]}\n"
    write("pod.yaml", pod("one").replace("name: one,", "name: one, labels: {app: one},") + "      ports: [{name: http, containerPort: 80}]\n")  # fmt: skip
    write("service.yaml", service + spec.replace("{}", "http"))
    commit()
    write("service.yaml", service + spec.replace("{}", "web"))
    main(["lint", "--only=service-target-port", "--changed-since=HEAD", "-q"])
    said = capfd.readouterr().out
    assert "'web'" in said
    write("service.yaml", service + "# same\n" + spec.replace("{}", "http"))
    assert main(["lint", "--only=service-target-port", "--changed-since=HEAD", "-q"]) == 0


def test_it_counts_from_where_the_branches_part_and_from_a_subfolder(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("deploy/a.yaml", pod("one"))
    write("deploy/b.yaml", pod("two"))
    commit()
    git("checkout", "-q", "-b", "topic")
    write("deploy/a.yaml", pod("one", "      tty: true"))
    commit()
    git("checkout", "-q", "main")
    write("deploy/b.yaml", pod("two", "      tty: true"))
    commit()
    git("checkout", "-q", "topic")
    monkeypatch.chdir("deploy")
    assert names(lint(capfd, "--changed-since=main", code=1)) == ["no-privileged one"]


def test_line_ends_and_the_cache_do_not_matter(capfd: pytest.CaptureFixture[str]) -> None:
    write("a.yaml", pod("one"), pod("two"))
    write("big.yaml", "# " + "x" * 200_000 + "\n" + pod("big"))
    commit()
    Path("a.yaml").write_bytes(Path("a.yaml").read_bytes().replace(b"\n", b"\r\n"))
    assert names(lint(capfd)) == [f"no-privileged {name}" for name in ("big", "one", "two")]
    for _ in range(2):
        assert names(lint(capfd, "--changed-since=HEAD", code=0)) == []


@pytest.mark.parametrize(
    ("ref", "words"),
    [("mian", "did you mean 'main'"), ("--help", "no commit"), ("", "no commit"), ("HEAD^{tree}", "no commit")],
)  # fmt: skip
def test_an_unknown_commit_is_named(
    ref: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write("a.yaml", pod("one"))
    commit()
    assert main(["lint", f"--changed-since={ref}"]) == (2 if ref else 1)
    assert not ref or words in capfd.readouterr().err


def test_a_shallow_clone_says_what_to_fetch(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.yaml", pod("one"))
    commit()
    git("branch", "topic")
    commit("second")
    git("checkout", "-q", "topic")
    commit("third")
    url = f"file://{Path.cwd()}"
    git("clone", "-q", "--depth=1", "--no-single-branch", url, str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert main(["lint", "--changed-since=origin/main"]) == 2
    assert "fetch-depth: 0" in capfd.readouterr().err


def test_outside_of_a_repository_it_says_so(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    write("a.yaml", pod("one"))
    assert main(["lint", "--changed-since=main"]) == 2
    assert "not a git repository" in capfd.readouterr().err
