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
from tidewaiter.webhook.apart import Apart, GaveUp
from tidewaiter.webhook.api_description import TIMEOUT_LENGTH, TIMEOUT_PATTERN
from tidewaiter.webhook.decision import packed, shortened, unpacked
from tidewaiter.webhook.judging import (
    DEFECT,
    Refusal,
    images_asked_about,
    judge,
    read,
    report_defect,
    undecided,
)
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.metrics import IMAGE_POLICY, VALIDATE
from tidewaiter.webhook.slow_reviews import SlowReviews

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.webhook.judging import Answered, Request
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
LARGE = 64 * 2**10
"""Bytes of a request that is judged apart; what is smaller takes a tenth of a second at most, by the catalogue's rules."""
MOST_WAITING = 64
"""Reviews that wait to be judged apart; more would take the places of those that take no time."""
_DURATION = re.compile(TIMEOUT_PATTERN)
_BUFFERED = 64 * 2**20
"""Bytes of all requests that are being read, and of large ones that wait for their verdict; more are turned away, however many clients send at once."""
_THROWN_AWAY = 64 * 2**20
_LINGER = 2.0
"""What is still read after an answer that refuses a body, and for how long: a client that is cut off while it sends
loses the answer."""


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
        self._apart = Apart()
        self._slow = SlowReviews()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to a path of PATHS."""
        serving = self._serving
        gate = PATHS[scope["path"]]
        began: float = scope["state"].get("began") or time.monotonic()
        self._in_flight += 1
        held = 0
        try:
            body = await self._body(scope, receive)
            timeout = _timeout(scope["query_string"])
            held = len(body) if len(body) > LARGE else 0
            self._buffered += held
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
            self._buffered -= held
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
    ) -> Answered:
        """Return the decision and the bytes of its answer. Raises Refusal for what is no review."""
        margin = min(patience * MARGIN, _LARGEST_MARGIN)
        deadline = began + patience - margin
        today = self._serving.today()
        is_large = len(body) > LARGE
        if is_large and loaded.policy.images is None:
            return await self._judged_apart(gate, body, loaded, today, deadline, margin, {})
        request = read(gate, body)
        try:
            answers = await self._ask(loaded, request, deadline)
        except Exception as error:  # noqa: BLE001 - whatever a defect is, the API server gets an answer
            report_defect(error)
            return undecided(request, loaded, DEFECT)
        if is_large or self._slow.expects(request.subject, len(body), loaded):
            return await self._judged_apart(gate, body, loaded, today, deadline, margin, answers)
        _lay_out(loaded, answers)
        began_judging = time.thread_time()
        result = judge(request, loaded, today, deadline)
        self._slow.note(request.subject, len(body), loaded, time.thread_time() - began_judging)
        return result

    async def _judged_apart(
        self,
        gate: str,
        body: bytes,
        loaded: LoadedPolicy,
        today: str,
        deadline: float,
        margin: float,
        answers: Mapping[str, ImageAnswer],
    ) -> Answered:
        """Judge a review that takes long while others go on; where it cannot be judged in time, the policy says what then."""
        if self._apart.waiting >= MOST_WAITING:
            raise _overloaded()

        def work() -> bytes:
            try:
                request = read(gate, body)
            except Refusal as refusal:
                return orjson.dumps([refusal.status, refusal.reason, refusal.message])
            _lay_out(loaded, answers)
            decision, response = judge(request, loaded, today, deadline - margin)
            return packed(shortened(decision)) + b"\n" + response

        try:
            # Its rules stop a margin before the deadline; what does not is ended there.
            result = await self._apart.run(work, deadline - time.monotonic())
            self._serving.metrics.apart.labels("success").inc()
        except OSError as error:
            logger.error("no copy of the server can be made, so reviews wait: %s", error.strerror)
            result = work()
        except GaveUp as why:
            self._serving.metrics.apart.labels("failure").inc()
            logger.error("a review in a copy of the server could not be judged: %s", why)
            return undecided(read(gate, body), loaded, f"tidewaiter could not judge this: {why}")
        line, _, response = result.partition(b"\n")
        if not response:
            raise Refusal(*orjson.loads(line))
        return unpacked(line), response

    async def _ask(
        self, loaded: LoadedPolicy, request: Request, deadline: float
    ) -> Mapping[str, ImageAnswer]:
        """Find out about the images that a request needs to know about."""
        facts = loaded.policy.images
        if facts is None:
            return {}
        images, puller = images_asked_about(request, loaded)
        if not images:
            return {}
        left = (deadline - time.monotonic()) * _FOR_IMAGES
        return await self._serving.images.find_out(facts, images, left, puller)

    def _too_large(self) -> Refusal:
        return Refusal(413, "too_large", f"a request has at most {self._max_body} bytes")


def _lay_out(loaded: LoadedPolicy, answers: Mapping[str, ImageAnswer]) -> None:
    """Put answers about images where the review that follows at once reads them.

    No await may stand between: another request would put its own answers there.
    """
    if loaded.policy.images is not None:
        loaded.policy.images.answers = answers


def _check_headers(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the stated length of a body of JSON. Raises Refusal for another type, and for what is compressed."""
    length, kind, encoding = 0, b"", b"identity"
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"content-type":
            kind = value
        elif name == b"content-encoding":
            encoding = value.strip().lower()
    if kind.partition(b";")[0].strip().lower() != b"application/json":
        raise Refusal(415, "content_type", "the body of a review has the type application/json")
    if encoding not in {b"identity", b""}:
        raise Refusal(415, "content_type", "the body of a review is not compressed")
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
