"""From the bytes of a review to its decision and the bytes of the answer, without pause, in whichever process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import orjson

from tidewaiter.webhook.admission import BadReview, answer, failure, parse_review
from tidewaiter.webhook.admission_request import AdmissionRequest
from tidewaiter.webhook.image_policy import image_answer, parse_image_review
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.metrics import VALIDATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidewaiter.rules.manifest.puller import Puller
    from tidewaiter.webhook.decision import Decision
    from tidewaiter.webhook.image_policy import ImageRequest
    from tidewaiter.webhook.policy_watch import LoadedPolicy

    Request = AdmissionRequest | ImageRequest
    Answered = tuple[Decision, bytes]

DEFECT = "tidewaiter could not judge this request, because of a defect; its log says more"

NO_ROOM = "tidewaiter could not judge this request within the memory that it may take for one"


class Refusal(Exception):
    """A request that gets no verdict."""

    def __init__(
        self, status: int, reason: str, message: str, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        """Keep the HTTP status, the reason as it is counted, a sentence and further headers."""
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = list(headers)


def read(gate: str, body: bytes) -> Request:
    """Return what is asked at one of the endpoints. Raises Refusal for what is no review."""
    try:
        payload = orjson.loads(body)
        return parse_review(payload) if gate == VALIDATE else parse_image_review(payload)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "json", f"the body is not JSON: {error}") from None
    except BadReview as bad:
        raise Refusal(bad.status, "review", bad.message) from None


def images_asked_about(
    request: Request, loaded: LoadedPolicy
) -> tuple[Sequence[str], Puller | None]:
    """Return the images that must have been asked about before the request is judged, and who pulls them."""
    if isinstance(request, AdmissionRequest):
        return loaded.reviewer.images(request)
    return request.images, None


def judge(request: Request, loaded: LoadedPolicy, today: str, deadline: float) -> Answered:
    """Return the decision and its answer; a rule that is reached after the deadline has no time.

    `deadline` is in seconds of the monotonic clock. Whatever a defect is, the API server gets an answer.
    """

    def out_of_time() -> bool:
        return time.monotonic() > deadline

    try:
        decision = (
            loaded.reviewer.review(request, today=today, out_of_time=out_of_time)
            if isinstance(request, AdmissionRequest)
            else loaded.image_reviewer.review(request, today=today, out_of_time=out_of_time)
        )
    except MemoryError:
        return undecided(request, loaded, NO_ROOM)
    except Exception as error:  # noqa: BLE001 - as said above
        report_defect(error)
        return undecided(request, loaded, DEFECT)
    return decision, _written(request, decision)


def undecided(request: Request, loaded: LoadedPolicy, reason: str) -> Answered:
    """Return what the policy says of a request that cannot be judged; never open by a second defect.

    `reason` is a sentence for people.
    """
    if not isinstance(request, AdmissionRequest):
        decision = loaded.image_reviewer.undecided(request, reason)
        return decision, _written(request, decision)
    try:
        decision = loaded.reviewer.undecided(request, reason)
    except Exception as error:  # noqa: BLE001 - as above
        report_defect(error)
        decision = failure(request, DEFECT, allowed=False)
    return decision, _written(request, decision)


def report_defect(error: Exception) -> None:
    """Name the place of a defect; its message may quote a value."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].name} in {frames[-1].filename.rpartition('/')[2]}" if frames else "?"
    logger.error("a review failed, which is a defect: %s at %s", type(error).__name__, where)


def _written(request: Request, decision: Decision) -> bytes:
    made = answer if isinstance(request, AdmissionRequest) else image_answer
    return orjson.dumps(made(decision))
