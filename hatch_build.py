"""Build step: write the catalogue's index into the wheel, so that no start-up walks the rules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INDEX = "rules/tidewaiter/rules/checks/_index.py"


class CatalogueIndex(BuildHookInterface[Any]):
    """Generates `_index.py` from the rule modules; they import nothing but the standard library."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the index and add it to the wheel; an editable install looks at the sources instead."""
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root, "rules")))
        from tidewaiter.rules.catalogue import index_source

        target = Path(self.root, INDEX)
        target.write_text(index_source(), encoding="utf-8")
        build_data["artifacts"].append(INDEX)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave the checkout as it was: a stale index must never be read."""
        del version, build_data, artifact_path
        Path(self.root, INDEX).unlink(missing_ok=True)
