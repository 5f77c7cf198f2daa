"""What makes the Secrets and ConfigMaps that no manifest holds.

A Secret should not stand among the manifests, so what makes it counts as the Secret.
https://external-secrets.io/latest/api/externalsecret/
https://cert-manager.io/docs/reference/api-docs/
https://secrets-store-csi-driver.sigs.k8s.io/topics/sync-as-kubernetes-secret
https://github.com/bitnami-labs/sealed-secrets
https://developer.hashicorp.com/vault/docs/deploy/kubernetes/vso/api-reference
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items, mapping, sequence, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

    Names = Callable[[Resource], tuple[str, ...]]


def maker_of_secret(name: str, namespace: str, inventory: Inventory) -> Resource | None:
    """Return the object of a namespace that makes a Secret of this name, or None."""
    for kind_id, names in _MAKERS.items():
        found = inventory.lookup(kind_id, namespace, names, name)
        if found:
            return found[0]
    for kind_id, prefixes in _PREFIXES.items():
        for resource in inventory.of_kind(kind_id, namespace):
            if any(name.startswith(prefix.format(resource.name)) for prefix in prefixes):
                return resource
    return None


def maker_of_config_map(name: str, inventory: Inventory) -> Resource | None:
    """Return the trust-manager Bundle that writes a ConfigMap of its own name, or None."""
    return inventory.find("Bundle.trust.cert-manager.io", name)


def _target(resource: Resource) -> tuple[str, ...]:
    return (text(dig(resource.spec, "target", "name")) or resource.name,)


def _template(resource: Resource) -> tuple[str, ...]:
    return (text(dig(resource.spec, "template", "metadata", "name")) or resource.name,)


def _certificate(resource: Resource) -> tuple[str, ...]:
    return (text(resource.spec.get("secretName")),)


def _destination(resource: Resource) -> tuple[str, ...]:
    return (text(dig(resource.spec, "destination", "name")),)


def _secret_objects(resource: Resource) -> tuple[str, ...]:
    rows = items(resource.spec.get("secretObjects"), "")
    return tuple(text(row.get("secretName")) for row, _ in rows)


def _secret_templates(resource: Resource) -> tuple[str, ...]:
    rows = items(resource.spec.get("secretTemplates"), "")
    return tuple(text(row.get("name")) for row, _ in rows)


def _ingress_certificates(resource: Resource) -> tuple[str, ...]:
    if not any(
        key.startswith(("cert-manager.io/", "kubernetes.io/tls-acme"))
        for key in resource.annotations
    ):
        return ()
    return tuple(text(row.get("secretName")) for row, _ in items(resource.spec.get("tls"), ""))


def _gateway_certificates(resource: Resource) -> tuple[str, ...]:
    if not any(key.startswith("cert-manager.io/") for key in resource.annotations):
        return ()
    return tuple(
        text(dig(reference, "name"))
        for listener, _ in items(resource.spec.get("listeners"), "")
        for reference in sequence(dig(listener, "tls", "certificateRefs"))
    )


def _serving_certificate(resource: Resource) -> tuple[str, ...]:
    return tuple(
        text(resource.annotations.get(f"service.{stage}.openshift.io/serving-cert-secret-name"))
        for stage in ("beta", "alpha")
    )


def _zalando_users(resource: Resource) -> tuple[str, ...]:
    users = ("postgres", "standby", *mapping(resource.spec.get("users")))
    return tuple(
        f"{user.replace('_', '-')}.{resource.name}.credentials.postgresql.acid.zalan.do"
        for user in users
    )


def _own_name(resource: Resource) -> tuple[str, ...]:
    return (resource.name,)


_MAKERS: dict[str, Names] = {
    "ExternalSecret.external-secrets.io": _target,
    "SealedSecret.bitnami.com": _template,
    "Certificate.cert-manager.io": _certificate,
    "Ingress.networking.k8s.io": _ingress_certificates,
    "Gateway.gateway.networking.k8s.io": _gateway_certificates,
    "SecretProviderClass.secrets-store.csi.x-k8s.io": _secret_objects,
    "SopsSecret.isindir.github.com": _secret_templates,
    "VaultStaticSecret.secrets.hashicorp.com": _destination,
    "VaultDynamicSecret.secrets.hashicorp.com": _destination,
    "VaultPKISecret.secrets.hashicorp.com": _destination,
    "OnePasswordItem.onepassword.com": _own_name,
    "Service": _serving_certificate,
    "postgresql.acid.zalan.do": _zalando_users,
    "KafkaUser.kafka.strimzi.io": _own_name,
}
_PREFIXES = {
    # CloudNativePG, by what each Secret is for.
    "Cluster.postgresql.cnpg.io": tuple(
        f"{{}}-{part}" for part in ("app", "superuser", "ca", "server", "replication")
    ),
    "Kafka.kafka.strimzi.io": ("{}-cluster-", "{}-clients-"),
    "PostgresCluster.postgres-operator.crunchydata.com": ("{}-pguser-", "{}-cluster-cert"),
}
"""Kinds that make several Secrets, and how their names begin after the resource's own."""
