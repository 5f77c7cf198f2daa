"""How the answers of a checklist are named and lettered, the same in every format."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Plain = dict[str, Any]

STATES = ("yes", "attested", "no", "unknown", "not-applicable")
LETTERS = {"yes": "Y", "attested": "A", "no": "N", "unknown": "?", "not-applicable": "-"}
WORDS = {
    "yes": "yes",
    "attested": "yes, attested",
    "no": "no",
    "unknown": "unknown",
    "not-applicable": "not applicable",
}


def state_of(answer: Plain) -> str:
    """Return the state of an answer, in which a yes by attestation is told from others."""
    return "attested" if answer["attested"] else str(answer["state"])


def service_name(service: Plain) -> str:
    """Name a service: namespace/name, with the kind where it is not one that serves."""
    name = f"{service['namespace']}/{service['name']}"
    return name if service["kind"] == "serving" else f"{name} ({service['kind']})"


def score_text(service: Plain) -> str:
    """Return the score of a service, or that no item concerns it."""
    return "n/a" if service["score"] is None else f"{service['score']}%"


def place_text(location: Plain) -> str:
    """Return file and line; the file alone where the line is not known."""
    return f"{location['file']}:{location['line']}"


def question_of(item: Plain) -> str:
    """Say how an item that manifests cannot tell is answered by hand."""
    return f'{item["question"]} tidewaiter.dev/attest.{item["id"]}: "<who>, <date>, <evidence>"'


def how_counted() -> str:
    """Say how a score is made."""
    return (
        "Readiness is the share of the items that apply to a service and are answered yes, "
        "attested ones included; unknown counts as not ready."
    )


def evidence_text(row: Plain) -> str:
    """Return one reason in one line: its status where that is no violation, the message, the rule."""
    status = "" if row["status"] == "violation" else f"{row['status']}: "
    rule = f" [{row['rule']}]" if row["rule"] else ""
    reason = f" (exempted: {row['exemption']['reason']})" if row["exemption"] else ""
    return f"{status}{row['message']}{rule}{reason}"
