"""Every image is signed as the policy's section `images` asks.

Restricted fields: image of containers, initContainers and ephemeralContainers, reference of image volumes.
Allowed: images that no entry of the section is for, and those whose signatures were found to fulfil the
entries that are. Signatures are looked up by the gate before rules run; without that the answer is `unknown`.
https://kubernetes.io/docs/tasks/administer-cluster/verify-signed-artifacts/
"""

from __future__ import annotations

from tidewaiter.rules.image_answers import image_violations
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.finding import Violation
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="image-signature",
    section="images",
    severity="error",
    summary="every image is signed by those whom the policy names for it",
    rationale=(
        "A registry keeps what it is given. Whoever can push to it, or stand in for it, decides what runs, "
        "unless a signature says that the very bytes were released by somebody whom you trust."
    ),
    remediation=(
        "Sign the image's digest by a key or identity of the policy (`cosign sign --key KEY IMAGE@DIGEST`), or "
        "take an image that is signed. `tidewaiter verify IMAGE` shows what was found:\n"
        "image: registry.example.com/shop/api:1.4.2@sha256:"
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    ),
    references=(
        "https://kubernetes.io/docs/tasks/administer-cluster/verify-signed-artifacts/",
        "https://docs.sigstore.dev/cosign/signing/signing_with_containers/",
    ),
    applies_to=(WORKLOAD,),
    needs_images=True,
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield what stands against the signatures of each image that the policy speaks of."""
    return image_violations(workload, context, "signature")
