"""Policies that are objects: on a real API server that refuses the wrong ones, with webhooks that follow the right ones."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tests.e2e.api_server import ApiServer, running_api_server
from tests.e2e.binaries import binaries
from tests.e2e.client import Refused
from tests.e2e.conftest import built, make_namespace
from tests.webhook.running import PRIVILEGED, Webhook, config_map, running, until
from tidewaiter.cli.main import main
from tidewaiter.rules.policy.definition import definitions
from tidewaiter.rules.policy.model import PolicySpec

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]
LAX = "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: lax}\nspec: {profile: pss-baseline}\n"
SOON = 1.0
"""Seconds within which a change is in force."""
TRIES = 3
"""Of which the quickest counts: what else runs on the machine only ever adds to the time."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server of this module's own, whose policies are no others'."""
    with running_api_server(built(binaries), tmp_path_factory.mktemp("policies")) as running_one:
        yield running_one


@pytest.fixture
def defined(server: ApiServer) -> Iterator[ApiServer]:
    """The API server with both definitions, and no policies before and after."""
    install(server)
    yield server
    for kind in ("ClusterPolicy", "Policy"):
        for each in everywhere(server, kind):
            server.admin.delete(each)


@pytest.fixture
def shop(server: ApiServer) -> str:
    return make_namespace(server, "shop")


def install(server: ApiServer) -> None:
    for each in definitions():
        server.admin.apply(each, fieldValidation="Strict")
        assert server.admin.warnings == []
    until(lambda: served(server) and discovered(server), 30)


def served(server: ApiServer) -> bool:
    try:
        return all(everywhere(server, kind) is not None for kind in ("ClusterPolicy", "Policy"))
    except Refused:
        return False


def discovered(server: ApiServer) -> bool:
    """Tell whether the server says by itself that there are both kinds, which is a little later."""
    accepted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    groups = asked(server, "/apis", accepted)["items"]
    versions = [
        version
        for group in groups
        if group["metadata"]["name"] == "tidewaiter.dev"
        for version in group["versions"]
    ]
    kinds = {each["responseKind"]["kind"] for row in versions for each in row["resources"]}
    return kinds == {"ClusterPolicy", "Policy"}


def everywhere(server: ApiServer, kind: str) -> list[Object]:
    plural = "policies" if kind == "Policy" else "clusterpolicies"
    found = server.admin.request("GET", f"/apis/tidewaiter.dev/v1/{plural}")["items"]
    return [{"apiVersion": "tidewaiter.dev/v1", "kind": kind, **each} for each in found]


def policy(spec: Object, name: str = "strict", namespace: str = "") -> Object:
    kind = "Policy" if namespace else "ClusterPolicy"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": "tidewaiter.dev/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


@contextmanager
def following(server: ApiServer, folder: Path, *options: str) -> Iterator[Webhook]:
    """Run a webhook with a lax policy file that follows the policies of the cluster."""
    folder.mkdir(exist_ok=True)
    (folder / "tidewaiter.yaml").write_text(LAX)
    with running(
        folder,
        "--inventory=cluster",
        f"--kubeconfig={server.kubeconfig}",
        "--background-audit=0s",
        *options,
    ) as webhook:
        until(lambda: webhook.request("GET", "/readyz").status == 200, 60)
        try:
            yield webhook
        finally:
            webhook.end()  # which lets go of the Lease


def pod(namespace: str, **container: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:1.0", **container}]},
    }


def denies(webhook: Webhook, namespace: str) -> bool:
    """Tell whether a pod is refused for what pss-restricted asks beyond pss-baseline."""
    return not webhook.review(pod(namespace))["allowed"]


def condition(server: ApiServer, value: Object) -> Object:
    found = server.admin.read(value).get("status", {}).get("conditions", [])
    return dict(found[0]) if found else {}


def accepted(server: ApiServer, value: Object) -> str:
    return str(condition(server, value).get("status", ""))


def test_a_cluster_policy_holds_within_a_second_and_until_it_is_deleted(
    defined: ApiServer, shop: str, tmp_path: Path
) -> None:
    strict = policy({"profile": "pss-restricted"})
    with following(defined, tmp_path) as webhook:
        assert not denies(webhook, shop)
        came, went = [], []
        for _ in range(TRIES):
            began = time.monotonic()
            defined.admin.create(strict, fieldValidation="Strict")
            until(lambda: denies(webhook, shop))
            came.append(time.monotonic() - began)
            began = time.monotonic()
            defined.admin.delete(strict)
            until(lambda: not denies(webhook, shop))
            went.append(time.monotonic() - began)
        assert min(came) < SOON
        assert min(went) < SOON
        assert "ClusterPolicy strict is gone" in webhook.log
        defined.admin.create(strict, fieldValidation="Strict")
        until(lambda: accepted(defined, strict) == "True")
        found = defined.admin.read(strict)
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"] == 1
        assert condition(defined, strict)["reason"] == "Valid"
        assert (
            webhook.metric("tidewaiter_policy_objects", kind="ClusterPolicy", state="accepted") == 1
        )


