"""Judge what is sent to a cluster: a validating admission webhook and image policy webhook.

The server is a program of its own, which `python -m tidewaiter.webhook` starts too. The command line knows its name
and nothing of its code, so it is imported by that name when it is asked for.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

_PROGRAM = "tidewaiter.webhook.command"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the server's own options."""
    program = import_module(_PROGRAM)
    parser.description = program.__doc__
    program.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to end, and return the exit code."""
    code: int = import_module(_PROGRAM).run(arguments)
    return code
