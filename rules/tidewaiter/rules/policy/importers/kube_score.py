"""Calls of kube-score in a pipeline's file or a script: its flags are its only configuration.

https://github.com/zegl/kube-score#configuration
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.policy.compiled import LATEST_VERSION, parse_version
from tidewaiter.rules.policy.foreign_checks import switched_off, switched_on
from tidewaiter.rules.policy.importing import Imported

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "file with calls of kube-score"
_CALL = "kube-score score"


def reads(document: dict[str, Any]) -> bool:
    """Tell a file by the call in it."""
    return "apiVersion" not in document and any(_CALL in each for each in _texts(document))


def convert(document: dict[str, Any]) -> Imported:
    """Return the flags of all calls as settings of rules."""
    notes: list[str] = []
    off: list[str] = []
    on: list[str] = []
    spec: dict[str, Any] = {"compatibility": ["kube-score"]}
    limits: dict[str, Any] = {}
    for flag, value in _flags(document):
        if flag == "--ignore-test":
            off += filter(None, (each.strip() for each in value.split(",")))
        elif flag == "--enable-optional-test":
            on += filter(None, (each.strip() for each in value.split(",")))
        elif flag == "--ignore-container-cpu-limit":
            limits = {"resource-limits": {"parameters": {"cpu": "optional"}}}
        elif flag == "--kubernetes-version":
            version = parse_version(value)
            if version is None or not (1, 0) <= version <= LATEST_VERSION:
                notes.append(
                    f"--kubernetes-version {value} is not carried over: it is not known here"
                )
            else:
                spec["kubernetesVersion"] = "{}.{}".format(*version)
        elif flag not in {"-o", "--output-format"}:
            notes.append(f"the flag {flag} is not carried over: it says nothing about a check")
    settings = {**switched_on("kube-score", on, notes), **limits}
    settings.update(switched_off("kube-score", off, notes))
    if settings:
        spec["rules"] = settings
    return Imported("kube-score", spec, notes)


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
            _, found, rest = line.partition(_CALL)
            if found:
                yield from _flags_of(rest)


def _flags_of(rest: str) -> Iterator[tuple[str, str]]:
    try:
        words = shlex.split(rest, comments=True)
    except ValueError:
        words = rest.split()
    switches = {
        "--ignore-container-cpu-limit",
        "--ignore-container-memory-limit",
        "--all-default-optional",
    }
    while words:
        word = words.pop(0)
        if word in {"|", "||", "&&", ";", ">"}:
            return
        if word.startswith("-") and len(word) > 1:
            flag, has_value, value = word.partition("=")
            if not has_value and flag not in switches and words and not words[0].startswith("-"):
                value = words.pop(0)
            yield flag, value
