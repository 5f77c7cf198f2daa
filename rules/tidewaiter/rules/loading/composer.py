"""From a YAML document to the JSON value that Kubernetes makes of it.

Values only: positions cost more than the parse and are computed by `positions` where a finding needs
them. The order of events decides everything, as in go-yaml: a merge key (`<<`) writes over the keys
before it and is written over by those behind it. An alias shares its anchor's value, so a document
that aliases make huge stays small in memory; the walk over it is bounded by go-yaml's own measure.
"""

from __future__ import annotations

from itertools import islice

from tidewaiter.rules.loading.libyaml import (
    ALIAS,
    MAPPING_END,
    MAPPING_START,
    SCALAR,
    SEQUENCE_END,
    SEQUENCE_START,
    events,
)
from tidewaiter.rules.loading.scalars import (
    MERGE_KEY,
    MERGE_TAG,
    ScalarProblem,
    plain_key,
    plain_value,
    tagged_key,
    tagged_value,
    value_as_key,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.loading.libyaml import Event
    from tidewaiter.rules.loading.limits import Limits


class ComposeProblem(Exception):
    """A document that parses but has no JSON value; `mark` is where, as in an event.

    `ends_file` is true where the file's limit is used up, so that no other document can be read.
    """

    def __init__(self, message: str, mark: Any, *, ends_file: bool = False) -> None:
        """Keep the sentence and the place."""
        self.ends_file = ends_file
        super().__init__(message)
        self.message = message
        self.mark = mark


class _Anchor:
    """A value under a name: what walking it costs and how deep it nests, once it is complete."""

    __slots__ = ("before", "complete", "height", "outer_deepest", "size", "value")

    def __init__(self, before: int, outer_deepest: int) -> None:
        self.before = before
        self.outer_deepest = outer_deepest
        self.complete = False
        self.size = 1
        self.height = 0
        self.value: Any = None


class _Marker:
    """What stands for a key where a mapping has none yet, or the key `<<`."""


_NO_KEY: Any = _Marker()
_MERGE: Any = _Marker()
_TOO_MANY = "holds more than {} values; split it into several files"
_TOO_DEEP = "nests more than {} levels deep"


class Composer:
    """Composes the documents of one file, one at a time.

    After a document `repeats` tells whether some mapping may hold a key twice.
    """

    def __init__(self, limits: Limits) -> None:
        """Bound what is read over the life of the composer by `limits`."""
        self._limits = limits
        self.repeats = False
        self._room = limits.values
        self._values = 0
        self._anchors: dict[str, _Anchor] = {}
        self._unfinished: list[tuple[int, _Anchor]] = []
        self._aliased = 0
        self._deepest = 0

    def compose(self, text: str) -> Any:
        """Return the value of the one document in `text`, None where it is empty.

        Raises SyntaxProblem where it is no YAML and ComposeProblem where it has no JSON value or is
        beyond the limits.
        """
        self.repeats = False
        self._anchors = {}
        self._unfinished = []
        self._values = self._aliased = self._deepest = 0
        value = self._compose(text)
        self._room -= self._values
        if self._aliased:
            self._check_aliases(self._aliased, None)
        return value

    def _compose(self, text: str) -> Any:  # noqa: C901  a call per event would cost half the speed
        root: list[Any] = []
        stack: list[tuple[Any, Any]] = []
        container: Any = root
        in_list = True
        key = _NO_KEY
        # A value takes at most two events; the rest is the stream's and the document's own.
        for event in islice(events(text), 2 * self._room + 4):
            kind = event[0]
            if kind == SCALAR:
                self._values += 1
                try:
                    if event[4] is not None or event[5] is not None or key is _MERGE:
                        value = self._scalar(event, is_key=key is _NO_KEY and not in_list)
                    elif key is _NO_KEY and not in_list:
                        value = event[3]
                        if event[6]:
                            value = plain_key(value) if value != MERGE_KEY else _MERGE
                    else:
                        value = plain_value(event[3]) if event[6] else event[3]
                except ScalarProblem as problem:
                    raise ComposeProblem(str(problem), event[1]) from None
            elif kind == MAPPING_START or kind == SEQUENCE_START:  # noqa: PLR1714, SIM109  `in` is slower
                stack.append((container, key))
                self._enter(event, len(stack), is_key=key is _NO_KEY and not in_list)
                in_list = kind == SEQUENCE_START
                container = [] if in_list else {}
                key = _NO_KEY
                continue
            elif kind == MAPPING_END or kind == SEQUENCE_END:  # noqa: PLR1714, SIM109
                value = container
                if self._unfinished and self._unfinished[-1][0] == len(stack):
                    self._finish_anchor(value)
                container, key = stack.pop()
                in_list = type(container) is list
            elif kind == ALIAS:
                value = self._alias(event, len(stack), key, is_key=key is _NO_KEY and not in_list)
            else:
                continue
            if in_list:
                container.append(value)
            elif key is _NO_KEY:
                key = value
                if key in container:
                    self.repeats = True
            elif key is _MERGE:
                _merge(container, value, event)
                key = _NO_KEY
            else:
                container[key] = value
                key = _NO_KEY
        if stack:
            raise ComposeProblem(_TOO_MANY.format(self._limits.values), event[1], ends_file=True)
        return root[0] if root else None

    def _scalar(self, event: Event, *, is_key: bool) -> Any:
        """Read a scalar that has a tag or an anchor."""
        _, _, _, text, name, tag, plain, _ = event
        if is_key and text == MERGE_KEY and (plain or tag == MERGE_TAG):
            return _MERGE
        if is_key and name is None:
            return _key(text, tag, plain=plain)
        value: Any = text
        if tag is not None:
            value = tagged_value(text, tag)
        elif plain:
            value = plain_value(text)
        if name is not None:
            anchor = self._anchors[name] = _Anchor(0, 0)
            anchor.value = value
            anchor.complete = True
        return _key(text, tag, plain=plain) if is_key else value

    def _enter(self, event: Event, depth: int, *, is_key: bool) -> None:
        """Check that a mapping or list may begin here, and open its anchor."""
        self._values += 1
        mark, name = event[1], event[3]
        if is_key:
            raise ComposeProblem(
                "a key is a mapping or a list, where Kubernetes takes only text", mark
            )
        if self._values > self._room:
            raise ComposeProblem(_TOO_MANY.format(self._limits.values), mark, ends_file=True)
        if depth > self._deepest:
            self._deepest = depth
            if depth > self._limits.depth:
                raise ComposeProblem(_TOO_DEEP.format(self._limits.depth), mark)
        if name is not None:
            anchor = _Anchor(self._values - 1 + self._aliased, self._deepest)
            self._anchors[name] = anchor
            self._unfinished.append((depth, anchor))
            self._deepest = depth

    def _finish_anchor(self, value: Any) -> None:
        depth, anchor = self._unfinished.pop()
        anchor.value = value
        anchor.complete = True
        anchor.size = self._values + self._aliased - anchor.before
        anchor.height = self._deepest - depth + 1
        self._deepest = max(self._deepest, anchor.outer_deepest)

    def _alias(self, event: Event, depth: int, key: Any, *, is_key: bool) -> Any:
        mark, name = event[1], event[3]
        anchor = self._anchors.get(name)
        if anchor is None:
            raise ComposeProblem(f"the alias *{name} has no anchor &{name} before it", mark)
        if not anchor.complete:
            raise ComposeProblem(f"the alias *{name} stands inside its own anchor &{name}", mark)
        self._values += 1
        self._aliased += anchor.size
        self._deepest = max(self._deepest, depth + anchor.height)
        if self._deepest > self._limits.depth:
            raise ComposeProblem(_TOO_DEEP.format(self._limits.depth), mark)
        self._check_aliases(anchor.size, mark)
        value = anchor.value
        if is_key:
            if isinstance(value, dict | list):
                raise ComposeProblem(
                    "a key is a mapping or a list, where Kubernetes takes only text", mark
                )
            return value_as_key(value)
        if key is _MERGE and type(value) is not dict:
            raise ComposeProblem(_NO_MERGE, mark)
        return value

    def _check_aliases(self, size: int, mark: Any) -> None:
        """Refuse alias bombs where go-yaml does, and so Kubernetes."""
        walked = self._values + self._aliased
        if self._aliased <= 100 or walked <= 1000:
            return
        share = 0.99 - 0.89 * min(max((walked - 400_000) / 3_600_000, 0.0), 1.0)
        if self._aliased > share * walked:
            raise ComposeProblem(
                f"aliases blow this document up to more than {walked - size} values", mark
            )


def _key(text: str, tag: str | None, *, plain: bool) -> str:
    if tag is not None:
        return tagged_key(text, tag)
    return plain_key(text) if plain else text


_NO_MERGE = "the merge key << takes a mapping, an alias of one, or a list of these"


def _merge(container: dict[str, Any], value: Any, event: Event) -> None:
    """Write the keys of a merged mapping, or of a list of them, the first of which counts most."""
    sources = reversed(value) if type(value) is list else (value,)
    for source in sources:
        if type(source) is not dict:
            raise ComposeProblem(_NO_MERGE, event[1])
        container.update(source)
