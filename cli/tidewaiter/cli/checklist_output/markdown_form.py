"""The checklist as Markdown, for a merge request or a wiki: a table of services by items and the details.

Names and messages come from manifests, so whatever could be markup in them is escaped.
"""

from __future__ import annotations

from tidewaiter.cli.checklist_output.state import (
    STATES,
    WORDS,
    evidence_text,
    how_counted,
    place_text,
    question_of,
    score_text,
    service_name,
    state_of,
)
from tidewaiter.cli.output.excerpt import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Plain = dict[str, Any]

_SIGNS = {"yes": "✅", "attested": "☑️", "no": "❌", "unknown": "❓", "not-applicable": "·"}
_MARKUP = str.maketrans(
    {
        **{each: f"\\{each}" for each in "\\`*_{}[]()#+!|~$@"},
        "<": "&lt;",
        ">": "&gt;",
        "&": "&amp;",
        # Hosts turn bare addresses and @names into links and notices.
        ":": "&#58;",
    }
)


def pieces(data: Plain) -> Iterator[str]:
    """Yield the report in whole lines, each with its line end."""
    for line in _lines(data):
        yield f"{line}\n"


def _lines(data: Plain) -> Iterator[str]:
    yield "# Release checklist"
    yield ""
    answers = data["summary"]["answers"]
    yield (
        f"{data['date']}: {data['summary']['services']} services, {answers['yes']} yes, "
        f"{answers['attested']} attested, {answers['no']} no, {answers['unknown']} unknown, "
        f"{answers['notApplicable']} not applicable."
    )
    yield ""
    yield how_counted()
    if data["services"]:
        yield from _table(data)
    for service in data["services"]:
        yield from _service(service, data["items"])
    if data["attestationProblems"]:
        yield from ("", "## Attestations that do not count", "")
        for problem in data["attestationProblems"]:
            yield f"- {escaped(problem['message'])} ({escaped(place_text(problem['location']))})"
    if data["errors"]:
        yield from ("", "## What could not be read", "")
        for error in data["errors"]:
            yield f"- {escaped(error['file'])}, line {error['line'] or '?'}: {escaped(error['message'])}"


def _table(data: Plain) -> Iterator[str]:
    yield ""
    yield " | ".join(["| Service", "Ready", *(item["short"] for item in data["items"])]) + " |"
    yield "|---|--:|" + ":-:|" * len(data["items"])
    for service in data["services"]:
        signs = [_SIGNS[state_of(answer)] for answer in service["answers"]]
        name = escaped(service_name(service))
        yield f"| {name} | {score_text(service)} | {' | '.join(signs)} |"
    yield ""
    yield ", ".join(f"{_SIGNS[state]} {WORDS[state]}" for state in STATES)


def _service(service: Plain, items: list[Plain]) -> Iterator[str]:
    yield from ("", f"## {escaped(service_name(service))}: {score_text(service)}", "")
    for item, answer in zip(items, service["answers"], strict=True):
        state = state_of(answer)
        if state == "not-applicable":
            continue
        title = (
            f"- {_SIGNS[state]} **{item['title']}** ({WORDS[state]}): {escaped(answer['reason'])}"
        )
        yield title
        for note in answer["notes"]:
            yield f"    - {escaped(note)}"
        for row in answer["evidence"]:
            place = escaped(place_text(row["location"]))
            yield f"    - {escaped(evidence_text(row))} ({place})"
        if state == "unknown":
            yield f"    - Answer by hand: {escaped(question_of(item))}"


def escaped(text: str) -> str:
    """Return a text that Markdown and HTML show as it is, on one line."""
    shown = printable(text).encode("utf-8", "replace").decode("utf-8")
    return shown.translate(_MARKUP)
