"""Hiding credentials in source lines at which nothing was found, but which a report shows around others.

There is no finding to say that such a line holds one: a rule may be switched off. So a value is hidden
where its name or form is that of a credential, where it belongs to a Secret or an environment variable, and
where a line is a piece of a longer text.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.credential import credential_form, kind_of_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tidewaiter.cli.result import LintFinding

_REACH = 12
"""Lines around a finding on a Secret in which values are taken for its own."""
_FLOW = frozenset("{}[]")
_MARKERS = frozenset({"", "---", "..."})


def hide_neighbours(
    lines: dict[tuple[str, int], str],
    findings: Sequence[LintFinding],
    rules: Collection[str],
    hidden: str,
) -> None:
    """Put `hidden` in place of what may be secret in the lines without a finding.

    `rules` are those whose findings stand at credentials; what their findings span is hidden whole.
    """
    own = {(finding.file, finding.line) for finding in findings}
    inside: set[tuple[str, int]] = set()
    secrets: set[tuple[str, int]] = set()
    for finding in findings:
        if finding.rule in rules:
            inside.update(
                (finding.file, line) for line in range(finding.line + 1, finding.end_line + 1)
            )
        if finding.kind == "Secret":
            reach = range(finding.line - _REACH, finding.line + _REACH + 1)
            secrets.update((finding.file, line) for line in reach)
    for place, line in lines.items():
        if place in inside:
            lines[place] = _indent(line) + hidden
        elif place not in own:
            lines[place] = _hide(line, hidden, in_secret=place in secrets)


def _hide(line: str, hidden: str, *, in_secret: bool) -> str:
    text = line.strip().removeprefix("- ").lstrip()
    if text[:1] in _FLOW or text in _MARKERS:
        return _indent(line) + hidden if _may_hold_credential(text, in_secret) else line
    key, colon, value = text.partition(": ")
    if not colon:
        # A key alone, or a piece of a longer text or of a list.
        words = text.replace("=", " ").split()
        is_word = len(text) <= 40 and not in_secret and not any(map(kind_of_name, words))
        is_plain = text.endswith(":") or text.startswith("#") or is_word
        return line if is_plain and not credential_form(text) else _indent(line) + hidden
    name = key.strip("\"'# ")
    suspicious = (
        name == "value" or kind_of_name(name) or _may_hold_credential(value, in_secret=False)
    )
    if in_secret and name not in {"apiVersion", "kind", "name", "namespace", "type"}:
        suspicious = True
    return line[: line.index(": ") + 2] + hidden if suspicious else line


def _may_hold_credential(text: str, in_secret: bool) -> bool:
    """Tell whether a text of several keys and values, as in braces, may have a credential in it."""
    names = [part.rpartition(",")[2].strip(" {[\"'") for part in text.split(":")[:-1]]
    return bool(
        credential_form(text)
        or (in_secret and names)
        or any(name == "value" or kind_of_name(name) for name in names)
    )


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
