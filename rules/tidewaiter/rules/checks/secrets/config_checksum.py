"""Pods are replaced when the ConfigMaps and Secrets that they use change.

Restricted fields of workloads that keep pods running: env, envFrom and volumeMounts of containers and
sidecars. Allowed: a checksum among the annotations of the pod template, annotations of Reloader or Wave,
immutable objects, and names that end in a hash of the content. Left out: Jobs and CronJobs, which start
anew; init containers, which read at the start alone; optional references; image pull secrets.

The files of a mounted volume follow a change, and programs may read them again; whether this one does is
not known from here, so such a mount is `unknown`, unless a sidecar that reloads has it too. Variables and
`subPath` mounts never follow.
https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.makers import maker_of_secret
from tidewaiter.rules.manifest.fields import dig, items, text
from tidewaiter.rules.manifest.references import references_of
from tidewaiter.rules.manifest.reload import has_checksum, has_content_in_name, is_watched
from tidewaiter.rules.record import record
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.references import Reference
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

    _Mount = tuple[Container, dict[str, Any]]

RULE = Rule(
    name="config-checksum",
    section="secrets",
    severity="warning",
    summary="pods are replaced when the ConfigMaps and Secrets that they use change",
    rationale=(
        "A changed ConfigMap or rotated Secret does not reach variables of running pods. They go on with the "
        "old values until something else restarts them, one pod at a time and at an hour nobody chose."
    ),
    remediation=(
        "Put a checksum of the content into the pod template, let Kustomize generate the names, make the "
        "object immutable, or have Reloader watch it:\n"
        "spec:\n  template:\n    metadata:\n      annotations:\n"
        '        checksum/config: "<sha256 of the ConfigMap>"'
    ),
    references=(
        "https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically",
        "https://helm.sh/docs/howto/charts_tips_and_tricks/#automatically-roll-deployments",
        "https://github.com/stakater/Reloader",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
)

_PUT_BY_CLUSTER = frozenset(
    {"istio-ca-root-cert", "kube-root-ca.crt", "openshift-service-ca.crt", "trusted-ca-bundle"}
)


@record
class _Use:
    """How a running pod has an object: `follows` says that its files are renewed under it."""

    reference: Reference
    how: str
    container: str
    follows: bool


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each ConfigMap and Secret whose change the pods would not see."""
    if not workload.is_long_running:
        return
    namespace = namespace_of(workload.resource)
    summed = [kind for kind in ("ConfigMap", "Secret") if has_checksum(workload, kind)]
    for use in _gravest(_uses(workload)):
        kind, name = use.reference.kind, use.reference.name
        if kind in summed or has_content_in_name(name) or name in _PUT_BY_CLUSTER:
            continue
        found = context.inventory.get(kind, namespace, name)
        watched = is_watched(workload, kind, name, found)
        if watched or (found is not None and found.object.get("immutable") is True):
            continue
        maker = maker_of_secret(name, namespace, context.inventory) if kind == "Secret" else None
        if maker is not None and _replaces(maker, workload):
            continue
        doubt = _doubt(use, found or maker, watched, context.inventory)
        yield Violation(
            use.reference.pointer,
            f"container {use.container} has {kind} {name} {use.how}, and nothing replaces the pods when "
            "it changes" + (f"; {doubt}" if doubt else ""),
            use.container,
            unknown=doubt is not None,
        )


def _gravest(uses: Iterator[_Use]) -> Iterator[_Use]:
    """Yield one use of each object: the first that does not follow a change, else the first."""
    found: dict[tuple[str, str], _Use] = {}
    for use in uses:
        key = (use.reference.kind, use.reference.name)
        if key not in found or (found[key].follows and not use.follows):
            found[key] = use
    yield from found.values()


def _uses(workload: Workload) -> Iterator[_Use]:
    running = {
        container.name: container
        for container in workload.containers
        if container.is_regular or container.is_sidecar
    }
    mounts: dict[str, list[_Mount]] = {}
    for container in running.values():
        for mount, _ in items(container.spec.get("volumeMounts"), ""):
            mounts.setdefault(text(mount.get("name")), []).append((container, mount))
    volumes = f"{workload.pod_pointer}/volumes/"
    names = {
        place: text(volume.get("name"))
        for volume, place in items(workload.pod_spec.get("volumes"), volumes[:-1])
    }
    for reference in references_of(workload):
        if reference.kind not in {"ConfigMap", "Secret"}:
            continue
        if reference.container in running:
            yield _Use(reference, "in its variables", reference.container, follows=False)
        elif reference.pointer.startswith(volumes) and "/csi/" not in reference.pointer:
            place = volumes + reference.pointer[len(volumes) :].partition("/")[0]
            volume = names.get(place)
            if volume:
                yield from _mounted(reference, mounts.get(volume, []))


def _mounted(reference: Reference, mounts: list[_Mount]) -> Iterator[_Use]:
    reloads = any(
        "reload" in container.name or "reload" in text(container.spec.get("image"))
        for container, _ in mounts
    )
    for container, mount in mounts:
        if text(mount.get("subPath")) or text(mount.get("subPathExpr")):
            yield _Use(reference, "mounted by subPath", container.name, follows=False)
        elif not reloads:
            yield _Use(reference, "mounted as files", container.name, follows=True)


def _replaces(maker: Resource, workload: Workload) -> bool:
    """Tell whether what makes a Secret makes an immutable one, or restarts the workload itself."""
    for path in (("target",), ("template",), ("target", "template")):
        if dig(maker.spec, *path, "immutable") is True:
            return True
    return any(
        target.get("kind") == workload.resource.kind
        and target.get("name") == workload.resource.name
        for target, _ in items(maker.spec.get("rolloutRestartTargets"), "")
    )


def _doubt(
    use: _Use, seen: Resource | None, watched: bool | None, inventory: Inventory
) -> str | None:
    """Say why this may yet be right, or None where it is not."""
    if use.follows:
        return "its program may read the files again"
    if seen is not None and watched is not None:
        return None
    if not inventory.complete:
        return "the object itself is not seen, and may be immutable"
    return "the object itself is not among the manifests, and may be immutable"
