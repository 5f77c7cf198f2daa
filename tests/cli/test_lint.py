"""`tidewaiter lint` as a user calls it: exit codes, streams, sets of files, broken and hostile input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.cli.main import main
from tidewaiter.rules.cluster.snapshot import save
from tidewaiter.rules.manifest.resource import Resource

TIDEWAITER = str(Path(sys.executable).parent / "tidewaiter")

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: shop}
spec:
  containers:
    - name: app
      image: shop:1
      securityContext: {privileged: true}
"""
CLEAN = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {color: blue}
"""


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*words: str, stdin: str | bytes = b"") -> subprocess.CompletedProcess[bytes]:
    content = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [TIDEWAITER, *words], check=False, input=content, capture_output=True, timeout=60
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


def report(*words: str, stdin: str | bytes = b"") -> dict[str, Any]:
    done = run("lint", "--format", "json", *words, stdin=stdin)
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def rules(found: dict[str, Any]) -> set[str]:
    return {finding["rule"] for finding in found["findings"]}


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_finding_has_its_object_place_and_remedy() -> None:
    write("pod.yaml", POD)
    found = report("--only", "no-privileged", "pod.yaml")
    assert found["version"] == 1
    assert found["tool"]["name"] == "tidewaiter"
    assert found["summary"]["findings"] == {"error": 1, "warning": 0, "info": 0}
    (finding,) = found["findings"]
    assert finding["resource"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "shop",
        "name": "NAME",
    }
    assert finding["container"] == "app"
    assert finding["pointer"] == "/spec/containers/0/securityContext/privileged"
    assert finding["location"] == {
        "file": "pod.yaml",
        "line": 8,
        "column": 37,
        "endLine": 8,
        "endColumn": 41,
    }
    assert finding["remediation"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--only", "no-privileged", "pod.yaml"], 1),
        (["--only", "no-privileged", "--fail-on", "never", "pod.yaml"], 0),
        (["--only", "no-latest-tag", "pod.yaml"], 0),
        (["--only", "no-privileged", "clean.yaml"], 0),
        (["--only", "no-such-rule", "pod.yaml"], 2),
        (["--profile", "recomended", "pod.yaml"], 2),
        (["--kubernetes-version", "latest", "pod.yaml"], 2),
        (["--frmat", "json"], 2),
        (["--jobs", "0"], 2),
        (["--show", "everything"], 2),
        (["--format", "xml", "pod.yaml"], 2),
        (["--report", "sarif", "pod.yaml"], 2),
        (["--policy", "missing.yaml", "pod.yaml"], 2),
        (["missing.yaml"], 2),
        (["--only", "no-privileged", "pod.yaml", "missing.yaml"], 2),
    ],
)
def test_exit_code(words: list[str], code: int) -> None:
    write("pod.yaml", POD)
    write("clean.yaml", CLEAN)
    assert run("lint", *words).returncode == code


def test_misspelt_words_get_a_suggestion() -> None:
    assert b"'--profile'" in run("lint", "--profle", "x").stderr
    assert b"'lint'" in run("lnt").stderr
    assert b"no-privileged" in run("lint", "--only", "no-priviledged").stderr
    assert b"recommended" in run("lint", "--profile", "recomended").stderr
    assert b"'sarif'" in run("lint", "--format", "sarf").stderr
    assert b"'junit'" in run("lint", "--report", "junti=x.xml").stderr
    assert b"did you mean 'always'?" in run("lint", "--color", "allways").stderr
    assert b"did you mean 'production'?" in run("rules", "--profile", "prodction").stderr
    assert b"did you mean" not in run("rules", "--profile", "xyzzy").stderr


def test_broken_file_is_reported_and_the_others_are_checked() -> None:
    write("a.yaml", POD)
    write("b.yaml", "kind: Pod\n  metadata: {\n---\n" + POD)
    found = report("--only", "no-privileged", ".")
    assert {finding["location"]["file"] for finding in found["findings"]} == {"a.yaml", "b.yaml"}
    (error,) = found["errors"]
    assert (error["file"], error["line"] > 0) == ("b.yaml", True)
    done = run("lint", "--only", "no-privileged", ".")
    assert done.returncode == 2
    assert b"b.yaml:" in done.stderr


def test_standard_input_and_pipes() -> None:
    found = report("--only", "no-privileged", "-", stdin=POD + "---\n" + POD)
    assert [finding["location"]["line"] for finding in found["findings"]] == [8, 17]
    assert found["findings"][0]["location"]["file"] == "-"
    write("pod.yaml", POD)
    shell = f"{TIDEWAITER} lint pod.yaml | head -c 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, timeout=30, check=False)
    assert done.stderr == b""


def test_what_is_no_manifest_is_counted_in_a_folder_and_reported_when_named() -> None:
    write("values.yaml", "replicas: 3\n")
    write("template.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n")
    write("pod.yaml", POD)
    done = run("lint", "--only", "no-latest-tag", ".")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"2 files skipped" in done.stdout
    assert run("lint", "values.yaml").returncode == 2
    assert b"template" in run("lint", "template.yaml").stderr
    assert b"values.yaml: skipped" in run("lint", "-v", ".").stderr


def test_nothing_to_check_says_so() -> None:
    done = run("lint", ".")
    assert done.returncode == 0
    assert b"Nothing to check" in done.stdout


def test_encodings() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        write(f"{encoding}.yaml", POD.replace("\n", "\r\n").encode(encoding))
    found = report("--only", "no-privileged", ".")
    assert found["errors"] == []
    assert {(f["location"]["line"], f["location"]["column"]) for f in found["findings"]} == {
        (8, 37)
    }
    assert len(found["findings"]) == 5


def test_list_items_have_their_own_place() -> None:
    item = "  - " + POD.replace("\n", "\n    ").rstrip() + "\n"
    write("list.yaml", "apiVersion: v1\nkind: List\nitems:\n" + item + item)
    found = report("--only", "no-privileged", "list.yaml")
    assert [finding["location"]["line"] for finding in found["findings"]] == [11, 19]
    assert found["findings"][1]["pointer"] == "/spec/containers/0/securityContext/privileged"


def test_gitignore_and_exclude_leave_files_out() -> None:
    Path(".git").mkdir()
    write(".gitignore", "build/\n")
    write("build/pod.yaml", POD)
    write("vendor/pod.yaml", POD)
    write("app/pod.yaml", POD)
    found = report("--only", "no-privileged", "--exclude", "vendor/**", ".")
    assert [f["location"]["file"] for f in found["findings"]] == ["app/pod.yaml"]


def test_one_file_is_no_set_and_a_folder_is_one() -> None:
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: shop}\n"
        "spec:\n  replicas: 3\n  selector: {matchLabels: {app: api}}\n"
        "  template:\n    metadata: {labels: {app: api}}\n"
        "    spec: {containers: [{name: api, image: api}]}\n"
    )
    write("k8s/api.yaml", deployment)
    write("other/settings.yaml", CLEAN)
    alone = report("--only", "pdb", "--show", "unknown", "k8s/api.yaml")
    assert [finding["status"] for finding in alone["findings"]] == ["unknown"]
    assert report("--only", "pdb", "k8s/api.yaml")["findings"] == []
    assert report("--only", "pdb", "k8s/api.yaml")["summary"]["unknown"] == 1
    for words in (["k8s"], ["k8s/api.yaml", "other/settings.yaml"]):
        assert [f["status"] for f in report("--only", "pdb", *words)["findings"]] == ["violation"]
    with_inventory = report("--only", "pdb", "--inventory", "other", "k8s/api.yaml")
    assert [finding["status"] for finding in with_inventory["findings"]] == ["violation"]


def test_output_does_not_depend_on_the_number_of_processes() -> None:
    padding = "".join(f"  k{number}: {'x' * 60}\n" for number in range(100))
    for number in range(120):
        name = f"p{number}"
        text = POD.replace("NAME", name) + "---\n" + CLEAN.replace("data: {color: blue}", "data:")
        write(f"f{number % 7}/{name}.yaml", text + "\n" + padding)
    write("broken.yaml", "a: [\n")
    outputs = {
        run("lint", "--format", form, "--no-cache", "--jobs", jobs, ".").stdout
        for jobs in ("1", "2", "5")
        for form in ("json",)
    }
    assert len(outputs) == 1
    texts = {run("lint", "--no-cache", "--jobs", jobs, ".").stdout for jobs in ("1", "3")}
    assert len(texts) == 1


def test_cache_gives_the_same_answer_and_survives_damage(tmp_path: Path) -> None:
    padding = "".join(f"  k{number}: {'x' * 60}\n" for number in range(100))
    for number in range(30):
        text = CLEAN.replace("data: {color: blue}", "data:").replace("settings", f"s{number}")
        write(f"{number}.yaml", text + padding + "---\n" + POD.replace("NAME", f"p{number}"))
    first = run("lint", ".").stdout
    entries = list((tmp_path / "cache" / "tidewaiter" / "runs").iterdir())
    assert len(entries) == 1
    assert run("lint", ".").stdout == first
    entries[0].write_bytes(entries[0].read_bytes()[:-100])
    assert run("lint", ".").stdout == first
    entries[0].write_bytes(b"")
    assert run("lint", ".").stdout == first
    write("29.yaml", CLEAN)
    changed = run("lint", ".").stdout
    assert changed != first
    assert changed == run("lint", "--no-cache", ".").stdout


def test_reports_go_to_files() -> None:
    write("pod.yaml", POD)
    done = run("lint", "--only", "no-privileged", "--report", "json=out.json", "pod.yaml")
    assert b"no-privileged" in done.stdout
    assert rules(json.loads(Path("out.json").read_text(encoding="utf-8"))) == {"no-privileged"}
    assert run("lint", "--report", "xml=out.xml", "pod.yaml").returncode == 2
    assert run("lint", "--output", "no/such/folder", "pod.yaml").returncode == 2


@pytest.mark.parametrize("kind", ["fifo", "loop", "binary", "large", "deep", "bomb"])
def test_hostile_input_is_an_error_within_bounds(kind: str) -> None:
    write("in/pod.yaml", POD)
    hostile = Path("in/hostile.yaml")
    if kind == "fifo":
        os.mkfifo(hostile)
    elif kind == "loop":
        Path("in/again").symlink_to(Path.cwd() / "in", target_is_directory=True)
    elif kind == "binary":
        hostile.write_bytes(b"kind: \x00\x01\x02\xff\xfe" * 50)
    elif kind == "large":
        with hostile.open("wb") as file:
            file.truncate(200 * 1024 * 1024)
    elif kind == "deep":
        hostile.write_text("a: " + "[" * 10_000 + "]" * 10_000, encoding="utf-8")
    else:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
        hostile.write_text("\n".join(lines), encoding="utf-8")
    start = time.monotonic()
    shell = f"ulimit -v 1500000; exec {TIDEWAITER} lint --format json --only no-privileged in"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, timeout=30, check=False)
    assert time.monotonic() - start < 5
    assert done.returncode == 2, done.stderr
    found = json.loads(done.stdout)
    assert [finding["location"]["file"] for finding in found["findings"]] == ["in/pod.yaml"]
    assert len(found["errors"]) == 1
    assert found["errors"][0]["message"]


def test_interrupt_ends_it_quietly() -> None:
    process = subprocess.Popen(
        [TIDEWAITER, "lint", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert errors == b"tidewaiter: interrupted\n"


def test_a_clean_file_loads_nothing_heavy() -> None:
    write("clean.yaml", CLEAN)
    code = (
        "import sys; from tidewaiter.cli.main import main; code = main(['lint', 'clean.yaml']); "
        "heavy = {'pydantic', 'rich', 'ruamel', 'asyncio', 'yaml.loader', 'dataclasses', 'pathlib', "
        "'pathspec', 'typing', 'json'}; print(sorted(heavy & set(sys.modules)), code)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    assert done.stdout.decode().splitlines()[-1] == "[] 0"


def test_a_set_with_an_unreadable_file_knows_of_no_absence() -> None:
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
        "spec: {selector: {app: web}, ports: [{port: 80}]}\n"
    )
    write("a.yaml", service)
    write("b.yaml", CLEAN)
    found = report("--only", "service-selector", "--show", "unknown", ".")
    assert [finding["status"] for finding in found["findings"]] == ["violation"]
    write("b.yaml", "a: [\n")
    found = report("--only", "service-selector", "--show", "unknown", ".")
    assert [finding["status"] for finding in found["findings"]] == ["unknown"]


def test_a_credential_is_shown_by_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: api}\nspec:\n  containers:\n    - name: api\n"
        "      image: api\n"
        "      env: [{name: A_PASSWORD, value: hunter2}, {name: A_PASSWORD, value: hunter3}]\n"
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: api}\nstringData: {a: hunter4}\n"
    )
    Path("api.yaml").write_text(manifest, encoding="utf-8")
    for arguments in (["--statistics"], ["--format", "json"], ["--quiet"], ["--show", "unknown"]):
        assert main(["lint", "api.yaml", *arguments]) == 1
        done = capsys.readouterr()
        assert "A_PASSWORD" in done.out
        assert "hunter" not in done.out + done.err


def test_custom_resources_are_held_against_schemas_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    games, shops = Path("schemas/example.com"), Path("schemas")
    games.mkdir(parents=True)
    spec = {
        "type": "object",
        "properties": {"size": {"type": "integer"}},
        "additionalProperties": False,
    }
    schema = json.dumps({"type": "object", "properties": {"spec": spec}})
    (games / "game_v1.json").write_text(schema, encoding="utf-8")
    (shops / "shop-example-v1.json").write_text(schema, encoding="utf-8")
    Path("objects.yaml").write_text(
        "apiVersion: example.com/v1\nkind: Game\nmetadata: {name: a}\nspec: {sise: 1}\n---\n"
        "apiVersion: example.org/v1\nkind: Shop\nmetadata: {name: a}\nspec: {size: big}\n",
        encoding="utf-8",
    )
    arguments = ["lint", "objects.yaml", "--only", "valid-schema", "-q"]
    assert main(arguments) == 0
    assert main([*arguments, "--show", "unknown"]) == 0
    assert capsys.readouterr().out.count("no CustomResourceDefinition of") == 2
    assert main([*arguments, "--schema-location", "schemas"]) == 1
    found = capsys.readouterr().out
    assert "objects.yaml:4:14: error: spec has no field 'sise'; did you mean 'size'?" in found
    (shops / "what.json").write_text(schema, encoding="utf-8")
    assert main([*arguments, "--schema-location", "schemas"]) == 2
    assert "schemas/what.json: error: its name does not say" in capsys.readouterr().err


def test_a_rule_reads_what_another_file_has_in_its_config_map() -> None:
    Path("k8s").mkdir()
    Path("k8s", "controller.yaml").write_text("""\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
