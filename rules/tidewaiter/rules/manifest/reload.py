"""What has pods replaced when a ConfigMap or Secret that they use changes.

A checksum in the annotations of the pod template, Stakater's Reloader, Pusher's Wave; or a name that changes
with the content, as Kustomize makes it.
https://helm.sh/docs/howto/charts_tips_and_tricks/#automatically-roll-deployments
https://github.com/stakater/Reloader and https://github.com/wave-k8s/wave
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/kustomization/#generating-resources
"""

from __future__ import annotations

from functools import lru_cache

from tidewaiter.rules.manifest.fields import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload

_CHECKSUMS = ("checksum", "hash", "md5", "rollme", "sha1", "sha256")
_RELOADER = "reloader.stakater.com"
_WAVE = "wave.pusher.com/update-on-config-change"
_PATTERN = frozenset("*+?[](){}|^$\\")
_KUSTOMIZE = frozenset("2456789bcdfghkmt")
"""Kustomize writes the hexadecimal digits 0, 1, 3, a and e as g, h, k, m and t."""
_HEXADECIMAL = frozenset("0123456789abcdef")


def has_checksum(workload: Workload, kind: str) -> bool:
    """Tell whether an annotation of the pods is a checksum that may be one of this kind's objects.

    `checksum/secret` is none of a ConfigMap and `checksum/configmap` none of a Secret; `checksum/config`
    may be of both.
    """
    other = "configmap" if kind == "Secret" else "secret"
    for key, value in workload.pod_annotations.items():
        lowered = key.lower()
        if value and other not in lowered and any(word in lowered for word in _CHECKSUMS):
            return True
    return False


def is_watched(workload: Workload, kind: str, name: str, found: Resource | None) -> bool | None:
    """Tell whether Reloader or Wave replaces the pods when this object changes.

    None: it depends on an annotation of the object, which is not seen (`found` is None).
    """
    if found is not None and found.annotations.get(f"{_RELOADER}/ignore") == "true":
        return False
    answer: bool | None = False
    # Those of the pod template count where the workload itself has none.
    for given in (workload.resource.annotations, workload.pod_annotations):
        if given.get(_WAVE) == "true":
            return True
        short = "secret" if kind == "Secret" else "configmap"
        if _names(given.get(f"{short}.{_RELOADER}/reload"), name):
            return True
        if "true" in (
            given.get(f"{_RELOADER}/auto"),
            given.get(f"{short}.{_RELOADER}/auto"),
        ):
            return not _names(given.get(f"{short}s.exclude.{_RELOADER}/reload"), name)
        if given.get(f"{_RELOADER}/search") == "true":
            answer = (
                None if found is None else found.annotations.get(f"{_RELOADER}/match") == "true"
            )
    return answer


def has_content_in_name(name: str) -> bool:
    """Tell whether a name ends in a hash, so that other content has another name."""
    ending = name.rpartition("-")[2]
    if len(ending) == len(name):
        return False
    if len(ending) == 10 and _KUSTOMIZE.issuperset(ending):
        return True
    # cdk8s ends its names in c8 and a hash of the construct's path, which stays when the content changes.
    if len(ending) < 8 or (len(ending) == 8 and ending.startswith("c8")):
        return False
    return _HEXADECIMAL.issuperset(ending) and not ending.isdigit() and not ending.isalpha()


def _names(listed: object, name: str) -> bool:
    """Tell whether a list of names and expressions, as Reloader takes it, may hold a name."""
    names = _listed(text(listed))
    return names is None or name in names


@lru_cache(maxsize=16)
def _listed(value: str) -> frozenset[str] | None:
    """Return the names of a list, or None where it has an expression, which may match any."""
    names = frozenset(part.strip() for part in value.split(","))
    return names if _PATTERN.isdisjoint(value) else None