def test_kubectl_get_shows_whether_a_policy_is_accepted(defined: ApiServer, tmp_path: Path) -> None:
    good = policy({"profile": ["recommended", "production"], "admission": {"mode": "warn"}})
    with following(defined, tmp_path):
        defined.admin.create(good)
        until(lambda: accepted(defined, good) == "True")
    # What kubectl asks for, and prints as it comes.
    table = asked(
        defined,
        "/apis/tidewaiter.dev/v1/clusterpolicies",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
    )
    assert [each["name"] for each in table["columnDefinitions"]] == [
        "Name", "Accepted", "Mode", "Profiles", "Age", "Message",
    ]  # fmt: skip
    cells = table["rows"][0]["cells"]
    assert cells[:4] == ["strict", "True", "warn", '["recommended","production"]']
    assert cells[5] == "in force"


def asked(server: ApiServer, path: str, accepted: str) -> Object:
    """Return an answer in a form that a client other than the tests' asks for."""
    context = ssl.create_default_context(cafile=str(server.ca_file))
    connection = http.client.HTTPSConnection(
        server.url.removeprefix("https://"), context=context, timeout=20
    )
    connection.request(
        "GET",
        path,
        headers={
            "Authorization": f"Bearer {server.token}",
            "Accept": accepted,
        },
    )
    answer: Object = json.loads(connection.getresponse().read())
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"profile": "strict"}, "spec.profile"),
        ({"profile": []}, "spec.profile"),
        ({"profile": 3}, "spec.profile"),
        ({"profil": "all"}, "spec.profil"),
        ({"admission": {"mode": "deny"}}, "spec.admission.mode"),
        ({"admissionPolicies": ["x"]}, "spec.admissionPolicies"),
        ({"exemptions": [{"match": {}, "rules": ["pdb"], "reason": " "}]}, "spec.exemptions[0].reason"),
        ({"rules": {"pdb": {"severity": "fatal"}}}, "spec.rules.pdb.severity"),
    ],
)  # fmt: skip
def test_the_api_server_refuses_what_is_no_policy(
    defined: ApiServer, spec: Object, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        defined.admin.create(policy(spec), fieldValidation="Strict")
    assert field in str(refused.value)


@pytest.mark.parametrize("key", ["exemptions", "workloads", "images", "customRules", "pin"])
def test_the_definition_of_policy_has_no_room_for_what_does_not_narrow(
    defined: ApiServer, shop: str, key: str
) -> None:
    empty: Object = {key: {} if key == "pin" else []}
    if key == "images":
        empty = {key: [{"match": ["*"], "authorities": {"static": "pass"}}]}
    with pytest.raises(Refused, match=f"{key} is for a ClusterPolicy"):
        defined.admin.create(policy(empty, "p", shop))


def test_the_webhook_refuses_a_policy_with_a_mistake_and_names_its_field(
    defined: ApiServer, tmp_path: Path
) -> None:
    wrong = policy(
        {"rules": {"pbd": {"enabled": True}, "min-replicas": {"parameters": {"minimum": 0}}}}
    )
    with following(defined, tmp_path) as webhook:
        answer = webhook.review(wrong)
        assert answer["allowed"] is False
        assert answer["status"]["code"] == 422
        causes = {each["field"]: each["message"] for each in answer["status"]["details"]["causes"]}
        assert causes["spec.rules.pbd"] == "there is no rule 'pbd'; did you mean 'pdb'?"
        assert "less than 1" in causes["spec.rules.min-replicas.parameters.minimum"]
        assert "/spec/rules/pbd" in answer["status"]["message"]
        assert webhook.review(policy({"profile": "all"}))["allowed"] is True
        # It asks nothing else of policies: one that denies everything can be taken back.
        deny = {"name": "nothing", "expression": "false", "message": "no"}
        defined.admin.create(policy({"customRules": [deny]}, "deny"))
        until(lambda: not webhook.review(config_map())["allowed"])
        assert webhook.review(policy({"rules": {}}, "deny"))["allowed"] is True


def test_a_mistake_that_gets_in_leaves_what_held_and_is_told_in_the_status(
    defined: ApiServer, shop: str, tmp_path: Path
) -> None:
    strict = policy({"profile": "pss-restricted"})
    with following(defined, tmp_path) as webhook:
        defined.admin.create(strict)
        until(lambda: accepted(defined, strict) == "True")
        defined.admin.patch(
            strict, {"spec": {"rules": {"pbd": {"enabled": True}}, "profile": None}}
        )
        until(lambda: accepted(defined, strict) == "False")
        assert denies(webhook, shop)
        told = condition(defined, strict)
        assert told["reason"] == "Invalid"
        assert told["message"].startswith("/spec/rules/pbd: there is no rule 'pbd'")
        assert told["message"].endswith("what was accepted before stays in force")
        assert told["observedGeneration"] == 2
        assert webhook.metric("tidewaiter_policy_objects", state="refused") == 1
        assert (
            "ClusterPolicy strict: not accepted" in webhook.request("GET", "/readyz?verbose").text
        )
        defined.admin.patch(strict, {"spec": {"rules": None}})
        until(lambda: accepted(defined, strict) == "True")
        assert not denies(webhook, shop)


def test_a_policy_narrows_its_own_namespace_only(
    defined: ApiServer, shop: str, tmp_path: Path
) -> None:
    other = make_namespace(defined, "shop")
    narrow = policy({"profile": "pss-restricted"}, "narrow", shop)
    with following(defined, tmp_path) as webhook:
        defined.admin.create(narrow)
        until(lambda: denies(webhook, shop))
        assert not denies(webhook, other)
        until(lambda: accepted(defined, narrow) == "True")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"rules": {"no-privileged": {"enabled": False}}}, "/spec/rules/no-privileged/enabled"),
        ({"rules": {"no-privileged": {"severity": "info"}}}, "/spec/rules/no-privileged/severity"),
        ({"rules": {"no-privileged": {"mode": "audit"}}}, "/spec/rules/no-privileged/mode"),
        ({"rules": {"no-host-ports": {"parameters": {"allowed": [80]}}}}, "/spec/rules/no-host-ports/parameters/allowed"),
        ({"admission": {"mode": "warn"}}, "/spec/admission/mode"),
        ({"admission": {"unknown": "allow"}}, "/spec/admission/unknown"),
        ({"overrides": [{"match": {}, "mode": "audit"}]}, "/spec/overrides/0/mode"),
    ],
)  # fmt: skip
def test_a_policy_that_would_loosen_is_refused_whole(
    defined: ApiServer, shop: str, tmp_path: Path, spec: Object, field: str
) -> None:
    loose = policy({"profile": "all", **spec}, "loose", shop)
    with following(defined, tmp_path) as webhook:
        assert field in webhook.review(loose)["status"]["message"]
        # As where the webhook is not asked.
        defined.admin.create(loose)
        until(lambda: accepted(defined, loose) == "False")
        told = condition(defined, loose)
        assert told["reason"] == "Loosens"
        assert told["message"].startswith(f"{field}: ")
        assert webhook.review(PRIVILEGED)["allowed"] is False
        assert not denies(webhook, shop)