data: {hsts: "true"}
""")
    Path("k8s", "ingress.yaml").write_text("""\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  ingressClassName: nginx
  tls: [{hosts: [web.example.com], secretName: web}]
  rules: [{host: web.example.com}]
""")
    assert report("--only", "ingress-hsts", "k8s")["findings"] == []
    text = Path("k8s", "controller.yaml").read_text()
    Path("k8s", "controller.yaml").write_text(text.replace('"true"', '"false"'))
    assert len(report("--only", "ingress-hsts", "k8s")["findings"]) == 1


REPLICATED = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers: [{name: api, image: api}]
"""


def _snapshot(unreadable: dict[str, str], *objects: dict[str, Any]) -> str:
    save("cluster.snapshot", [Resource(each) for each in objects], unreadable)
    return "cluster.snapshot"


def _budget(app: str) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}},
    }


def test_a_snapshot_is_an_inventory() -> None:
    Path("api.yaml").write_text(REPLICATED)
    words = ("--only", "pdb", "--no-cache", "--show", "unknown", "api.yaml", "--inventory")
    assert report(*words, _snapshot({}, _budget("api")))["findings"] == []
    found = report(*words, _snapshot({}))["findings"]
    assert [each["status"] for each in found] == ["violation"]
    hidden = _snapshot({"PodDisruptionBudget.policy": "the cluster does not let them be listed"})
    found = report(*words, hidden)["findings"]
    assert [each["status"] for each in found] == ["unknown"]
    assert "the cluster does not let them be listed" in found[0]["message"]


