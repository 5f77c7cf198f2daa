"""The ignore annotations of other linters, as exemptions.

Sources: https://docs.kubelinter.io/#/configuring-kubelinter (Ignoring violations for specific cases),
https://github.com/zegl/kube-score#ignoring-a-test, https://polaris.docs.fairwinds.com/customization/exemptions/,
https://www.checkov.io/2.Basics/Suppressing%20and%20Skipping%20Policies.html (of Kubernetes objects Checkov reads
annotations only, no comments)
"""

from __future__ import annotations

from tidewaiter.rules.checks_elsewhere import TABLES
from tidewaiter.rules.finding import Exemption
from tidewaiter.rules.manifest.fields import escape, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def foreign_exemptions(
    annotations: Mapping[str, object], pointer: str, tools: Sequence[str]
) -> Iterator[Exemption]:
    """Yield what the ignore annotations of other linters permit; one of a check that has no rule here does nothing."""
    for key, value in annotations.items():
        if not isinstance(key, str):
            continue
        for tool in tools:
            for check, reason in _named(tool, key, text(value).strip()):
                rules = _rules(tool, check)
                if rules:
                    why = reason or f"ignored for {tool}"
                    yield Exemption("annotation", rules, why, pointer=f"{pointer}/{escape(key)}")


def _rules(tool: str, check: str) -> tuple[str, ...]:
    table = TABLES[tool]
    if check == _EVERY:
        return tuple(dict.fromkeys(rule for rules in table.values() for rule in rules))
    return table.get(check, ())


_EVERY = "*"


def _named(tool: str, key: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield the checks that an annotation ignores, each with the reason that it gives."""
    if tool == "kube-linter":
        if key == "kube-linter.io/ignore-all":
            yield _EVERY, value
        elif key.startswith("ignore-check.kube-linter.io/"):
            yield key.partition("/")[2], value
    elif tool == "kube-score":
        yield from _named_for_kube_score(key, value)
    elif tool == "polaris":
        if key.startswith("polaris.fairwinds.com/") and value.lower() == "true":
            name = key.partition("/")[2]
            if name == "exempt":
                yield _EVERY, ""
            elif name.endswith("-exempt"):
                yield name.removesuffix("-exempt"), ""
    elif tool == "checkov" and any(skip in key for skip in _CHECKOV_SKIPS):
        check, _, reason = value.partition("=")
        yield check.strip(), reason.strip()


_CHECKOV_SKIPS = ("checkov.io/skip", "bridgecrew.io/skip", "cortex.io/skip")
_YES = frozenset({"true", "yes", "y", "on"})


def _named_for_kube_score(key: str, value: str) -> Iterator[tuple[str, str]]:
    if key == "kube-score/skip" and value.lower() in _YES:
        yield _EVERY, ""
    elif key == "kube-score/ignore":
        for check in map(str.strip, value.split(",")):
            yield check, ""
            if check == "container-resources":
                yield "container-ephemeral-storage-request-and-limit", ""
