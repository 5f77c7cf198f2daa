"""The container image: its lock, its Dockerfile, and its root filesystem, in which the server runs as it will."""

from __future__ import annotations

import base64
import errno
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.cli.image_registry import PASSWORD, running_registry
from tests.cli.image_registry import PROGRAM as REGISTRY
from tests.cli.image_registry import USER as NAME
from tests.deploy.image_root import (
    ENVIRONMENT,
    IMAGE,
    PROGRAM,
    ROOT,
    USER,
    add_base,
    build_wheel,
    command,
    install,
    reason_to_skip,
)
from tests.e2e.certificates import Authority
from tests.webhook.running import PRIVILEGED, review_of
from tidewaiter.rules.rendering.chart import ChartOptions, render_chart
from tidewaiter.rules.rendering.engines import PackagedEngine
from tidewaiter.rules.rendering.kustomization import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = IMAGE / "requirements.txt"
DOCKERFILE = IMAGE / "Dockerfile"
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
TOOLS = {"sh", "bash", "dash", "busybox", "pip", "pip3", "uv", "uvx", "apt", "dpkg", "apk", "gcc"}
"""What nobody who breaks in should find; a Python package may bring a program of its own."""


def locked() -> dict[str, str]:
    """The name and version of each package in the lock."""
    pinned = [line.split()[0] for line in LOCK.read_text().splitlines() if "==" in line]
    return dict(pin.split("==") for pin in pinned)


@pytest.mark.slow
def test_the_lock_holds_what_the_project_asks_for_and_each_package_has_hashes(
    tmp_path: Path,
) -> None:
    kept = LOCK.read_bytes()
    copy = tmp_path / "requirements.txt"
    copy.write_bytes(kept)
    uv = shutil.which("uv", path=os.path.dirname(sys.executable))
    assert uv
    extras = ("webhook", "signatures", "valkey", "traces")
    subprocess.run(
        [uv, "pip", "compile", "--quiet", "pyproject.toml", "--output-file", str(copy)]
        + [word for extra in extras for word in ("--extra", extra)]
        + ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_36"]
        + ["--only-binary", ":all:", "--generate-hashes", "--no-emit-index-url"]
        + ["--custom-compile-command", "make lock"],
        cwd=ROOT,
        check=True,
    )
    assert copy.read_bytes() == kept, "pyproject.toml has changed: run 'make lock'"
    blocks = LOCK.read_text().split("==")[1:]
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_lock_names_each_direct_dependency_of_the_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in ("webhook", "signatures", "valkey", "traces"):
        wanted += project["optional-dependencies"][extra]
    names = {re.split(r"[<>=!;\[ ]", line)[0].lower().replace("_", "-") for line in wanted}
    assert names - {"tidewaiter"} <= set(locked())


@pytest.mark.parametrize("name", ["requirements.txt", "release-requirements.txt"])
def test_the_locks_are_read_by_pip_audit(name: str) -> None:
    """The service that knows of vulnerabilities is not asked: what is tested is that it could be."""
    audit = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off"]
    done = subprocess.run(
        [*audit, "--require-hashes", "--disable-pip", "--dry-run", "--requirement", IMAGE / name],
        capture_output=True,
        text=True,
        check=False,
    )
    count = (IMAGE / name).read_text().count("==")
    assert done.returncode == 0, done.stderr
    assert f"would have audited {count} packages" in done.stderr


def test_the_dockerfile_passes_its_linter() -> None:
    hadolint = shutil.which("hadolint", path=os.path.dirname(sys.executable))
    if not hadolint:
        pytest.skip("hadolint has no build for this machine")
    done = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_workflows_and_the_action_pass_their_linter() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.exists():
        pytest.skip("zizmor has no build for this machine")
    command = [
        str(zizmor),
        "--offline",
        "--no-progress",
        "--color=never",
        ".github/workflows",
        "action.yml",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("No findings to report")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    parts = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in parts]


def test_each_base_is_pinned_by_digest_and_nothing_is_fetched_past_the_lock() -> None:
    found = instructions()
    bases = [rest for word, rest in found if word == "FROM"]
    assert len(bases) == 2
    for base in bases:
        assert re.search(r"[^ :@]+:[^ :@]+@sha256:[0-9a-f]{64}( AS \w+)?$", base), base
        assert ":latest" not in base
    assert not [word for word, _ in found if word == "ADD"]
    assert [rest for word, rest in found if word == "RUN"] == [
        'deploy/image/install.sh "${TARGETARCH}" dist /out'
    ]


def test_the_last_stage_runs_nothing_and_is_no_root() -> None:
    found = instructions()
    last = max(at for at, (word, _) in enumerate(found) if word == "FROM")
    stage = dict(found[last:])
    assert "RUN" not in stage
    assert "distroless" in stage["FROM"]
    assert stage["USER"] == f"{USER}:{USER}"
    assert stage["HEALTHCHECK"] == "NONE"
    assert json.loads(stage["ENTRYPOINT"]) == [PROGRAM]
    for label in ("title", "description", "licenses", "version", "revision", "created", "source"):
        assert f"org.opencontainers.image.{label}=" in stage["LABEL"]


