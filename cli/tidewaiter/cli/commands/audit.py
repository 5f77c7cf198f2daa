"""Check the audit log of the webhook: was a line changed, removed or moved?

Exit codes: 0 the chain is whole; 1 it is broken, and the places are printed; 2 a file cannot be read.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from tidewaiter.rules.audit_chain import Verification

_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    verify = actions.add_parser(
        "verify", help="find where a log was changed, cut off or reordered", allow_abbrev=False
    )
    verify.add_argument(
        "files", nargs="+", metavar="FILE", help="the log and its rotated files, in any order"
    )
    verify.add_argument(
        "--expect-last",
        metavar="HASH",
        help="SHA-256 of the last line, as known from elsewhere: shows lines missing from the end",
    )
    verify.add_argument(
        "--restarts",
        action="store_true",
        help="allow further chains to begin, as in the stdout of a server that was restarted",
    )


def run(arguments: argparse.Namespace) -> int:
    """Verify the log, print what was found and return the exit code. Raises InputError."""
    from tidewaiter.rules.audit_chain import verify
    from tidewaiter.rules.errors import InputError

    expected = (arguments.expect_last or "").lower()
    if expected and (len(expected) != 64 or expected.strip("0123456789abcdef")):
        raise InputError("--expect-last takes the 64 hexadecimal digits of a SHA-256")
    found = verify(arguments.files, restarts=arguments.restarts)
    for each in found.breaks[:_SHOWN]:
        print(f"{each.place}: {each.message}")
    if len(found.breaks) > _SHOWN:
        print(f"... and {len(found.breaks) - _SHOWN} more places")
    cut = bool(expected) and found.head != expected
    if cut:
        print(
            "the last line is not the expected one: lines after it are missing, or it was changed"
        )
    for line in _summary(found, known_end=bool(expected)):
        print(line)
    sys.stdout.flush()
    return 1 if found.breaks or cut else 0


def _summary(found: Verification, *, known_end: bool) -> list[str]:
    if not found.lines:
        return ["no lines"]
    state = "broken" if found.breaks else "whole"
    count = f"{found.lines} {'line' if found.lines == 1 else 'lines'}"
    lines = [
        f"{count}, {found.first} to {found.last} of the log: the chain is {state}",
        f"last line: {found.head or 'cannot be read'}",
    ]
    if found.first > 1:
        lines.append(
            f"lines 1 to {found.first - 1} are not in these files, so nothing is known of them"
        )
    if len(found.chains) > 1:
        places = ", ".join(str(place) for place in found.chains)
        lines.append(
            f"chains begin at {places}; that no lines are missing before each is not known"
        )
    if not known_end and not found.breaks:
        lines.append(
            "a chain does not show lines missing from its end, nor a change of the last line: compare the hash above "
            "with one kept elsewhere (--expect-last)"
        )
    return lines
