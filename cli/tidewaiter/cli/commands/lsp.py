"""Serve an editor over the Language Server Protocol: diagnostics, quick fixes and explanations.

Messages go over standard input and output. The policy is `tidewaiter.yaml` in the editor's folder or above it, and
other objects of the folder answer for rules that ask about them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("--stdio", action="store_true", help="speak over standard input and output (the default)")
    add("--tcp", metavar="HOST:PORT", help="wait for one editor at this address instead")
    add("--policy", metavar="FILE", help="policy file (default: tidewaiter.yaml of the folder)")
    add("--profile", action="append", metavar="NAME", help="set of rules; may be repeated")
    add("--kubernetes-version", metavar="X.Y", help="version to check for, 1.0 to 1.37")


def run(arguments: argparse.Namespace) -> int:
    """Serve until the editor ends it. Raises InputError where the package is missing or an option is wrong."""
    import os

    from tidewaiter.rules.errors import InputError

    if arguments.stdio and arguments.tcp:
        raise InputError("--stdio and --tcp exclude each other")
    address = _address(arguments.tcp) if arguments.tcp else None
    policy = os.path.abspath(arguments.policy) if arguments.policy else ""
    if arguments.profile or arguments.kubernetes_version or policy:
        from tidewaiter.cli.surroundings import stated_policy

        # A mistake in an option is told here, and not to every document.
        stated_policy(
            policy or None,
            profiles=arguments.profile,
            kubernetes_version=arguments.kubernetes_version,
        )
    try:
        from tidewaiter.cli.editor.analysis import Options
        from tidewaiter.cli.editor.features import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"pygls", "lsprotocol", "cattrs", "attrs"}:
            raise
        msg = f"a part is missing ({error.name}): pip install 'tidewaiter[lsp]'"
        raise InputError(msg) from None
    options = Options(policy, tuple(arguments.profile or ()), arguments.kubernetes_version or "")
    return serve(options, address)


def _address(stated: str) -> tuple[str, int]:
    from tidewaiter.rules.errors import InputError

    host, colon, port = stated.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"--tcp takes HOST:PORT, not {stated!r}")
    return host, int(port)
