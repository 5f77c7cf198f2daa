"""ValidatingAdmissionPolicies say here what they say in the API server, of the same objects."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import Refused
from tests.e2e.policies import policy_warnings, resource_of, warnings_until
from tidewaiter.rules import engine
from tidewaiter.rules.errors import PolicyError
from tidewaiter.rules.finding import UNKNOWN, VIOLATION
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.export import PREFIX, export
from tidewaiter.rules.policy.file import load_policy
from tidewaiter.rules.policy.own_rules import own_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.api_server import ApiServer
    from tests.e2e.client import Client
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import PlainPolicy

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORPUS = ROOT.parent / "shared" / "corpus"
TODAY = "2026-11-23"
LABELS = {"tidewaiter-test": "yes", "owner": "x"}


def own_policy(plain: PlainPolicy) -> Policy:
    """Return a policy with nothing but its own rules."""
    return Policy({**plain, "only": [*own_entries(plain)]})


def objects_of(folder: Path) -> Iterator[Resource]:
    """Yield the objects of the manifests in a folder, without CustomResourceDefinitions."""
    for file in sorted(folder.rglob("*.y*ml")):
        for resource in read_resources(file.read_bytes(), str(file), explicit=False).resources:
            if resource.kind != "CustomResourceDefinition":
                yield resource


@pytest.fixture(scope="module")
def plain(api_server: ApiServer) -> PlainPolicy:
    """The policies of `admission_policies`, which the API server enforces too."""
    found = load_policy(str(HERE / "admission_policies"))
    for row in found["admissionObjects"]:
        api_server.admin.create(row["object"])
    # The last one that the API server hears of is in force: so are all.
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "probe"}}
    warnings_until(api_server.admin, {**service, "spec": {"ports": [{"port": 80}]}})
    return found


def answers(
    resource: Resource, plain: PlainPolicy, namespaces: list[Resource]
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return our violations and unknowns of an object, as (policy, message)."""
    inventory = Inventory([resource, *namespaces], complete=True)
    report = engine.evaluate([resource], own_policy(plain), inventory, today=TODAY, inline=False)
    assert not report.crashes
    found: dict[str, set[tuple[str, str]]] = {VIOLATION: set(), UNKNOWN: set()}
    for finding in report.findings:
        found[finding.status].add((finding.rule, finding.message))
    return found[VIOLATION], found[UNKNOWN]


def namespaces_of(resource: Resource, client: Client, made: dict[str, Resource]) -> list[Resource]:
    """Return the object's Namespace as the API server has it, made where it is not there."""
    name = resource.namespace or "default"
    if name not in made:
        manifest: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace"}
        manifest["metadata"] = {"name": name, "labels": LABELS}
        client.apply(manifest)
        made[name] = resource_of(client.read(manifest))
    return [made[name]]


