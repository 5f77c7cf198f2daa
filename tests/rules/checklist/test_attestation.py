"""Attestations: what counts, what does not, and that none turns a no into a yes."""

from __future__ import annotations

import pytest

from tests.rules.checklist.manifests import DEPLOYMENT, JOB, NAMESPACE, answer_to, ask
from tidewaiter.rules.checklist.attestation import is_date, parse

VALID = "Ada Lovelace, 2026-01-31, cosign verify in run 7, twice"


def _attested(where: str, item: str = "image-integrity", value: object = VALID) -> str:
    stated = f"annotations: {{tidewaiter.dev/attest.{item}: {value!r}}}"
    return where.replace("namespace: shop}", f"namespace: shop, {stated}}}")


def test_a_valid_one_is_taken_apart() -> None:
    assert parse(VALID, "2026-01-31") == (
        "Ada Lovelace",
        "2026-01-31",
        "cosign verify in run 7, twice",
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "has no who"),
        ("Ada", "has no date"),
        ("Ada, 2026-01-31", "has no evidence"),
        ("Ada, 2026-01-31,  ", "has no evidence"),
        (", 2026-01-31, log", "has no who"),
        ("Ada, 31.1.2026, log", "where a date as"),
        ("Ada, 2026-02-30, log", "where a date as"),
        ("Ada, 20260131, log", "where a date as"),
        ("Ada, ２０２６-01-31, log", "where a date as"),
        ("Ada, 2026-02-01, log", "in the future"),
        (True, "is true"),
        (None, "is null"),
        (["Ada", "2026-01-31", "log"], "is a list"),
    ],
)
def test_what_is_none_says_why(value: object, problem: str) -> None:
    found = parse(value, "2026-01-31")
    assert isinstance(found, str)
    assert problem in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2024-02-29", True), ("2025-02-29", False), ("0000-01-01", False), ("2025-13-01", False)],
)
def test_dates_are_those_of_the_calendar(text: str, expected: bool) -> None:
    assert is_date(text) is expected


def test_without_one_the_answer_is_unknown() -> None:
    answer = answer_to("image-integrity", DEPLOYMENT)
    assert (answer.state, answer.attestations) == ("unknown", ())


def test_on_the_workload_it_makes_a_yes() -> None:
    answer = answer_to("image-integrity", _attested(DEPLOYMENT))
    assert answer.state == "yes"
    assert [(each.who, each.pointer) for each in answer.attestations] == [
        ("Ada Lovelace", "/metadata/annotations/tidewaiter.dev~1attest.image-integrity")
    ]


def test_on_the_pod_template_it_makes_a_yes() -> None:
    template = DEPLOYMENT.replace(
        "labels: {app: api}}",
        f"labels: {{app: api}}, annotations: {{tidewaiter.dev/attest.image-integrity: {VALID!r}}}}}",
    )
    answer = answer_to("image-integrity", template)
    assert answer.state == "yes"
    assert answer.attestations[0].pointer.startswith("/spec/template/metadata/annotations/")


def test_on_the_namespace_it_holds_for_all_in_it() -> None:
    namespace = NAMESPACE.replace(
        "name: shop}",
        f"name: shop, annotations: {{tidewaiter.dev/attest.image-integrity: {VALID!r}}}}}",
    )
    for service in ("api", "import"):
        answer = answer_to("image-integrity", DEPLOYMENT, JOB, namespace, service=service)
        assert answer.state == "yes"
        assert answer.attestations[0].resource.kind == "Namespace"


def test_each_workload_of_a_service_needs_one() -> None:
    worker = DEPLOYMENT.replace("name: api, namespace", "name: worker, namespace")
    found = answer_to("image-integrity", _attested(DEPLOYMENT), worker)
    assert found.state == "unknown"
    found = answer_to("image-integrity", _attested(DEPLOYMENT), _attested(worker))
    assert found.state == "yes"
    assert len(found.attestations) == 2


def test_none_turns_a_no_into_a_yes() -> None:
    tagged = _attested(DEPLOYMENT).replace("api@sha256:" + "0" * 64, "api:1.0")
    answer = answer_to("image-integrity", tagged)
    assert (answer.state, answer.attestations) == ("no", ())


def test_a_malformed_one_does_not_count_and_is_reported() -> None:
    stated = _attested(DEPLOYMENT, value="Ada, 2027-01-01, log")
    found = ask(stated)
    assert [each.message for each in found.malformed] == [
        "annotation tidewaiter.dev/attest.image-integrity is of 2027-01-01, which is in the future"
    ]
    assert answer_to("image-integrity", stated).state == "unknown"


def test_one_of_no_item_is_reported_with_the_nearest() -> None:
    found = ask(_attested(DEPLOYMENT, item="image-integrty"))
    assert "names no item; did you mean tidewaiter.dev/attest.image-integrity?" in (
        found.malformed[0].message
    )


def test_one_on_a_namespace_is_reported_once_for_all_its_services() -> None:
    namespace = NAMESPACE.replace(
        "name: shop}", 'name: shop, annotations: {tidewaiter.dev/attest.probes: "Ada"}}'
    )
    assert len(ask(DEPLOYMENT, JOB, namespace).malformed) == 1
