"""What hostile bytes are fed to: one function for each reader, which raises where the reader breaks its word.

Each takes any bytes. A reader may refuse them with its own error and with no other; what it takes must keep the
promises that stand here. `run.py` lets atheris look for bytes that break one, `test_corpus.py` replays those that did.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson

from tidewaiter.rules.admission_policy.environment import function_table
from tidewaiter.rules.cel.check import Environment
from tidewaiter.rules.cel.compiled import Budget, Expression
from tidewaiter.rules.cel.syntax import ExpressionError
from tidewaiter.rules.cel.types import DYN
from tidewaiter.rules.cel.values import CostExceeded, EvaluationError
from tidewaiter.rules.errors import InputError, PolicyError, RegistryError
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.manifest.image import InvalidImage, parse_image
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.validation import validated
from tidewaiter.rules.signatures import registry
from tidewaiter.rules.signatures.authority import (
    Identity,
    KeyAuthority,
    KeylessAuthority,
    TextMatch,
    TrustedRoot,
)
from tidewaiter.rules.signatures.candidate import Candidate, read_bundle, read_dsse, read_simple
from tidewaiter.rules.signatures.challenge import challenges
from tidewaiter.rules.signatures.statement import BadSignature
from tidewaiter.rules.signatures.trust import Undecided, check
from tidewaiter.webhook.admission import Reviewer, answer
from tidewaiter.webhook.admission_request import BadReview, parse_review
from tidewaiter.webhook.image_policy import ImageReviewer, image_answer, parse_image_review

FOLDER = Path(__file__).parent
TODAY = "2027-01-01"
SEPARATOR = b"\n----\n"
"""Between the parts of an input that has several."""


def manifests(data: bytes) -> None:
    """Files of manifests: nothing is raised, and each error has its file and a message."""
    content = read_resources(data, "input.yaml", explicit=True)
    for error in content.errors:
        assert type(error) is InputError
        assert error.message
        assert error.file == "input.yaml"
    for resource in content.resources:
        assert isinstance(resource.kind, str)
        assert isinstance(resource.name, str)


def images(data: bytes) -> None:
    """Image references: refused, or read so that what they are written as reads the same."""
    text = data.decode("utf-8", "replace")
    with suppress(InvalidImage):
        read = parse_image(text)
        assert parse_image(str(read)) == read


def admission(data: bytes) -> None:
    """Bodies of the webhook: refused as no review, or answered, and no rule raises on the object in it."""
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    reviewer, image_reviewer = _reviewers()
    with suppress(BadReview):
        asked = parse_review(payload)
        decision = reviewer.review(asked, today=TODAY, out_of_time=lambda: False)
        assert not decision.crashed_rules, decision.crashed_rules
        response = json.loads(orjson.dumps(answer(decision)))["response"]
        assert response["uid"] == asked.subject.uid
        assert response["allowed"] is decision.allowed
    with suppress(BadReview):
        request = parse_image_review(payload)
        decision = image_reviewer.review(request, today=TODAY, out_of_time=lambda: False)
        assert not decision.crashed_rules, decision.crashed_rules
        orjson.dumps(image_answer(decision))


@cache
def _reviewers() -> tuple[Reviewer, ImageReviewer]:
    text = b"{apiVersion: tidewaiter.dev/v1, kind: Policy, metadata: {name: all}, spec: {profile: all}}"
    policy = Policy(validated(text, "tidewaiter.yaml"))
    return (
        Reviewer(policy, Inventory((), complete=False), policy_hash="0"),
        ImageReviewer(policy, policy_hash="0"),
    )


def policies(data: bytes) -> None:
    """Policy files: refused with mistakes that have places, or taken and good for a verdict."""
    try:
        plain = validated(data, str(FOLDER / "nowhere" / "tidewaiter.yaml"))
    except PolicyError:
        return
    policy = Policy(plain)
    reviewer = Reviewer(policy, Inventory((), complete=False), policy_hash="0")
    asked = parse_review(json.loads((FOLDER / "corpus/admission/pod.json").read_bytes()))
    reviewer.review(asked, today=TODAY, out_of_time=lambda: False)


def expressions(data: bytes) -> None:
    """CEL: refused with a place, or evaluated within its budget."""
    source = data.decode("utf-8", "replace")
    variables = {"object": DYN, "oldObject": DYN, "params": DYN}
    try:
        expression = Expression(source, Environment(variables, function_table()))
    except ExpressionError:
        return
    values = {"object": _OBJECT, "oldObject": None, "params": {"most": 3, "names": ["a", "b"]}}
    with suppress(EvaluationError, CostExceeded):
        expression.evaluate(values, Budget(100_000))


_OBJECT: dict[str, Any] = {
    "metadata": {"name": "api", "labels": {"app": "api"}},
    "spec": {"replicas": 3, "ratio": 0.5, "paused": False, "args": ["a", "b", "1.5Gi"]},
}


def bundles(data: bytes) -> None:
    """Signatures: refused, or over the very bytes that the key or the identity of the test has signed."""
    world = _world()
    first, _, rest = data.partition(SEPARATOR)
    annotations = _annotations(rest)
    with suppress(BadSignature):
        _check(read_bundle("bundle", _DIGEST, data), world)
    for read in (read_dsse, read_simple):
        with suppress(BadSignature):
            _check(read("layer", _DIGEST, first, annotations), world)


def _check(candidate: Candidate, world: dict[str, Any]) -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    for authority in (
        KeyAuthority(world["key"]),
        KeylessAuthority(
            (Identity(TextMatch(world["issuer"]), TextMatch(world["subject"])),),
            TrustedRoot(json.dumps(world["trustedRoot"])),
        ),
    ):
        with suppress(BadSignature, Undecided):
            check(authority, candidate, now)
            assert candidate.payload.decode() in world["signed"], "a forgery was taken"


_DIGEST = "sha256:" + "1" * 64


def _annotations(data: bytes) -> dict[str, str]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}


@cache
def _world() -> dict[str, Any]:
    world: dict[str, Any] = json.loads((FOLDER / "signed_by.json").read_bytes())
    return world


def registries(data: bytes) -> None:
    """What a registry answers, as the bytes on the wire: refused with the registry's error, or read."""
    first, *answers = data.split(SEPARATOR)
    for challenge in challenges(first.decode("latin-1")):
        assert challenge.scheme == challenge.scheme.lower()
    with patch.object(registry, "ATTEMPTS", 1):
        _loop().run_until_complete(asyncio.wait_for(_ask(answers), 20))


