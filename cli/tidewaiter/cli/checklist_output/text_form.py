"""The checklist for a terminal: a map of services by items, and what is not yes."""

from __future__ import annotations

from tidewaiter.cli.checklist_output.state import (
    LETTERS,
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
from tidewaiter.cli.output.statistics import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Plain = dict[str, Any]

_COLORS = {
    "yes": "\033[32m",
    "attested": "\033[36m",
    "no": "\033[1;31m",
    "unknown": "\033[33m",
    "not-applicable": "\033[2m",
    "strong": "\033[1m",
}
_RESET = "\033[0m"


def pieces(data: Plain, *, color: bool = False) -> Iterator[str]:
    """Yield the report in whole lines, each with its line end."""
    for line in _lines(data, color=color):
        yield f"{line}\n"


def _lines(data: Plain, *, color: bool) -> Iterator[str]:
    if data["services"]:
        yield from _map(data, color=color)
        yield ""
        for service in data["services"]:
            yield from _service(service, data["items"], color=color)
    for problem in data["attestationProblems"]:
        yield f"{printable(place_text(problem['location']))}: {printable(problem['message'])}"
    if data["attestationProblems"]:
        yield ""
    yield from _summary(data)


def _map(data: Plain, *, color: bool) -> Iterator[str]:
    names = [printable(service_name(service)) for service in data["services"]]
    width = max(len("service"), *map(len, names))
    numbers = " ".join(f"{number:>2}" for number in range(1, len(data["items"]) + 1))
    yield _paint("strong", f"{'service':{width}}  ready  {numbers}", color=color)
    for name, service in zip(names, data["services"], strict=True):
        cells = " ".join(
            " " + _paint(state_of(answer), LETTERS[state_of(answer)], color=color)
            for answer in service["answers"]
        )
        yield f"{name:{width}}  {score_text(service):>5}  {cells}"
    yield ""
    for number, item in enumerate(data["items"], 1):
        yield f"{number:>4}  {item['title']}"
    yield ""
    yield "  ".join(
        f"{_paint(state, LETTERS[state], color=color)} {WORDS[state]}" for state in STATES
    )


def _service(service: Plain, items: list[Plain], *, color: bool) -> Iterator[str]:
    ready = counted(service["counts"]["yes"] + service["counts"]["attested"], "yes", "yes")
    total = f"{ready} of {service['counts']['applicable']}"
    name = _paint("strong", printable(service_name(service)), color=color)
    yield f"{name}  {score_text(service)} ({total})"
    for item, answer in zip(items, service["answers"], strict=True):
        state = state_of(answer)
        if state in {"yes", "not-applicable"}:
            continue
        word = _paint(state, f"{WORDS[state]:13}", color=color)
        reason = "" if state == "no" else f": {printable(answer['reason'])}"
        yield f"  {word}  {item['title']}{reason}"
        for row in answer["evidence"]:
            if state == "attested" or (state == "no" and row["status"] != "violation"):
                continue
            place = printable(place_text(row["location"]))
            yield f"      {place}: {printable(evidence_text(row))}"
        if state == "unknown":
            yield f"      answer by hand: {question_of(item)}"
    yield ""


def _summary(data: Plain) -> Iterator[str]:
    summary, answers = data["summary"], data["summary"]["answers"]
    services = counted(summary["services"], "service")
    objects = counted(summary["resources"], "object")
    yield (
        f"{services} in {objects} of {counted(summary['files'], 'file')}: "
        f"{answers['yes']} yes, {answers['attested']} attested, {answers['no']} no, "
        f"{answers['unknown']} unknown, {answers['notApplicable']} not applicable"
    )
    yield how_counted()
    if answers["no"]:
        yield "`tidewaiter explain RULE` says how to fulfil a rule."
    if not data["complete"] and summary["services"]:
        yield (
            "This is not a whole set of manifests, so what is absent counts as unknown; name the folder, "
            "or more with --inventory."
        )


def _paint(style: str, text: str, *, color: bool) -> str:
    return f"{_COLORS[style]}{text}{_RESET}" if color else text