def test_definitions_that_come_later_are_noticed_and_their_going_too(
    server: ApiServer, shop: str, tmp_path: Path
) -> None:
    if served(server):
        for each in definitions():
            server.admin.delete(each)
        until(lambda: not served(server))
    with following(server, tmp_path) as webhook:
        install(server)
        strict = policy({"profile": "pss-restricted"})
        server.admin.create(strict)
        until(lambda: denies(webhook, shop), 30)
        for each in definitions():
            server.admin.delete(each)
        until(lambda: not denies(webhook, shop), 30)
        # As by whoever deletes and installs again in one breath.
        for _ in range(2):
            install(server)
            server.admin.create(strict)
            until(lambda: denies(webhook, shop), 30)
            for each in definitions():
                server.admin.delete(each)
            until(lambda: not served(server), 30)
        until(lambda: not denies(webhook, shop), 30)


def test_a_webhook_that_may_not_read_the_policies_that_are_there_is_not_ready(
    defined: ApiServer, shop: str, tmp_path: Path
) -> None:
    defined.admin.create(policy({"profile": "pss-restricted"}))
    (tmp_path / "tidewaiter.yaml").write_text(LAX)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(defined.kubeconfig.read_text().replace(defined.token, defined.user_token))
    with running(
        tmp_path, "--inventory=cluster", f"--kubeconfig={kubeconfig}", "--background-audit=0s"
    ) as webhook:
        until(lambda: "[+]inventory ok" in webhook.request("GET", "/readyz?verbose").text, 30)
        answer = webhook.request("GET", "/readyz?verbose")
        assert answer.status == 503
        assert "[-]policy failed: objects not read yet" in answer.text
        until(lambda: "ClusterPolicy.tidewaiter.dev: the cluster does not let" in ready(webhook))
        allow(defined, "jane", "tidewaiter.dev", ["clusterpolicies", "policies"])
        until(lambda: webhook.request("GET", "/readyz").status == 200, 30)
        assert denies(webhook, shop)
    withdraw(defined)


