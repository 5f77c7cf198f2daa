"""Time the verification of signed images: `bench/signatures.py [images] [--delay MILLISECONDS]`.

A registry of its own process serves images signed by a key, half of them by bundles; `--delay` is how long it thinks before
each answer, as one that is not on this machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import statistics
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.rules.signatures.registry_server import RegistryServer
from tests.rules.signatures.signing import (
    key_bundle,
    keys,
    payload,
    push_bundle,
    push_simple,
    signed_payload,
    statement,
)
from tidewaiter.rules.signatures.authority import ImageRequirement, KeyAuthority
from tidewaiter.rules.signatures.registry import RegistryClient
from tidewaiter.rules.signatures.verify import verify_image

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

AT_ONCE = 16


def serve(count: int, delay: float, pipe: Connection) -> None:
    """Fill a registry, say where it is, and serve until told to end."""
    registry = RegistryServer(delay=delay)
    key = keys()["ECDSA P-256"]
    images = []
    for number in range(count):
        name = f"app{number}"
        digest = registry.push_image(name)
        if number % 2:
            push_bundle(registry, name, digest, key_bundle(statement(digest), key))
        else:
            signed = signed_payload(payload(digest), key.sign)
            push_simple(registry, name, digest, [signed])
        images.append(f"{registry.host}/{name}@{digest}")
    pipe.send((images, key.pem))
    pipe.recv()


async def sequential(images: list[str], asked: ImageRequirement) -> list[float]:
    """Verify one after the other, each by a client of its own: nothing is warm."""
    times = []
    for image in images:
        start = time.perf_counter()
        async with RegistryClient() as client:
            verdict = await verify_image(image, asked, client, now=datetime.now(UTC))
        times.append(time.perf_counter() - start)
        assert verdict.status == "verified", verdict
    return times


async def concurrent(images: list[str], asked: ImageRequirement) -> float:
    """Verify all by one client, as many at once as the command does."""
    turn = asyncio.Semaphore(AT_ONCE)
    start = time.perf_counter()
    async with RegistryClient() as client:

        async def one(image: str) -> None:
            async with turn:
                verdict = await verify_image(image, asked, client, now=datetime.now(UTC))
                assert verdict.status == "verified", verdict

        await asyncio.gather(*map(one, images))
    return time.perf_counter() - start


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=int, nargs="?", default=200)
    parser.add_argument("--delay", type=float, default=0.0, metavar="MILLISECONDS")
    arguments = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(
        target=serve, args=(arguments.images, arguments.delay / 1000, there), daemon=True
    )
    server.start()
    images, pem = here.recv()
    asked = ImageRequirement(KeyAuthority(pem))
    asyncio.run(concurrent(images[:4], asked))
    times = asyncio.run(sequential(images, asked))
    whole = asyncio.run(concurrent(images, asked))
    here.send("end")
    server.join(5)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(images)} images, {arguments.delay:g} ms before each answer")
    print(
        f"one: {statistics.median(times) * 1000:.1f} ms median, {max(times) * 1000:.1f} ms at most"
    )
    print(f"one after the other: {sum(times):.2f} s; at once: {whole:.2f} s")
    print(f"{sum(times) / whole:.1f} times as fast; {memory} MB at most")


if __name__ == "__main__":
    main()
