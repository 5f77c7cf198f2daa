"""The two endpoints that answer with a verdict: from the bytes of a request to those of the answer.

Plain ASGI, because each layer in between costs as much as the verdict itself. A request is read whole, within the
limits of the settings, parsed by orjson, judged without pause and answered; what is recorded comes after the answer
and cannot change it.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from tidewaiter.rules.manifest.duration import parse_duration
from tidewaiter.webhook.admission import BadReview, answer, failure, parse_review
from tidewaiter.webhook.api_description import TIMEOUT_LENGTH, TIMEOUT_PATTERN
from tidewaiter.webhook.image_policy import image_answer, parse_image_review
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.metrics import IMAGE_POLICY, VALIDATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence

    from tidewaiter.webhook.admission import AdmissionRequest
    from tidewaiter.webhook.decision import Decision
    from tidewaiter.webhook.policy_watch import LoadedPolicy
    from tidewaiter.webhook.serving import Serving

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

PATHS = {f"/{VALIDATE}": VALIDATE, f"/{IMAGE_POLICY}": IMAGE_POLICY}
DEFAULT_TIMEOUT = 10.0
"""Seconds that the API server waits where its request does not say.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#timeouts"""
MARGIN = 0.1
"""The part of the timeout that is left for the way of the answer, and at most _LARGEST_MARGIN seconds of it."""
_LARGEST_MARGIN = 0.5
_FOR_IMAGES = 0.9
"""The part of what is left in which registries may answer, so that the rules after them are still reached."""
_DURATION = re.compile(TIMEOUT_PATTERN)
_BUFFERED = 64 * 2**20
"""Bytes of all requests that are being read; more are turned away, however many clients send at once."""
_THROWN_AWAY = 64 * 2**20
_LINGER = 2.0
"""What is still read after an answer that refuses a body, and for how long: a client that is cut off while it sends
loses the answer."""