def ready(webhook: Webhook) -> str:
    return webhook.request("GET", "/readyz?verbose").text


READER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "policies"},
}


def allow(server: ApiServer, user: str, group: str, resources: list[str]) -> None:
    rule = {"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]}
    server.admin.create({**READER, "rules": [rule]})
    api = "rbac.authorization.k8s.io"
    server.admin.create(
        {
            **READER,
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "policies"},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
        }
    )


def withdraw(server: ApiServer) -> None:
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        server.admin.delete({**READER, "kind": kind})


def test_two_replicas_come_to_one_policy_and_do_not_fight_for_the_status(
    defined: ApiServer, shop: str, tmp_path: Path
) -> None:
    with following(defined, tmp_path / "a") as one, following(defined, tmp_path / "b") as other:
        for index in range(5):
            defined.admin.create(policy({"rules": {"pdb": {"severity": "error"}}}, f"p{index}"))
        narrow = policy({"profile": "pss-restricted"}, "narrow", shop)
        defined.admin.create(narrow)
        until(lambda: denies(one, shop) and denies(other, shop))
        until(lambda: accepted(defined, narrow) == "True")
        until(lambda: hash_of(one) == hash_of(other))
        before = defined.admin.read(narrow)["metadata"]["resourceVersion"]
        time.sleep(2)
        assert defined.admin.read(narrow)["metadata"]["resourceVersion"] == before


def hash_of(webhook: Webhook) -> str:
    text = webhook.request("GET", "/readyz?verbose").text
    return next(line for line in text.splitlines() if "policy hash" in line)


def test_it_can_be_switched_off(defined: ApiServer, shop: str, tmp_path: Path) -> None:
    defined.admin.create(policy({"profile": "pss-restricted"}))
    with following(defined, tmp_path, "--policy-objects", "never") as webhook:
        assert not denies(webhook, shop)


