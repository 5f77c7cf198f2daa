"""Images that go by tag are pulled whenever a pod starts.

Restricted fields: imagePullPolicy of containers, initContainers and ephemeralContainers, pullPolicy of image
volumes. Allowed values: Always, and undefined for the tag latest or no tag, where that is the default; anything
for an image with a digest.
https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.fields import items, quoted
from tidewaiter.rules.manifest.image import InvalidImage, parse_image
from tidewaiter.rules.manifest.pod_images import pod_images
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.pod_images import PodImage
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="image-pull-policy",
    section="images",
    severity="warning",
    summary="images that go by tag are always pulled",
    rationale=(
        "A node that has an image of that tag starts it without asking the registry: two nodes may run "
        "different images under one tag, and a pod may use a private image that it has no right to pull."
    ),
    remediation=(
        "Pin the image by its digest, and any policy will do; or have it always pulled, which costs one "
        "request where the image has not changed:\nimagePullPolicy: Always"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy",
        "https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#alwayspullimages",
    ),
    applies_to=(WORKLOAD,),
)

_TRIGGERS = "image.openshift.io/triggers"


_ALWAYS = set_here("Always")
_UNLESS_STATED = set_here("Always", safe=False)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each tagged image that a node may take from its own store."""
    del context
    pinned_later = _what_pins_later(workload)
    for image in pod_images(workload):
        try:
            reference = parse_image(image.image)
        except InvalidImage as error:
            yield Violation(
                image.policy_pointer,
                f"whether {image.owner} goes by tag cannot be read: {error}",
                image.container,
                unknown=True,
            )
            continue
        if reference.is_pinned or _is_always(image.pull_policy, reference.tag):
            continue
        message = f"{image.owner} goes by tag ({reference.original}), but {_stated(image)}"
        if pinned_later:
            message = f"{message}; {pinned_later}"
        yield Violation(
            image.policy_pointer,
            message,
            image.container,
            unknown=bool(pinned_later),
            fix=None if pinned_later else _UNLESS_STATED if image.pull_policy else _ALWAYS,
        )


def _is_always(policy: object, tag: str | None) -> bool:
    """Tell whether a policy is Always, by the API server's default where it is not stated."""
    if policy is None or policy == "":
        return tag in {None, "latest"}
    return policy == "Always"


def _stated(image: PodImage) -> str:
    if image.pull_policy is None or image.pull_policy == "":
        return "has no pull policy, which means IfNotPresent"
    return f"its pull policy is {quoted(image.pull_policy)}"


def _what_pins_later(workload: Workload) -> str:
    """Say what may put a digest in the place of the tag before the pods are made, "" for nothing."""
    resource = workload.resource
    if resource.kind_id.endswith(".serving.knative.dev"):
        return "Knative puts the digest there unless it skips the registry"
    triggers = items(resource.spec.get("triggers"), "")
    if _TRIGGERS in resource.annotations or (
        resource.kind_id == "DeploymentConfig.apps.openshift.io"
        and any(trigger.get("type") == "ImageChange" for trigger, _ in triggers)
    ):
        return "an image trigger of OpenShift may put a digest there"
    return ""
