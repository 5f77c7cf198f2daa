"""`tidewaiter diff`: what a change of trees, policies and versions changes in findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.output.results import finding
from tests.cli.test_ratchet import _repository, commit, pod, write
from tidewaiter.cli.main import main
from tidewaiter.cli.run.comparison import Side, compare

__all__ = ["_repository"]
RULES = ["--only=no-privileged", "--only=no-latest-tag"]


def policy(spec: str) -> str:
    return (
        f"apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {{name: default}}\nspec: {spec}\n"
    )


def diff(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capfd.readouterr()
    assert main(["diff", *words, "--format=json", *RULES]) == code
    return json.loads(capfd.readouterr().out)


def names(findings: Any) -> list[str]:
    return [f"{each['rule']} {each['resource']['name']}" for each in findings]


def test_two_folders_are_compared_by_objects_and_not_by_lines(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write("old/a.yaml", pod("same"), pod("fixed"))
    write("new/folder/b.yaml", "# moved\n" + pod("same"), pod("added"))
    report = diff(capfd, "old", "new", code=1)
    assert names(report["added"]) == ["no-privileged added"]
    assert report["added"][0]["location"]["file"] == "folder/b.yaml"
    assert names(report["fixed"]) == ["no-privileged fixed"]
    assert report["summary"] == {
        "added": {"error": 1, "warning": 0, "info": 0},
        "fixed": {"error": 1, "warning": 0, "info": 0},
        "changed": 0,
        "unchanged": 1,
        "errors": 0,
    }


def test_a_commit_is_compared_with_what_is_there_now(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(".gitignore", "ignored/\n")
    write("deploy/a.yaml", pod("one"))
    write("ignored/b.yaml", pod("ignored"))
    commit()
    write("deploy/a.yaml", pod("one"), pod("two"))
    for words in (["HEAD:", "."], ["HEAD:deploy", "deploy"], ["HEAD:./deploy", "./deploy/"]):
        report = diff(capfd, *words, code=1)
        assert names(report["added"]) == ["no-privileged two"]
        assert report["summary"]["unchanged"] == 1
    commit()
    assert names(diff(capfd, "HEAD:deploy", "HEAD~1:deploy")["fixed"]) == ["no-privileged two"]
    monkeypatch.chdir("deploy")
    assert names(diff(capfd, "HEAD~1:./", ".", code=1)["added"]) == ["no-privileged two"]
    assert Path.cwd().name == "deploy"


def test_what_a_deleted_object_costs_the_others_is_seen(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write(
        "a.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app, namespace: shop}\n"
        "spec: {replicas: 3, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {}}}\n",
    )
    write(
        "pdb.yaml",
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: app, namespace: shop}\n"
        "spec: {maxUnavailable: 1, selector: {matchLabels: {a: b}}}\n",
    )
    commit()
    Path("pdb.yaml").unlink()
    assert main(["diff", "HEAD:", ".", "--only=pdb"]) == 1
    assert "a.yaml\n  + 4:" in capfd.readouterr().out
    assert main(["lint", ".", "--only=pdb", "--changed-since=HEAD"]) == 0
    said = capfd.readouterr().err
    assert "PodDisruptionBudget shop/app" in said
    assert "tidewaiter diff HEAD: ." in said


def test_two_policies_are_compared(capfd: pytest.CaptureFixture[str]) -> None:
    mild = policy("{profile: pss-baseline, rules: {no-privileged: {severity: info}}}")
    strict = policy("{profile: pss-baseline, rules: {no-latest-tag: {enabled: true}}}")
    write("a.yaml", pod("one", image="shop:latest"))
    write("mild.yaml", mild)
    write("strict.yaml", strict)
    write("tidewaiter.yaml", mild)
    commit()
    write("tidewaiter.yaml", strict)
    for words in (
        ["--old-policy=mild.yaml", "--new-policy=strict.yaml"],
        ["--old-policy=HEAD:tidewaiter.yaml"],
    ):
        capfd.readouterr()
        assert main(["diff", "a.yaml", "--format=json", *words]) == 1
        report = json.loads(capfd.readouterr().out)
        assert names(report["added"]) == ["no-latest-tag one"]
        (changed,) = report["changed"]
        assert (changed["oldSeverity"], changed["severity"]) == ("info", "error")
    words = ["--old-policy=strict.yaml", "--new-policy=mild.yaml"]
    assert main(["diff", "a.yaml", *words]) == 0
    assert "~ 8:37  info  no-privileged" in capfd.readouterr().out


def test_an_exemption_is_told_from_a_fix(capfd: pytest.CaptureFixture[str]) -> None:
    write("old/a.yaml", pod("one"))
    exempted = pod("one").replace(
        "namespace: shop}",
        'namespace: shop, annotations: {tidewaiter.dev/ignore.no-privileged: "needs the device"}}',
    )
    write("new/a.yaml", exempted)
    (fixed,) = diff(capfd, "old", "new")["fixed"]
    assert fixed["note"] == "now exempted"


def test_two_versions_of_kubernetes_are_compared(capfd: pytest.CaptureFixture[str]) -> None:
    write(
        "a.yaml",
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: app, namespace: shop}\n"
        "spec: {maxUnavailable: 1, unhealthyPodEvictionPolicy: AlwaysAllow, selector: {matchLabels: {a: b}}}\n",
    )
    words = ["a.yaml", "--old-kubernetes-version=1.25", "--new-kubernetes-version=1.30"]
    assert main(["diff", *words, "--only=valid-schema"]) == 0
    assert "0 added, 1 fixed (1 error)" in capfd.readouterr().out


def test_a_report_of_an_older_version_is_a_side(capfd: pytest.CaptureFixture[str]) -> None:
    write("a.yaml", pod("one"), pod("two"))
    assert main(["lint", ".", *RULES, "--format=json", "--output=old.json"]) == 1
    write("a.yaml", pod("one"), pod("three"))
    report = diff(capfd, "old.json", ".", "--exclude=old.json", code=1)
    assert names(report["added"]) == ["no-privileged three"]
    assert names(report["fixed"]) == ["no-privileged two"]
    write("old.json", Path("old.json").read_text(encoding="utf-8")[:-40])
    assert main(["diff", "old.json", "."]) == 2
    assert "old.json: is no whole report" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["nothing", "a.yaml"],
            "nothing: does not exist; a folder of a commit is named COMMIT:PATH",
        ),
        (["main", "a.yaml"], "the commit's whole tree is 'main:'"),
        (["main:nothing", "a.yaml"], "the commit 'main' has no nothing"),
        (["mian:", "a.yaml"], "did you mean 'main'?"),
        (["a.yaml"], "both sides are the same"),
        (["a.yaml", "a.yaml", "--format=jsn"], "did you mean 'json'?"),
        (["a.yaml", "--old-policy=main:none.yaml"], "has no file 'none.yaml'"),
    ],
)
def test_mistakes_are_named(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    write("a.yaml", pod("one"))
    commit()
    assert main(["diff", *words]) == 2
    assert said in capfd.readouterr().err


def test_what_cannot_be_read_makes_it_incomplete(capfd: pytest.CaptureFixture[str]) -> None:
    write("old/a.yaml", pod("one"))
    write("new/a.yaml", pod("one"), pod("two"))
    write("new/b.yaml", "kind: [\n")
    report = diff(capfd, "old", "new", code=2)
    assert names(report["added"]) == ["no-privileged two"]
    assert report["errors"][0]["file"] == "new/b.yaml"
    commit()
    report = diff(capfd, "HEAD:new", "old", code=2)
    assert report["errors"][0]["file"] == "HEAD:new/b.yaml"


def test_links_out_of_a_commit_are_not_followed(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "outside.yaml").write_text(pod("outside"), encoding="utf-8")
    write("a.yaml", pod("one"))
    Path("absolute.yaml").symlink_to(tmp_path / "outside.yaml")
    Path("relative.yaml").symlink_to("../outside.yaml")
    Path("inside.yaml").symlink_to("a.yaml")
    commit()
    write("empty/b.yaml", pod("two"))
    report = diff(capfd, "HEAD:", "empty", code=1)
    assert set(names(report["fixed"])) == {"no-privileged one"}


def test_markdown_and_text_say_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    write("old/a.yaml", pod("one"))
    write("new/a.yaml", pod("<img src=x>|@team"))
    main(["diff", "old", "new", *RULES, "--format=markdown"])
    said = capfd.readouterr().out
    assert "1 added \\(1 error\\), 1 fixed" in said
    assert "<img" not in said
    assert "@team" not in said
    assert main(["diff", "old", "new", *RULES, "-q", "--fail-on=never"]) == 0
    out = capfd.readouterr().out
    assert out == "1 added (1 error), 1 fixed (1 error), 0 with another severity, 0 unchanged\n"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"])), max_size=10),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"])), max_size=10),
)
def test_every_finding_is_accounted_for_once(
    old: list[tuple[str, str]], new: list[tuple[str, str]]
) -> None:
    sides = [
        Side("", tuple(finding(name=name, file=file) for name, file in rows), ())
        for rows in (old, new)
    ]
    found = compare(*sides)
    for name in "abc":
        before, after = (sum(n == name for n, _ in rows) for rows in (old, new))
        assert sum(one.name == name for one in found.added) == max(after - before, 0)
        assert sum(one.name == name for one in found.fixed) == max(before - after, 0)
    assert found.unchanged + len(found.added) == len(new)
    assert found.unchanged + len(found.fixed) == len(old)
    back = compare(sides[1], sides[0])
    assert (len(back.added), len(back.fixed)) == (len(found.fixed), len(found.added))
