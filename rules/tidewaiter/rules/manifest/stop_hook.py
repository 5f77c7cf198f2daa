"""What a container does before it is stopped, and how long that takes.

https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/ and KEP-3960 for `sleep`.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text, whole_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.manifest.workload import Container

DEFAULT_GRACE_SECONDS = 30
"""terminationGracePeriodSeconds of a pod that leaves it out."""
_HANDLERS = ("exec", "httpGet", "sleep")
"""Not tcpSocket, which the API takes, but no hook can do."""
_SHELLS = frozenset({"ash", "bash", "dash", "sh"})
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NOT_PLAIN = frozenset("|()`{}'\"#\\<>")
"""Characters with which a shell's text is more than commands in a row."""
_NOT_IN_A_ROW = frozenset(
    {"break", "case", "exec", "exit", "for", "if", "return", "set", "trap", "until", "while"}
)
"""First words after which the rest of a shell's text may not run, or run more than once."""


def stop_hook(container: Container) -> tuple[str, dict[str, Any]] | None:
    """Return a container's preStop hook as the handler's name and content, or None without one."""
    hook = mapping(dig(container.spec, "lifecycle", "preStop"))
    for name in _HANDLERS:
        if hook.get(name) is not None:
            return name, mapping(hook[name])
    return None


def least_seconds(hook: tuple[str, dict[str, Any]]) -> float:
    """Return how many seconds a hook takes at least: what it sleeps, as far as that is written out.

    Read are the sleep action, the command `sleep`, and a shell's commands in a row.
    """
    name, content = hook
    if name == "sleep":
        return max(whole_number(content.get("seconds")) or 0, 0)
    if name != "exec":
        return 0
    command = [text(part) for part in sequence(content.get("command"))]
    if not command:
        return 0
    program = command[0].rpartition("/")[2]
    if program in _SHELLS:
        flags = command[1] if len(command) > 2 else ""
        # `-c` alone or with others before it, as in `-ec`: the next argument is the text.
        is_text = flags[:1] == "-" and flags[1:].isalpha() and flags[-1:] == "c"
        return _seconds_of_text(command[2]) if is_text else 0
    return _seconds_of_command([program, *command[1:]])


def _seconds_of_text(shell: str) -> float:
    rest = shell.replace("&&", ";").replace("\n", ";")
    if "&" in rest or not _NOT_PLAIN.isdisjoint(rest):
        return 0
    seconds = 0.0
    for command in rest.split(";"):
        words = command.split()
        if words and words[0] in _NOT_IN_A_ROW:
            return 0
        seconds += _seconds_of_command(words)
    return seconds


def _seconds_of_command(words: list[str]) -> float:
    """Return what `sleep 15 1m` takes, 0 for any other command."""
    if len(words) < 2 or words[0].rpartition("/")[2] != "sleep":
        return 0
    seconds = 0.0
    for word in words[1:]:
        unit = _UNIT_SECONDS.get(word[-1:])
        number = word[:-1] if unit else word
        whole, _, fraction = number.partition(".")
        digits = whole + fraction
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
            return 0
        seconds += float(number) * (unit or 1)
    return seconds
