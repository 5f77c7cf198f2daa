"""What makes a finding the same finding in two runs.

A finding is the same while its rule, the kind, namespace and name of its object, its container and its field
are: not its file, line or message, nor the version of the object's API. Several may agree in all of these, an
overlay's copy of an object for example, so they are counted.
"""

from __future__ import annotations

from hashlib import sha256

from tidewaiter.rules.manifest.resource import kind_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidewaiter.cli.result import LintFinding

    Key = tuple[str, str, str, str, str, str]

_LENGTH = 32
"""Hexadecimal digits: 128 bits are enough for no two to meet by chance."""


def identity(finding: LintFinding) -> Key:
    """Return rule, kind, namespace, name, container and field; "" for what there is not."""
    kind = kind_id(finding.api_version, finding.kind) if finding.kind else ""
    return (
        finding.rule,
        kind,
        finding.namespace or "",
        finding.name,
        finding.container or "",
        finding.field or finding.pointer,
    )


def fingerprints(findings: Iterable[LintFinding], *, by_file: bool = True) -> list[str]:
    """Return a fingerprint for each finding, unique among them where they are `by_file`.

    With `by_file` the file's path is a part of it. Without, findings are still counted within their file, so
    that the fingerprint of one does not change with what stands in another.
    """
    seen: dict[tuple[str, Key], int] = {}
    found = []
    for finding in findings:
        key = identity(finding)
        number = seen[finding.file, key] = seen.get((finding.file, key), 0) + 1
        parts = (*key, str(number), *((finding.file,) if by_file else ()))
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        found.append(sha256(text).hexdigest()[:_LENGTH])
    return found