def test_a_manifest_takes_the_place_of_the_same_object_in_the_cluster() -> None:
    Path("api.yaml").write_text(REPLICATED)
    Path("pdb.yaml").write_text(json.dumps(_budget("web")))
    words = ("--only", "pdb", "--no-cache", "--inventory", _snapshot({}, _budget("api")))
    assert report(*words, "api.yaml")["findings"] == []
    found = report(*words, "api.yaml", "pdb.yaml")["findings"]
    assert [each["rule"] for each in found] == ["pdb"]


def test_what_a_cluster_has_is_no_duplicate_of_its_manifest() -> None:
    Path("api.yaml").write_text(REPLICATED)
    lease = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: x, namespace: shop}\n"
    Path("lease.yaml").write_text(f"{lease}---\n{lease}")
    snapshot = _snapshot({"Endpoints": "tidewaiter does not follow them"}, _budget("api"))
    words = ("--only", "no-duplicate-objects", "--no-cache", "--inventory", snapshot, ".")
    assert [each["status"] for each in report(*words)["findings"]] == ["violation"]


def test_a_damaged_snapshot_is_an_error_and_absence_means_nothing() -> None:
    Path("api.yaml").write_text(REPLICATED)
    path = Path(_snapshot({}, _budget("api")))
    path.write_bytes(path.read_bytes()[:-9])
    done = run("lint", "--only", "pdb", "api.yaml", "--inventory", str(path))
    assert done.returncode == 2
    assert b"cluster.snapshot: error: cannot be read: it is cut short or damaged" in done.stderr


