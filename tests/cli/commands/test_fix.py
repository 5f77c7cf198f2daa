"""`tidewaiter fix` as a user meets it: what it writes, prints and returns."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop}   # the shop's
spec:
  containers:
    - name: api
      image: registry.example.com/api:1
      imagePullPolicy: Always
"""
FIXED = """\
      securityContext:
        allowPrivilegeEscalation: false
"""
RULE = ("--rule", "no-privilege-escalation")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pod.yaml").write_text(POD)
    return tmp_path


def tidewaiter(folder: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidewaiter.cli.main", *words],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_chart_is_left_alone_and_that_is_said(folder: Path) -> None:
    (folder / "chart" / "templates").mkdir(parents=True)
    (folder / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: a\nversion: 1.0.0\n")
    (folder / "chart" / "templates" / "pod.yaml").write_text(POD)
    run = tidewaiter(folder, "fix", *RULE, ".")
    assert "note: chart chart is left alone" in run.stderr
    assert (folder / "chart" / "templates" / "pod.yaml").read_text() == POD
    assert FIXED in (folder / "pod.yaml").read_text()
    assert tidewaiter(folder, "fix", "-q", *RULE, ".").stderr == ""


def test_a_finding_is_fixed_in_place_and_a_second_run_changes_nothing(folder: Path) -> None:
    run = tidewaiter(folder, "fix", *RULE, ".")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == (
        "pod.yaml\n  fixed     no-privilege-escalation: container api may gain privileges "
        "(allowPrivilegeEscalation: unset)\n\n1 finding fixed in 1 file\n"
    )
    assert (folder / "pod.yaml").read_text() == POD + FIXED
    again = tidewaiter(folder, "fix", *RULE, ".")
    assert again.stdout == "0 findings fixed in 0 files\n"
    assert tidewaiter(folder, "lint", "--only", RULE[1], ".").returncode == 0


def test_a_diff_writes_nothing_and_can_be_applied(folder: Path) -> None:
    run = tidewaiter(folder, "fix", "--diff", *RULE, ".")
    assert run.returncode == 1
    assert (folder / "pod.yaml").read_text() == POD
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    subprocess.run(["git", "apply"], cwd=folder, input=run.stdout, text=True, check=True)
    assert (folder / "pod.yaml").read_text() == POD + FIXED
    assert tidewaiter(folder, "fix", "--diff", *RULE, ".").returncode == 0


def test_a_check_only_says_whether_something_would_change(folder: Path) -> None:
    run = tidewaiter(folder, "fix", "--check", *RULE, ".")
    assert run.returncode == 1
    assert "would fix" in run.stdout
    assert (folder / "pod.yaml").read_text() == POD


def test_standard_input_goes_to_standard_output(folder: Path) -> None:
    run = tidewaiter(folder, "fix", *RULE, "-", stdin=POD)
    assert run.stdout == POD + FIXED
    assert "1 finding fixed" in run.stderr
    assert tidewaiter(folder, "fix", "-", "pod.yaml").returncode == 2


def test_what_may_change_the_workload_is_fixed_only_when_asked(folder: Path) -> None:
    rule = ("--rule", "run-as-non-root")
    run = tidewaiter(folder, "fix", *rule, ".")
    assert "left" in run.stdout
    assert "--unsafe makes it" in run.stdout
    assert tidewaiter(folder, "fix", "--unsafe", *rule, ".").returncode == 0
    assert "runAsNonRoot: true" in (folder / "pod.yaml").read_text()


def test_an_exempted_finding_is_left_alone(folder: Path) -> None:
    exempt = "    # tidewaiter: ignore[no-privilege-escalation] needs it\n    - name"
    text = POD.replace("    - name", exempt)
    (folder / "pod.yaml").write_text(text)
    assert tidewaiter(folder, "fix", *RULE, ".").returncode == 0
    assert (folder / "pod.yaml").read_text() == text


def test_mode_and_symbolic_links_stay(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "pod.yaml").rename(folder / "real" / "pod.txt")
    (folder / "real" / "pod.txt").chmod(0o640)
    (folder / "pod.yaml").symlink_to("real/pod.txt")
    (folder / "again.yaml").symlink_to("real/pod.txt")
    assert tidewaiter(folder, "fix", *RULE, ".").returncode == 0
    assert (folder / "pod.yaml").is_symlink()
    assert (folder / "real" / "pod.txt").read_text() == POD + FIXED
    assert stat.S_IMODE((folder / "real" / "pod.txt").stat().st_mode) == 0o640
    assert sorted(path.name for path in (folder / "real").iterdir()) == ["pod.txt"]


def test_a_read_only_file_is_an_error_and_the_others_are_fixed(folder: Path) -> None:
    (folder / "kept.yaml").write_text(POD)
    (folder / "kept.yaml").chmod(0o444)
    (folder / "broken.yaml").write_text("a: [\n")
    run = tidewaiter(folder, "fix", *RULE, ".")
    assert run.returncode == 2
    assert "kept.yaml: error: cannot be written: it is read-only" in run.stderr
    assert "broken.yaml:" in run.stderr
    assert (folder / "kept.yaml").read_text() == POD
    assert (folder / "pod.yaml").read_text() == POD + FIXED


def test_mistakes_are_said_in_one_sentence(folder: Path) -> None:
    run = tidewaiter(folder, "fix", "--rule", "no-privilege-escalatoin", ".")
    assert run.returncode == 2
    assert "no-privilege-escalation" in run.stderr
    run = tidewaiter(folder, "fix", "--ask", ".")
    assert (run.returncode, run.stderr) == (2, "tidewaiter: --ask needs a terminal to ask on\n")


def test_a_file_name_that_is_no_text_is_no_hindrance(folder: Path) -> None:
    (folder / "pod.yaml").rename(os.fsdecode(os.fsencode(folder) + b"/p\xff.yaml"))
    run = tidewaiter(folder, "fix", *RULE, ".")
    assert (run.returncode, run.stderr) == (0, "")
    assert "1 finding fixed in 1 file" in run.stdout


def test_templates_are_never_touched(folder: Path) -> None:
    template = POD.replace("name: api,", "name: {{ .Values.name }},")
    (folder / "template.yaml").write_text(template)
    assert tidewaiter(folder, "fix", ".").returncode == 0
    assert (folder / "template.yaml").read_text() == template


def test_patches_and_plain_files_among_a_charts_templates_are_never_touched(folder: Path) -> None:
    (folder / "base").mkdir()
    (folder / "pod.yaml").rename(folder / "base" / "pod.yaml")
    (folder / "base" / "patch.yaml").write_text(POD)
    (folder / "base" / "kustomization.yaml").write_text(
        "resources: [pod.yaml]\npatches:\n- path: patch.yaml\n"
    )
    (folder / "chart" / "templates").mkdir(parents=True)
    (folder / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (folder / "chart" / "templates" / "pod.yaml").write_text(POD)
    run = tidewaiter(folder, "fix", *RULE, ".")
    assert run.returncode == 0
    assert "the file is a patch of a kustomization" in run.stdout
    assert "the file is one of a chart's templates" in run.stdout
    assert (folder / "base" / "pod.yaml").read_text() == POD + FIXED
    assert (folder / "base" / "patch.yaml").read_text() == POD
    assert (folder / "chart" / "templates" / "pod.yaml").read_text() == POD


@pytest.mark.parametrize(
    ("answers", "fixed"),
    [("y\ny\n", 2), ("n\ny\n", 1), ("a\n", 2), ("y\nq\n", 1), ("q\n", 0), ("?\nn\nn\n", 0)],
)
def test_each_fix_is_asked_for_on_a_terminal(folder: Path, answers: str, fixed: int) -> None:
    second = POD.partition("spec:")[2].partition("- ")[2].replace("name: api", "name: log")
    (folder / "pod.yaml").write_text(f"{POD}    - {second}")
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tidewaiter.cli.main", "fix", "--ask", *RULE, "."],
        cwd=folder,
        stdin=child,
        stdout=subprocess.PIPE,
        stderr=child,
    )
    os.close(child)
    os.write(parent, answers.encode())
    try:
        while os.read(parent, 1024):
            pass
    except OSError:
        pass  # the other end is closed
    process.communicate(timeout=30)
    os.close(parent)
    assert process.returncode == 0
    assert (folder / "pod.yaml").read_text().count("allowPrivilegeEscalation: false") == fixed


NO_CONTEXT = """
apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {name: strange}
spec:
  customRules:
    - name: no-context
      match: {kinds: [Pod], names: [api]}
      expression: object.spec.containers.all(c, !has(c.securityContext))
      message: containers leave their securityContext out
"""


def test_what_is_exempt_is_not_changed_by_the_fix_of_its_neighbour(folder: Path) -> None:
    """A profile for the whole pod would hold for the container that is exempt from having one."""
    neighbours = POD.replace("metadata:", "# both\nmetadata:") + (
        "      # tidewaiter: ignore[seccomp-profile] traces\n      securityContext: {privileged: false}\n"
        "    - name: b\n      image: registry.example.com/b:1\n"
    )
    (folder / "pod.yaml").write_text(neighbours)
    run = tidewaiter(folder, "fix", ".")
    text = (folder / "pod.yaml").read_text()
    assert "seccompProfile" not in text
    assert text.count("allowPrivilegeEscalation: false") == 2
    assert (
        "with it comes no-dangling-exemption: the ignore comment of seccomp-profile" in run.stdout
    )
    assert tidewaiter(folder, "fix", "--check", ".").returncode == 0


@pytest.mark.parametrize("words", [RULE, ("--skip", "no-latest-tag")])
def test_a_fix_that_would_bring_a_finding_is_taken_back(
    folder: Path, words: tuple[str, ...]
) -> None:
    (folder / "tidewaiter.yaml").write_text(NO_CONTEXT)
    (folder / "other.yaml").write_text(POD.replace("name: api, n", "name: web, n"))
    run = tidewaiter(folder, "fix", *words, ".")
    assert (run.returncode, run.stderr) == (0, "")
    pod = (folder / "pod.yaml").read_text()
    assert "allowPrivilegeEscalation" not in pod
    assert ("automountServiceAccountToken: false" in pod) == (words != RULE)
    assert "allowPrivilegeEscalation: false" in (folder / "other.yaml").read_text()
    assert (
        "left      no-privilege-escalation: container api may gain privileges "
        "(allowPrivilegeEscalation: unset): its fix is not made: with it comes "
        "no-context: containers leave their securityContext out"
    ) in run.stdout
    assert tidewaiter(folder, "fix", "--check", *words, ".").returncode == 0
