"""Where this tidewaiter was installed from, so that pre-commit and a pipeline can install the same."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution

from tidewaiter.rules.record import record
from tidewaiter.rules.version import __version__


@record
class Origin:
    """`url` and `commit` where it came from a git repository; `is_folder` where it was built from a folder."""

    url: str = ""
    commit: str = ""
    is_folder: bool = False

    def requirement(self, extras: tuple[str, ...]) -> str:
        """Return what pip takes to install the same."""
        name = f"tidewaiter[{','.join(extras)}]" if extras else "tidewaiter"
        if self.url:
            return f"{name} @ git+{self.url}@{self.commit}"
        return f"{name}=={__version__}"


def origin() -> Origin:
    """Ask the record that pip keeps (https://packaging.python.org/en/latest/specifications/direct-url/)."""
    try:
        stated = distribution("tidewaiter").read_text("direct_url.json")
        record_ = json.loads(stated) if stated else {}
    except (PackageNotFoundError, ValueError, OSError):
        return Origin()
    source = record_ if isinstance(record_, dict) else {}
    vcs = source.get("vcs_info")
    url = source.get("url")
    if isinstance(vcs, dict) and vcs.get("vcs") == "git" and isinstance(url, str):
        return Origin(url=url, commit=str(vcs.get("commit_id", "")))
    return Origin(is_folder="dir_info" in source)
