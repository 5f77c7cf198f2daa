"""An entry in `.pre-commit-config.yaml`, added without touching another byte of it (https://pre-commit.com/)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from tidewaiter.rules.manifest.fields import mapping, sequence, text

if TYPE_CHECKING:
    from tidewaiter.cli.first_contact.origin import Origin

FILE = ".pre-commit-config.yaml"


class CannotAdd(Exception):
    """The file is of a form that nothing can be added to without rewriting it."""


def entry(source: Origin, path: str, extras: tuple[str, ...]) -> str:
    """Return the entry, indented as the first thing in a list."""
    args = [] if path == "." else [f"      args: [{quoted(path)}]"]
    if source.url:
        # pre-commit installs what it clones; extras come beside it.
        rows = [
            f"- repo: {source.url}",
            f"  rev: {source.commit}",
            "  hooks:",
            "    - id: tidewaiter",
        ]
        if extras:
            rows.append(f'      additional_dependencies: [".[{",".join(extras)}]"]')
        return "\n".join([*rows, *args])
    rows = [
        "- repo: local",
        "  hooks:",
        "    - id: tidewaiter",
        "      name: tidewaiter lint",
        "      entry: tidewaiter lint",
    ]
    if source.is_folder:
        rows.append("      language: system")
    else:
        rows.append("      language: python")
        rows.append(f"      additional_dependencies: [{quoted(source.requirement(extras))}]")
    rows += [
        "      # The whole tree, so that rules that ask about other objects see them.",
        "      pass_filenames: false",
        r"      files: \.(ya?ml|json)$",
    ]
    return "\n".join([*rows, *args])


def quoted(value: str) -> str:
    """Return a text as YAML has it between double quotes."""
    import json

    return json.dumps(value, ensure_ascii=False)


def has_entry(content: bytes) -> bool:
    """Tell whether a configuration calls tidewaiter already."""
    return any(
        text(mapping(hook).get("id")).startswith("tidewaiter")
        or "tidewaiter" in text(mapping(hook).get("entry"))
        for repository in sequence(_read(content).get("repos"))
        for hook in sequence(mapping(repository).get("hooks"))
    )


def with_entry(content: bytes, added: str) -> bytes:
    """Return a configuration with an entry at the end of its list. Raises CannotAdd."""
    before = _read(content)
    decoded = content.decode()
    end = "\r\n" if "\r\n" in decoded else "\n"
    if not before and not yaml.compose(decoded):
        start = decoded if not decoded or decoded.endswith("\n") else decoded + end
        return f"{start}repos:{end}{_indented(added, 2, end)}".encode()
    lines = decoded.splitlines(keepends=True)
    node = _repos(decoded)
    if node.flow_style and not node.value:
        line, column = node.start_mark.line, node.start_mark.column
        stop = node.end_mark
        head, tail = lines[line][:column].rstrip(), lines[stop.line][stop.column :]
        made = "".join(
            [
                *lines[:line],
                head,
                tail.rstrip("\r\n"),
                end,
                _indented(added, 2, end),
                *lines[stop.line + 1 :],
            ]
        )
    elif node.flow_style:
        raise CannotAdd("its list of repositories is written in brackets")
    else:
        last = _last_line(node, lines)
        if not lines[last].endswith("\n"):
            lines[last] += end
        made = "".join(
            [*lines[: last + 1], _indented(added, node.start_mark.column, end), *lines[last + 1 :]]
        )
    after = _read(made.encode())
    old, new = sequence(before.get("repos")), sequence(after.get("repos"))
    same = {**before, "repos": None} == {**after, "repos": None}
    if not same or new[:-1] != old or len(new) != len(old) + 1:
        raise CannotAdd("it is written in a form that does not take a further entry")
    return made.encode()


def _read(content: bytes) -> dict[str, Any]:
    try:
        value = yaml.safe_load(content.decode())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CannotAdd("it cannot be read") from error
    if value is not None and not isinstance(value, dict):
        raise CannotAdd("it is no mapping")
    return value or {}


def _repos(decoded: str) -> Any:
    node = yaml.compose(decoded)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == "repos" and isinstance(value, yaml.SequenceNode):
            return value
    raise CannotAdd("it has no list of repositories")


def _last_line(node: Any, lines: list[str]) -> int:
    """Return the last line of a block list: what follows it, blank or a comment, is not its own."""
    line: int = min(node.end_mark.line, len(lines)) - 1
    if node.end_mark.line < len(lines) and node.end_mark.column:
        line += 1
    while line > node.start_mark.line and (
        not lines[line].strip() or lines[line].lstrip().startswith("#")
    ):
        line -= 1
    return line


def _indented(added: str, by: int, end: str) -> str:
    return "".join(f"{' ' * by}{line}{end}" for line in added.splitlines())
