"""Containers keep the seccomp profile of their runtime, or name one of their own.

Restricted fields: securityContext.seccompProfile.type of the pod, containers, initContainers and
ephemeralContainers, before 1.19 the annotations seccomp.security.alpha.kubernetes.io/pod and
container.seccomp.security.alpha.kubernetes.io/*. Allowed values: RuntimeDefault, Localhost (in annotations
runtime/default, docker/default, localhost/*); undefined at level baseline. At level restricted, from 1.19,
the pod or every container sets it; from 1.25 this is not asked of Windows pods.
https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import REMOVE, SET, Edit, Fix, set_at, set_here
from tidewaiter.rules.manifest.fields import escape, quoted
from tidewaiter.rules.manifest.pod_security import exempt_as_windows, owner, security_contexts
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

_FIELDS_SINCE = (1, 19)
_ALLOWED = ("RuntimeDefault", "Localhost")
_POD_ANNOTATION = "seccomp.security.alpha.kubernetes.io/pod"
_CONTAINER_ANNOTATION = "container.seccomp.security.alpha.kubernetes.io/"


def _of_pod(_: tuple[int, int], level: str) -> str:
    for_linux = "variables.isWindows || " if level == "restricted" else ""
    stated = "variables.spec.?securityContext.?seccompProfile.?type"
    return f"{for_linux}{stated}.orValue('{_ALLOWED[0]}') in {[*_ALLOWED]}"


def _of_container(_: tuple[int, int], level: str) -> str:
    for_linux = "variables.isWindows || " if level == "restricted" else ""
    of_pod = "variables.spec.?securityContext.?seccompProfile.hasValue()"
    otherwise = of_pod if level == "restricted" else "true"
    stated = "c.?securityContext.?seccompProfile.?type"
    return f"{for_linux}{stated}.optMap(t, t in {[*_ALLOWED]}).orValue({otherwise})"


RULE = Rule(
    name="seccomp-profile",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="every container runs under a seccomp profile",
    rationale=(
        "Without a profile a container may make every system call of the kernel, the rarely used ones in "
        "which most holes are found among them. RuntimeDefault forbids about 60 that no service needs."
    ),
    remediation="Set it for the pod:\nsecurityContext:\n  seccompProfile:\n    type: RuntimeDefault",
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/",
        "https://kubernetes.io/docs/tutorials/security/seccomp/",
    ),
    applies_to=(WORKLOAD,),
    cel=(CelCheck("pod", _of_pod), CelCheck("container", _of_container)),
)


_DEFAULT = {"type": _ALLOWED[0]}


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each profile that is not allowed, and each container without one."""
    if context.version < _FIELDS_SINCE:
        yield from _annotations(workload)
        return
    is_restricted = context.level == "restricted"
    if is_restricted and exempt_as_windows(workload, context.version):
        return
    is_set_for_pod = False
    for stated, pointer, container in security_contexts(workload):
        profile = stated.get("seccompProfile")
        if profile is not None:
            # A profile that is no mapping is quoted itself: it has no type to quote.
            kind = profile.get("type") if isinstance(profile, dict) else profile
            is_set_for_pod = is_set_for_pod or container is None
            if kind not in _ALLOWED or not isinstance(profile, dict):
                yield Violation(
                    f"{pointer}/seccompProfile/type",
                    f"{owner(container)} has the seccomp profile {quoted(kind)}, not one of "
                    f"type {' or '.join(_ALLOWED)}",
                    container,
                    fix=_replaced(profile, f"{pointer}/seccompProfile"),
                )
        elif is_restricted and container is not None and not is_set_for_pod:
            yield Violation(
                f"{pointer}/seccompProfile",
                f"container {container} has no seccomp profile, neither its own nor the pod's",
                container,
                fix=_fix(workload),
            )


def _replaced(profile: object, pointer: str) -> Fix:
    """Put the runtime's profile in the place of another."""
    if not isinstance(profile, dict):
        return set_at(pointer, _DEFAULT, safe=False)
    edits = [Edit(SET, f"{pointer}/type", _DEFAULT["type"])]
    if "localhostProfile" in profile:
        edits.append(Edit(REMOVE, f"{pointer}/localhostProfile"))
    return Fix(tuple(edits), is_safe=False)


def _fix(workload: Workload) -> Fix:
    """Set the profile for the pod, or, as Knative takes none there, for the container."""
    if workload.kind_id.endswith(".serving.knative.dev"):
        return set_here(_DEFAULT)
    return set_at(f"{workload.pod_pointer}/securityContext/seccompProfile", _DEFAULT)


def _annotations(workload: Workload) -> Iterator[Violation]:
    names: list[tuple[str, str | None]] = [(_POD_ANNOTATION, None)]
    names += [(_CONTAINER_ANNOTATION + one.name, one.name) for one in workload.containers]
    for key, container in names:
        value = workload.pod_annotations.get(key)
        if value is not None and not _is_allowed_annotation(value):
            yield Violation(
                f"{workload.template_pointer}/metadata/annotations/{escape(key)}",
                f"{owner(container)} has the seccomp profile {quoted(value)} by annotation",
                container,
                remediation=f"Name the runtime's profile:\nannotations:\n  {key}: runtime/default",
                fix=set_here("runtime/default", safe=False),
            )


def _is_allowed_annotation(value: object) -> bool:
    return isinstance(value, str) and (
        value in {"runtime/default", "docker/default"} or value.startswith("localhost/")
    )
