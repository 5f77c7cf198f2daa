"""What a policy's section `images` asks of an image, and what a gate has found out in a run."""

from __future__ import annotations

from tidewaiter.rules.image_answers import ImageAnswer, ImageProblem
from tidewaiter.rules.manifest.image import parse_image
from tidewaiter.rules.manifest.puller import puller_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from re import Pattern
    from typing import Any

    from tidewaiter.rules.manifest.puller import Puller
    from tidewaiter.rules.manifest.workload import Workload

_UNMATCHED = ImageAnswer(
    "", (ImageProblem("no entry of the policy's images is for it, and unmatched says deny"),)
)


class ImageFacts:
    """Which images the policy speaks of, and the answers of this run.

    `answers` is set by the gate, by the image as the manifest states it, before it judges what has these
    images; `answers_by` has them by who pulls, where the gate judges pods of several and the policy lets their
    own pull secrets count. `decides` is true of a gate that must say yes or no: there what is not known is a violation,
    unless the policy's `onUnreachable` says otherwise.
    """

    __slots__ = (
        "_compiled",
        "_first",
        "_unmatched",
        "answers",
        "answers_by",
        "decides",
        "entries",
        "settings",
    )

    def __init__(
        self, entries: Sequence[Mapping[str, Any]], settings: Mapping[str, Any] | None = None
    ) -> None:
        """Keep valid entries; their patterns are compiled when they are first asked for."""
        stated = settings or {}
        self.entries = entries
        self.settings = stated
        self.answers: Mapping[str, ImageAnswer] = {}
        self.answers_by: Mapping[Puller | None, Mapping[str, ImageAnswer]] = {}
        self.decides = False
        self._compiled: list[tuple[Pattern[str], Pattern[str] | None]] | None = None
        self._first = stated.get("matching") == "first"
        self._unmatched = stated.get("unmatched") == "deny"

    def puller(self, workload: Workload) -> Puller | None:
        """Return by whose pull secrets a workload's images are asked about; None where they do not count."""
        return puller_of(workload) if self.settings.get("podPullSecrets") else None

    def places(self, image: object) -> tuple[int, ...]:
        """Return the places of the entries that hold for an image. Raises InvalidImage."""
        from tidewaiter.rules.policy.image_patterns import compile_patterns, image_name

        name = image_name(parse_image(image))
        if self._compiled is None:
            self._compiled = [
                (
                    compile_patterns(row["match"]),
                    compile_patterns(row["exclude"]) if row.get("exclude") else None,
                )
                for row in self.entries
            ]
        found = []
        for place, (match, exclude) in enumerate(self._compiled):
            if match.fullmatch(name) and not (exclude and exclude.fullmatch(name)):
                found.append(place)
                if self._first:
                    break
        return tuple(found)

    def asks(self, image: object, part: str = "") -> bool:
        """Tell whether the policy asks for a "signature" or an "attestation" of an image, or for either.

        Raises InvalidImage.
        """
        places = self.places(image)
        if not places:
            return self._unmatched and part != "attestation"
        return any(asks_for(self.entries[place], part) for place in places)

    def answer(self, image: str, workload: Workload | None = None) -> ImageAnswer | None:
        """Return what was found out in this run of an image, for a workload, or None."""
        if self._unmatched and not self.places(image):
            return _UNMATCHED
        if self.answers_by:
            puller = self.puller(workload) if workload is not None else None
            return self.answers_by.get(puller, {}).get(image)
        return self.answers.get(image)


def asks_for(entry: Mapping[str, Any], part: str) -> bool:
    """Tell whether an entry asks for a "signature" or an "attestation", or with "" for either."""
    if part == "signature":
        return bool(entry.get("signatures") != "ignored")
    return part != "attestation" or bool(entry.get("attestations"))
