"""What the end-to-end tests stand on: one build for all, clear failures, and no server that outlives them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.api_server import running_api_server
from tests.e2e.binaries import (
    KUBERNETES,
    MODULE,
    OLDER,
    Binaries,
    BuildFailed,
    GoIsMissing,
    binaries,
    build_folder,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FAKE_GO = """\
echo "$*" >> "{log}"
while [ "$1" != -o ]; do shift; done
sleep 0.2
mkdir -p "$(dirname "$2")" && touch "$2"
"""


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return path


def put_go(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script(folder / "go", text)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize("module", [MODULE, OLDER], ids=["this-version", "the-one-before"])
def test_all_staging_modules_have_the_version_of_kubernetes(module: Path) -> None:
    text = (module / "go.mod").read_text(encoding="utf-8")
    replaced = re.findall(r"^\t(k8s\.io/\S+) => (\S+) (\S+)$", text, re.MULTILINE)
    version = version_of(KUBERNETES, module).replace("v1.", "v0.", 1)
    assert replaced == [(name, name, version) for name, _, _ in replaced]
    placeholders = set(re.findall(r"^\t(k8s\.io/\S+) v0\.0\.0 ", text, re.MULTILINE))
    assert placeholders
    assert placeholders <= {name for name, _, _ in replaced}


def test_several_that_ask_at_once_get_one_build(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "calls"
    put_go(tmp_path / "bin", FAKE_GO.format(log=log), monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        answers = [each.result() for each in [pool.submit(binaries) for _ in range(4)]]
    assert set(answers) == {Binaries(build_folder() / "kube-apiserver", build_folder() / "etcd")}
    assert build_folder().is_relative_to(empty_cache / "tidewaiter" / "e2e")
    assert all(program.exists() for program in answers[0])
    assert len(log.read_text(encoding="utf-8").splitlines()) == len(answers[0])


def test_a_failed_build_tells_why_and_leaves_nothing(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_go(tmp_path / "bin", "echo no space left on device >&2; exit 1", monkeypatch)
    with pytest.raises(BuildFailed, match="no space left on device"):
        binaries()
    assert [path.suffix for path in build_folder().parent.iterdir()] == [".lock"]


def test_without_go_the_message_names_it(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GoIsMissing, match="need Go"):
        binaries()


def test_a_server_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    programs = Binaries(
        script(tmp_path / "bin" / "kube-apiserver", "echo unknown flag; exit 3"),
        script(tmp_path / "bin" / "etcd", "exec sleep 60"),
    )
    (tmp_path / "server").mkdir()
    with (
        pytest.raises(RuntimeError, match=r"ended with 3(?s:.)*unknown flag"),
        running_api_server(programs, tmp_path / "server"),
    ):
        pass


def test_no_server_outlives_tests_that_are_killed(tmp_path: Path) -> None:
    pids = {name: tmp_path / f"{name}.pid" for name in ("etcd", "kube-apiserver")}
    for name, pid in pids.items():
        script(tmp_path / name, f'echo $$ > "{pid}.new"; mv "{pid}.new" "{pid}"; exec sleep 60')
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.e2e.api_server import running_api_server\n"
        "from tests.e2e.binaries import Binaries\n"
        "here = Path(sys.argv[1])\n"
        "with running_api_server(Binaries(here / 'kube-apiserver', here / 'etcd'), here): pass\n"
    )
    tests = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=MODULE.parents[2])
    wait_until(lambda: all(pid.exists() for pid in pids.values()))
    running = [int(pid.read_text(encoding="utf-8")) for pid in pids.values()]
    assert all(map(is_running, running))
    tests.send_signal(signal.SIGKILL)
    tests.wait()
    wait_until(lambda: not any(map(is_running, running)))


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited for 20 seconds"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