@pytest.mark.parametrize(
    ("folder", "least"),
    [
        (ROOT / "deploy" / "examples", 10),
        (CORPUS / "kube-prometheus", 50),
        (CORPUS / "kubernetes-examples", 300),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_both_say_the_same_of_every_object(
    folder: Path, least: int, api_server: ApiServer, plain: PlainPolicy
) -> None:
    if not folder.exists():
        pytest.skip(f"{folder.name} is not there")
    client = api_server.admin
    made: dict[str, Resource] = {}
    total, differing = 0, []
    for resource in objects_of(folder):
        namespaces = namespaces_of(resource, client, made)
        try:
            client.create(json.loads(json.dumps(resource.object)), dryRun="All")
        except (Refused, KeyError):
            continue  # not valid, or of a kind that this API server does not serve
        theirs = policy_warnings(client)
        ours, unknown = answers(resource, plain, namespaces)
        total += len(theirs)
        if theirs != ours or unknown:
            differing.append((resource.file, resource.name, theirs ^ ours, unknown))
    assert not differing
    assert total >= least


def test_a_denial_is_one_for_both(api_server: ApiServer, tmp_path: Path) -> None:
    name = f"denies-{secrets.token_hex(4)}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    spec = {
        "matchConstraints": {"resourceRules": [{**rule, "resources": ["configmaps"]}]},
        "matchConditions": [{"name": "named", "expression": f"object.metadata.name == '{name}'"}],
        "validations": [{"expression": "'b' in object.data", "message": "b is missing"}],
    }
    api = "admissionregistration.k8s.io/v1"
    policy = {"apiVersion": api, "kind": "ValidatingAdmissionPolicy"}
    objects = [
        {**policy, "metadata": {"name": name}, "spec": spec},
        {
            **policy,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]
    for number, value in enumerate(objects):
        (tmp_path / f"{number}.json").write_text(json.dumps(value), encoding="utf-8")
        api_server.admin.create(value)
    plain = load_policy(str(tmp_path))
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    refused = denial(api_server.admin, {**config_map, "data": {"a": ""}})
    resource = resource_of({**config_map, "data": {"a": ""}})
    ours, unknown = answers(resource, plain, [])
    assert ours == {(name, "b is missing")}
    assert not unknown
    assert refused.code == 422
    assert "denied request: b is missing" in str(refused)
    api_server.admin.create({**config_map, "data": {"b": ""}}, dryRun="All")
    assert answers(resource_of({**config_map, "data": {"b": ""}}), plain, []) == (set(), set())


def denial(client: Client, value: dict[str, Any]) -> Refused:
    """Create an object without keeping it, until it is refused; return the refusal."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            client.create(value, dryRun="All")
        except Refused as refused:
            return refused
        time.sleep(0.2)
    msg = "the object is not refused"
    raise AssertionError(msg)


WRONG: dict[str, dict[str, Any]] = {
    "no resources": {"matchConstraints": {"resourceRules": []}},
    "nothing to validate": {"validations": []},
    "not a condition": {"validations": [{"expression": "1 + 1"}]},
    "a condition of any type": {"validations": [{"expression": "object.spec.paused"}]},
    "unknown variable": {"validations": [{"expression": "variables.x == 1"}]},
    "unknown parameter": {"validations": [{"expression": "params.x == 1"}]},
    "misspelt field": {"validations": [{"expression": "request.operaton == 'CREATE'"}]},
    "message of two lines": {"validations": [{"expression": "true", "message": "a\nb"}]},
    "message that is none": {"validations": [{"expression": "true", "messageExpression": "1"}]},
    "authorizer in a message": {
        "validations": [
            {
                "expression": "true",
                "messageExpression": "authorizer.path('/').check('get').reason()",
            }
        ]
    },
    "condition on variables": {
        "variables": [{"name": "x", "expression": "1"}],
        "matchConditions": [{"name": "a", "expression": "variables.x == 1"}],
    },
    "variable above its own": {
        "variables": [
            {"name": "a", "expression": "variables.b"},
            {"name": "b", "expression": "1"},
        ],
    },
    "annotation that is none": {"auditAnnotations": [{"key": "a", "valueExpression": "1"}]},
    "failure policy": {"failurePolicy": "Never"},
}
RIGHT: dict[str, dict[str, Any]] = {
    "plain": {},
    "variables": {
        "variables": [{"name": "x", "expression": "object.spec.replicas"}],
        "validations": [{"expression": "variables.x > 1"}],
    },
    "authorizer": {
        "validations": [{"expression": "authorizer.requestResource.check('get').allowed()"}]
    },
    "annotation": {"auditAnnotations": [{"key": "a", "valueExpression": "'x'"}]},
    "condition": {
        "matchConditions": [{"name": "a", "expression": "request.operation == 'CREATE'"}]
    },
    "parameter": {
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "params == null || params.data.x == ''"}],
    },
}


@pytest.mark.parametrize("case", [*WRONG, *RIGHT])
def test_the_same_policies_are_taken(case: str, api_server: ApiServer, tmp_path: Path) -> None:
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"]}
    spec = {
        "matchConstraints": {"resourceRules": [{**rule, "resources": ["deployments"]}]},
        "validations": [{"expression": "true"}],
        **(WRONG.get(case) or RIGHT.get(case) or {}),
    }
    value = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "taken"},
        "spec": spec,
    }
    (tmp_path / "policy.json").write_text(json.dumps(value), encoding="utf-8")
    if case in RIGHT:
        api_server.admin.create(value, dryRun="All")
        load_policy(str(tmp_path))
        return
    with pytest.raises(Refused):
        api_server.admin.create(value, dryRun="All")
    with pytest.raises(PolicyError):
        load_policy(str(tmp_path))


@pytest.fixture(scope="module")
def exported(api_server: ApiServer) -> Policy:
    """All rules; those that can be exported are in force in the API server, and warn."""
    policy = Policy({"profiles": ["all"]})
    found = export(policy, today=TODAY)
    names = []
    for value in found.objects:
        if value["kind"] == "ValidatingAdmissionPolicyBinding":
            value["spec"]["validationActions"] = ["Warn"]
            names.append(value["metadata"]["name"].removeprefix(PREFIX))
        api_server.admin.create(value)
    last = {**POD, "spec": {"containers": [{"name": "a", "image": "a", "resources": {}}]}}
    end = time.monotonic() + 30
    while f"{PREFIX}seccomp-profile" not in {
        name for name, _ in warnings_until(api_server.admin, last)
    }:
        assert time.monotonic() < end
    assert len(names) > 20
    return Policy({"profiles": ["all"], "only": names})


POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": "default"}}


@pytest.mark.parametrize(
    "folder",
    [
        ROOT / "deploy" / "examples",
        ROOT / "tests" / "rules" / "checks",
        CORPUS / "kube-prometheus",
        CORPUS / "kubernetes-examples",
        CORPUS / "pod-security",
    ],
    ids=lambda folder: folder.name,
)
def test_exported_rules_say_what_the_rules_say(
    folder: Path, api_server: ApiServer, exported: Policy
) -> None:
    if not folder.exists():
        pytest.skip(f"{folder.name} is not there")
    client = api_server.admin
    made: dict[str, Resource] = {}
    total, differing = 0, []
    for resource in objects_of(folder):
        namespaces_of(resource, client, made)
        if "cpu': None" in repr(resource.object):
            continue  # which the API server takes for a 0
        try:
            client.create(json.loads(json.dumps(resource.object)), dryRun="All")
        except (Refused, KeyError, TypeError):
            continue
        theirs = {
            name.removeprefix(PREFIX)
            for name, _ in policy_warnings(client)
            if name.startswith(PREFIX)
        }
        inventory = Inventory([resource], complete=True)
        report = engine.evaluate([resource], exported, inventory, today=TODAY, inline=False)
        ours = {finding.rule for finding in report.findings if finding.status == VIOLATION}
        total += len(theirs)
        if theirs != ours:
            differing.append((resource.file, resource.name, theirs - ours, ours - theirs))
    assert not differing
    assert total or folder.name == "examples"
