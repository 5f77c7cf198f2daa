"""Reading every key, certificate and trust root of a policy before any image is asked about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidewaiter.rules.errors import InputError, PolicyError
from tidewaiter.rules.policy.image_authorities import signing_parts
from tidewaiter.rules.signatures.material import check_certificates, check_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.policy.images import ImageFacts


def check_section(facts: ImageFacts, file: str) -> None:
    """Raise PolicyError for the materials that cannot be verified by, all of them in one message."""
    found = [
        f"images[{index}]: {mistake}"
        for index, entry in enumerate(facts.entries)
        for part in signing_parts(entry)
        for mistake in _mistakes(part)
    ]
    for row in facts.settings.get("registryAuthorities", ()):
        try:
            check_certificates(row.get("data", ""), row.get("file", ""))
        except InputError as error:
            found.append(f"imageSettings.registryAuthorities: {error}")
    if found:
        raise PolicyError("\n".join(dict.fromkeys(found)), file=file)


def _mistakes(part: Mapping[str, Any]) -> Iterator[str]:
    certificate = part.get("certificate", {})
    rows = [("key", part.get("key")), ("certificate", certificate or None)]
    rows.append(("certificate", certificate.get("intermediates")))
    rows += [("certificate", each) for each in part.get("timestamp", ())]
    for kind, row in rows:
        if row is None or "data" not in row:
            continue
        named = row.get("file", "")
        try:
            (check_key if kind == "key" else check_certificates)(row["data"], named)
        except InputError as error:
            yield f"{named}: {error.message}" if named else error.message
    if "data" in part.get("trustedRoot", {}):
        yield from _root_mistakes(part)


def _root_mistakes(part: Mapping[str, Any]) -> Iterator[str]:
    row = part["trustedRoot"]
    root, named = json.loads(row["data"]), row.get("file", "the trust root")
    if not root.get("tlogs"):
        yield f"{named} names no transparency log"
    if "keyless" in part and not (root.get("certificateAuthorities") and root.get("ctlogs")):
        yield (
            f"{named} names no certificate authority or no certificate transparency log, which "
            "keyless signatures need"
        )
