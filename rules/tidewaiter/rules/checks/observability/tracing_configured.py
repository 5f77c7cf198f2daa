"""Long-running workloads are told where to send their traces.

Restricted kinds: Deployments, StatefulSets, DaemonSets, Rollouts and the like. Allowed: a container has a
variable OTEL_* (its own or from a ConfigMap or Secret), or the pods or their namespace carry an annotation by
which the OpenTelemetry operator injects what is needed. A container whose variables turn tracing off
(OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER: none) does not count.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="tracing-configured",
    section="observability",
    severity="info",
    summary="a workload has OTEL_* variables or is instrumented by the OpenTelemetry operator",
    rationale=(
        "A payment crosses many services. Without traces nobody can say in which of them the slow second "
        "or the error arose, and each team proves that it was another one."
    ),
    remediation=(
        "Tell the SDK where to send traces, or have the operator inject it:\n"
        "env:\n  - name: OTEL_SERVICE_NAME\n    value: api\n"
        "  - name: OTEL_EXPORTER_OTLP_ENDPOINT\n    value: http://otel-collector.observability:4317"
    ),
    references=(
        "https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/",
        "https://opentelemetry.io/docs/platforms/kubernetes/operator/automatic/",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
    parameters=(
        Parameter(
            "variables",
            "strings",
            ("OTEL_",),
            "beginnings of the names of variables that configure tracing",
            stricter="less",
        ),
        Parameter(
            "annotations",
            "strings",
            ("instrumentation.opentelemetry.io/inject-", "sidecar.opentelemetry.io/inject"),
            "beginnings of the names of annotations that have tracing injected",
            stricter="less",
        ),
    ),
)

_OFF = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield at most one violation, at the first container's variables."""
    if not workload.is_long_running:
        return
    inventory, namespace = context.inventory, namespace_of(workload.resource)
    annotations = context.parameters["annotations"]
    around = inventory.find("Namespace", namespace)
    if _is_injected(workload.pod_annotations, annotations):
        return
    if around is not None and _is_injected(around.annotations, annotations):
        return
    unknown = ""
    for container in workload.containers:
        state = _of_container(container, context, namespace)
        if state is None:
            return
        unknown = unknown or state
    first = next((each for each in workload.containers if each.is_regular), None)
    message = (
        f"{workload.resource!r} has no variable {context.parameters['variables'][0]}* and no "
        "annotation that has tracing injected"
        if context.parameters["variables"]
        else f"{workload.resource!r} has no annotation that has tracing injected"
    )
    yield Violation(
        f"{first.pointer}/env" if first else f"{workload.pod_pointer}/containers",
        f"{message}, but {unknown}" if unknown else message,
        unknown=bool(unknown),
    )


def _is_injected(annotations: Mapping[str, Any], prefixes: tuple[str, ...]) -> bool:
    starts = tuple(prefixes)
    return any(
        key.startswith(starts) and str(value).lower() not in {"false", "none", ""}
        for key, value in annotations.items()
    )


def _of_container(container: Container, context: Context, namespace: str) -> str | None:
    """Return None where tracing is configured, else why that is not known, "" where it is not."""
    prefixes = tuple(context.parameters["variables"])
    found = False
    for variable, _ in items(container.spec.get("env"), ""):
        name = text(variable.get("name"))
        if name in _OFF and _OFF[name] == text(variable.get("value")).lower():
            return ""
        found = found or (name not in _OFF and name.startswith(prefixes))
    if found:
        return None
    unknown = ""
    for source, _ in items(container.spec.get("envFrom"), ""):
        state = _of_source(source, prefixes, context.inventory, namespace)
        if state is None:
            return None
        unknown = unknown or state
    return unknown


def _of_source(
    source: Mapping[str, Any], prefixes: tuple[str, ...], inventory: Inventory, namespace: str
) -> str | None:
    """Answer as `_of_container` does, for one entry of envFrom."""
    for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        name = text(dig(source, field, "name"))
        if not name:
            continue
        origin = inventory.get(kind, namespace, name)
        if origin is None:
            return f"the variables from {kind} {name} are not known"
        prefix = text(source.get("prefix"))
        keys = (*mapping(origin.object.get("data")), *mapping(origin.object.get("stringData")))
        if any(f"{prefix}{key}".startswith(prefixes) for key in keys):
            return None
    return ""
