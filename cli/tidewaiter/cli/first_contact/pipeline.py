"""A job that lints in the pipeline: a workflow of GitHub, or a job in GitLab's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from tidewaiter.cli.first_contact.pre_commit import CannotAdd, quoted
from tidewaiter.rules.manifest.fields import sequence, text

if TYPE_CHECKING:
    from tidewaiter.cli.first_contact.origin import Origin

GITHUB_FILE = ".github/workflows/tidewaiter.yaml"
GITLAB_FILE = ".gitlab-ci.yml"
_DEFAULT_STAGES = ("build", "test", "deploy")


def github_workflow(source: Origin, path: str, extras: tuple[str, ...]) -> str:
    """Return a workflow that annotates the changed lines of a pull request."""
    return f"""\
# Lints the manifests of this repository; findings are shown beside the lines of a pull request.
name: tidewaiter
on:
  pull_request:
  push:
    branches: [main, master]
permissions:
  contents: read
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.13"
      - run: pip install {_shell(source.requirement(extras))}
      - run: tidewaiter lint {_shell(path)} --format github
"""


def gitlab_job(source: Origin, path: str, extras: tuple[str, ...], stage: str = "test") -> str:
    """Return a job whose findings a merge request shows as code quality."""
    return f"""\
# Lints the manifests of this repository; a merge request shows what it adds.
tidewaiter:
  stage: {stage}
  image: python:3.13
  script:
    - {quoted(f"pip install {_shell(source.requirement(extras))}")}
    - {quoted(f"tidewaiter lint {_shell(path)} --report gitlab=gl-code-quality-report.json")}
  artifacts:
    when: always
    reports:
      codequality: gl-code-quality-report.json
"""


def has_gitlab_job(content: bytes) -> bool:
    """Tell whether GitLab's file calls tidewaiter already. Raises CannotAdd."""
    _gitlab(content)
    return calls_tidewaiter(content)


def calls_tidewaiter(content: bytes) -> bool:
    """Tell whether a pipeline's file lints by tidewaiter, as a command or as an action."""
    return b"tidewaiter lint" in content or b"/tidewaiter@" in content


def with_gitlab_job(content: bytes, source: Origin, path: str, extras: tuple[str, ...]) -> bytes:
    """Return GitLab's file with the job at its end. Raises CannotAdd."""
    before = _gitlab(content)
    stages = [text(each) for each in sequence(before.get("stages"))] or list(_DEFAULT_STAGES)
    stage = "test" if "test" in stages else stages[0]
    decoded = content.decode()
    end = "\r\n" if "\r\n" in decoded else "\n"
    job = gitlab_job(source, path, extras, quoted(stage) if stage != "test" else stage)
    gap = "" if not decoded else end if decoded.endswith("\n") else end * 2
    made = (decoded + gap + job.replace("\n", end)).encode()
    after = _gitlab(made)
    after.pop("tidewaiter", None)
    if after != before:
        raise CannotAdd("it is written in a form that does not take a further job")
    return made


class _Loader(yaml.SafeLoader):
    """Reads GitLab's own tags, as `!reference`, as lists."""


_Loader.add_multi_constructor(
    "!",
    lambda loader, _suffix, node: (
        [child.value for child in node.value]
        if isinstance(node, yaml.SequenceNode)
        else loader.construct_scalar(node)
    ),
)


def _gitlab(content: bytes) -> dict[str, Any]:
    try:
        values = list(yaml.load_all(content.decode(), Loader=_Loader))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CannotAdd("it cannot be read") from error
    value = values[-1] if values else None
    if value is not None and not isinstance(value, dict):
        raise CannotAdd("it is no mapping")
    return dict(value or {})


def _shell(word: str) -> str:
    import shlex

    return shlex.quote(word)
