"""Manifests for the tests of the checklist, written as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.rules.checklist.answer import Answer, Checklist, answer
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.manifest.resource import Resource

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy

TODAY = "2026-01-31"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers: [{name: api, image: "registry.example.com/api@sha256:%s"}]
""" % ("0" * 64)
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: import, namespace: shop}
spec:
  template:
    metadata: {labels: {app: import}}
    spec:
      restartPolicy: Never
      containers: [{name: import, image: "registry.example.com/import@sha256:%s"}]
""" % ("0" * 64)
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {selector: {app: api}, ports: [{name: http, port: 80}]}
"""
NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""


def read(*documents: str) -> list[Resource]:
    """Read YAML documents as one file."""
    content = read_resources("---".join(documents).encode(), "shop.yaml", explicit=True)
    assert not content.errors
    return list(content.resources)


def ask(
    *documents: str, complete: bool = True, policy: PlainPolicy | None = None, today: str = TODAY
) -> Checklist:
    """Answer the checklist for YAML documents."""
    resources = read(*documents)
    inventory = Inventory(resources, complete=complete)
    return answer(resources, policy or {}, inventory, today=today)


def answer_to(item: str, *documents: str, service: str = "api", **more: object) -> Answer:
    """Answer one item for the service of a name."""
    found = ask(*documents, **more)  # type: ignore[arg-type]
    row = next(each for each in found.services if each.service.name == service)
    return next(each for each in row.answers if each.item.id == item)
