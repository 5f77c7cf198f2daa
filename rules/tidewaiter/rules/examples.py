"""A bad and a good manifest for every rule: the `example.yaml` of its fixtures, tested as such.

A wheel carries them in a module that the build writes; a checkout reads the fixtures themselves.
"""

from __future__ import annotations

import os
from importlib import import_module

from tidewaiter.rules.record import record

_ROOT = os.path.dirname(os.path.abspath(__file__))
_FIXTURES = os.path.join(_ROOT, "..", "..", "..", "tests", "rules", "checks")


@record
class Example:
    """Two manifests as YAML: `bad` breaks the rule where `# violation` stands, `good` keeps it."""

    bad: str
    good: str


def example(rule: str) -> Example | None:
    """Return the example of a rule, or None where there is none."""
    found = _examples([rule]).get(rule)
    return Example(*found) if found else None


def examples_source(rules: list[str]) -> str:
    """Return the source of the module with the examples of the rules, which the build puts in a wheel."""
    rows = "".join(f"    {name!r}: {pair!r},\n" for name, pair in _fixtures(rules).items())
    return f'"""Made by the build from the fixtures of the rules."""\n\nEXAMPLES = {{\n{rows}}}\n'


def _examples(rules: list[str]) -> dict[str, tuple[str, str]]:
    try:
        made = import_module("tidewaiter.rules.checks._examples")
    except ImportError:
        return _fixtures(rules)
    examples: dict[str, tuple[str, str]] = made.EXAMPLES
    return examples


def _fixtures(rules: list[str]) -> dict[str, tuple[str, str]]:
    found = {}
    for rule in rules:
        bad, good = (_read(os.path.join(_FIXTURES, rule, kind)) for kind in ("fail", "pass"))
        if bad and good:
            found[rule] = (bad, good)
    return found


def _read(folder: str) -> str:
    """Read a folder's example, which is a file or a folder of files, without the test's settings."""
    path = os.path.join(folder, "example.yaml")
    if not os.path.exists(path):
        path = os.path.join(folder, "example")
    if os.path.isdir(path):
        names = sorted(name for name in os.listdir(path) if name.endswith(".yaml"))
        return "".join(
            f"# {name}\n{_without_settings(_text(os.path.join(path, name)))}" for name in names
        )
    return _without_settings(_text(path))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _without_settings(text: str) -> str:
    return text.partition("\n")[2] if text.startswith("# settings:") else text