def test_the_build_sees_the_wheel_and_the_lock_only() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules == ["*", "!deploy/image/requirements.txt", "!deploy/image/*.sh", "!dist/*.whl"]


def test_an_architecture_without_wheels_and_a_missing_wheel_are_said(tmp_path: Path) -> None:
    done = install("riscv64", tmp_path, tmp_path / "root")
    assert done.returncode == 2
    assert "no wheels are known for the architecture 'riscv64'" in done.stderr
    done = install("amd64", tmp_path, tmp_path / "root")
    assert done.returncode == 2
    assert "run 'make wheel'" in done.stderr
    assert not (tmp_path / "root").exists()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    build_wheel(folder)
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """The root filesystem of the image."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("image") / "root"
    done = install("amd64", wheels, root)
    assert done.returncode == 0, done.stderr
    add_base(root)
    # Every folder above it is for root alone, and the program's user must come through.
    for folder in (root, *root.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    return root


@pytest.mark.slow
def test_the_packages_of_the_other_architecture_are_laid_out_too(
    tmp_path: Path, wheels: Path
) -> None:
    done = install("arm64", wheels, tmp_path / "root")
    assert done.returncode == 0, done.stderr
    extensions = list(tmp_path.rglob("*.so"))
    assert extensions
    # e_machine of an ELF file for AArch64 is 183.
    assert {path.read_bytes()[18:20] for path in extensions} == {(183).to_bytes(2, "little")}


@pytest.mark.slow
def test_the_image_holds_the_locked_packages_and_no_tools(image: Path) -> None:
    site = image / "opt/tidewaiter/lib/python3.11/site-packages"
    installed = {}
    for folder in site.glob("*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        installed[name.lower().replace("_", "-")] = version
    installed.pop("tidewaiter")
    assert installed == locked()
    assert not [path for path in image.rglob("*") if path.name in TOOLS and path.is_file()]
    assert sorted(path.name for path in (image / "opt/tidewaiter/bin").iterdir()) == [
        "python",
        "tidewaiter",
    ]
    assert not [path for path in image.joinpath("opt").rglob("*") if path.stat().st_mode & 0o6002]


def run(image: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(image, *arguments),
        env=ENVIRONMENT,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_the_command_line_works_in_the_image(image: Path) -> None:
    done = run(image, PROGRAM, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    done = run(image, PROGRAM, "lint", "-", text=json.dumps(PRIVILEGED))
    assert done.returncode == 1
    assert "no-privileged" in done.stdout
    for word in ("verify", "scan", "pin", "audit"):
        assert run(image, PROGRAM, word, "--help").returncode == 0


@pytest.mark.slow
def test_every_package_of_the_image_can_be_loaded_in_it(image: Path) -> None:
    modules = "cryptography.x509, fastapi, httptools, httpx, orjson, prometheus_client, uvloop, re2, sigstore.verify, valkey, yaml, pydantic, opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.http.trace_exporter, ssl, sqlite3"  # fmt: skip
    done = run(image, "/opt/tidewaiter/bin/python", "-I", "-c", f"import {modules}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_nothing_but_tmp_can_be_written(image: Path) -> None:
    code = """
import os, sys
for folder in ("/", "/etc", "/opt/tidewaiter", "/home/nonroot", "/usr/bin"):
    try:
        open(os.path.join(folder, "x"), "w")
    except OSError as error:
        print(error.errno)
