"""The events of libyaml's parser, as light tuples.

PyYAML's compiled parser is loaded without the package around it: that package imports `re`,
`datetime`, `base64` and more, which takes longer than linting a small manifest. In its place stands
a package of the same name that runs the real one on first use, so anyone else's `import yaml` works
as ever; from then on events arrive as PyYAML's own objects and are turned into the same tuples.

An event is `(kind, start, end, ...)`, where start and end are marks: `index` is the offset in
characters, `line` and `column` count from 0.

    SCALAR          value, anchor, tag, plain, style
    ALIAS           anchor
    SEQUENCE_START  anchor, tag, flow
    MAPPING_START   anchor, tag, flow
    SEQUENCE_END, MAPPING_END, OTHER

`plain` is true where the look of a scalar without a tag decides what it is.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any

    Event = tuple[Any, ...]

SCALAR, ALIAS, SEQUENCE_START, MAPPING_START, SEQUENCE_END, MAPPING_END, OTHER = range(7)


class SyntaxProblem(Exception):
    """What libyaml says about text it cannot parse.

    `problem` and `context` are its own words; the marks are where it gave up and where the thing
    that it was reading began. A character that YAML does not allow has no mark: `character` is its
    code point.
    """

    def __init__(
        self,
        context: str | None,
        context_mark: Any,
        problem: str | None,
        problem_mark: Any,
        character: int | None = None,
    ) -> None:
        """Take the arguments of PyYAML's own marked errors, in their order."""
        super().__init__(problem)
        self.context = context
        self.context_mark = context_mark
        self.problem = problem or ""
        self.problem_mark = problem_mark
        self.character = character


def events(text: str) -> Iterator[Event]:
    """Yield the events of a YAML stream.

    Raises SyntaxProblem, after the events of what could be parsed.
    """
    if _compiled is not None and not _compiled.real:
        yielded: Iterator[Event] = iter(_compiled.parser(text).get_event, None)
        return yielded
    return _adapted(text)


def _unreadable(
    _name: Any, _offset: Any, character: Any, _encoding: Any, reason: str
) -> SyntaxProblem:
    """Stand for PyYAML's ReaderError, which is raised for characters YAML does not allow."""
    return SyntaxProblem(
        None, None, reason, None, character if isinstance(character, int) else None
    )


def _bindings() -> dict[str, Callable[..., Any]]:
    """What the compiled parser calls instead of PyYAML's classes, by name."""

    def other(start: Any, end: Any, *_rest: Any) -> Event:
        return (OTHER, start, end)

    return {
        "ScalarEvent": lambda anchor, tag, implicit, value, start, end, style: (
            (SCALAR, start, end, value, anchor, tag, implicit[0], style)
        ),
        "AliasEvent": lambda anchor, start, end: (ALIAS, start, end, anchor),
        "SequenceStartEvent": lambda anchor, tag, _implicit, start, end, flow: (
            (SEQUENCE_START, start, end, anchor, tag, flow)
        ),
        "MappingStartEvent": lambda anchor, tag, _implicit, start, end, flow: (
            (MAPPING_START, start, end, anchor, tag, flow)
        ),
        "SequenceEndEvent": lambda start, end: (SEQUENCE_END, start, end),
        "MappingEndEvent": lambda start, end: (MAPPING_END, start, end),
        "StreamStartEvent": other,
        "StreamEndEvent": lambda _start, _end: None,
        "DocumentStartEvent": other,
        "DocumentEndEvent": other,
        "ReaderError": _unreadable,
        "ScannerError": SyntaxProblem,
        "ParserError": SyntaxProblem,
    }


class _Compiled:
    """The compiled parser; `real` once it makes PyYAML's own objects."""

    def __init__(self, module: ModuleType, real: bool) -> None:
        self.parser: Any = module.__dict__["CParser"]
        self.module = module
        self.real = real

    def hand_over(self, package: ModuleType) -> None:
        """Bind PyYAML's classes, so that its own loaders work as they always do."""
        self.real = True
        for submodule in _SUBMODULES:
            names = vars(sys.modules[f"yaml.{submodule}"])
            for name in names.keys() & self.module.__dict__.keys():
                if isinstance(names[name], type):
                    setattr(self.module, name, names[name])
        self.module.__dict__["yaml"] = package


def _load() -> _Compiled | None:
    """Load the compiled parser the light way where that works, else the ordinary way, if at all."""
    if "yaml" not in sys.modules:
        try:
            return _load_alone()
        except Exception:  # noqa: BLE001  whatever is unusual here, the ordinary import decides
            for name in ("yaml", "yaml._yaml"):
                sys.modules.pop(name, None)
    try:
        from yaml import _yaml
    except ImportError:
        return None
    return _Compiled(_yaml, real=True)


