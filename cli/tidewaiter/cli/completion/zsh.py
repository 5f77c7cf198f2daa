"""The script for zsh: to be put into a folder of `fpath` as `_tidewaiter`, or to be sourced."""

from __future__ import annotations

from tidewaiter.cli.completion.vocabulary import FILES, REPORTS, RULES, rule_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.cli.completion.vocabulary import Option, Place, Value

_START = """\
#compdef tidewaiter
# zsh completion for tidewaiter: written by `tidewaiter completion zsh`

_tidewaiter_rules() {
    local -a rules
    rules=(
@RULES@
    )
    _describe -t rules rule rules
}

"""
_END = """\
if [ "$funcstack[1]" = "_tidewaiter" ]; then
    _tidewaiter "$@"
else
    compdef _tidewaiter tidewaiter
fi
"""


def script(places: Iterable[Place]) -> str:
    """Return the script: one function for each place."""
    rules = "\n".join(f"        {_pair(*row)}" for row in rule_names().items())
    functions = "\n".join("\n".join(_function(place)) + "\n" for place in places)
    return _START.replace("@RULES@", rules) + functions + "\n" + _END


def _function(place: Place) -> Iterator[str]:
    yield f"{_name(place.words)}() {{"
    specs = [spec for option in place.options for spec in _option(option)]
    if place.actions:
        yield "    local curcontext=$curcontext state line"
        yield "    typeset -A opt_args"
        yield "    local -a actions"
        yield "    actions=("
        for row in place.actions:
            yield f"        {_pair(*row)}"
        yield "    )"
        specs += ["'1: :->action'", "'*:: :->rest'"]
        yield from _call("    _arguments -C", specs)
        yield '    case "$state" in'
        yield "        action) _describe -t commands command actions ;;"
        yield '        rest) case "$words[1]" in'
        for name, _ in place.actions:
            yield f"            {name}) {_name((*place.words, name))} ;;"
        yield "        esac ;;"
        yield "    esac"
    else:
        last = len(place.arguments) - 1
        for index, (name, value) in enumerate(place.arguments):
            where = "*" if place.repeats and index == last else str(index + 1)
            specs.append(_quoted(f"{where}:{_escaped(name)}:{_action(value)}"))
        yield from _call("    _arguments", specs or ["'*: :'"])
    yield "}"


def _call(head: str, specs: list[str]) -> Iterator[str]:
    yield f"{head} \\"
    for spec in specs[:-1]:
        yield f"        {spec} \\"
    yield f"        {specs[-1]}"


def _option(option: Option) -> Iterator[str]:
    flags = option.flags
    text = f"[{_escaped(option.help)}]"
    value = ""
    if option.value is not None:
        value = f":{_escaped(option.metavar)}:{_action(option.value)}"
    others = f"({' '.join(flags)})" if len(flags) > 1 and not option.is_repeatable else ""
    for flag in flags:
        behind = "" if option.value is None else "=" if flag.startswith("--") else "+"
        yield _quoted(f"{'*' if option.is_repeatable else others}{flag}{behind}{text}{value}")


def _action(value: Value) -> str:
    words = " ".join(value.words)
    if value.kind == RULES:
        return "_tidewaiter_rules"
    if value.kind == REPORTS:
        return f"_values -S = format {' '.join(f'{word}:file:_files' for word in value.words)}"
    if value.kind == FILES:
        # With a space before it the call is made as it stands, without options that it has not.
        both = rf" _alternative 'words\:word\:({words})' 'files\:file\:_files'"
        return both if words else "_files"
    return f"({words})" if words else " "


def _name(words: tuple[str, ...]) -> str:
    return "_".join(("_tidewaiter", *(f"_{word}" for word in words)))


def _pair(name: str, text: str) -> str:
    return _quoted(f"{name}:{text}".replace("\\", "\\\\"))


def _escaped(text: str) -> str:
    for sign in "\\:[]":
        text = text.replace(sign, f"\\{sign}")
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
