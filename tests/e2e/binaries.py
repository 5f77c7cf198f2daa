"""kube-apiserver, etcd and helm as programs, built from their Go modules once for each version.

The modules are those of tests/e2e/servers/go.mod. The programs are kept outside of the checkout, so that a
fresh clone finds them again.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tidewaiter.rules.cache_folder import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULE = Path(__file__).parent / "servers"
OLDER = MODULE / "older"
"""The module of the API server of the minor version before."""
HELM_MODULE = MODULE / "helm"
HELM = "helm.sh/helm/v3"
KUBERNETES = "k8s.io/kubernetes"
ETCD = "go.etcd.io/etcd/server/v3"


class GoIsMissing(Exception):
    """The programs are not built yet, and there is no Go to build them with."""


class BuildFailed(Exception):
    """Go could not build a program; the message ends with what it said."""


class Binaries(NamedTuple):
    """The paths of the two programs."""

    kube_apiserver: Path
    etcd: Path


def version_of(module: str, folder: Path = MODULE) -> str:
    """Return the version of a Go module that the go.mod of a folder requires, with its `v`."""
    text = (folder / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", text, re.MULTILINE)
    assert found is not None, f"{folder / 'go.mod'} requires no {module}"
    return found[1]


def build_folder() -> Path:
    """Return where the programs of these versions are kept, built or not."""
    return _folder(f"kubernetes-{version_of(KUBERNETES)}-etcd-{version_of(ETCD)}")


def older_build_folder() -> Path:
    """Return where the API server of the minor version before is kept, built or not."""
    return _folder(f"kubernetes-{version_of(KUBERNETES, OLDER)}")


def binaries() -> Binaries:
    """Return the programs, which are built first where they are absent.

    Other processes that ask at the same time wait for the one that builds. A folder appears whole or not at
    all. Raises GoIsMissing and BuildFailed.
    """
    folder = build_folder()
    _build_once(folder, {"etcd": (ETCD, MODULE), "kube-apiserver": (_API_SERVER, MODULE)})
    return Binaries(kube_apiserver=folder / "kube-apiserver", etcd=folder / "etcd")


def older_binaries() -> Binaries:
    """Return the API server of the minor version before, with the same etcd; see `binaries`."""
    folder = older_build_folder()
    _build_once(folder, {"kube-apiserver": (_API_SERVER, OLDER)})
    return Binaries(kube_apiserver=folder / "kube-apiserver", etcd=binaries().etcd)


def helm_program() -> Path:
    """Return helm, likewise."""
    folder = _folder(f"helm-{version_of(HELM, HELM_MODULE)}")
    _build_once(folder, {"helm": (f"{HELM}/cmd/helm", HELM_MODULE)})
    return folder / "helm"


_API_SERVER = f"{KUBERNETES}/cmd/kube-apiserver"


def _folder(versions: str) -> Path:
    name = f"{versions}-{platform.system().lower()}-{platform.machine().lower()}"
    return Path(cache_folder(), "e2e", name)


def _build_once(folder: Path, programs: Mapping[str, tuple[str, Path]]) -> None:
    """Build programs, each given by its package and its module's folder, unless they are there."""
    if folder.is_dir():
        return
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return
        if shutil.which("go") is None:
            raise GoIsMissing(
                "the end-to-end tests need Go 1.26 or newer, once, to build kube-apiserver, etcd and helm"
            )
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as temporary:
            built = Path(temporary, "built")
            for name, (package, module) in programs.items():
                _go_build(package, module, built / name)
            built.rename(folder)


def _go_build(package: str, module: Path, program: Path) -> None:
    # Without a stamped version the API server calls itself v0.0.0-master, which kubectl cannot read.
    flags = "-s -w"
    if package.startswith(KUBERNETES):
        flags += f" -X k8s.io/component-base/version.gitVersion={version_of(KUBERNETES, module)}"
    done = subprocess.run(
        ["nice", "go", "build", "-ldflags", flags, "-o", str(program), package],
        check=False,
        cwd=module,
        # Neither a workspace nor flags around the tests change the build, and no C compiler is needed.
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0:
        raise BuildFailed(
            f"go build {package} ended with {done.returncode}:\n{done.stdout[-4000:]}"
        )
