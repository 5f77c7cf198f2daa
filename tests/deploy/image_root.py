"""The image's root filesystem, made by the Dockerfile's own script, and a program run in it as a container is.

The base has a Python of its own under /usr: here it is a copy of the one that runs the tests, with the libraries that
it needs. The rest comes from `deploy/image/install.sh`, as in the builder's stage.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "deploy" / "image"
USER = 65532
PROGRAM = "/opt/tidewaiter/bin/tidewaiter"
_LEFT_OUT = ("site-packages", "test", "tests", "__pycache__", "idlelib", "tkinter", "ensurepip", "turtledemo", "*.a", "config-*")  # fmt: skip


def reason_to_skip() -> str:
    """Why the root filesystem cannot be made or run here, or nothing."""
    if os.geteuid() != 0:
        return "only root can change the root of a process"
    if sys.version_info[:2] != (3, 11):
        return "the image's packages are locked for Python 3.11"
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return "the test's root filesystem is made for x86-64 Linux"
    if missing := [
        name for name in ("unshare", "chroot", "setpriv", "ldd") if not shutil.which(name)
    ]:
        return f"{', '.join(missing)} are not there"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "this machine lets nobody make a mount namespace"
    return ""


def build_wheel(folder: Path) -> Path:
    """Build the wheel as `make wheel` does."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([*pip, str(ROOT)], check=True)
    return next(folder.glob("tidewaiter-*.whl"))


def install(architecture: str, wheels: Path, root: Path) -> subprocess.CompletedProcess[str]:
    """Do what the builder's stage does."""
    return subprocess.run(
        [str(IMAGE / "install.sh"), architecture, str(wheels), str(root)],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


def add_base(root: Path) -> None:
    """Add what the distroless base has: Python, its libraries, users, certificates, /tmp."""
    program = Path(os.path.realpath(sys.executable))
    (root / "usr/bin").mkdir(parents=True)
    shutil.copy2(program, root / "usr/bin/python3.11")
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, root / "usr/lib/python3.11", ignore=shutil.ignore_patterns(*_LEFT_OUT))
    binaries = [program, *(root / "usr/lib/python3.11/lib-dynload").glob("*.so")]
    binaries += root.glob("opt/**/*.so")
    for needed in _libraries(binaries):
        target = root / needed.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(os.path.realpath(needed), target)
    for folder in ("etc", "tmp", "proc", "dev", "home/nonroot"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text(
        f"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:{USER}:{USER}::/home/nonroot:/sbin/nologin\n"
    )


def _libraries(binaries: list[Path]) -> list[Path]:
    found = {Path("/lib64/ld-linux-x86-64.so.2")}
    for at in range(0, len(binaries), 50):
        part = [str(path) for path in binaries[at : at + 50]]
        listed = subprocess.run(["ldd", *part], capture_output=True, text=True, check=False).stdout
        for line in listed.splitlines():
            words = line.split()
            if "=>" in words and len(words) > 2 and words[2].startswith("/"):
                # A wheel's own libraries lie beside it, and are found there.
                if "site-packages" not in words[2]:
                    found.add(Path(words[2]))
    return sorted(found)


def command(root: Path, *arguments: str) -> list[str]:
    """Return what runs the image's program: own mounts, root read-only but for /tmp, user 65532, no new privileges."""
    script = """
set -eu
root=$1; shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o size=64m,mode=1777,nosuid,nodev tmpfs "$root/tmp"
cd "$root"
PATH=/opt/tidewaiter/bin:/usr/bin
export PATH
exec "$setpriv" --no-new-privs "$chroot" --userspec=65532:65532 --groups= "$root" "$@"
"""
    programs = [f"{name}={shutil.which(name)}" for name in ("setpriv", "chroot")]
    script = "\n".join(programs) + script
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(root), *arguments]


ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/home/nonroot", "LANG": "C.UTF-8"}
