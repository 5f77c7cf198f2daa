"""Containers keep the AppArmor profile of their runtime, or name one of their own.

Restricted fields: securityContext.appArmorProfile.type of the pod, containers, initContainers and
ephemeralContainers; the annotations container.apparmor.security.beta.kubernetes.io/*. Allowed values:
undefined, RuntimeDefault, Localhost; in annotations empty, runtime/default, localhost/*.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import escape, mapping, quoted
from tidewaiter.rules.manifest.pod_security import owner, security_contexts
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="apparmor-profile",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="no container switches its AppArmor profile off",
    rationale=(
        "On nodes with AppArmor the runtime's profile keeps a container from mounting file systems and "
        "writing to the node's settings. Unconfined takes that away."
    ),
    remediation=(
        "Remove the setting, or name the runtime's profile:\nsecurityContext:\n  appArmorProfile:\n"
        "    type: RuntimeDefault"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/tutorials/security/apparmor/",
    ),
    applies_to=(WORKLOAD,),
)

_ALLOWED = ("RuntimeDefault", "Localhost")
_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each profile, by field or annotation, that is not allowed."""
    del context
    for stated, pointer, container in security_contexts(workload):
        profile = stated.get("appArmorProfile")
        if profile is not None:
            kind = mapping(profile).get("type")
            if kind not in _ALLOWED:
                yield Violation(
                    f"{pointer}/appArmorProfile/type",
                    f"{owner(container)} has the AppArmor profile {quoted(kind)}, not one of "
                    f"{' or '.join(_ALLOWED)}",
                    container,
                )
    for key, value in workload.pod_annotations.items():
        if key.startswith(_ANNOTATION) and not _is_allowed_annotation(value):
            container = key.removeprefix(_ANNOTATION)
            yield Violation(
                f"{workload.template_pointer}/metadata/annotations/{escape(key)}",
                f"container {container} has the AppArmor profile {quoted(value)} by annotation",
                container,
            )


def _is_allowed_annotation(value: object) -> bool:
    return value is None or (
        isinstance(value, str)
        and (value in {"", "runtime/default"} or value.startswith("localhost/"))
    )
