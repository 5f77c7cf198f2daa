"""The script for fish, from 3.0 on."""

from __future__ import annotations

from tidewaiter.cli.completion.vocabulary import FILES, REPORTS, RULES, rule_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.cli.completion.vocabulary import Option, Place, Value

_START = """\
# fish completion for tidewaiter: written by `tidewaiter completion fish`

# True behind the given words and any others.
function __tidewaiter_in
    set -l words (commandline -opc)
    set -l last (math (count $argv) + 1)
    test (count $words) -ge $last; and test "$words[2..$last]" = "$argv"
end

# True right behind the given words.
function __tidewaiter_at
    set -l words (commandline -opc)
    set -e words[1]
    test "$words" = "$argv"
end

function __tidewaiter_rules
@RULES@
end

complete -c tidewaiter -f
"""


def script(places: Iterable[Place]) -> str:
    """Return the script."""
    rules = "\n".join(
        f"    printf '%s\\t%s\\n' {name} {_quoted(text)}" for name, text in rule_names().items()
    )
    lines = [line for place in places for line in _lines(place)]
    return _START.replace("@RULES@", rules) + "\n".join(lines) + "\n"


def _lines(place: Place) -> Iterator[str]:
    name = " ".join(place.words)
    inside = _quoted(f"__tidewaiter_in {name}") if name else "__tidewaiter_at"
    right_behind = _quoted(f"__tidewaiter_at {name}".rstrip())
    for action, text in place.actions:
        yield f"complete -c tidewaiter -n {right_behind} -a {action} -d {_quoted(text)}"
    for option in place.options:
        flags = " ".join(_flag(flag) for flag in option.flags)
        yield " ".join(
            filter(
                None,
                (
                    f"complete -c tidewaiter -n {inside}",
                    flags,
                    _taken(option),
                    f"-d {_quoted(option.help)}",
                ),
            )
        )
    for value in dict.fromkeys(value for _, value in place.arguments):
        yield f"complete -c tidewaiter -n {inside} {_offered(value)}".rstrip()


def _flag(flag: str) -> str:
    return f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"


def _taken(option: Option) -> str:
    if option.value is None:
        return ""
    return (
        f"-r {_offered(option.value)}"
        if option.value.kind == FILES
        else f"-x {_offered(option.value)}"
    )


def _offered(value: Value) -> str:
    words = " ".join(value.words)
    if value.kind == RULES:
        return "-a '(__tidewaiter_rules)'"
    if value.kind == REPORTS:
        return f"-a {_quoted(' '.join(f'{word}=' for word in value.words))}"
    listed = f"-a {_quoted(words)}" if words else ""
    return f"-F {listed}".rstrip() if value.kind == FILES else listed


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
