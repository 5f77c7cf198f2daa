"""Print the script that completes commands, options, rules, profiles and files in a shell.

bash:  tidewaiter completion bash > ~/.local/share/bash-completion/completions/tidewaiter
zsh:   tidewaiter completion zsh > "${fpath[1]}/_tidewaiter"
fish:  tidewaiter completion fish > ~/.config/fish/completions/tidewaiter.fish
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

SHELLS = ("bash", "zsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    import argparse

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    from importlib import import_module

    from tidewaiter.cli.completion.vocabulary import places

    form = import_module(f"tidewaiter.cli.completion.{arguments.shell}")
    print(form.script(places()), end="")
    return 0
