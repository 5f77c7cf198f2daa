"""A synthetic cluster of any size, the same for the same number: objects as a company's cluster has them.

    python -m bench.scale.generate --objects 200000 --folder DIR       # a file for each namespace, for `lint`
    python -m bench.scale.generate --objects 200000 --snapshot FILE    # for `lint --inventory` and `serve --inventory`
    python -m bench.scale.generate --objects 20000 --kubeconfig FILE   # created in a cluster

Sizes of namespaces follow a long tail, as they do: a tenth of the namespaces has half of the applications. An
application is a Deployment (or a StatefulSet, or a CronJob) with its ReplicaSets and pods and what stands around it;
about one in three is as a good review would leave it, the others lack something.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tidewaiter.rules.cluster.client import Client, open_client
from tidewaiter.rules.cluster.snapshot import save
from tidewaiter.rules.kept_fields import kept
from tidewaiter.rules.manifest.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

PLURALS = {
    ("v1", "Namespace"): "namespaces",
    ("v1", "Pod"): "pods",
    ("v1", "Service"): "services",
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Secret"): "secrets",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("v1", "ResourceQuota"): "resourcequotas",
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("apps/v1", "ReplicaSet"): "replicasets",
    ("batch/v1", "CronJob"): "cronjobs",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "horizontalpodautoscalers",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
    ("networking.k8s.io/v1", "Ingress"): "ingresses",
    ("rbac.authorization.k8s.io/v1", "Role"): "roles",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
}
PER_NAMESPACE = 120
"""Objects of a namespace on average."""
_WRITERS = 16


def path_of(obj: Object) -> str:
    """Return the path of the collection that an object is created in."""
    version, kind, namespace = obj["apiVersion"], obj["kind"], obj["metadata"].get("namespace")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{where}/{PLURALS[version, kind]}"


def objects(count: int) -> Iterator[Object]:
    """Yield that many objects, a namespace before what is in it, an owner before what it owns."""
    chance = random.Random(count)
    left = count
    names = [f"team-{number}" for number in range(max(1, count // PER_NAMESPACE))]
    for name in names:
        for each in _namespace(name, chance):
            if left:
                left -= 1
                yield each
    number = 0
    while left:
        # The square of a number between 0 and 1 is small more often than not.
        namespace = names[int(chance.random() ** 2 * len(names))]
        for each in _application(f"app-{number}", namespace, chance):
            if left:
                left -= 1
                yield each
        number += 1


def _namespace(name: str, chance: random.Random) -> Iterator[Object]:
    level = chance.choice(["restricted", "baseline", "privileged"])
    yield _object("v1", "Namespace", name, labels={"pod-security.kubernetes.io/enforce": level})
    if chance.random() < 0.6:
        deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        yield _object("networking.k8s.io/v1", "NetworkPolicy", "default-deny", name, spec=deny)
    if chance.random() < 0.4:
        hard = {"requests.cpu": "200", "requests.memory": "400Gi", "pods": "2000"}
        yield _object("v1", "ResourceQuota", "all", name, spec={"hard": hard})
    # Continuous delivery runs elsewhere: the subject is in another namespace.
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    subject = {"kind": "ServiceAccount", "name": "deployer", "namespace": "team-0"}
    version = "rbac.authorization.k8s.io/v1"
    yield _object(version, "RoleBinding", "deployer", name, roleRef=role, subjects=[subject])
    if name == "team-0":
        yield _object("v1", "ServiceAccount", "deployer", name)


def _application(name: str, namespace: str, chance: random.Random) -> Iterator[Object]:
    is_good, form = chance.random() < 0.35, chance.random()
    labels = {"app.kubernetes.io/name": name, "team": namespace}
    template = _template(name, labels, chance, is_good=is_good)
    yield _object("v1", "ServiceAccount", name, namespace)
    yield _object(
        "v1", "ConfigMap", name, namespace, data={"settings": "x" * chance.choice([200, 2000])}
    )
    yield _object("v1", "Secret", name, namespace, data={"key": "c3ludGhldGlj"})
    if form < 0.1:
        job = {"template": {**template, "spec": {**template["spec"], "restartPolicy": "Never"}}}
        schedule: Object = {"schedule": "15 3 * * *", "jobTemplate": {"spec": job}}
        yield _object("batch/v1", "CronJob", name, namespace, labels, spec=schedule)
        return
    selector = {"matchLabels": {"app.kubernetes.io/name": name}}
    replicas = chance.choice([1, 2, 3, 3, 4])
    spec: Object = {"replicas": replicas, "selector": selector, "template": template}
    if form < 0.2:
        spec["serviceName"] = name
        owner = _object("apps/v1", "StatefulSet", name, namespace, labels, spec=spec)
        yield owner
    else:
        deployment = _object("apps/v1", "Deployment", name, namespace, labels, spec=spec)
        yield deployment
        for old in range(chance.choice([0, 1, 2])):
            past = {**spec, "replicas": 0}
            yield _owned(
                "apps/v1", "ReplicaSet", f"{name}-{old}", namespace, labels, deployment, past
            )
        owner = _owned("apps/v1", "ReplicaSet", f"{name}-now", namespace, labels, deployment, spec)
        yield owner
    for number in range(replicas):
        yield _owned(
            "v1",
            "Pod",
            f"{owner['metadata']['name']}-{number}",
            namespace,
            labels,
            owner,
            template["spec"],
        )
    front = {"selector": selector["matchLabels"], "ports": [{"port": 80, "targetPort": "http"}]}
    # Headless: an API server has but so many addresses to give.
    yield _object("v1", "Service", name, namespace, spec={**front, "clusterIP": "None"})
    if replicas > 1 and (is_good or chance.random() < 0.5):
        budget = {"maxUnavailable": 1, "selector": selector}
        yield _object("policy/v1", "PodDisruptionBudget", name, namespace, spec=budget)
    if chance.random() < 0.2:
        yield _scaling(name, namespace, owner if form < 0.2 else deployment)
    if chance.random() < 0.2:
        yield _ingress(name, namespace, has_tls=is_good)


def _template(name: str, labels: dict[str, str], chance: random.Random, *, is_good: bool) -> Object:
    container: Object = {
        "name": "api",
        "image": f"registry.example/{name}:1.{chance.randrange(40)}",
        "ports": [{"containerPort": 8080, "name": "http"}],
        "env": [
            {"name": f"SETTING_{each}", "value": "on"} for each in range(chance.choice([2, 8, 24]))
        ],
        "envFrom": [{"configMapRef": {"name": name}}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
    }
    pod: Object = {"serviceAccountName": name, "containers": [container]}
    if is_good:
        container["image"] += "@sha256:" + f"{chance.getrandbits(256):064x}"
        container["resources"]["limits"] = {"memory": "128Mi"}
        container["livenessProbe"] = {
            "httpGet": {"path": "/live", "port": "http"},
            "periodSeconds": 20,
        }
        container["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        pod["automountServiceAccountToken"] = False
        pod["securityContext"] = {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    elif chance.random() < 0.3:
        side = {"name": "proxy", "image": "registry.example/mesh/proxy:latest"}
        pod["containers"] = [container, side]
    return {"metadata": {"labels": labels}, "spec": pod}


def _scaling(name: str, namespace: str, target: Object) -> Object:
    reference = {"apiVersion": "apps/v1", "kind": target["kind"], "name": name}
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    spec = {
        "scaleTargetRef": reference,
        "minReplicas": 2,
        "maxReplicas": 8,
        "metrics": [{"type": "Resource", "resource": metric}],
    }
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", name, namespace, spec=spec)


def _ingress(name: str, namespace: str, *, has_tls: bool) -> Object:
    host = f"{name}.{namespace}.example"
    backend = {"service": {"name": name, "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    spec: Object = {"rules": [{"host": host, "http": {"paths": paths}}]}
    if has_tls:
        spec["tls"] = [{"hosts": [host], "secretName": name}]
    return _object("networking.k8s.io/v1", "Ingress", name, namespace, spec=spec)


def _owned(
    version: str,
    kind: str,
    name: str,
    namespace: str,
    labels: dict[str, str],
    owner: Object,
    spec: Object,
) -> Object:
    made = _object(version, kind, name, namespace, labels, spec=spec)
    fields = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
    metadata = owner["metadata"]
    made["metadata"]["ownerReferences"] = [
        {**fields, "name": metadata["name"], "uid": metadata["uid"]}
    ]
    return made


def _object(
    version: str,
    kind: str,
    name: str,
    namespace: str = "",
    labels: dict[str, str] | None = None,
    **fields: object,
) -> Object:
    uid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{version}/{kind}/{namespace}/{name}"))
    metadata: Object = {"name": name, "uid": uid, "labels": labels or {}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def write_folder(folder: Path, count: int) -> int:
    """Write a file for each namespace, JSON by the line, and return how many objects there are."""
    folder.mkdir(parents=True, exist_ok=True)
    by_namespace: dict[str, list[bytes]] = {}
    for each in objects(count):
        metadata = each["metadata"]
        del metadata["uid"]
        place = metadata.get("namespace", metadata["name"])
        by_namespace.setdefault(place, []).append(orjson.dumps(each))
    for place, rows in by_namespace.items():
        (folder / f"{place}.yaml").write_bytes(b"\n---\n".join(rows) + b"\n")
    return sum(map(len, by_namespace.values()))


def write_snapshot(file: Path, count: int) -> int:
    """Write what an inventory knows of the objects, and return how many these are."""
    known = (kept(each, {}, frozenset()) for each in objects(count))
    resources = [Resource(each) for each in known if each is not None]
    save(str(file), resources, {})
    return len(resources)


async def fill(client: Client, count: int) -> int:
    """Create the objects in a cluster, and return how many these are."""
    uids: dict[str, str] = {}
    waiting = iter([each for each in objects(count) if each["kind"] != "Namespace"])
    created = 0
    labelled: dict[str, dict[str, str]] = {}

    async def write() -> None:
        nonlocal created
        for obj in waiting:
            metadata = obj["metadata"]
            own = metadata.pop("uid")
            for owner in metadata.get("ownerReferences", ()):
                while owner["uid"] not in uids:  # noqa: ASYNC110 - another writer creates it just now
                    await asyncio.sleep(0.01)
                owner["uid"] = uids[owner["uid"]]
            made = await client.request("POST", path_of(obj), obj)
            uids[own] = made["metadata"]["uid"]
            created += 1

    for obj in objects(count):
        if obj["kind"] == "Namespace":
            del obj["metadata"]["uid"]
            # Its pods would not be let in: what enforces the Pod Security Standards is stated after them.
            labels = obj["metadata"].pop("labels", {})
            await client.request("POST", path_of(obj), obj)
            labelled[f"{path_of(obj)}/{obj['metadata']['name']}"] = labels
            created += 1
    await asyncio.gather(*(write() for _ in range(_WRITERS)))
    for path, labels in labelled.items():
        body = {"metadata": {"labels": labels}}
        await client.request("PATCH", path, body, content_type="application/merge-patch+json")
    return created


def main() -> None:
    """Make a cluster in the form asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--folder", type=Path)
    form.add_argument("--snapshot", type=Path)
    form.add_argument("--kubeconfig")
    arguments = parser.parse_args()
    if arguments.folder:
        print(f"{write_folder(arguments.folder, arguments.objects)} objects")
    elif arguments.snapshot:
        print(f"{write_snapshot(arguments.snapshot, arguments.objects)} objects known")
    else:

        async def run() -> int:
            async with open_client(arguments.kubeconfig) as client:
                return await fill(client, arguments.objects)

        print(f"{asyncio.run(run())} objects created")


if __name__ == "__main__":
    main()