def _load_alone() -> _Compiled:
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("yaml")
    if spec is None or spec.loader is None or not spec.submodule_search_locations:
        raise ImportError("PyYAML is not installed")
    inner = PathFinder.find_spec("yaml._yaml", spec.submodule_search_locations)
    if inner is None or inner.loader is None:
        raise ImportError("PyYAML is installed without its compiled parser")
    package = _deferred_package(spec)
    placeholders = _Placeholders()
    for name in _SUBMODULES:
        setattr(package, name, placeholders)
    sys.modules["yaml"] = package
    module = inner.loader.create_module(inner)
    if module is None:
        raise ImportError("PyYAML's compiled parser is not a compiled module")
    module.__spec__, module.__loader__, module.__package__ = inner, inner.loader, "yaml"
    sys.modules["yaml._yaml"] = module
    inner.loader.exec_module(module)
    for name in _SUBMODULES:
        delattr(package, name)
    for name, stand_in in _bindings().items():
        if name not in module.__dict__:
            raise ImportError(f"PyYAML's compiled parser has no {name}")
        setattr(module, name, stand_in)
    compiled = _Compiled(module, real=False)
    if [event[0] for event in iter(compiled.parser("a: [1]").get_event, None)] != _PROBE:
        raise ImportError("PyYAML's compiled parser makes its events in another way")
    package.__dict__["_compiled"] = compiled
    return compiled


_SUBMODULES = (
    "error", "reader", "scanner", "parser", "composer", "constructor", "emitter", "serializer",
    "representer", "tokens", "events", "nodes",
)  # fmt: skip
_PROBE = [
    OTHER, OTHER, MAPPING_START, SCALAR, SEQUENCE_START, SCALAR, SEQUENCE_END, MAPPING_END, OTHER,
]  # fmt: skip


class _Placeholders:
    """Stands for a module of PyYAML while the compiled one looks its classes up."""

    def __getattr__(self, name: str) -> type[Exception]:
        if name.startswith("__"):
            raise AttributeError(name)
        return Exception


def _deferred_package(spec: Any) -> ModuleType:
    """A package `yaml` that runs PyYAML's own code when it is first asked for a name."""
    module_type = type(sys)

    class Deferred(module_type):  # type: ignore[misc, valid-type]
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") and name not in {"__version__", "__all__", "__with_libyaml__"}:
                raise AttributeError(name)
            with lock:
                if type(self) is Deferred:
                    self.__class__ = module_type  # type: ignore[assignment]
                    spec.loader.exec_module(self)
                    self.__dict__.pop("_compiled").hand_over(self)
            return getattr(self, name)

    from _thread import RLock

    lock = RLock()
    package: ModuleType = Deferred("yaml", None)
    package.__spec__, package.__loader__, package.__package__ = spec, spec.loader, "yaml"
    package.__path__ = spec.submodule_search_locations
    package.__file__ = spec.origin
    return package


def _adapted(text: str) -> Iterator[Event]:
    """Make the same tuples of PyYAML's own events, of its compiled or of its Python parser."""
    import yaml

    bindings = _bindings()
    kinds = {
        getattr(yaml, name): (bindings[name], arguments) for name, arguments in _ARGUMENTS.items()
    }
    make_parser = yaml.BaseLoader if _compiled is None else _compiled.parser
    try:
        parser = make_parser(text)
        while (event := parser.get_event()) is not None:
            make, arguments = kinds[type(event)]
            made = make(*(getattr(event, argument) for argument in arguments))
            if made is None:
                return
            yield made
    except yaml.reader.ReaderError as error:
        raise _unreadable(None, None, error.character, None, error.reason) from None
    except yaml.MarkedYAMLError as error:
        raise SyntaxProblem(
            error.context, error.context_mark, error.problem, error.problem_mark
        ) from None


_COLLECTION = ("anchor", "tag", "implicit", "start_mark", "end_mark", "flow_style")
_MARKS = ("start_mark", "end_mark")
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "ScalarEvent": ("anchor", "tag", "implicit", "value", "start_mark", "end_mark", "style"),
    "AliasEvent": ("anchor", "start_mark", "end_mark"),
    "SequenceStartEvent": _COLLECTION,
    "MappingStartEvent": _COLLECTION,
    "SequenceEndEvent": _MARKS,
    "MappingEndEvent": _MARKS,
    "StreamStartEvent": _MARKS,
    "StreamEndEvent": _MARKS,
    "DocumentStartEvent": _MARKS,
    "DocumentEndEvent": _MARKS,
}

_compiled = _load()
