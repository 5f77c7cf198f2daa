"""What rendering gives: the texts that would reach the cluster, and where each of their lines was written."""

from __future__ import annotations

from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.errors import InputError


@record
class Place:
    """A place in a source file; line and column from 1. `related` is a second one that the first takes its value from."""

    file: str
    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0
    related: tuple[str, int] | None = None


@record
class RenderedFile:
    """One rendered text. `file` is the source that it mainly comes from, and is unique in its rendering.

    `place_of` turns a line of the text, the JSON pointer of a field there and its last key into the place in a source.
    """

    file: str
    data: bytes
    place_of: Callable[[int, str, str], Place]


@record
class Rendering:
    """One set of objects that would be applied together: a chart with one set of values, or a kustomization.

    `title` names it for people. What could not be rendered is in `errors`.
    """

    title: str
    root: str
    files: tuple[RenderedFile, ...]
    errors: tuple[InputError, ...] = ()
