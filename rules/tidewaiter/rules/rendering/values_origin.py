"""The line of a values file that a field of a rendered chart takes its value from.

Told from the template: which `.Values` the action on the line reads, by itself or through the `with` or `range` that
it stands in, and how far the rest of the field's pointer leads into that value.
https://helm.sh/docs/chart_template_guide/values_files/
"""

from __future__ import annotations

import re

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.manifest.fields import escape, resolve
from tidewaiter.rules.rendering.marks import action_text, pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidewaiter.rules.loading.positions import Locator

    Keys = tuple[str, ...]

_VALUES = re.compile(r"\$?\.Values((?:\.[A-Za-z_][A-Za-z0-9_]*)*)")
_OWN = re.compile(r"(?<![\w.$\")])\.((?:[A-Za-z_][A-Za-z0-9_]*)(?:\.[A-Za-z_][A-Za-z0-9_]*)*)?")
_BUILT_IN = frozenset(
    {"Values", "Chart", "Release", "Capabilities", "Files", "Template", "Subcharts"}
)
_BLOCKS = frozenset({"if", "with", "range", "define", "block"})
_EACH = "*"
"""In a path: each entry of a list or mapping, as `range` goes through them."""
_VARIABLES = re.compile(r"range\s+(?:\$[\w]+\s*,\s*)?(\$\w+)\s*:=")
_OF_VARIABLE = re.compile(r"(\$\w+)((?:\.[A-Za-z_][A-Za-z0-9_]*)*)")
_LONGEST = 6
"""How many parts of a field's pointer may stand below what an action prints."""


class ValuesFile:
    """A values file and where its fields stand."""

    def __init__(self, file: str, data: bytes, within: int = 0) -> None:
        """Read the file; one that is no YAML has no fields, and Helm says why.

        `within` is the line at which the values stand as a part of another file; then all of them are there.
        """
        from tidewaiter.rules.loading.documents import load_documents

        self.file = file
        self.text = data.decode("utf-8", "replace")
        self._data = data
        self._within = within
        self._locator: Locator | None = None
        documents = load_documents(data, file).documents
        self.value: object = documents[0].value if documents else None

    def line_of(self, pointer: str, printed: str = "") -> int | None:
        """Return the line of a field, or None where the file does not set it.

        Of several that the pointer stands for it is the first whose value is in what is `printed`.
        """
        if not isinstance(self.value, dict):
            return None
        if f"/{_EACH}" in pointer:
            return self._line_of_each(pointer, printed)
        if resolve(self.value, pointer) is None:
            return None
        if self._within:
            return self._within
        from tidewaiter.rules.loading.positions import Locator

        if self._locator is None:
            self._locator = Locator(self._data)
        try:
            return self._locator.document(0).at(pointer).line
        except (InputError, IndexError):
            return None

    def _line_of_each(self, pointer: str, printed: str) -> int | None:
        above, _, below = pointer.partition(f"/{_EACH}")
        entries = resolve(self.value, above)
        keys = range(len(entries)) if isinstance(entries, list) else entries
        for key in keys if isinstance(entries, (list, dict)) else ():
            one = f"{above}/{escape(str(key))}{below}"
            value = resolve(self.value, one) if f"/{_EACH}" not in below else None
            if isinstance(value, (str, int, float)) and _is_in(value, printed):
                return self.line_of(one, printed)
        return None


def origin_in(
    template: str,
    line: int,
    field: str,
    files: Sequence[ValuesFile],
    prefix: Keys = (),
    printed: str = "",
) -> tuple[str, int] | None:
    """Return file and line of the value that the field of an object at `line` of a template has, or None.

    `printed` is the line of the rendered text. `files` are the values in the order in which they are laid over each other; `prefix` is the path of a subchart's
    values in its parent's.
    """
    tokens = [part for part in field.split("/") if part]
    best: tuple[tuple[int, int], str, int] | None = None
    for keys in _read_at(template, line):
        for length in range(min(len(tokens), _LONGEST), -1, -1):
            rest = tokens[len(tokens) - length :] if length else []
            pointer = "".join(f"/{part}" for part in (*map(escape, (*prefix, *keys)), *rest))
            found = _line_in(files, pointer, printed)
            if found is not None:
                closeness = length + (1 if tokens and keys and keys[-1] == tokens[-1] else 0)
                index, line_there = found
                # Of several values that make up a field, the one that was laid over the others.
                rank = closeness, index
                if best is None or rank > best[0]:
                    best = rank, files[index].file, line_there
                break
    return best[1:] if best is not None else None


def _line_in(files: Sequence[ValuesFile], pointer: str, printed: str) -> tuple[int, int] | None:
    """Return the index of the last file that sets a field, and the line there."""
    for index in range(len(files) - 1, -1, -1):
        line = files[index].line_of(pointer, printed)
        if line is not None:
            return index, line
    return None


def _read_at(template: str, wanted: int) -> Iterator[Keys]:
    """Yield the paths below `.Values` that the actions on a line read."""
    blocks: list[tuple[str, Keys | None]] = []
    variables: dict[str, Keys] = {}
    line = 1
    for piece in pieces(template):
        source = template[piece.start : piece.end]
        last = line + source.count("\n")
        if piece.is_action:
            action = action_text(template, piece)
            word = action.split(None, 1)[0] if action else ""
            if line <= wanted <= last and word not in {"if", "end", "else", "define"}:
                yield from _paths(action, _dot(blocks))
                yield from _paths_of_variables(action, variables)
            if word in _BLOCKS:
                paths = [*_paths(action, _dot(blocks))] if word in {"with", "range"} else []
                keys = paths[0] if paths else None
                if keys is not None and word == "range":
                    keys = (*keys, _EACH)
                    if declared := _VARIABLES.match(action):
                        variables[declared[1]] = keys
                blocks.append((word, keys))
            elif word == "end" and blocks:
                blocks.pop()
        line = last
        if line > wanted:
            return


def _paths_of_variables(action: str, variables: Mapping[str, Keys]) -> Iterator[Keys]:
    for found in _OF_VARIABLE.finditer(action):
        keys = variables.get(found[1])
        if keys is not None:
            yield (*keys, *(part for part in found[2].split(".") if part))


def _is_in(value: object, printed: str) -> bool:
    """Tell whether a value stands in a line, not as a part of another word."""
    written = str(value).lower() if isinstance(value, bool) else str(value)
    return bool(written) and re.search(rf"(?<!\w){re.escape(written)}(?!\w)", printed) is not None


def _dot(blocks: Sequence[tuple[str, Keys | None]]) -> Keys | None:
    """Return what `.` stands for below `.Values`, None where that is not known; the root's is not."""
    for word, keys in reversed(blocks):
        if word in {"with", "range"}:
            return keys
        if word in {"define", "block"}:
            return None
    return None


def _paths(action: str, dot: Keys | None) -> Iterator[Keys]:
    for found in _VALUES.finditer(action):
        yield tuple(part for part in found[1].split(".") if part)
    if dot is None:
        return
    for found in _OWN.finditer(action):
        parts = tuple(part for part in (found[1] or "").split(".") if part)
        if not parts or parts[0] not in _BUILT_IN:
            yield (*dot, *parts)
