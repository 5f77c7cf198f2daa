"""Writes what follows from other files into the manifests: the rights to read what rules ask for, alerts, dashboard.

`python deploy/generate.py` rewrites the files; a test holds them to be the same.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KIND = re.compile(r"[A-Z][A-Za-z]+\.[a-z0-9-]+(\.[a-z0-9-]+)+")
ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent / "rules"))

import yaml  # noqa: E402

from tidewaiter.rules.kept_fields import is_followed  # noqa: E402
from tidewaiter.rules.manifest.api_resource import is_builtin_group, plural_of  # noqa: E402
from tidewaiter.rules.policy.definition import definitions  # noqa: E402

SCAN = "tidewaiter-scan"
HEADER = "# Made by deploy/generate.py: what rules ask of other objects.\n"
BUILTIN = {
    "": (
        "configmaps",
        "limitranges",
        "namespaces",
        "persistentvolumeclaims",
        "pods",
        "podtemplates",
        "replicationcontrollers",
        "resourcequotas",
        "serviceaccounts",
        "services",
    ),
    "admissionregistration.k8s.io": (
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ),
    "apiextensions.k8s.io": ("customresourcedefinitions",),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "networking.k8s.io": ("ingressclasses", "ingresses", "networkpolicies"),
    "policy": ("poddisruptionbudgets",),
    "rbac.authorization.k8s.io": (
        "clusterrolebindings",
        "clusterroles",
        "rolebindings",
        "roles",
    ),
    "scheduling.k8s.io": ("priorityclasses",),
    "storage.k8s.io": ("storageclasses",),
}
"""Secrets are not among them: to list them is to read them. The chart has a switch for it."""


def custom_kinds() -> dict[str, set[str]]:
    """Return the custom resources that the code names, by group: rules ask for them by kind and group."""
    found: dict[str, set[str]] = {}
    for file in (ROOT.parent / "rules").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            value = node.value if isinstance(node, ast.Constant) else None
            if not isinstance(value, str) or not KIND.fullmatch(value) or not is_followed(value):
                continue
            kind, _, group = value.partition(".")
            # Its own it may read without custom resources too (access.yaml).
            if not is_builtin_group(group) and group != "tidewaiter.dev":
                found.setdefault(group, set()).add(plural_of(kind))
    return found


def rules_text(by_group: Mapping[str, Iterable[str]], verbs: str = "list, watch") -> str:
    """Return the rules of a ClusterRole in YAML, that let one list and watch, or as much of it as is said."""
    lines = []
    for group, resources in sorted(by_group.items()):
        lines += [f'- apiGroups: ["{group}"]', "  resources:"]
        lines += [f"    - {resource}" for resource in sorted(resources)]
        lines.append(f"  verbs: [{verbs}]")
    return "\n".join(lines) + "\n"


def generated() -> dict[Path, str]:
    """Return each generated file and its text."""
    crds = {
        folder / f"{definition['spec']['names']['plural']}.yaml": _definition_text(definition)
        for definition in definitions()
        for folder in (ROOT / "crds", ROOT / "chart" / "crds")
    }
    return {
        **crds,
        ROOT / "chart" / "files" / "builtin-rules.yaml": HEADER + rules_text(BUILTIN),
        ROOT / "chart" / "files" / "custom-rules.yaml": HEADER + rules_text(custom_kinds()),
        ROOT / "chart" / "values.schema.json": _values_schema(),
        ROOT / "kustomize" / "components" / "monitoring" / "alerts.yaml": _alerts(),
        ROOT / "kustomize" / "components" / "monitoring" / "dashboard.yaml": _dashboard(),
        ROOT / "chart" / "files" / "alerts.yaml": (
            ROOT / "alerts" / "prometheusrule.yaml"
        ).read_text(encoding="utf-8"),
        ROOT / "chart" / "files" / "dashboard.json": (
            ROOT / "dashboards" / "tidewaiter.json"
        ).read_text(encoding="utf-8"),
        ROOT / "kustomize" / "base" / "readable.yaml": HEADER
        + _role("tidewaiter", rules_text(BUILTIN))
        + "---\n"
        + _role("tidewaiter-custom-resources", rules_text(custom_kinds())),
        ROOT / "kustomize" / "components" / "fleet-scan" / "readable.yaml": HEADER
        + _role("tidewaiter-scan-reads", rules_text(BUILTIN, "list"), SCAN)
        + "---\n"
        + _role("tidewaiter-scan-reads-custom-resources", rules_text(custom_kinds(), "list"), SCAN),
    }


def _definition_text(definition: dict[str, object]) -> str:
    """Return a definition in YAML."""
    text = yaml.safe_dump(definition, sort_keys=False, width=110)
    return f"# Made by deploy/generate.py from the schema of the policy file.\n{text}"


def _alerts() -> str:
    """Return the alerts for the namespace of the kustomization."""
    text = (ROOT / "alerts" / "prometheusrule.yaml").read_text(encoding="utf-8")
    named = text.replace("  name: tidewaiter\n", "  name: tidewaiter\n  namespace: tidewaiter\n", 1)
    return f"# Made by deploy/generate.py from deploy/alerts.\n{named}"


def _dashboard() -> str:
    """Return the ConfigMap that Grafana's sidecar finds."""
    text = (ROOT / "dashboards" / "tidewaiter.json").read_text(encoding="utf-8")
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return (
        "# Made by deploy/generate.py from deploy/dashboards.\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: tidewaiter-dashboard\n"
        '  namespace: tidewaiter\n  labels: {app.kubernetes.io/name: tidewaiter, grafana_dashboard: "1"}\n'
        f"data:\n  tidewaiter.json: |\n{lines}"
    )


def _values_schema() -> str:
    """Return the schema of the chart's values with that of the policy in its last line but one."""
    schema = json.loads((ROOT.parent / "docs" / "policy-schema.json").read_text(encoding="utf-8"))
    definitions = json.dumps(_without_texts(schema["$defs"]), separators=(",", ":"))
    text = (ROOT / "chart" / "values.schema.json").read_text(encoding="utf-8")
    return re.sub(r'(?m)^  "\$defs": .*$', lambda _: f'  "$defs": {definitions}', text)


def _without_texts(schema: Any) -> Any:
    """Leave out what is for readers: Helm keeps the schema with each release in the cluster."""
    if isinstance(schema, list):
        return [_without_texts(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key in {"default", "enum", "const"} else _without_texts(value)
        for key, value in schema.items()
        if not (key in {"description", "title"} and isinstance(value, str)) and key != "examples"
    }


def _role(name: str, rules: str, app: str = "tidewaiter") -> str:
    return (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n"
        f"  name: {name}\n  labels: {{app.kubernetes.io/name: {app}}}\nrules:\n"
        + "".join(f"  {line}\n" for line in rules.splitlines())
    )


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