def test_policy_diff_compares_a_file_with_the_cluster(
    defined: ApiServer, shop: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    defined.admin.create(policy({"profile": "pss-restricted"}))
    defined.admin.create(policy({"profile": "all"}, "narrow", shop))
    file = tmp_path / "tidewaiter.yaml"
    file.write_text(LAX.replace("pss-baseline", "pss-restricted"))
    command = ["policy", "diff", "cluster", str(file), "--kubeconfig", str(defined.kubeconfig)]
    assert main(command) == 1
    told = capfdbinary.readouterr().out.decode()
    assert told.startswith("- overrides: ")
    assert shop in told
    assert told.count("\n") == 1
    defined.admin.delete(policy({}, "narrow", shop))
    assert main(command) == 0
    defined.admin.create(policy({"exemptions": [], "rules": {"pbd": {}}}, "wrong"))
    assert main(command) == 2
    assert b"ClusterPolicy wrong is not accepted: /spec/rules/pbd" in capfdbinary.readouterr().err


def test_lint_and_scan_judge_by_what_is_in_force_in_the_cluster(
    defined: ApiServer, shop: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    other = make_namespace(defined, "shop")
    defined.admin.create(policy({"rules": {"run-as-non-root": {"severity": "info"}}}, "a-general"))
    defined.admin.create(policy({"profile": ["pss-baseline", "pss-restricted"]}, "ours", shop))
    base = tmp_path / "base.yaml"
    base.write_text(LAX)
    by_cluster = [
        "--policy",
        "cluster",
        "--base",
        str(base),
        "--kubeconfig",
        str(defined.kubeconfig),
    ]

    def found(*command: str) -> set[str]:
        code = main([*command, *by_cluster, "--format", "json"])
        findings = json.loads(capfdbinary.readouterr().out)["findings"]
        assert code == any(each["severity"] == "error" for each in findings), findings
        return {each["rule"] for each in findings if each["severity"] == "error"}

    denied: dict[str, set[str]] = {}
    with following(defined, tmp_path / "webhook") as webhook:
        until(lambda: denies(webhook, shop))
        for namespace in (shop, other):
            reviewed = webhook.review(pod(namespace))["auditAnnotations"]
            denied[namespace] = set(filter(None, reviewed.get("denied", "").split(",")))
            manifest = tmp_path / f"{namespace}.yaml"
            manifest.write_text(json.dumps(pod(namespace)))
            assert found("lint", str(manifest)) == denied[namespace]
            defined.admin.create(pod(namespace))
            assert found("scan", "-n", namespace) == denied[namespace]
            defined.admin.delete(pod(namespace))
    assert denied[shop] > denied[other] == set()
    assert main(["policy", "show", str(tmp_path / f"{shop}.yaml"), *by_cluster]) == 0
    told = capfdbinary.readouterr().out.decode()
    assert f"Policy {shop}/ours" in told
    assert "ClusterPolicy a-general" in told


@pytest.mark.parametrize(
    "command",
    ["lint pod.yaml", "scan", "fix pod.yaml", "checklist pod.yaml", "policy show pod.yaml"],
)
def test_what_is_not_accepted_is_told_and_ends_with_2(
    defined: ApiServer,
    shop: str,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pod.yaml").write_text(json.dumps(pod(shop)))
    defined.admin.create(policy({"rules": {"pbd": {}}}, "wrong", shop))
    by_cluster = ["--policy", "cluster", "--kubeconfig", str(defined.kubeconfig)]
    assert main([*command.split(), *by_cluster]) == 2
    told = capfdbinary.readouterr()
    assert f"Policy {shop}/wrong is not accepted: /spec/".encode() in told.err


SPECS: tuple[Object, ...] = (
    {},
    {"profile": "all"},
    {"profile": ["all", "recommended"]},
    {"profile": ""},
    {"profile": True},
    {"profile": {"a": 1}},
    {"profile": ["none"]},
    {"failOn": "never", "kubernetesVersion": "1.34"},
    {"kubernetesVersion": 1.34},
    {"rules": {"pdb": {"enabled": "yes"}}},
    {"rules": {"pdb": {"parameters": {"any": [1]}, "mode": "warn"}}},
    {"rules": []},
    {"overrides": [{}]},
    {"overrides": [{"match": {"namespaces": []}}]},
    {"overrides": [{"match": {"labels": {"a": "b"}}, "profile": ["pss-baseline"]}]},
    {"exemptions": [{"match": {}, "rules": ["pdb"]}]},
    {"exemptions": [{"match": {"images": ["*"]}, "rules": ["pdb"], "reason": "x", "expires": "2027-02-30"}]},
    {"exemptions": [{"match": {}, "rules": ["pdb"], "reason": "x", "expires": "2027-02-28"}]},
    {"admission": {"ratchet": True, "exempt": {"builtIn": False, "groups": ["a"]}}},
    {"admission": {"exempt": {"groups": [""]}}},
    {"workloads": [{"apiVersion": "a/v1", "kind": "A", "podSpec": "/spec"}]},
    {"workloads": [{"apiVersion": "a/b/v1", "kind": "A", "podSpec": "/spec"}]},
    {"customRules": [{"name": "a", "expression": "true", "params": {"x": [1, "a"]}}]},
    {"customRules": [{"name": "A", "expression": "true"}]},
    {"images": []},
    {"images": [{"match": ["*"], "authorities": {"static": "pass", "key": {"data": "x"}}}]},
    {"images": [{"match": ["*"], "authorities": {"keyless": {"issuer": "a", "subject": "b"}}}]},
    {"images": [{"match": ["*"], "authorities": {"keyless": {"issuer": "a"}}}]},
    {"imageSettings": {"unmatched": "deny", "matching": "second"}},
    {"pin": {"values": [{"files": ["a"], "paths": ["/image"]}]}},
    {"unknown": 1},
)  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=json.dumps)
def test_the_definition_accepts_what_the_file_does(defined: ApiServer, spec: Object) -> None:
    try:
        PolicySpec.model_validate(spec)
        is_valid = True
    except ValidationError:
        is_valid = False
    try:
        found = defined.admin.create(policy(spec), fieldValidation="Strict", dryRun="All")
        assert found["spec"] == spec  # nothing is filled in, nothing is lost
        is_taken = True
    except Refused:
        is_taken = False
    assert is_taken == is_valid
