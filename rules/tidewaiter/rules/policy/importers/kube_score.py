"""Calls of kube-score in a pipeline's file or a script: its flags are its only configuration.

https://github.com/zegl/kube-score#configuration
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.checks_elsewhere import OPTIONAL
from tidewaiter.rules.policy.compiled import LATEST_VERSION, parse_version
from tidewaiter.rules.policy.foreign_checks import switched_off, switched_on
from tidewaiter.rules.policy.importing import Imported

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "file with calls of kube-score"
CALL = re.compile(r"kube-score(?:[:@][\w.:-]+)? +score\b")
"""The command, by itself or as an image's with its tag."""
_REPLICAS = {"--min-replicas-deployment": "min-replicas", "--min-replicas-hpa": "hpa-bounds"}
_SWITCHES = frozenset(
    {
        "--all-default-optional",
        "--disable-enable-checks-annotations",
        "--disable-ignore-checks-annotations",
        "--disable-optional-checks-annotations",
        "--exit-one-on-warning",
        "--ignore-container-cpu-limit",
        "--ignore-container-memory-limit",
        "--skip-init-containers",
        "--skip-jobs",
        "--verbose",
        "-v",
    }
)
"""Flags that take no value."""


def reads(document: dict[str, Any]) -> bool:
    """Tell a file by the call in it."""
    return "apiVersion" not in document and any(CALL.search(each) for each in _texts(document))


def convert(document: dict[str, Any]) -> Imported:
    """Return the flags of all calls as settings of rules."""
    read = _Read()
    for flag, value in _flags(document):
        _read_flag(flag, value, read)
    settings = {**switched_on("kube-score", read.on, read.notes), **read.parameters}
    settings.update(switched_off("kube-score", read.off, read.notes, read.on))
    if settings:
        read.spec["rules"] = settings
    return Imported("kube-score", read.spec, read.notes)


class _Read:
    """What the flags read so far mean."""

    def __init__(self) -> None:
        self.on: list[str] = []
        self.off: list[str] = []
        self.parameters: dict[str, dict[str, Any]] = {}
        self.spec: dict[str, Any] = {"compatibility": ["kube-score"]}
        self.notes: list[str] = []


def _read_flag(flag: str, value: str, read: _Read) -> None:
    checks = [each.strip() for each in value.split(",") if each.strip()]
    if flag == "--ignore-test":
        read.off += checks
    elif flag in {"--enable-optional-test", "--enable-test"}:
        read.on += checks
    elif flag == "--all-default-optional":
        read.on += sorted(OPTIONAL["kube-score"])
    elif flag == "--ignore-container-cpu-limit":
        read.parameters["resource-limits"] = {"parameters": {"cpu": "optional"}}
    elif flag in _REPLICAS and value.isdecimal() and int(value) > 0:
        read.parameters[_REPLICAS[flag]] = {"parameters": {"minimum": int(value)}}
    elif flag == "--exit-one-on-warning":
        read.spec["failOn"] = "warning"
    elif flag == "--disable-ignore-checks-annotations":
        read.spec.pop("compatibility", None)
    elif flag == "--kubernetes-version":
        _read_version(value, read)
    elif flag not in {"-o", "--output-format"}:
        read.notes.append(f"the flag {flag} is not carried over: {_WITHOUT.get(flag, _NO_CHECK)}")


_NO_CHECK = "it says nothing about a check"
_WITHOUT = {
    "--ignore-container-memory-limit": "resource-limits always asks for memory",
    "--skip-init-containers": "rules look at init containers too",
    "--skip-jobs": "rules look at Jobs too",
}


def _read_version(value: str, read: _Read) -> None:
    version = parse_version(value)
    if version is None or not (1, 0) <= version <= LATEST_VERSION:
        read.notes.append(f"--kubernetes-version {value} is not carried over: it is not known here")
    else:
        read.spec["kubernetesVersion"] = "{}.{}".format(*version)


def _texts(value: object) -> Iterator[str]:
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            pending += reversed(list(each.values()))
        elif isinstance(each, list):
            pending += reversed(each)


def _flags(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each flag with its value, of `--flag value` and `--flag=value`."""
    for text in _texts(document):
        for line in text.replace("\\\n", " ").splitlines():
            found = CALL.search(line)
            if found is not None:
                yield from _flags_of(line[found.end() :])


def _flags_of(rest: str) -> Iterator[tuple[str, str]]:
    try:
        words = shlex.split(rest, comments=True)
    except ValueError:
        words = rest.split()
    while words:
        word = words.pop(0)
        if word in {"|", "||", "&&", ";", ">"}:
            return
        if word.startswith("-") and len(word) > 1:
            flag, has_value, value = word.partition("=")
            if flag in _SWITCHES and value.lower() == "false":
                continue
            if not has_value and flag not in _SWITCHES and words and not words[0].startswith("-"):
                value = words.pop(0)
            yield flag, value
