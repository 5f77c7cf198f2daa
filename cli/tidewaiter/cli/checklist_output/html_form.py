"""The checklist as one HTML page that needs nothing else: no script, no font, no request.

Everything that comes from manifests is escaped, and the page forbids itself to load or run anything.
"""

from __future__ import annotations

from html import escape

from tidewaiter.cli.checklist_output.page_style import STYLE
from tidewaiter.cli.checklist_output.state import (
    LETTERS,
    STATES,
    WORDS,
    evidence_text,
    how_counted,
    place_text,
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

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"
_MAP_MILLIMETRES = 138
"""Height of the map's rows on a landscape page of A4, beside the title, the headings and the legend."""
_ROW_MILLIMETRES = 7.5
_LEAST_ROW_MILLIMETRES = 2.2
"""Smaller print cannot be read; a map of more services goes on to a second page."""


def pieces(data: Plain) -> Iterator[str]:
    """Yield the page in whole lines, each with its line end."""
    for line in _lines(data):
        yield f"{line}\n"


def shown(value: object) -> str:
    """Return a text as HTML shows it on one line, also within an attribute's quotes."""
    text = printable(str(value)).encode("utf-8", "replace").decode("utf-8")
    return escape(text, quote=True)


def _lines(data: Plain) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield '<link rel="icon" href="data:,">'
    yield f"<title>Release checklist, {shown(data['date'])}</title>"
    rows = max(len(data["services"]), 1)
    height = max(min(_MAP_MILLIMETRES / rows, _ROW_MILLIMETRES), _LEAST_ROW_MILLIMETRES)
    yield f"<style>:root{{--row:{height:.2f}mm}}\n{STYLE}</style>\n</head>\n<body>"
    yield '<a class="skip" href="#services">Skip to the details</a>'
    yield from _head(data)
    yield "<main>"
    if data["services"]:
        yield from _map(data)
        yield '<div id="services" class="services">'
        for number, service in enumerate(data["services"]):
            yield from _service(number, service, data["items"])
        yield "</div>"
    else:
        yield '<p id="services">There is no workload among these manifests.</p>'
    yield from _problems(data)
    yield "</main>\n</body>\n</html>"


def _head(data: Plain) -> Iterator[str]:
    summary, answers = data["summary"], data["summary"]["answers"]
    yield "<header>\n<h1>Release checklist</h1>"
    yield (
        f'<p class="facts">{counted(summary["services"], "service")} in '
        f"{counted(summary['resources'], 'object')} of {counted(summary['files'], 'file')}, "
        f'<time datetime="{shown(data["date"])}">{shown(data["date"])}</time></p>'
    )
    yield '<ul class="totals">'
    keys = ("yes", "attested", "no", "unknown", "notApplicable")
    for state, key in zip(STATES, keys, strict=True):
        yield (
            f'<li><span class="cell {state}" aria-hidden="true">{LETTERS[state]}</span> '
            f"<b>{answers[key]}</b> {WORDS[state]}</li>"
        )
    yield f'</ul>\n<p class="how">{how_counted()}</p>'
    if not data["complete"] and data["services"]:
        yield (
            '<p class="notice">This is not a whole set of manifests, so what is absent counts as unknown.</p>'
        )
    yield "</header>"


def _map(data: Plain) -> Iterator[str]:
    yield '<section aria-labelledby="map-title">\n<h2 id="map-title">Services by items</h2>'
    yield '<div class="scroll" role="region" aria-labelledby="map-title" tabindex="0">'
    yield '<table class="map">'
    yield "<caption>Each answer leads to its reasons</caption>"
    yield '<thead><tr><th scope="col" class="name">Service</th><th scope="col">Ready</th>'
    for item in data["items"]:
        yield (
            f'<th scope="col" class="item" title="{shown(item["title"])}">'
            f"<span>{shown(item['short'])}</span></th>"
        )
    yield "</tr></thead>\n<tbody>"
    for number, service in enumerate(data["services"]):
        name = shown(service_name(service))
        yield f'<tr><th scope="row" class="name"><a href="#service-{number}" title="{name}">{name}</a></th>'
        yield f'<td class="ready">{_bar(service)}</td>'
        for item, answer in zip(data["items"], service["answers"], strict=True):
            yield _cell(number, service, item, answer)
        yield "</tr>"
    yield "</tbody>\n</table>\n</div>\n</section>"


def _bar(service: Plain) -> str:
    score = service["score"]
    if score is None:
        return '<span class="score">n/a</span>'
    return (
        f'<span class="score">{score}%</span><span class="bar" aria-hidden="true">'
        f'<i style="width:{score}%"></i></span>'
    )


def _cell(number: int, service: Plain, item: Plain, answer: Plain) -> str:
    state = state_of(answer)
    title = shown(f"{item['title']}: {WORDS[state]}. {answer['reason']}")
    label = shown(f"{item['short']}: {WORDS[state]}, {service_name(service)}")
    return (
        f'<td><a class="cell {state}" href="#answer-{number}-{item["id"]}" title="{title}" '
        f'aria-label="{label}">{LETTERS[state]}</a></td>'
    )


def _service(number: int, service: Plain, items: list[Plain]) -> Iterator[str]:
    counts = service["counts"]
    ready = counts["yes"] + counts["attested"]
    yield f'<section class="service" id="service-{number}">'
    yield f"<h2>{shown(service_name(service))} <small>{score_text(service)}</small></h2>"
    objects = ", ".join(
        f"{shown(each['kind'])} {shown(each['name'])} <code>{shown(place_text(each['location']))}</code>"
        for each in service["objects"]
    )
    yield f'<p class="facts">{ready} of {counts["applicable"]} items that apply: {objects}</p>'
    for item, answer in zip(items, service["answers"], strict=True):
        yield from _answer(number, item, answer)
    yield "</section>"


def _answer(number: int, item: Plain, answer: Plain) -> Iterator[str]:
    state = state_of(answer)
    is_open = " open" if state == "no" else ""
    yield f'<details class="answer"{is_open}><summary><span class="cell {state}" aria-hidden="true">'
    yield f'{LETTERS[state]}</span><span class="title">{shown(item["title"])}</span>'
    yield f'<span class="state">{WORDS[state]}</span></summary>'
    # The target is inside, so that a browser opens the details that a link leads into.
    yield f'<div class="reasons" id="answer-{number}-{item["id"]}" tabindex="-1">'
    if not answer["evidence"] or state in {"attested", "not-applicable", "yes"}:
        yield f"<p>{_sentence(answer['reason'])}</p>"
    if answer["evidence"]:
        yield "<ul>"
        for row in answer["evidence"]:
            yield f"<li>{_sentence(evidence_text(row))} <code>{shown(place_text(row['location']))}</code></li>"
        yield "</ul>"
    for note in answer["notes"]:
        yield f"<p>{shown(note)}</p>"
    for each in answer["attestations"]:
        yield (
            f'<p class="attestation"><b>{shown(each["who"])}</b>, {shown(each["date"])}: '
            f"{shown(each['evidence'])} <code>{shown(place_text(each['location']))}</code></p>"
        )
    if state == "unknown":
        yield f'<p class="question">{shown(item["question"])}</p>'
        stated = f'tidewaiter.dev/attest.{item["id"]}: "<who>, <date>, <evidence>"'
        yield f'<p class="question">Answer by hand with an annotation: <code>{shown(stated)}</code></p>'
    if item["rules"]:
        rules = ", ".join(f"<code>{shown(rule)}</code>" for rule in item["rules"])
        yield f'<p class="rules">Rules: {rules}</p>'
    yield "</div></details>"


def _sentence(text: str) -> str:
    return shown(text[:1].upper() + text[1:])


def _problems(data: Plain) -> Iterator[str]:
    if data["attestationProblems"]:
        yield '<section class="problems"><h2>Attestations that do not count</h2><ul>'
        for each in data["attestationProblems"]:
            yield f"<li>{_sentence(each['message'])} <code>{shown(place_text(each['location']))}</code></li>"
        yield "</ul></section>"
    if data["errors"]:
        yield '<section class="problems"><h2>What could not be read</h2><ul>'
        for each in data["errors"]:
            place = f"{each['file']}:{each['line']}" if each["line"] else each["file"]
            yield f"<li>{_sentence(each['message'])} <code>{shown(place)}</code></li>"
        yield "</ul></section>"
