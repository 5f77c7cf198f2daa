"""All rules: which there are, which apply to a kind, and each one's module when it is needed.

The index is made by walking `checks/`: at build time for a wheel, and in a checkout whenever a file
there has changed. Reading it imports no rule, so a Service never loads what only pods need.
"""

from __future__ import annotations

import os
from importlib import import_module

from tidewaiter.rules.record import record
from tidewaiter.rules.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.rule import Rule

_PACKAGE = "tidewaiter.rules.checks"
_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "checks")


@record
class Entry:
    """What must be known of a rule before its module is loaded; fields as in `Rule`."""

    name: str
    module: str
    section: str
    severity: str
    profiles: tuple[str, ...]
    applies_to: tuple[str, ...]
    needs_inventory: bool
    hides_value: bool = False
    needs_images: bool = False

    @property
    def runs_late(self) -> bool:
        """Whether the rule can run only when all objects of the run are known."""
        return self.needs_inventory or self.needs_images


def entries() -> Mapping[str, Entry]:
    """Return every rule's entry by name, in the order of sections and names."""
    global _entries  # noqa: PLW0603 - the catalogue is constant for a process; reading it once is the point
    if _entries is None:
        _entries = {row[0]: Entry(*row) for row in _read_index()}
    return _entries


_entries: dict[str, Entry] | None = None


def load(name: str) -> Rule:
    """Import one rule. Raises KeyError for a name the catalogue does not have."""
    loaded: Rule = import_module(entries()[name].module).RULE
    return loaded


def load_all() -> tuple[Rule, ...]:
    """Import every rule, in the catalogue's order; for documentation and lists, not for linting."""
    return tuple(load(name) for name in entries())


def in_profile(entry: Entry, profile: str) -> bool:
    """Tell whether a profile holds a rule, from its entry alone; see `Rule.is_in`."""
    if entry.needs_images:
        return False
    if profile == "all":
        return True
    if profile == "production":
        return "recommended" in entry.profiles or entry.severity != "info"
    return profile in entry.profiles


def index_source() -> str:
    """Return the source of the index module that the build puts into a wheel."""
    rows = "".join(f"    {row!r},\n" for row in _walk())
    return f'"""Made by the build from the rules beside it."""\n\nINDEX = (\n{rows})\n'


def stamp() -> str:
    """Return what changes whenever a rule or the engine does, beside the version: "" in a wheel."""
    if _built_index():
        return ""
    root = os.path.dirname(_FOLDER)
    stamps = [
        (os.path.join(folder, file), os.stat(os.path.join(folder, file)).st_mtime_ns)
        for folder, _, files in os.walk(root)
        for file in files
        if file.endswith(".py")
    ]
    return hash_text(repr(sorted(stamps)))


def _read_index() -> tuple[tuple[Any, ...], ...]:
    return _built_index() or _cached_walk()


def _built_index() -> tuple[tuple[Any, ...], ...]:
    """Return the index that the build put into the wheel, empty in a checkout."""
    try:
        built: tuple[tuple[Any, ...], ...] = import_module(f"{_PACKAGE}._index").INDEX
    except ImportError:
        return ()
    return built


def _modules() -> Iterator[tuple[str, str]]:
    """Yield the module name and path of every rule file, in order."""
    for section in sorted(os.listdir(_FOLDER)):
        folder = os.path.join(_FOLDER, section)
        if section.startswith(("_", ".")) or not os.path.isdir(folder):
            continue
        for file in sorted(os.listdir(folder)):
            if file.endswith(".py") and not file.startswith("_"):
                yield f"{_PACKAGE}.{section}.{file[:-3]}", os.path.join(folder, file)


def _walk() -> tuple[tuple[Any, ...], ...]:
    rows: list[tuple[Any, ...]] = []
    for module, _ in _modules():
        rule: Rule = import_module(module).RULE
        rows.append(
            (
                rule.name,
                module,
                rule.section,
                rule.severity,
                rule.profiles,
                rule.applies_to,
                rule.needs_inventory,
                rule.hides_value,
                rule.needs_images,
            )
        )
    return tuple(rows)


def _cached_walk() -> tuple[tuple[Any, ...], ...]:
    """In a checkout: the index as of the newest change to a rule file, kept in the cache folder."""
    import marshal

    from tidewaiter.rules.cache_folder import cache_folder, replace_file

    stamps = repr([(path, os.stat(path).st_mtime_ns) for _, path in _modules()])
    path = os.path.join(cache_folder(), f"catalogue-{__version__}-{hash_text(_FOLDER)}.bin")
    try:
        with open(path, "rb") as file:
            known, rows = marshal.load(file)  # noqa: S302 - our own file in the user's own folder
        if known == stamps:
            return tuple(rows)
    except (OSError, ValueError, EOFError, TypeError):
        pass
    rows = _walk()
    replace_file(path, marshal.dumps((stamps, rows)))
    return rows


def hash_text(text: str) -> str:
    """Return a short, stable name for a text."""
    from zlib import crc32

    return f"{crc32(text.encode()):08x}"
