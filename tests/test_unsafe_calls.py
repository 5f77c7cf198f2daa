"""What comes from outside is never run as code: no such call stands in what is shipped."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(
    path
    for folder in ("rules", "cli", "webhook", "deploy")
    for path in (ROOT / folder).rglob("*.py")
)
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execvp"}
CALLS |= {
    f"yaml.{name}" for name in ("unsafe_load", "unsafe_load_all", "full_load", "full_load_all")
}
MODULES = {"pickle", "cPickle", "dill", "shelve", "jsonpickle", "xmlrpc", "telnetlib", "ftplib"}
LOADERS = {"Loader", "CLoader", "UnsafeLoader", "CUnsafeLoader", "FullLoader", "CFullLoader"}
OWN_DATA = {"cache_folder.py", "catalogue.py", "worker.py", "channel.py", "part.py", "parallel.py"}
"""Where marshal reads what tidewaiter wrote itself: the user's own cache, and its own child processes."""
SILENCED = re.compile(r"noqa:.*\b(S102|S301|S304|S306|S307|S501|S506|S602|S604|S605|S701)\b")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_is_run(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not SILENCED.search(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in CALLS, f"{called} in line {node.lineno}"
            assert not called.startswith("marshal.load") or path.name in OWN_DATA
            for keyword in node.keywords:
                assert keyword.arg != "shell" or not ast.literal_eval(keyword.value)
        elif isinstance(node, ast.Attribute):
            assert node.attr not in LOADERS, f"{node.attr} in line {node.lineno}"
        elif isinstance(node, ast.Import):
            assert not MODULES & {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in MODULES
            if node.module == "yaml":
                assert not LOADERS & {alias.name for alias in node.names}


def test_the_linter_looks_for_the_same() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in settings["select"]
    assert not [code for code in settings["ignore"] if re.fullmatch(r"S\d*", code)]
    for pattern, codes in settings["per-file-ignores"].items():
        shipped = pattern.startswith(("rules/", "cli/", "webhook/"))
        assert not shipped or not [code for code in codes if re.fullmatch(r"S\d*", code)]
