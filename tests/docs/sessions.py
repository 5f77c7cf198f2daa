"""The commands that a page shows, and a shell that runs them one after the other as a reader would.

A page's fenced `console` blocks are one session: lines that begin with `$ ` are commands (`> ` continues one), those
below are what they print, with `…` for any text and a line `...` for any lines. A comment before a block may say
`<!-- not run: REASON -->` or `<!-- run in a cluster -->`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parts[-2:-1] != ("rules",)),
)
PREPARED = Path(__file__).parent / "prepared"
"""Scripts by the page's name: what a page takes for granted is made by them."""
IN_CLUSTER = "run in a cluster"
_BLOCK = re.compile(
    r"^(?P<indent> *)```console\n(?P<body>.*?)^(?P=indent)```", re.DOTALL | re.MULTILINE
)
_MARK = re.compile(r"<!-- (?P<mark>not run: .+|run in a cluster) -->\n+ *$")
_BOUNDARY = "\x1e"
_PATIENCE_SECONDS = 300


class Command(NamedTuple):
    """A command of a page. `shown` is what stands below it, `mark` what the comment before its block says."""

    line: int
    text: str
    shown: str
    mark: str


class Done(NamedTuple):
    """What became of a command."""

    code: int
    output: str


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of a page in order."""
    for block in _BLOCK.finditer(text):
        before = _MARK.search(text[: block.start()])
        mark = before["mark"] if before else ""
        line = text.count("\n", 0, block.start()) + 1
        margin = len(block["indent"])
        rows = [row[margin:] for row in block["body"].splitlines()]
        starts = [place for place, row in enumerate(rows) if row.startswith("$ ")]
        assert starts[:1] == [0], f"line {line}: the block does not begin with a command"
        for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
            stop = start + 1
            while stop < end and (rows[stop - 1].endswith("\\") or rows[stop].startswith(">")):
                stop += 1
            words = [
                rows[start][2:],
                *(row.removeprefix(">").removeprefix(" ") for row in rows[start + 1 : stop]),
            ]
            shown = "\n".join(rows[stop:end]).strip("\n")
            yield Command(line + 1 + start, "\n".join(words), shown, mark)


def sandbox(folder: Path) -> Path:
    """Copy what a checkout holds, as a repository of its own with a branch `main` and its remote."""
    home = folder / "tidewaiter"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(
            ("tests/", "bench/", "rules/", "webhook/")
        ):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, home / name)
    script = """
        git init -q -b main . && git add -A && git commit -q -m all
        git update-ref refs/remotes/origin/main HEAD
    """
    subprocess.run(["bash", "-ec", script], cwd=home, env=environment(folder), check=True)
    return home


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the variables of a reader's shell: this tidewaiter, and nothing of the machine's own settings."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PATH": path,
        "XDG_CACHE_HOME": str(folder / "cache"),
        **{
            f"GIT_{who}_{what}": "a@example.com"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        "GIT_CONFIG_NOSYSTEM": "1",
        **more,
    }


def run(page: Path, wanted: list[Command], home: Path, variables: Mapping[str, str]) -> list[Done]:
    """Run commands in one shell, after the page's preparation."""
    script = PREPARED / f"{page.stem}.sh"
    if script.exists():
        subprocess.run(["bash", "-e", str(script)], cwd=home, env=dict(variables), check=True)
    parts = [f"{each.text}\nprintf '\\n{_BOUNDARY}%s{_BOUNDARY}' $?" for each in wanted]
    done = subprocess.run(
        ["bash", "-c", "exec 2>&1 </dev/null\n" + "\n".join(parts)],
        cwd=home,
        env=dict(variables),
        stdout=subprocess.PIPE,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    pieces = done.stdout.decode("utf-8", "replace").split(_BOUNDARY)
    return [
        Done(int(code), output.strip("\n"))
        for output, code in zip(pieces[::2], pieces[1::2], strict=False)
    ]


def is_shown_rightly(shown: str, output: str) -> bool:
    """Tell whether what a page shows is what came, where it leaves nothing out."""
    pattern = "".join(
        r"(?:.*\n)*" if row.strip() in {"...", "…"} else _row_pattern(row)
        for row in shown.splitlines()
    )
    return re.fullmatch(pattern, output.rstrip("\n") + "\n") is not None


def _row_pattern(row: str) -> str:
    return ".*".join(map(re.escape, row.rstrip().split("…"))) + " *\n"
