"""The script for bash, from 3.2 on; it needs nothing beside bash."""

from __future__ import annotations

from tidewaiter.cli.completion.vocabulary import FILES, REPORTS, RULES, rule_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.cli.completion.vocabulary import Place, Value

_START = """\
# bash completion for tidewaiter: written by `tidewaiter completion bash`

_tidewaiter() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local before="" place="" words="" files="" index
    local rules="@RULES@"
    (( COMP_CWORD > 1 )) && before=${COMP_WORDS[COMP_CWORD-2]}
    # `--option=value` comes as three words.
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $previous == "=" && $COMP_CWORD -gt 2 ]]; then
        previous=$before
        before=${COMP_WORDS[COMP_CWORD-3]}
    fi
    for (( index = 1; index < COMP_CWORD && index < 3; index++ )); do
        case "$index:$place:${COMP_WORDS[index]}" in
@PLACES@
        esac
    done
    case "$place:$before:$previous" in
@REPORTS@
        *) case "$place:$previous" in
@VALUES@
            *) case "$place:$current" in
@OPTIONS@
                *) case "$place" in
@ARGUMENTS@
                esac ;;
            esac ;;
        esac ;;
    esac
    local IFS=$'\\n'
    COMPREPLY=( $(IFS=$' \\n'; compgen -W "$words" -- "$current") )
    if [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY+=( $(compgen -f -- "$current") )
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

complete -F _tidewaiter tidewaiter
"""


def script(places: Iterable[Place]) -> str:
    """Return the script."""
    places = list(places)
    values: dict[Value, list[str]] = {}
    reports = []
    for place in places:
        name = " ".join(place.words)
        for option in place.options:
            if option.value is not None:
                values.setdefault(option.value, []).extend(f"{name}:{f}" for f in option.flags)
                if option.value.kind == REPORTS:
                    reports += [f'"{name}:{flag}:"*' for flag in option.flags]
    parts = {
        "RULES": " ".join(rule_names()),
        "PLACES": "\n".join(_places(places)),
        "REPORTS": f"        {'|'.join(reports)}) files=1 ;;",
        "VALUES": "\n".join(
            f"            {_alternatives(where)}) {_setting(value)} ;;"
            for value, where in values.items()
        ),
        "OPTIONS": "\n".join(
            f'                "{" ".join(place.words)}:-"*) words="{_flags(place)}" ;;'
            for place in places
        ),
        "ARGUMENTS": "\n".join(_arguments(places)),
    }
    text = _START
    for mark, part in parts.items():
        text = text.replace(f"@{mark}@", part)
    return text


def _places(places: Iterable[Place]) -> Iterator[str]:
    for place in places:
        if place.words:
            *above, last = place.words
            pattern = f"{len(place.words)}:{' '.join(above)}:{last}"
            yield f'            "{pattern}") place="{" ".join(place.words)}" ;;'


def _arguments(places: Iterable[Place]) -> Iterator[str]:
    for place in places:
        name = " ".join(place.words)
        if place.actions:
            words = " ".join(action for action, _ in place.actions)
            yield f'                    "{name}") words="{words}" ;;'
        elif place.arguments:
            # Commands that take a file and then others take files for both.
            yield f'                    "{name}") {_setting(place.arguments[-1][1])} ;;'


def _alternatives(where: Iterable[str]) -> str:
    return "|".join(f'"{each}"' for each in where)


def _flags(place: Place) -> str:
    return " ".join(flag for option in place.options for flag in option.flags)


def _setting(value: Value) -> str:
    words = " ".join(value.words)
    if value.kind == RULES:
        return "words=$rules"
    if value.kind == REPORTS:
        return f'words="{" ".join(f"{word}=" for word in value.words)}"'
    if value.kind == FILES:
        return f'words="{words}" files=1'
    return f'words="{words}"'
