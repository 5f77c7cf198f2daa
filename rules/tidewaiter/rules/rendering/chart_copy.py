"""A copy of a chart to render from: nothing outside of the chart comes into it, and templates can carry marks.

Links are followed only where they stay inside the chart. Local dependencies (`repository: file://...`) that lie in
the same repository stand for those that `helm dependency build` would copy; others are not fetched.
https://helm.sh/docs/topics/charts/
"""

from __future__ import annotations

import os

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.rendering.marks import marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 64 * 2**20
MOST_FILES = 10_000


class ChartSources:
    """The files of a chart by their path in it, and what was left out; read once, written out as often as needed."""

    def __init__(self, root: str) -> None:
        """Read the chart at `root`. Raises InputError where it is too large."""
        self.root = root
        self.files: dict[str, bytes] = {}
        self.places: dict[str, str] = {}
        """Where each file stands, by its path in the chart."""
        self.errors: list[InputError] = []
        self._size = 0
        self.add(root, "")

    def add(self, folder: str, prefix: str) -> None:
        """Take in a folder, as `prefix` of the chart. Raises InputError where there is too much."""
        boundary = os.path.realpath(folder)
        for path in _walk(folder):
            real = os.path.realpath(path)
            inner = prefix + os.path.relpath(path, folder).replace(os.sep, "/")
            if real != boundary and not real.startswith(boundary + os.sep):
                message = "is a link that leads out of the chart, and was left out"
                self.errors.append(InputError(message, file=path))
                continue
            if not os.path.isfile(real):
                continue
            self._size += os.path.getsize(real)
            if self._size > MOST_BYTES or len(self.files) >= MOST_FILES:
                msg = f"the chart is larger than {MOST_BYTES >> 20} MiB or {MOST_FILES} files"
                raise InputError(msg, file=self.root)
            try:
                with open(real, "rb") as file:
                    self.files[inner] = file.read()
            except OSError as error:
                self.errors.append(InputError(f"cannot be read: {error.strerror}", file=path))
                continue
            self.places[inner] = path

    @property
    def templates(self) -> list[str]:
        """The paths of all templates, those of unpacked subcharts too, in order."""
        return sorted(path for path in self.files if "templates/" in path)

    def write(self, folder: str, *, marks: bool = False, definitions: bool = False) -> None:
        """Write the chart into an empty folder, its templates with marks on their lines where asked for."""
        numbers = {path: number for number, path in enumerate(self.templates)}
        for path, content in self.files.items():
            if marks and path in numbers:
                try:
                    text = content.decode("utf-8")
                except UnicodeDecodeError:
                    pass
                else:
                    content = marked(text, numbers[path], definitions=definitions).encode()
            target = os.path.join(folder, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(content)


def _walk(folder: str) -> Iterator[str]:
    for above, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(files):
            yield os.path.join(above, name)
        for name in [each for each in folders if os.path.islink(os.path.join(above, each))]:
            link = os.path.join(above, name)
            target = os.path.realpath(link)
            if target.startswith(os.path.realpath(folder) + os.sep) and not above.startswith(
                target
            ):
                for inner, _, inside in os.walk(link, followlinks=False):
                    for each in sorted(inside):
                        yield os.path.join(inner, each)
            else:
                yield link
