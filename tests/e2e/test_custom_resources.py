"""Rules in CEL of a CustomResourceDefinition say here of its resources what the API server says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import Refused
from tests.e2e.policies import resource_of
from tidewaiter.rules import engine
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.policy.compiled import Policy

if TYPE_CHECKING:
    from tests.e2e.api_server import ApiServer

RULES: dict[str, dict[str, Any]] = {
    "self.spec.least <= self.spec.most": {"message": "least is above most"},
    "!has(self.spec.name) || self.spec.name.startsWith(self.metadata.name)": {
        "fieldPath": ".spec.name"
    },
    "self.spec.from < self.spec.to": {
        "messageExpression": "self.spec.least < self.spec.most ? 'it ends at the end' : 'it ends'"
    },
    "self.spec.wait <= duration('1h')": {},
    "self.spec.__namespace__ != 'kube-system'": {},
    "self.spec.a__dash__b != 'x'": {},
    "self.spec.parts.all(p, p.weight > 0.5)": {},
    "self.spec.parts.map(p, p.weight).sum() <= 10.0": {},
    "!('bad' in self.spec.labels)": {},
    "self.spec.kept.deep == 1 || !has(self.spec.kept.deep)": {},
    "self.spec.size == 3 || self.spec.size == '30%'": {},
    "oldSelf.spec.least == self.spec.least": {},
    "self.spec.text.find('[0-9]+') == '' || int(self.spec.text.find('[0-9]+')) < 100": {},
    "size(self.spec.raw) < 5": {},
}
TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
SPEC: dict[str, Any] = {
    "least": {**NUMBER, "default": 1},
    "most": {**NUMBER, "default": 5},
    "name": {**TEXT, "maxLength": 20},
    "from": {**TEXT, "format": "date-time", "default": "2026-01-01T00:00:00Z"},
    "to": {**TEXT, "format": "date-time", "default": "2027-01-01T00:00:00Z"},
    "wait": {**TEXT, "maxLength": 20, "format": "duration", "default": "5m"},
    "namespace": {**TEXT, "maxLength": 20, "default": "shop"},
    "a-b": {**TEXT, "maxLength": 20, "default": "y"},
    "parts": {
        "type": "array",
        "maxItems": 10,
        "default": [],
        "items": {"type": "object", "properties": {"weight": {"type": "number"}}},
    },
    "labels": {
        "type": "object",
        "maxProperties": 10,
        "default": {},
        "additionalProperties": {**TEXT, "maxLength": 9},
    },
    "kept": {
        "type": "object",
        "default": {},
        "properties": {"deep": NUMBER},
        "x-kubernetes-preserve-unknown-fields": True,
    },
    "size": {"x-kubernetes-int-or-string": True, "default": 3},
    "text": {**TEXT, "maxLength": 20, "default": ""},
    "raw": {**TEXT, "format": "byte", "maxLength": 20, "default": "YQ=="},
    "inner": {
        "type": "object",
        "properties": {"count": NUMBER},
        "x-kubernetes-validations": [{"rule": "self.count % 2 == 0", "message": "count is odd"}],
    },
}
CASES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "above": {"least": 6},
    "named alike": {"name": "resource-1"},
    "named otherwise": {"name": "other"},
    "backwards": {"from": "2028-01-01T00:00:00Z"},
    "another zone": {"from": "2027-01-01T00:30:00+01:00"},
    "long": {"wait": "90m"},
    "keyword": {"namespace": "kube-system"},
    "hyphen": {"a-b": "x"},
    "light": {"parts": [{"weight": 0.25}]},
    "whole number": {"parts": [{"weight": 1}]},
    "heavy": {"parts": [{"weight": 6}, {"weight": 5}]},
    "no weight": {"parts": [{}]},
    "bad label": {"labels": {"bad": ""}},
    "deep": {"kept": {"deep": 2, "other": 1}},
    "per cent": {"size": "30%"},
    "another per cent": {"size": "40%"},
    "large number": {"text": "about 500"},
    "small number": {"text": "about 50"},
    "bytes": {"raw": "aGVsbG8="},
    "odd": {"inner": {"count": 3}},
    "even": {"inner": {"count": 4}},
    "empty inside": {"inner": {}},
}


def definition() -> dict[str, Any]:
    rules = [{"rule": rule, **others} for rule, others in RULES.items()]
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "default": {}, "properties": SPEC}},
        "x-kubernetes-validations": rules,
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "ruled.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Ruled", "plural": "ruled"},
            "versions": [version],
        },
    }


@pytest.fixture(scope="module")
def served(api_server: ApiServer) -> ApiServer:
    """The API server, once it serves the definition."""
    api_server.admin.create(definition())
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            api_server.admin.request("GET", "/apis/example.com/v1/namespaces/default/ruled")
        except Refused:
            time.sleep(0.2)
        else:
            break
    return api_server


@pytest.mark.parametrize("case", CASES)
def test_a_resource_breaks_the_same_rules(case: str, served: ApiServer) -> None:
    value = {
        "apiVersion": "example.com/v1",
        "kind": "Ruled",
        "metadata": {"name": "resource", "namespace": "default"},
        "spec": CASES[case],
    }
    theirs: set[tuple[str, str]] = set()
    try:
        served.admin.create(value, dryRun="All")
    except Refused as refused:
        for cause in refused.status["details"]["causes"]:
            pointer = "/" + cause["field"].replace(".", "/") if cause["field"] != "<nil>" else ""
            theirs.add((pointer, cause["message"]))
    resource = resource_of(value)
    policy = Policy({"only": ["valid-schema"]})
    inventory = Inventory([resource, resource_of(definition())], complete=True)
    report = engine.evaluate([resource], policy, inventory, today="2026-11-23")
    ours = {(finding.pointer, finding.message) for finding in report.findings}
    assert {pointer for pointer, _ in ours} == {pointer for pointer, _ in theirs}, (ours, theirs)
    assert len(ours) == len(theirs)
    stated = {text for _, text in theirs if "least is above" in text or "it ends at" in text}
    assert len(
        {text for _, text in ours if "least is above" in text or "it ends at" in text}
    ) == len(stated)
