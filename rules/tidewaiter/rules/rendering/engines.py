"""The engines that render charts: Helm's own in a package, else the user's `helm`; both in a process of its own.

Either is asked for the text of each template as it is, before Helm sorts and reads it: that text can be carried back
to its lines, and what is no YAML is then said at its place.
https://helm.sh/docs/helm/helm_template/
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.record import record
from tidewaiter.rules.rendering.bounded import run_bounded, run_to_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Protocol

    Texts = Mapping[str, str]

    class Engine(Protocol):
        """Renders copies of one chart alike."""

        def render(self, folders: Sequence[str], request: Request) -> list[Texts]:
            """Return for each folder the rendered texts by their path, which begins with the chart's name.

            The first folder has the chart itself, the others have marked copies, of which there may be no texts: a
            template can fail for a mark. Raises ChartError where Helm refuses the chart, InputError where it came to
            no end.
            """


MISSING = (
    "the chart is not checked: Helm's engine is not installed and there is no helm on the PATH; "
    "pip install 'tidewaiter[helm]', or leave charts out by --no-render or --exclude"
)
PROBE = "templates/zz-tidewaiter-probe.yaml"
"""A template that each copy of a chart has more, in it and in its subcharts: its text is no YAML.

Helm then gives the texts of all templates as they are. It is rendered where the subchart is.
"""
_WHAT = "rendering the chart"


class ChartError(InputError):
    """What Helm has to say against a chart."""


@record
class Request:
    """Which chart is rendered, by its name and the paths of its templates, and with what.

    `values` are the texts of values files; a setting is as of `--set`.
    """

    chart: str
    templates: tuple[str, ...]
    release: str
    namespace: str
    kubernetes_version: str
    values: tuple[str, ...]
    settings: tuple[str, ...]


def find_engine() -> Engine | None:
    """Return what renders charts here: the packaged engine, else the user's `helm`; None where there is neither."""
    from importlib.util import find_spec

    if find_spec("helm_python") is not None:
        return PackagedEngine()
    program = shutil.which("helm")
    return HelmProgram(program) if program else None


class PackagedEngine:
    """Helm's engine as a package carries it."""

    def render(self, folders: Sequence[str], request: Request) -> list[Texts]:
        """Return the texts; see `Engine`."""
        worker = [sys.executable, "-I", "-m", "tidewaiter.rules.rendering.helm_worker"]
        asked = {
            "folders": list(folders),
            "release": request.release,
            "namespace": request.namespace,
            "kubeVersion": request.kubernetes_version,
            "apiVersions": [],
            "values": list(request.values),
            "settings": list(request.settings),
        }
        answer: dict[str, Any] = json.loads(run_bounded(worker, json.dumps(asked).encode(), _WHAT))
        if "error" in answer:
            raise ChartError(answer["error"])
        texts: list[Texts] = answer["texts"]
        return texts


class HelmProgram:
    """The user's `helm`, without its plugins, its repositories and a cluster."""

    def __init__(self, program: str) -> None:
        """Use the program at a path."""
        self._program = program

    def render(self, folders: Sequence[str], request: Request) -> list[Texts]:
        """Return the texts; see `Engine`."""
        with tempfile.TemporaryDirectory(prefix="tidewaiter-helm-") as home:
            options: list[str] = []
            for number, text in enumerate(request.values):
                path = os.path.join(home, f"values-{number}.yaml")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                options += ["--values", path]
            for setting in request.settings:
                options += ["--set", setting]
            texts = [self._texts(folders[0], options, request, home)]
            for folder in folders[1:]:
                try:
                    texts.append(self._texts(folder, options, request, home))
                except InputError:
                    texts.append({})
            return texts

    def _texts(self, folder: str, options: list[str], request: Request, home: str) -> Texts:
        command = [
            *(self._program, "template", request.release, folder, "--debug"),
            *("--namespace", request.namespace, "--kube-version", request.kubernetes_version),
            *options,
        ]
        places = {
            name: os.path.join(home, "none")
            for name in (
                *("HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"),
                *("HELM_PLUGINS", "KUBECONFIG"),
            )
        }
        ended = run_to_end(command, b"", _WHAT, places)
        output = ended.output.decode("utf-8", "replace")
        texts = dict(_texts_in(output, request))
        # The probe makes Helm refuse the chart in its last step, and in that step alone it prints the texts.
        if not any(path.endswith(PROBE) for path in texts):
            raise ChartError(_complaint(ended.said.decode("utf-8", "replace"), ended.code))
        return texts


_HEAD = re.compile(r"^---\n# Source: (\S[^\n]*)\n", re.MULTILINE)


def _texts_in(output: str, request: Request) -> Iterator[tuple[str, str]]:
    """Yield path and text of each template of a chart in what Helm prints of it.

    A text may itself have such heads, of another chart's rendering that it was copied from.
    """
    # A subchart may have another name in the output than its folder has: its templates have not.
    known = {path.rpartition("templates/")[2] for path in (*request.templates, PROBE)}
    heads = [
        head
        for head in _HEAD.finditer(output)
        if head[1].startswith(f"{request.chart}/") and head[1].rpartition("templates/")[2] in known
    ]
    ends = [*(head.start() for head in heads[1:]), len(output)]
    for head, end in zip(heads, ends, strict=False):
        # Helm ends each text by a line feed of its own.
        yield head[1], output[head.end() : end].removesuffix("\n")


def _complaint(said: str, code: int) -> str:
    """Return what Helm says of an error, without the stack that it may show with it."""
    found = re.search(
        r"^Error: (.*?)(?=^helm\.|^\S+\.go:\d|^level=|^time=|\Z)", said, re.MULTILINE | re.DOTALL
    )
    return found[1].strip() if found and found[1].strip() else f"helm ended with {code}"