open("/tmp/x", "w").close()
print(os.getuid(), os.getgid(), os.getgroups())
"""
    done = run(image, "/opt/tidewaiter/bin/python", "-I", "-c", code)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str(errno.EROFS)] * 5 + [f"{USER} {USER} []"]


@contextmanager
def serving(image: Path, folder: Path) -> Iterator[tuple[http.client.HTTPSConnection, Path]]:
    """Run the server in the image; yield a client and the file with the server's log."""
    mounted = image / "etc/tidewaiter"
    mounted.mkdir(exist_ok=True)
    authority = Authority(mounted)
    pair = authority.issue("server")
    os.chown(pair.key, USER, USER)
    (mounted / "tidewaiter.yaml").write_text(
        "{apiVersion: tidewaiter.dev/v1, kind: Policy, metadata: {name: x}, spec: {profile: pss-baseline}}"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--policy", "/etc/tidewaiter/tidewaiter.yaml", "--inventory", "none"]
    options += [
        "--tls-cert",
        "/etc/tidewaiter/server.crt",
        "--tls-key",
        "/etc/tidewaiter/server.key",
    ]
    options += ["--bind", f"127.0.0.1:{port}", "--drain-grace", "0s"]
    log = folder / "stderr"
    with log.open("wb") as stderr, (folder / "stdout").open("wb") as stdout:
        process = subprocess.Popen(
            command(image, PROGRAM, "serve", *options),
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        end = time.monotonic() + 60
        while "listening on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        context = ssl.create_default_context(cafile=str(authority.certificate))
        yield http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20), log
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def contents(root: Path) -> dict[str, tuple[int, int]]:
    """Each file with its size and time of change."""
    found = ((path, path.lstat()) for path in root.rglob("*"))
    return {str(path): (status.st_size, status.st_mtime_ns) for path, status in found}


@pytest.mark.slow
def test_the_server_runs_in_the_image_and_writes_nothing(image: Path, tmp_path: Path) -> None:
    before: dict[str, tuple[int, int]] = {}
    with serving(image, tmp_path) as (client, log):
        before = contents(image)
        client.request("GET", "/readyz")
        response = client.getresponse()
        assert (response.status, bool(response.read())) == (200, True)
        body = json.dumps(review_of(PRIVILEGED))
        client.request("POST", "/validate", body, {"content-type": "application/json"})
        answer = json.loads(client.getresponse().read())
        assert answer["response"]["allowed"] is False
        client.request("GET", "/metrics")
        assert client.getresponse().read()
    assert contents(image) == before
    assert "Read-only file system" not in log.read_text()
    assert "Traceback" not in log.read_text()
    assert [json.loads(line)["verdict"] for line in (tmp_path / "stdout").open()] == ["denied"]


@pytest.mark.slow
@pytest.mark.skipif(not REGISTRY, reason="docker-registry is not installed")
def test_the_bases_are_pinned_anew_by_tidewaiter_pin(tmp_path: Path) -> None:
    with running_registry(tmp_path) as registry:
        old = registry.push_index("python", "3.11-slim", "old")
        runtime = registry.push_index("distroless", "nonroot", "runtime")
        dockerfile = tmp_path / "Dockerfile"
        text = (
            f"FROM --platform=$BUILDPLATFORM {registry.host}/python:3.11-slim@{old} AS builder\n"
            f"FROM {registry.host}/distroless:nonroot@{runtime}\nCOPY --from=builder /out /\n"
        )
        dockerfile.write_text(text)
        new = registry.push_index("python", "3.11-slim", "new")
        login = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
        (tmp_path / "config.json").write_text(
            json.dumps({"auths": {registry.host: {"auth": login}}})
        )
        environment = {
            **os.environ, "DOCKERFILE": str(dockerfile), "DOCKER_CONFIG": str(tmp_path)
        }  # fmt: skip
        script = [sys.executable, str(IMAGE / "bases.py")]
        check = subprocess.run(
            [*script, "--check"], env=environment, capture_output=True, check=False
        )
        assert check.returncode == 1, check.stderr
        assert dockerfile.read_text() == text
        subprocess.run([*script, "--update"], env=environment, capture_output=True, check=True)
        assert dockerfile.read_text() == text.replace(old, new)
        again = subprocess.run(
            [*script, "--check"], env=environment, capture_output=True, check=False
        )
        assert again.returncode == 0, again.stderr


def test_the_kustomization_that_a_release_packs_builds_by_itself(tmp_path: Path) -> None:
    steps = yaml.safe_load(RELEASE.read_text())["jobs"]["release"]["steps"]
    script = next(
        each["run"] for each in steps if "chart and kustomization" in each.get("name", "")
    )
    pack = script[script.index("tar --create") :]
    (tmp_path / "dist").mkdir()
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    environment = {**os.environ, "VERSION": "1.2.3", "SOURCE_DATE_EPOCH": "0"}
    subprocess.run(["bash", "-euc", pack], cwd=tmp_path, env=environment, check=True)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    (packed,) = (tmp_path / "dist").iterdir()
    subprocess.run(["tar", "--extract", "--file", packed, "--directory", unpacked], check=True)
    for overlay in (unpacked / "kustomize" / "overlays").iterdir():
        built = subprocess.run([*find_program(), str(overlay)], capture_output=True, check=True)
        assert b"kind: CustomResourceDefinition" in built.stdout


def test_a_release_writes_its_digest_into_chart_and_kustomization(tmp_path: Path) -> None:
    for name in ("chart", "crds", "kustomize"):
        shutil.copytree(ROOT / "deploy" / name, tmp_path / name)
    script = [sys.executable, str(IMAGE / "set_digest.py")]
    for digest in ("sha256:" + "a" * 64, "sha256:" + "b" * 64):
        done = [*script, "registry.example.com/tidewaiter", digest, "1.2.3", str(tmp_path)]
        subprocess.run(done, check=True)
    image = f"registry.example.com/tidewaiter@{digest}"
    for file in (tmp_path / "chart" / "ci").iterdir():
        file.unlink()
    options = ChartOptions(
        kubernetes_version="1.34.0", namespace="tidewaiter", release="tidewaiter"
    )
    (rendering,) = render_chart(str(tmp_path / "chart"), options, PackagedEngine())
    assert rendering.errors == ()
    rendered = b"".join(file.data for file in rendering.files).decode()
    assert f"image: {image}\n" in rendered
    assert '\nappVersion: "1.2.3"\n' in (tmp_path / "chart" / "Chart.yaml").read_text()
    base = [*find_program(), str(tmp_path / "kustomize" / "base")]
    built = subprocess.run(base, capture_output=True, check=True, text=True)
    assert f"image: {image}\n" in built.stdout
    wrong = subprocess.run([*script, "x", "latest", "1"], capture_output=True, check=False)
    assert wrong.returncode == 2
