"""Policy files that tests write."""

from __future__ import annotations

import textwrap
from pathlib import Path

HEAD = "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: default}\nspec:\n"
FULL = """
  profile: [recommended, pss-baseline]
  kubernetesVersion: "1.34"
  failOn: warning
  rules:
    image-digest: {severity: warning}
    resource-limits: {parameters: {cpu: optional}}
    no-latest-tag: {enabled: false}
    pdb: {mode: audit}
  overrides:
    - match: {namespaces: ["kube-*"], kinds: [DaemonSet], labels: {tier: node}, files: ["legacy/**"]}
      profile: pss-baseline
      mode: warn
      rules: {no-host-path: {severity: info}}
  exemptions:
    - match: {namespaces: [legacy], names: ["redis-*"], containers: [init-*], images: ["docker.io/*"]}
      rules: [read-only-root-filesystem]
      reason: image writes its pid file to /; replaced in Q1
      expires: 2027-01-31
  admission: {annotationExemptions: false, unknown: warn, mode: enforce}
  workloads: [{apiVersion: example.com/v1, kind: Game, podSpec: /spec/template/spec}]
"""


def write(folder: Path, text: str) -> str:
    path = folder / "tidewaiter.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def spec(text: str) -> str:
    return HEAD + textwrap.indent(textwrap.dedent(text).strip("\n"), "  ") + "\n"
