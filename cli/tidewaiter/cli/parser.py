"""The parser of the command line: that of the standard library, which also names the word that may have been meant."""

from __future__ import annotations

from argparse import ArgumentParser

from tidewaiter.rules.names import nearest_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Parser(ArgumentParser):
    """A parser, and the class of the parsers of its commands."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the mistake, and exit with 2."""
        import re

        found = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)$", message)
        nearest = nearest_name(found[1], re.findall(r"[\w.-]+", found[2])) if found else ""
        super().error(f"{message}; did you mean {nearest!r}?" if nearest else message)