def test_a_snapshot_counts_for_the_cache() -> None:
    Path("k8s").mkdir()
    Path("k8s", "api.yaml").write_text(REPLICATED + "# " + "x" * 150_000)
    words = ("--only", "pdb", "k8s", "--inventory")
    assert len(report(*words, _snapshot({}))["findings"]) == 1
    assert report(*words, _snapshot({}, _budget("api")))["findings"] == []


def test_a_cluster_that_cannot_be_reached_is_an_error() -> None:
    Path("api.yaml").write_text(REPLICATED)
    done = run(
        "lint", "--only", "pdb", "api.yaml", "--inventory", "cluster", "--kubeconfig", "absent"
    )
    assert done.returncode == 2
    assert b"absent: error: the kubeconfig cannot be read" in done.stderr


def test_reports_say_what_a_rule_of_the_policys_own_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tidewaiter.yaml").write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: own}\nspec:\n  customRules:\n"
        "    - {name: named-b, summary: the name is b, expression: object.metadata.name == 'b'}\n"
    )
    Path("a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    words = ["lint", "a.yaml", "--only", "named-b", "--format", "sarif", "--report", "html=a.html"]
    assert main(words) == 1
    (rule,) = json.loads(capsys.readouterr().out)["runs"][0]["tool"]["driver"]["rules"]
    assert rule["shortDescription"]["text"] == "The name is b."
    assert "<p>The name is b</p>" in Path("a.html").read_text()
