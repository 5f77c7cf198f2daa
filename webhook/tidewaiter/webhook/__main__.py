"""`python -m tidewaiter.webhook`: the server alone, for an image without the command line."""

from __future__ import annotations

import argparse
import sys

from tidewaiter.rules.errors import TidewaiterError
from tidewaiter.webhook import command


def main() -> int:
    """Serve; a mistake in the options or their files is a sentence on stderr and the exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m tidewaiter.webhook", description=command.__doc__, allow_abbrev=False
    )
    command.configure(parser)
    arguments = parser.parse_args()
    try:
        return command.run(arguments)
    except TidewaiterError as error:
        sys.stderr.write(f"tidewaiter: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
