"""A copy of a chart to render from: nothing outside of the chart comes into it, and templates can carry marks.

Links are followed only where they stay inside the chart. Local dependencies (`repository: file://...`) that lie in
the same repository stand for those that `helm dependency build` would copy; others are not fetched. Packed subcharts are
unpacked: what is in them stands where the package does.
https://helm.sh/docs/topics/charts/
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import zlib

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.rendering.engines import PROBE
from tidewaiter.rules.rendering.marks import marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

MOST_BYTES = 64 * 2**20
MOST_FILES = 10_000
_PACKAGE = re.compile(r"(?:.*/)?charts/[^/_.][^/]*\.tgz")
_CHART_FILE = re.compile(r"((?:charts/[^/]+/)*)Chart\.yaml")
_DEFINITION = re.compile(r"((?:charts/[^/]+/)*)crds/.*\.(?:ya?ml|json)")


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
            self._count(os.path.getsize(real))
            try:
                with open(real, "rb") as file:
                    content = file.read()
            except OSError as error:
                self.errors.append(InputError(f"cannot be read: {error.strerror}", file=path))
                continue
            if _PACKAGE.fullmatch(inner):
                self._unpack(content, inner.removesuffix(".tgz") + "/", path)
            else:
                self.files[inner] = content
                self.places[inner] = path

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MOST_BYTES or len(self.files) >= MOST_FILES:
            msg = f"the chart is larger than {MOST_BYTES >> 20} MiB or {MOST_FILES} files"
            raise InputError(msg, file=self.root)

    def _unpack(self, package: bytes, prefix: str, place: str) -> None:
        """Take in a packed subchart as `prefix` of the chart; its files stand in one folder of any name."""
        try:
            with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as packed:
                for member in packed:
                    self._count(max(member.size, 512))
                    parts = member.name.replace("\\", "/").removeprefix("./").split("/")[1:]
                    file = packed.extractfile(member) if member.isfile() else None
                    if file is None or not parts or {"", ".", ".."} & set(parts):
                        continue
                    content, inner = file.read(), prefix + "/".join(parts)
                    if _PACKAGE.fullmatch(inner):
                        self._unpack(content, inner.removesuffix(".tgz") + "/", place)
                        continue
                    self.files[inner] = content
                    self.places[inner] = place
        except (tarfile.TarError, OSError, EOFError, zlib.error, RecursionError) as error:
            self.errors.append(InputError(f"cannot be unpacked: {error}", file=place))

    @property
    def templates(self) -> list[str]:
        """The paths of all templates, those of unpacked subcharts too, in order."""
        return sorted(path for path in self.files if "templates/" in path)

    @property
    def charts(self) -> list[str]:
        """The folder of each chart of this one, subcharts too, with a slash behind it; its own is empty."""
        found = map(_CHART_FILE.fullmatch, self.files)
        return sorted(match[1] for match in found if match is not None)

    def definitions(self, charts: Collection[str]) -> list[str]:
        """Return the paths of the custom resource definitions that Helm installs beside some of the charts."""
        found = map(_DEFINITION.fullmatch, self.files)
        return sorted(match[0] for match in found if match is not None and match[1] in charts)

    def write(
        self,
        folder: str,
        probes: Mapping[str, str],
        *,
        marks: bool = False,
        definitions: bool = False,
    ) -> None:
        """Write the chart into an empty folder, its templates with marks on their lines where asked for.

        `probes` are the texts of further templates, by the chart that they are put into.
        """
        numbers = {path: number for number, path in enumerate(self.templates)}
        further = {f"{chart}{PROBE}": text.encode() for chart, text in probes.items()}
        for path, content in (*self.files.items(), *further.items()):
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
