"""What the API server asks the webhook about, by the conditions of deploy/ on a real API server, where no replica answers.

With `failurePolicy: Fail` whatever would be asked about fails then, and whatever is not asked about goes through: what
must go on without the webhook is known by that, and so is what nobody gets past it.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.deploy.manifests import DEPLOY, Objects, of_chart, of_overlay, overlay_with
from tests.e2e.admission import configured
from tests.e2e.api_server import free_port
from tests.e2e.client import MERGE, Client, Refused
from tests.webhook.running import until
from tidewaiter.webhook.exempt_requests import CONTROLLERS, USERNAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.e2e.api_server import ApiServer

Object = dict[str, Any]
KEY = ("ValidatingWebhookConfiguration", "tidewaiter")
COMPONENTS = sorted(
    each.name
    for each in (DEPLOY / "kustomize" / "components").iterdir()
    if each.name not in {"cert-manager", "monitoring"}  # of kinds that are not served here
)
SYSTEM = "system:serviceaccount:kube-system"


def test_the_control_plane_is_who_the_server_exempts() -> None:
    conditions = of_overlay("enforce")[KEY]["webhooks"][0]["matchConditions"]
    (text,) = (e["expression"] for e in conditions if e["name"] == "not-from-the-control-plane")
    lists = [part.partition("]")[0] for part in text.split(" in [")[1:]]
    assert [set(json.loads(f"[{each}]")) for each in lists] == [set(USERNAMES), set(CONTROLLERS)]


@pytest.fixture(scope="module", params=["kustomize", "chart"])
def fenced(request: pytest.FixtureRequest, api_server: ApiServer) -> Iterator[ApiServer]:
    """An API server with the registration of an enforcing installation, and nobody who answers."""
    objects: Objects = (
        of_overlay("enforce")
        if request.param == "kustomize"
        else of_chart(
            "default-values.yaml",
            settings=(
                "webhook.failurePolicy=Fail",
                "webhook.exemptNamespaces={kube-system,kube-public,kube-node-lease,calico-system}",
            ),
        )
    )
    wanted = objects[KEY]
    assert wanted["webhooks"][0]["failurePolicy"] == "Fail"
    wanted["webhooks"][0]["clientConfig"] = {
        "url": f"https://127.0.0.1:{free_port()}/validate",
        "caBundle": base64.b64encode(api_server.authority.certificate.read_bytes()).decode(),
    }
    for name in ("shop", "tidewaiter", "calico-system"):
        kind = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        api_server.admin.apply(kind)
    for each in STORED:
        api_server.admin.apply(each)
    with configured(api_server, wanted):
        until(lambda: is_asked(api_server, "jane", (), thing("ConfigMap", "shop")), 30)
        yield api_server
    for each in STORED:
        api_server.admin.delete(each, gracePeriodSeconds="0")


def thing(kind: str, namespace: str = "", version: str = "v1", **fields: Any) -> Object:
    metadata: Object = {"name": "thing"} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def owned(value: Object) -> Object:
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web",
        "uid": "1",
        "controller": True,
    }
    return {**value, "metadata": {**value["metadata"], "ownerReferences": [owner]}}


CONTAINERS = {"containers": [{"name": "web", "image": "nginx"}]}
RULES: dict[str, Any] = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
LABELS = {"app": "web"}
TEMPLATE = {
    "selector": {"matchLabels": LABELS},
    "template": {"metadata": {"labels": LABELS}, "spec": CONTAINERS},
}
NETWORK = "network.example.com"
BLOCK = thing("Block", version=f"{NETWORK}/v1")
DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"blocks.{NETWORK}"},
    "spec": {
        "group": NETWORK,
        "scope": "Cluster",
        "names": {"kind": "Block", "plural": "blocks"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}
POD = thing("Pod", "shop", spec=CONTAINERS)
STORED = (
    DEFINITION,
    {**POD, "metadata": {"name": "stored", "namespace": "shop"}},
    thing("Deployment", "shop", "apps/v1", spec=TEMPLATE)
    | {"metadata": {"name": "stored", "namespace": "shop"}},
    thing("Service", "shop", spec={"ports": [{"port": 80}]})
    | {"metadata": {"name": "stored", "namespace": "shop"}},
)


def client(server: ApiServer, user: str, groups: Sequence[str]) -> Client:
    """Return a client that speaks for somebody who may do everything."""
    headers = [("Impersonate-User", user), ("Impersonate-Group", "system:masters")]
    headers += [("Impersonate-Group", each) for each in groups]
    return Client(server.url, server.token, server.ca_file, headers)


def is_asked(
    server: ApiServer, user: str, groups: Sequence[str], value: Object, path: str = ""
) -> bool:
    """Tell whether the API server asks the webhook about something that is created, or sent to a path."""
    speaker = client(server, user, groups)
    try:
        if path:
            method, _, where = path.partition(" ")
            content_type = MERGE if method == "PATCH" else "application/json"
            speaker.request(method, where, value or None, content_type=content_type, dryRun="All")
        else:
            speaker.create(value, dryRun="All")
    except Refused as refused:
        if "failed calling webhook" in str(refused):
            return True
        raise
    return False


def accounts(namespace: str) -> tuple[str, ...]:
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


STORED_POD = "/api/v1/namespaces/shop/pods/stored"
ASKED: list[tuple[str, tuple[str, ...], Object, str]] = [
    ("jane", (), POD, ""),
    ("jane", (), thing("Deployment", "shop", "apps/v1", spec=TEMPLATE), ""),
    ("jane", (), thing("Secret", "shop"), ""),
    ("jane", (), thing("Namespace"), ""),
    ("jane", (), thing("ClusterRole", version="rbac.authorization.k8s.io/v1", **RULES), ""),
    ("jane", (), BLOCK, ""),
    ("jane", (), {"spec": {"replicas": 3}}, "PATCH /apis/apps/v1/namespaces/shop/deployments/stored/scale"),
    ("jane", (), {}, "DELETE /api/v1/namespaces/shop/services/stored"),
    # What a controller makes for its owner may have been changed by another webhook.
    (f"{SYSTEM}:replicaset-controller", accounts("kube-system"), owned(POD), ""),
    ("system:kube-controller-manager", (), owned(POD), ""),
    # Other accounts of kube-system are no part of the control plane, and nobody is by a name alike.
    (f"{SYSTEM}:tiller", accounts("kube-system"), POD, ""),
    (f"{SYSTEM}:tiller", accounts("kube-system"), thing("ClusterRole", version="rbac.authorization.k8s.io/v1", **RULES), ""),
    ("system:serviceaccount:shop:replicaset-controller", accounts("shop"), POD, ""),
    (f"x{SYSTEM}:replicaset-controller", (), POD, ""),
    ("system:serviceaccount:shop:agent", accounts("shop"), BLOCK, ""),
    ("system:serviceaccount:tidewaiter:other", accounts("tidewaiter"), POD, ""),
]  # fmt: skip
LEASE = thing("Lease", "shop", "coordination.k8s.io/v1")
EVENT = thing(
    "Event",
    "shop",
    involvedObject={"kind": "Pod", "name": "web", "namespace": "shop"},
    reason="Seen",
    type="Normal",
)
KUBELET = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
        x509.NameAttribute(NameOID.COMMON_NAME, "system:node:one"),
    ]
)
REQUEST = {
    "request": base64.b64encode(
        x509.CertificateSigningRequestBuilder(KUBELET)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    ).decode(),
    "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
    "usages": ["client auth"],
}
ATTACHMENT = {"attacher": "csi.example", "nodeName": "one", "source": {"persistentVolumeName": "x"}}
NOT_ASKED: list[tuple[str, tuple[str, ...], Object, str]] = [
    ("jane", (), thing("ConfigMap", "kube-system"), ""),
    ("jane", (), thing("Pod", "kube-system", spec=CONTAINERS), ""),
    ("jane", (), thing("Pod", "tidewaiter", spec=CONTAINERS), ""),
    (f"{SYSTEM}:replicaset-controller", accounts("kube-system"), owned(thing("Pod", "tidewaiter", spec=CONTAINERS)), ""),
    ("jane", (), LEASE, ""),
    ("jane", (), EVENT, ""),
    ("jane", (), thing("Endpoints", "shop"), ""),
    ("jane", (), thing("EndpointSlice", "shop", "discovery.k8s.io/v1", addressType="IPv4", endpoints=[]), ""),
    ("jane", (), thing("Node"), ""),
    ("jane", (), {"status": {"message": "x"}}, f"PATCH {STORED_POD}/status"),
    ("jane", (), thing("Eviction", "shop", "policy/v1") | {"metadata": {"name": "stored"}}, f"POST {STORED_POD}/eviction"),
    ("jane", (), {}, f"DELETE {STORED_POD}"),
    ("jane", (), thing("VolumeAttachment", version="storage.k8s.io/v1", spec=ATTACHMENT), ""),
    # A node joins, and gets its network.
    ("system:bootstrap:abcdef", ("system:bootstrappers",), thing("CertificateSigningRequest", version="certificates.k8s.io/v1", spec=REQUEST), ""),
    ("system:node:one", ("system:nodes",), thing("CSINode", version="storage.k8s.io/v1", spec={"drivers": []}), ""),
    (f"{SYSTEM}:calico-node", accounts("kube-system"), BLOCK, ""),
    # The control plane puts its own in order.
    ("system:apiserver", (), thing("ClusterRole", version="rbac.authorization.k8s.io/v1", **RULES), ""),
    (f"{SYSTEM}:service-account-controller", accounts("kube-system"), thing("ServiceAccount", "shop"), ""),
    (f"{SYSTEM}:namespace-controller", accounts("kube-system"), {}, "DELETE /api/v1/namespaces/shop/services/stored"),
    (f"{SYSTEM}:generic-garbage-collector", accounts("kube-system"), {}, "DELETE /api/v1/namespaces/shop/services/stored"),
    (f"{SYSTEM}:horizontal-pod-autoscaler", accounts("kube-system"), {"spec": {"replicas": 3}}, "PATCH /apis/apps/v1/namespaces/shop/deployments/stored/scale"),
    ("system:serviceaccount:tidewaiter:tidewaiter", accounts("tidewaiter"), thing("ClusterRole", version="rbac.authorization.k8s.io/v1", **RULES), ""),
]  # fmt: skip


def names(rows: list[tuple[str, tuple[str, ...], Object, str]]) -> list[str]:
    return [f"{user} {path or value['kind']}" for user, _, value, path in rows]


@pytest.mark.parametrize(("user", "groups", "value", "path"), ASKED, ids=names(ASKED))
def test_the_webhook_is_asked_about(
    fenced: ApiServer, user: str, groups: tuple[str, ...], value: Object, path: str
) -> None:
    assert is_asked(fenced, user, groups, value, path)


@pytest.mark.parametrize(("user", "groups", "value", "path"), NOT_ASKED, ids=names(NOT_ASKED))
def test_the_webhook_is_not_asked_about(
    fenced: ApiServer, user: str, groups: tuple[str, ...], value: Object, path: str
) -> None:
    assert not is_asked(fenced, user, groups, value, path)


def test_the_installation_itself_can_be_mended(fenced: ApiServer, tmp_path: Path) -> None:
    for each in overlay_with(tmp_path, *COMPONENTS, overlay="enforce").values():
        if each["kind"] != "ValidatingWebhookConfiguration":
            client(fenced, "jane", ()).apply(each, dryRun="All")
    with pytest.raises(Refused, match="failed calling webhook"):
        client(fenced, "jane", ()).apply(
            thing("ClusterRole", version="rbac.authorization.k8s.io/v1", **RULES), dryRun="All"
        )


def test_the_network_of_a_further_namespace_is_left_alone_where_the_chart_is_told_of_it(
    fenced: ApiServer, request: pytest.FixtureRequest
) -> None:
    account = "system:serviceaccount:calico-system:calico-node"
    told = "[chart]" in request.node.name
    assert is_asked(fenced, account, accounts("calico-system"), BLOCK) is not told
