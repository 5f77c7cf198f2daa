"""Every image has the attestations that the policy's section `images` asks for.

Restricted fields: image of containers, initContainers and ephemeralContainers, reference of image volumes.
Allowed: images of which no entry asks an attestation, and those that have each one asked for: of its predicate
type, signed by its authorities, its conditions fulfilled. Attestations are looked up by the gate before rules
run; without that the answer is `unknown`.
https://github.com/in-toto/attestation/blob/main/spec/README.md
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
    name="image-attestation",
    section="images",
    severity="error",
    summary="every image has the attestations that the policy asks for",
    rationale=(
        "A signature says who released an image, not how it was built or what is in it. An image without its "
        "provenance may come from a laptop, one without a bill of materials and a fresh scan may hold what "
        "is known to be broken."
    ),
    remediation=(
        "Let the build attest the image (`cosign attest --key KEY --type TYPE --predicate FILE IMAGE@DIGEST`), "
        "and renew what has grown old. `tidewaiter verify IMAGE` shows what was found:\n"
        "image: registry.example.com/shop/api:1.4.2@sha256:"
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    ),
    references=(
        "https://slsa.dev/spec/v1.0/verifying-artifacts",
        "https://docs.sigstore.dev/cosign/verifying/attestation/",
    ),
    applies_to=(WORKLOAD,),
    needs_images=True,
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield what stands against the attestations of each image that the policy speaks of."""
    return image_violations(workload, context, "attestation")
