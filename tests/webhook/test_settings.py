"""Each mistake in the options of the server is one sentence and the exit code 2."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.webhook.running import config_map, running
from tidewaiter.cli.main import main
from tidewaiter.rules.cluster.snapshot import save
from tidewaiter.rules.loading.resources import read_resources

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = ["--inventory", "none", "--bind", "127.0.0.1:0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tls-cert", "a.crt"], "--tls-cert is given without --tls-key"),
        (["--tls-key", "a.key"], "--tls-key is given without --tls-cert"),
        (["--plain-http", "--tls-cert", "a", "--tls-key", "b"], "exclude each other"),
        (["--bind", ":8443"], "only loopback is served, not ':8443'"),
        (["--bind", "0.0.0.0:8443"], "--plain-http serves without it"),
        (["--bind", "8443"], "--bind takes HOST:PORT"),
        (["--bind", "localhost"], "--bind takes HOST:PORT"),
        (["--bind", "::1:8443"], "an IPv6 address in brackets"),
        (["--bind", "127.0.0.1:99999"], "a port from 0 to 65535"),
        (["--bind", "127.0.0.1:٣"], "a port from 0 to 65535"),
        (["--bind", "192.0.2.1:0", "--plain-http"], "cannot listen at 192.0.2.1:0"),
        (["--policy", "missing.yaml"], "there is no such policy file"),
        (["--inventory", "missing.json"], "there is no such inventory"),
        (["--read-timeout", "10"], "a unit is missing"),
        (["--read-timeout", "0s"], "--read-timeout is at least 0.1s"),
        (["--drain-grace=-1s"], "--drain-grace is at least 0s"),
        (["--max-body", "many"], "--max-body takes a size such as 8Mi"),
        (["--max-body", "1"], "--max-body is at least 1024 bytes"),
        (["--max-connections", "0"], "--max-connections takes a number from 1"),
        (["--audit-log-files=-1"], "--audit-log-files takes a number from 1"),
        (["--kubeconfig", "missing", "--inventory", "cluster"], "missing"),
    ],
)
def test_a_mistake_is_a_sentence(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "tidewaiter.webhook", *PLAIN, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_an_option_that_is_misspelt_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--polcy", "a"])
    assert "did you mean '--policy'?" in capsys.readouterr().err


def test_missing_packages_are_told_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name in {"uvicorn", "fastapi"} else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert main(["serve", *PLAIN]) == 2
    err = capsys.readouterr().err
    assert "fastapi, uvicorn" in err
    assert "pip install 'tidewaiter[webhook]'" in err


def test_an_address_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "tidewaiter.webhook", "--inventory", "none"]
        done = subprocess.run(
            [*command, "--bind", f"127.0.0.1:{port}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert "Address already in use" in done.stderr


def test_the_log_may_be_json(tmp_path: Path) -> None:
    import json

    with running(tmp_path, "--log-format", "json") as server:
        assert server.end() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert lines[-1]["message"] == "ended"
    assert {"time", "level", "message"} == set(lines[0])


MANIFESTS = (
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    "---\napiVersion: v1\nkind: Secret\nmetadata: {name: present, namespace: shop}\n"
)


@pytest.mark.parametrize("form", ["manifests", "snapshot"])
def test_an_inventory_in_a_file_answers_for_other_objects(tmp_path: Path, form: str) -> None:
    path = tmp_path / "inventory.yaml"
    if form == "manifests":
        path.write_text(MANIFESTS)
    else:
        save(str(path), read_resources(MANIFESTS.encode(), "a.yaml").resources, {})
    with running(tmp_path, "--inventory", str(path)) as server:
        assert server.metric("tidewaiter_inventory_objects", kind="Secret") == 1
        for name in ("present", "absent"):
            container = {
                "name": "app",
                "image": "registry.example/app:1.0",
                "envFrom": [{"secretRef": {"name": name}}],
            }
            pod = {**config_map(), "kind": "Pod", "spec": {"containers": [container]}}
            warned = any("reference-exists" in each for each in server.review(pod)["warnings"])
            assert warned is (name == "absent")


def test_without_an_inventory_rules_on_others_do_not_guess(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert "rules that ask about other objects answer unknown" in server.log
        assert server.request("GET", "/readyz").status == 200
