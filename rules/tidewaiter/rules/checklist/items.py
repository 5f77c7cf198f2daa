"""The items of the release checklist: plain data, in the order in which they are shown."""

from __future__ import annotations

from tidewaiter.rules.record import record

ATTEST = "tidewaiter.dev/attest."
"""How the annotation that answers an item by hand begins; the item's id follows."""

SERVING, BATCH, DATABASE = "serving", "batch", "database"
"""Kinds of services: pods that serve, Jobs and CronJobs, and what an operator of databases runs."""


@record
class Item:
    """One item: what must hold before a release.

    `id` is the part of the annotation after `ATTEST`; `short` heads a column. `rules` are behind the
    answer; of those in `namespace_rules` a finding concerns every service of its namespace. `kinds` are
    the kinds of services that the item can concern. `question` is what to answer by hand where
    manifests cannot tell; `by_hand` says what they can never tell, "" where they can tell it all.
    """

    id: str
    title: str
    short: str
    rules: tuple[str, ...]
    question: str
    kinds: tuple[str, ...] = (SERVING,)
    by_hand: str = ""
    namespace_rules: tuple[str, ...] = ()


ITEMS = (
    Item(
        id="image-integrity",
        title="Images are signed and pinned",
        short="Images",
        rules=("image-digest", "no-latest-tag", "trusted-registry"),
        question="Is every image signed, and who verified the signatures of these digests?",
        kinds=(SERVING, BATCH, DATABASE),
        by_hand="whether the images are signed is known to the registry only",
    ),
    Item(
        id="probes",
        title="Probes and graceful shutdown",
        short="Probes",
        rules=(
            "readiness-probe",
            "liveness-probe",
            "startup-probe",
            "probes-differ",
            "probe-port",
            "probe-timing",
            "termination-grace",
            "pre-stop-hook",
        ),
        question="Does the program start, drain and stop without losing a request?",
    ),
    Item(
        id="resources",
        title="Requests, limits and QoS class",
        short="Resources",
        rules=(
            "resource-requests",
            "resource-limits",
            "requests-within-limits",
            "memory-limit-ratio",
        ),
        question="Do requests and limits fit what the service was measured to use?",
        kinds=(SERVING, BATCH, DATABASE),
    ),
    Item(
        id="availability",
        title="Disruption budget, spread and replicas",
        short="Replicas",
        rules=(
            "min-replicas",
            "pdb",
            "pdb-allows-eviction",
            "pdb-selects",
            "topology-spread",
            "session-affinity",
            "update-strategy",
        ),
        question="Does the service go on while a node is drained or lost?",
        kinds=(SERVING, DATABASE),
    ),
    Item(
        id="autoscaling",
        title="Autoscaling on application metrics",
        short="Scaling",
        rules=(
            "hpa-target",
            "hpa-bounds",
            "hpa-metrics",
            "hpa-resource-requests",
            "hpa-behavior",
            "keda-fallback",
            "vpa-hpa-conflict",
        ),
        question="What scales the service, and on which of its own metrics?",
    ),
    Item(
        id="network",
        title="Deny-by-default network with named egress",
        short="Network",
        rules=(
            "network-policy-default-deny",
            "network-policy-covers",
            "network-policy-egress",
            "network-policy-selects",
            "egress-allowlist",
            "no-node-port",
            "load-balancer-sources",
        ),
        question="Which partners (payment, KYC) may the service reach, and what keeps it from others?",
        kinds=(SERVING, BATCH, DATABASE),
        namespace_rules=("network-policy-default-deny",),
    ),
    Item(
        id="edge",
        title="TLS and rate limits at the edge",
        short="Edge",
        rules=(
            "ingress-tls",
            "ingress-hsts",
            "ingress-rate-limit",
            "ingress-no-wildcard",
            "ingress-no-snippets",
            "ingress-backend",
        ),
        question="Which edge lets the public in, and does it end TLS and limit requests?",
    ),
    Item(
        id="mesh",
        title="Mesh: mutual TLS, timeouts and circuit breakers",
        short="Mesh",
        rules=("mesh-mtls", "mesh-timeouts", "mesh-circuit-breaker"),
        question="Is the service in a mesh that demands mutual TLS, with timeouts and circuit breakers?",
        kinds=(SERVING, BATCH, DATABASE),
        namespace_rules=("mesh-mtls",),
    ),
    Item(
        id="secrets",
        title="Secrets from a manager, with rotation",
        short="Secrets",
        rules=(
            "no-secret-manifest",
            "no-literal-secret",
            "no-secret-env",
            "minimal-env-from",
            "external-secret-rotation",
            "reference-exists",
        ),
        question="Which manager makes these Secrets, and how often are they rotated?",
        kinds=(SERVING, BATCH),
    ),
    Item(
        id="config-checksum",
        title="Changed configuration replaces the pods",
        short="Config",
        rules=("config-checksum",),
        question="How do running pods get a changed ConfigMap or Secret?",
    ),
    Item(
        id="canary",
        title="Canary with an SLO gate and rollback",
        short="Canary",
        rules=("canary-analysis", "canary-steps", "traffic-split", "progress-deadline"),
        question="How is a new version tried on a part of the traffic, judged and rolled back?",
    ),
    Item(
        id="observability",
        title="Metrics, traces, JSON logs and alerts",
        short="Observed",
        rules=("metrics-scraped", "tracing-configured", "slo-alerts", "alert-rule-quality"),
        question="Does it write logs as JSON, and are its metrics, traces and alerts looked at?",
        kinds=(SERVING, BATCH, DATABASE),
        by_hand="whether the logs are JSON is not in the manifests",
    ),
    Item(
        id="backup",
        title="Stateful services have backups with point-in-time recovery",
        short="Backup",
        rules=(
            "database-backup",
            "no-bare-database",
            "volume-snapshot-schedule",
            "kafka-replication",
            "redis-replication",
            "storage-class",
            "pvc-retention",
            "stateful-service",
        ),
        question="To which point in time can the data be restored, and when was that last tried?",
        kinds=(SERVING, BATCH, DATABASE),
    ),
    Item(
        id="multi-zone",
        title="Spread over several zones",
        short="Zones",
        rules=(),
        question="Does the service go on when a zone is lost?",
        kinds=(SERVING, DATABASE),
    ),
    Item(
        id="cost-guards",
        title="Cost guards: pools, quotas, bounded jobs, spot with priority and budget",
        short="Cost",
        rules=(
            "node-pool",
            "namespace-quota",
            "priority-class",
            "restart-policy",
            "cronjob-deadline",
        ),
        question="What bounds what the service may cost: its node pool, quota, and use of spot nodes?",
        kinds=(SERVING, BATCH, DATABASE),
        namespace_rules=("namespace-quota",),
    ),
)

ITEM_IDS = tuple(item.id for item in ITEMS)
