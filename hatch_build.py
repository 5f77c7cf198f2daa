"""Build step: write the catalogue's index into the wheel, so that no start-up walks the rules.

The examples of the rules go in as well: a wheel has no fixtures to read them from.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INDEX = "rules/tidewaiter/rules/checks/_index.py"
EXAMPLES = "rules/tidewaiter/rules/checks/_examples.py"


class CatalogueIndex(BuildHookInterface[Any]):
    """Generates modules from the rules, which import nothing but the standard library."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the modules to the wheel; an editable install looks at the sources instead."""
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root, "rules")))
        from tidewaiter.rules.catalogue import entries, index_source
        from tidewaiter.rules.examples import examples_source

        Path(self.root, INDEX).write_text(index_source(), encoding="utf-8")
        Path(self.root, EXAMPLES).write_text(examples_source(list(entries())), encoding="utf-8")
        build_data["artifacts"] += [INDEX, EXAMPLES]

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave the checkout as it was: a stale index must never be read."""
        del version, build_data, artifact_path
        Path(self.root, INDEX).unlink(missing_ok=True)
        Path(self.root, EXAMPLES).unlink(missing_ok=True)