class Refusal(Exception):
    """A request that gets no verdict."""

    def __init__(
        self, status: int, reason: str, message: str, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        """Keep the HTTP status, the reason as it is counted, a sentence and further headers."""
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = list(headers)


class Disconnected(Exception):
    """The client has gone before its request was whole."""


class Reviews:
    """Answers the reviews of one server."""

    def __init__(self, serving: Serving) -> None:
        """Judge by what `serving` holds at the time of each request."""
        self._serving = serving
        self._max_body = serving.settings.max_body
        self._max_in_flight = serving.settings.max_in_flight
        self._in_flight = 0
        self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to a path of PATHS."""
        serving = self._serving
        gate = PATHS[scope["path"]]
        began: float = scope["state"].get("began") or time.monotonic()
        self._in_flight += 1
        try:
            body = await self._body(scope, receive)
            timeout = _timeout(scope["query_string"])
            loaded = serving.policy.current
            decision, response = await self._decide(gate, body, loaded, began, timeout)
        except Refusal as refusal:
            serving.metrics.refused.labels(refusal.reason).inc()
            await _refuse(refusal, receive, send)
            return
        except Disconnected:
            serving.metrics.refused.labels("disconnected").inc()
            return
        finally:
            self._in_flight -= 1
        await _respond(send, 200, response)
        seconds = time.monotonic() - began
        try:
            serving.record(gate, decision, loaded, seconds, scope["headers"])
        except Exception as error:  # noqa: BLE001 - the answer is given; a defect here must not end the connection
            logger.error("a decision could not be recorded: %s", type(error).__name__)

    @property
    def in_flight(self) -> int:
        """How many requests are being received or answered."""
        return self._in_flight

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request that may have one. Raises Refusal before reading what is refused anyway."""
        if scope["method"] != "POST":
            raise Refusal(405, "method", "reviews are sent by POST", [(b"allow", b"POST")])
        if self._in_flight > self._max_in_flight:
            raise _overloaded()
        length = _check_headers(scope["headers"])
        if length > self._max_body:
            raise self._too_large()
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = message["body"]
        return body if not message["more_body"] else await self._rest(body, receive)

    async def _rest(self, first: bytes, receive: Receive) -> bytes:
        """Read on. The sweep over the connections ends a request that takes too long."""
        parts, size = [first], len(first)
        self._buffered += size
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                part = message["body"]
                more = message["more_body"]
                size += len(part)
                self._buffered += len(part)
                if size > self._max_body:
                    raise self._too_large()
                if self._buffered > _BUFFERED:
                    raise _overloaded()
                parts.append(part)
        finally:
            self._buffered -= size
        return b"".join(parts)

    async def _decide(
        self, gate: str, body: bytes, loaded: LoadedPolicy, began: float, patience: float
    ) -> tuple[Decision, bytes]:
        """Return the decision and the bytes of its answer. Raises Refusal for what is no review."""
        deadline = began + patience - min(patience * MARGIN, _LARGEST_MARGIN)

        def out_of_time() -> bool:
            return time.monotonic() > deadline

        try:
            payload = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Refusal(400, "json", f"the body is not JSON: {error}") from None
        today = self._serving.today()
        try:
            if gate == VALIDATE:
                request = parse_review(payload)
                try:
                    await self._ask(loaded, loaded.reviewer.images(request), deadline)
                    decision = loaded.reviewer.review(request, today=today, out_of_time=out_of_time)
                except Exception as error:  # noqa: BLE001 - whatever a defect is, the API server gets an answer
                    _report_defect(error)
                    decision = _undecided(loaded, request)
                return decision, orjson.dumps(answer(decision))
            image_request = parse_image_review(payload)
            try:
                await self._ask(loaded, image_request.images, deadline)
                decision = loaded.image_reviewer.review(
                    image_request, today=today, out_of_time=out_of_time
                )
            except Exception as error:  # noqa: BLE001 - as above
                _report_defect(error)
                decision = loaded.image_reviewer.undecided(image_request, _DEFECT)
            return decision, orjson.dumps(image_answer(decision))
        except BadReview as bad:
            raise Refusal(bad.status, "review", bad.message) from None

    async def _ask(self, loaded: LoadedPolicy, images: Sequence[str], deadline: float) -> None:
        """Find out about images, and leave the answers where the review that follows at once reads them."""
        facts = loaded.policy.images
        if facts is None:
            return
        left = (deadline - time.monotonic()) * _FOR_IMAGES
        answers = await self._serving.images.find_out(facts, images, left) if images else {}
        # No await between here and the review: another request would put its own answers there.
        facts.answers = answers

    def _too_large(self) -> Refusal:
        return Refusal(413, "too_large", f"a request has at most {self._max_body} bytes")


_DEFECT = "tidewaiter could not judge this request, because of a defect; its log says more"


def _undecided(loaded: LoadedPolicy, request: AdmissionRequest) -> Decision:
    """Return what the policy says of a request that cannot be judged; never open by a second defect."""
    try:
        return loaded.reviewer.undecided(request, _DEFECT)
    except Exception as error:  # noqa: BLE001 - as above
        _report_defect(error)
        return failure(request, _DEFECT, allowed=False)


def _report_defect(error: Exception) -> None:
    """Name the place of a defect; its message may quote a value."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].name} in {frames[-1].filename.rpartition('/')[2]}" if frames else "?"
    logger.error("a review failed, which is a defect: %s at %s", type(error).__name__, where)


def _check_headers(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the stated length of a body of JSON. Raises Refusal for another type."""
    length, kind = 0, b""
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"content-type":
            kind = value
    if kind.partition(b";")[0].strip().lower() != b"application/json":
        raise Refusal(415, "content_type", "the body of a review has the type application/json")
    return length


def _timeout(query: bytes) -> float:
    """Return the seconds that the API server waits. Raises Refusal for what is no duration."""
    if not query:
        return DEFAULT_TIMEOUT
    stated = dict(parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True)).get(
        "timeout"
    )
    if stated is None:
        return DEFAULT_TIMEOUT
    if len(stated) > TIMEOUT_LENGTH or not _DURATION.fullmatch(stated):
        message = "timeout is not a duration such as 10s or 1m30s"
        raise Refusal(400, "timeout_parameter", message)
    seconds = parse_duration(stated) / 1e9
    return seconds if seconds > 0 else DEFAULT_TIMEOUT


def _overloaded() -> Refusal:
    message = "too many requests at once; try again"
    return Refusal(429, "overload", message, [(b"retry-after", b"1")])


async def _respond(
    send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    await send(_start(status, body, headers))
    await send({"type": "http.response.body", "body": body})


def _start(status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Message:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *headers,
        ],
    }


async def _refuse(refusal: Refusal, receive: Receive, send: Send) -> None:
    """Answer, and read on for a while what the client is still sending, so that it gets to the answer."""
    body = orjson.dumps({"message": refusal.message})
    if refusal.status != 413:
        await _respond(send, refusal.status, body, refusal.headers)
        return
    await send(_start(refusal.status, body, [*refusal.headers, (b"connection", b"close")]))
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await _throw_away(receive)
    await send({"type": "http.response.body", "body": b""})


async def _throw_away(receive: Receive) -> None:
    import asyncio

    size = 0
    try:
        async with asyncio.timeout(_LINGER):
            while size < _THROWN_AWAY:
                message = await receive()
                if message["type"] == "http.disconnect" or not message["more_body"]:
                    return
                size += len(message["body"])
    except TimeoutError:
        return
