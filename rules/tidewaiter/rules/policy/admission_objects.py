"""ValidatingAdmissionPolicies, their bindings and parameters, read from the files that a policy names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tidewaiter.rules.admission_policy.policies import read_policies
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import discover, read_file
from tidewaiter.rules.manifest.fields import resolve
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.discovery import POLICY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidewaiter.rules.admission_policy.program import Mistake
    from tidewaiter.rules.loading.positions import Span
    from tidewaiter.rules.policy.image_section import SectionMistake

_OWN_GROUP = "tidewaiter.dev/"


class Placed(NamedTuple):
    """A mistake and where it stands, lines and columns from 1."""

    file: str
    line: int | None
    column: int | None
    message: str


def read_objects(paths: Iterable[str], folder: str) -> tuple[list[dict[str, Any]], list[Placed]]:
    """Return the objects of files and folders, and what cannot be read.

    paths: from `folder`. Each object has its file, the number of its document and its place in that, as Resource
    takes them.
    """
    wanted = [os.path.normpath(os.path.join(folder, path)) for path in paths]
    found = discover(wanted, ())
    placed = [
        Placed(error.file or "", error.line, error.column, error.message) for error in found.errors
    ]
    rows = []
    for file in found.files:
        if os.path.basename(file.path) == POLICY_FILE:
            continue
        try:
            content = read_resources(read_file(file.path), file.path, explicit=file.explicit)
        except InputError as error:
            placed.append(Placed(file.path, error.line, error.column, error.message))
            continue
        placed += [
            Placed(file.path, each.line, each.column, each.message) for each in content.errors
        ]
        rows += [
            {
                "object": each.object,
                "file": each.file,
                "document": each.document,
                "prefix": each.prefix,
            }
            for each in content.resources
            if not each.api_version.startswith(_OWN_GROUP)
        ]
    return rows, placed


def mistakes_in(rows: Iterable[dict[str, Any]]) -> list[Placed]:
    """Return what is wrong with the admission policies among some objects, each at its place."""
    objects = [Resource(row["object"], row["file"], row["document"], row["prefix"]) for row in rows]
    _, mistakes = read_policies(objects)
    locators: dict[str, Locator] = {}
    placed = []
    for resource, mistake in mistakes:
        locator = locators.get(resource.file)
        if locator is None:
            locator = locators[resource.file] = Locator(read_file(resource.file))
        span = locator.document(resource.document).at(resource.prefix + mistake.pointer)
        stated = resolve(resource.object, mistake.pointer)
        line, column = place_of(mistake, span, stated, locator.source_lines())
        message = f"{resource.kind} {resource.name}: {mistake.message}"
        placed.append(Placed(resource.file, line, column, message))
    return placed


def place_of(
    mistake: Mistake | SectionMistake, span: Span, stated: Any, lines: Sequence[str]
) -> tuple[int, int]:
    """Return the line and column of a mistake inside an expression.

    span: where the expression stands in the file; stated: its text. A folded or escaped text is not followed: its
    beginning is the place.
    """
    if not isinstance(stated, str) or not mistake.offset or span.line > len(lines):
        return span.line, span.column
    first = lines[span.line - 1][span.column - 1 :]
    before = stated[: mistake.offset]
    row = before.count("\n")
    column = mistake.offset - (before.rfind("\n") + 1)
    if first.startswith("|"):
        block = lines[span.line : span.line + 1 + row]
        if len(block) > row and block[row].strip():
            indent = len(block[0]) - len(block[0].lstrip())
            return span.line + 1 + row, indent + column + 1
    elif span.line == span.end_line and "\\" not in first and "''" not in first and not row:
        return span.line, span.column + column + (first[:1] in {"'", '"'})
    return span.line, span.column
