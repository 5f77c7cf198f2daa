"""What rendering gives: the texts that would reach the cluster, and where each of their lines was written."""

from __future__ import annotations

from tidewaiter.rules.manifest.api_resource import CLUSTER_SCOPED
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tidewaiter.rules.errors import InputError
    from tidewaiter.rules.loading.ignores import CommentIgnore


def lacks_namespace(obj: dict[str, Any]) -> bool:
    """Tell whether an object that stands in a namespace names none."""
    resource = Resource(obj)
    is_without = resource.kind_id in CLUSTER_SCOPED or resource.kind.startswith("Cluster")
    return bool(resource.name) and not resource.namespace and not is_without


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
    `ignores_of` gives the comments in sources that may silence findings on a document of the text, where the text has
    no comments of its own.
    """

    file: str
    data: bytes
    place_of: Callable[[int, str, str], Place]
    ignores_of: Callable[[int], tuple[SourceIgnore, ...]] | None = None


@record
class SourceIgnore:
    """An ignore comment in a source, as it counts on an object made of it: it covers what comes from its lines.

    `places_of` gives the places in sources that stand for a field of the object; one that is covered is enough.
    """

    file: str
    comment: CommentIgnore
    places_of: Callable[[str], tuple[Place, ...]]

    @property
    def is_elsewhere(self) -> bool:
        """True: the findings are on another text than the one it stands in."""
        return True

    @property
    def line(self) -> int:
        """The line in its source."""
        return self.comment.line

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that it names."""
        return self.comment.rules

    @property
    def reason(self) -> str:
        """Its reason."""
        return self.comment.reason

    def covers(self, pointer: str) -> bool:
        """Tell whether a finding at this JSON pointer into the object is silenced."""
        return any(
            place.file == self.file and self.comment.covers_line(place.line)
            for place in self.places_of(pointer)
        )

    def covers_line(self, line: int) -> bool:  # noqa: ARG002
        """Tell that no line of the object's own text is one of the source's."""
        return False


@record
class Rendering:
    """One set of objects that would be applied together: a chart with one set of values, or a kustomization.

    `title` names it for people. What could not be rendered is in `errors`. A change of one of `sources` may change
    each of its objects: files, and with a slash at their end folders but for the templates in them.
    """

    title: str
    root: str
    files: tuple[RenderedFile, ...]
    errors: tuple[InputError, ...] = ()
    sources: tuple[str, ...] = ()
