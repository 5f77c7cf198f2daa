"""A load balancer is internal or says who may reach it, and no Service takes external addresses.

Restricted fields of a Service of type LoadBalancer: spec.loadBalancerSourceRanges, or the annotation
service.beta.kubernetes.io/load-balancer-source-ranges where the field is missing. Allowed: at least one
range, none of them every address (0.0.0.0/0, ::/0). An internal load balancer, by a cloud's annotation,
by its class or by a private spec.loadBalancerIP, needs none; limits that the cloud keeps elsewhere (a
security group, an access list) are `unknown`. Restricted field of every Service: spec.externalIPs, empty.
https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import escape, sequence, text
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="load-balancer-sources",
    section="network",
    severity="error",
    summary="every load balancer is internal or lists its sources, and no Service has external IPs",
    rationale=(
        "A load balancer without source ranges is open to the Internet, whatever stands behind it. "
        "With externalIPs a Service takes traffic to any address, also to one that is not its own "
        "(CVE-2020-8554)."
    ),
    remediation=(
        "List who may connect, or keep the load balancer inside by your cloud's annotation:\n"
        "spec:\n  type: LoadBalancer\n  loadBalancerSourceRanges: [203.0.113.0/24]"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer",
        "https://kubernetes.io/docs/concepts/services-networking/service/#internal-load-balancer",
        "https://nvd.nist.gov/vuln/detail/CVE-2020-8554",
    ),
    applies_to=("Service",),
)

_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
_AWS_INTERNAL = "service.beta.kubernetes.io/aws-load-balancer-internal"
_AWS_SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
_AWS_TYPE = "service.beta.kubernetes.io/aws-load-balancer-type"
_AWS_CLASSES = ("service.k8s.aws/nlb", "eks.amazonaws.com/nlb")
_INTERNAL_ANNOTATIONS = {
    "cloud.google.com/load-balancer-type": "internal",
    "load-balancer.hetzner.cloud/disable-public-network": "true",
    "networking.gke.io/load-balancer-type": "internal",
    "oci-network-load-balancer.oraclecloud.com/internal": "true",
    "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type": "intranet",
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
    "service.beta.kubernetes.io/do-loadbalancer-network": "internal",
    "service.beta.kubernetes.io/oci-load-balancer-internal": "true",
    "service.beta.kubernetes.io/openstack-internal-load-balancer": "true",
    "service.beta.kubernetes.io/scw-loadbalancer-private": "true",
    "service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type": "private",
}
"""Annotations that keep a load balancer inside, with the value that does so in lower case."""
_INTERNAL_SUBNET = "service.kubernetes.io/qcloud-loadbalancer-internal-subnetid"
_LIMITING_ANNOTATIONS = (
    "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-acl-id",
    "service.beta.kubernetes.io/aws-load-balancer-security-group-prefix-lists",
    "service.beta.kubernetes.io/aws-load-balancer-security-groups",
    "service.beta.kubernetes.io/azure-allowed-ip-ranges",
    "service.beta.kubernetes.io/azure-allowed-service-tags",
    "service.beta.kubernetes.io/do-loadbalancer-allow-rules",
    "service.beta.kubernetes.io/linode-loadbalancer-firewall-acl",
    "service.beta.kubernetes.io/linode-loadbalancer-firewall-id",
)
"""Annotations that limit the sources by something that is not judged here."""
_EXTERNAL_IPS_REMEDIATION = (
    "Remove externalIPs; a load balancer or a Gateway gives a Service an address of its own:\n"
    "spec:\n  type: LoadBalancer\n  loadBalancerSourceRanges: [203.0.113.0/24]"
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for missing sources or each open one, and one for external IPs."""
    del context
    spec = resource.spec
    external = sequence(spec.get("externalIPs"))
    if external and spec.get("type") != "ExternalName":
        shown = ", ".join(str(address)[:40] for address in external[:3])
        yield Violation(
            "/spec/externalIPs",
            f"Service {resource.name} takes traffic to external addresses (externalIPs: {shown})",
            remediation=_EXTERNAL_IPS_REMEDIATION,
        )
    if spec.get("type") == "LoadBalancer" and not _is_internal(resource):
        yield from _sources(resource)


def _sources(resource: Resource) -> Iterator[Violation]:
    ranges = _ranges(resource)
    for source, pointer in ranges:
        if source.endswith("/0"):
            yield Violation(
                pointer,
                f"the load balancer of Service {resource.name} is open to every address ({source})",
            )
    if ranges:
        return
    limit = next((key for key in _LIMITING_ANNOTATIONS if resource.annotations.get(key)), None)
    message = f"the load balancer of Service {resource.name} has no loadBalancerSourceRanges"
    if limit is not None:
        yield Violation(
            f"/metadata/annotations/{escape(limit)}",
            f"{message}, but {limit} may limit its sources",
            unknown=True,
        )
    else:
        yield Violation("/spec/loadBalancerSourceRanges", message)


def _ranges(resource: Resource) -> list[tuple[str, str]]:
    """Return the source ranges with their pointers; the annotation counts where the field is empty."""
    pointer = "/spec/loadBalancerSourceRanges"
    stated = sequence(resource.spec.get("loadBalancerSourceRanges"))
    if stated:
        return [
            (source.strip(), f"{pointer}/{index}")
            for index, source in enumerate(stated)
            if isinstance(source, str) and source.strip()
        ]
    pointer = f"/metadata/annotations/{escape(_RANGES_ANNOTATION)}"
    listed = text(resource.annotations.get(_RANGES_ANNOTATION))
    return [(source.strip(), pointer) for source in listed.split(",") if source.strip()]


def _is_internal(resource: Resource) -> bool:
    annotations, spec = resource.annotations, resource.spec
    for key, value in _INTERNAL_ANNOTATIONS.items():
        stated = annotations.get(key)
        if stated is not None and str(stated).lower() == value:
            return True
    if annotations.get(_INTERNAL_SUBNET) or spec.get("loadBalancerClass") == "tailscale":
        return True
    return _is_internal_on_aws(resource) or _is_private(text(spec.get("loadBalancerIP")))


def _is_internal_on_aws(resource: Resource) -> bool:
    """Tell whether AWS keeps a load balancer inside, as its newer controller does by default."""
    annotations = resource.annotations
    scheme = annotations.get(_AWS_SCHEME)
    if scheme is not None:
        return bool(scheme == "internal")
    internal = annotations.get(_AWS_INTERNAL)
    # The older controller takes every other value for yes; "0.0.0.0/0" was the documented one.
    if internal is not None:
        return str(internal).lower() not in ("", "false")
    return resource.spec.get("loadBalancerClass") in _AWS_CLASSES or annotations.get(_AWS_TYPE) in (
        "external",
        "nlb-ip",
    )


def _is_private(address: str) -> bool:
    if not address:
        return False
    import ipaddress

    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False
