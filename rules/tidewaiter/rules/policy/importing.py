"""Reading what other tools enforce, and writing it as a policy of our own.

Each tool is a module in `importers/` with two functions: `reads(document)` tells by its content whether a document
is one of that tool's, and `convert(document)` returns what it means here. What has no meaning here is named in
notes, and where leaving it out would let something through, something stands in its place that lets nothing
through.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.documents import load_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PACKAGE = "tidewaiter.rules.policy.importers"
_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "importers")


class Imported(NamedTuple):
    """What a document means here: a part of a policy's `spec`, and what could not be carried over."""

    what: str
    """The document, as a person would name it."""
    spec: dict[str, Any]
    notes: list[str]


class Importer(Protocol):
    """A module of `importers/`."""

    NAME: str
    """What it reads, for messages."""

    def reads(self, document: dict[str, Any]) -> bool:
        """Tell whether a document is one of the tool's."""

    def convert(self, document: dict[str, Any]) -> Imported:
        """Return what a document means; of any content, and without raising."""


def import_policy(content: bytes, path: str) -> tuple[str, list[Imported]]:
    """Return the text of a policy that says what a file says, and what it was made of.

    Raises InputError where the file cannot be read, or is of no tool that is known.
    """
    loaded = load_documents(content, path)
    values = [document.value for document in loaded.documents]
    if loaded.errors or not any(isinstance(value, dict) for value in values):
        script = {"script": content.decode("utf-8", "replace")}
        if any(each.reads(script) for each in importers()):  # its lines are what counts
            values = [script]
        elif loaded.errors:
            raise loaded.errors[0]
    found: list[Imported] = []
    others = 0
    for value in _objects(values):
        importer = next((each for each in importers() if each.reads(value)), None)
        if importer is None:
            others += 1
        else:
            part = importer.convert(value)
            found.append(Imported(part.what, part.spec, list(dict.fromkeys(part.notes))))
    if not found:
        known = ", ".join(each.NAME for each in importers())
        raise InputError(f"nothing here can be imported; what can be: {known}", file=path)
    if others:
        found.append(Imported("", {}, [f"{others} other objects of the file are not imported"]))
    return _text(found, os.path.basename(path)), found


def importers() -> list[Importer]:
    """Return the modules of the folder, by name."""
    names = sorted(name[:-3] for name in os.listdir(_FOLDER) if name.endswith(".py"))
    return [import_module(f"{_PACKAGE}.{name}") for name in names]


def _objects(values: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield the objects of documents, those inside Lists too."""
    for value in values:
        if not isinstance(value, dict):
            continue
        items = value.get("items")
        if str(value.get("kind", "")).endswith("List") and isinstance(items, list):
            yield from _objects(items)
        else:
            yield value


def _text(found: Sequence[Imported], file: str) -> str:
    import yaml

    spec: dict[str, Any] = {}
    for part in found:
        for key, value in part.spec.items():
            if isinstance(value, list):
                rows = spec.get(key, [])
                spec[key] = [*rows, *(row for row in value if row not in rows)]
            elif not isinstance(value, dict):
                spec[key] = value
            else:
                spec[key] = {**spec.get(key, {}), **value}
    lines = [f"# Imported from {_line(file)} by tidewaiter policy import."]
    for part in found:
        for note in part.notes:
            lines.append(f"# - {_line(f'{part.what}: {note}' if part.what else note)}")
    if any(part.notes for part in found):
        lines.insert(1, "# What could not be carried over:")
    policy = {
        "apiVersion": "tidewaiter.dev/v1",
        "kind": "Policy",
        "metadata": {"name": "imported"},
        "spec": spec,
    }
    body: str = yaml.dump(policy, Dumper=_dumper(), sort_keys=False, width=100, allow_unicode=True)
    return "\n".join([*lines, body])


def _line(text: str) -> str:
    """Return a text that stays inside its comment."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _dumper() -> Any:
    """Return a dumper that writes texts of several lines as blocks, and names nothing by anchors."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        style = "|" if "\n" in value.rstrip("\n") else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return Dumper