async def _ask(answers: list[bytes]) -> None:
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 " + (left.pop(0) if left else b"404 Not Found\r\n\r\n"))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    _loop().port = port
    settings = registry.RegistrySettings(plain_http=True)
    at = registry.Repository(f"{host}:{port}", "shop/api")
    async with server, registry.RegistryClient(settings) as client:
        for ask in (
            lambda: client.manifest(at, "v1"),
            lambda: client.referrers(at, _DIGEST),
            lambda: client.tags(at),
            lambda: client.blob(at, _DIGEST, 1000),
        ):
            with suppress(RegistryError):
                await ask()


class _OwnServerOnly(asyncio.SelectorEventLoop):
    """A loop that connects to the test's own server, wherever an answer sends it."""

    port = 0

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        if host != "127.0.0.1" or port != self.port:
            raise socket.gaierror(socket.EAI_NONAME, "no such host in this test")
        return await super().getaddrinfo(host, port, **options)

    async def create_connection(self, *arguments: Any, **options: Any) -> Any:
        if tuple(arguments[1:3]) != ("127.0.0.1", self.port):
            raise ConnectionRefusedError("no such host in this test")
        return await super().create_connection(*arguments, **options)


@cache
def _loop() -> _OwnServerOnly:
    return _OwnServerOnly()


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (manifests, images, admission, registries, bundles, policies, expressions)
}
