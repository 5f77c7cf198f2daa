"""Find all that a registry keeps of signatures for one digest.

Looked at are the tags `sha256-….sig` and `sha256-….att`, and what refers to the digest (the referrers
API, or the index at the tag `sha256-…`). What a listing says of its entries is not believed: each
manifest is fetched by its digest, and must itself name the image as its subject.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.errors import RegistryError
from tidewaiter.rules.signatures.candidate import (
    BUNDLE_PREFIX,
    DSSE_LAYER,
    SIMPLE_SIGNING_LAYER,
    Candidate,
    read_bundle,
    read_dsse,
    read_simple,
)
from tidewaiter.rules.signatures.registry import BLOB_LIMIT, is_digest
from tidewaiter.rules.signatures.registry_errors import BadAnswer, NotFound, TooMuch
from tidewaiter.rules.signatures.statement import BadSignature

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from tidewaiter.rules.signatures.registry import Manifest, RegistryClient, Repository

MOST_SIGNATURES = 256
"""Signatures and attestations of one image that are looked at; an image with more is refused."""
MOST_BYTES = 48 * 1024 * 1024
"""What they may have together."""
PAYLOAD_LIMIT = 64 * 1024
"""Bytes of a simple signing payload."""
_AT_ONCE = 8

SIMPLE_TAG = "simple signing, .sig tag"
SIMPLE_REFERRER = "simple signing, referrer"
DSSE_TAG = "DSSE, .att tag"
DSSE_REFERRER = "DSSE, referrer"
BUNDLE = "Sigstore bundle"
FORMS = (SIMPLE_TAG, SIMPLE_REFERRER, DSSE_TAG, DSSE_REFERRER, BUNDLE)

_COSIGN_SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
_COSIGN_ATTESTATION = "application/vnd.dev.cosign.artifact.att.v1+json"


@dataclass(slots=True)
class Found:
    """Candidates, why others are none, and what could not be read and may have been one."""

    candidates: list[Candidate] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


async def search(
    client: RegistryClient, repository: Repository, digest: str, *, attestations: bool
) -> Found:
    """Return what there is for a digest. Raises RegistryError where nothing can be said."""
    return await _Search(client, repository, digest).run(attestations=attestations)


class _Search:
    def __init__(self, client: RegistryClient, repository: Repository, digest: str) -> None:
        self._client = client
        self._repository = repository
        self._digest = digest
        self._found = Found()
        self._bytes = 0
        self._count = 0
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def run(self, *, attestations: bool) -> Found:
        tag = self._digest.replace(":", "-")
        sources = [self._tag(f"{tag}.sig"), self._referrers()]
        if attestations:
            sources.append(self._tag(f"{tag}.att"))
        await _together(map(self._source, sources))
        # The order of arrival is chance; reasons and evidence are the same each time.
        self._found.candidates.sort(key=lambda one: (one.form, one.digest, one.signatures))
        self._found.rejected.sort()
        self._found.unread.sort()
        return self._found

    async def _source(self, reading: Coroutine[Any, Any, None]) -> None:
        """Read one of the places: a signature that is found counts though another place cannot be read."""
        try:
            await reading
        except BadAnswer:
            raise
        except RegistryError as error:
            self._found.unread.append(error.message)

    async def _tag(self, tag: str) -> None:
        try:
            manifest = await self._client.manifest(self._repository, tag)
        except NotFound:
            return
        simple = tag.endswith(".sig")
        await self._layers(
            manifest,
            f"{self._repository.name}:{tag}",
            SIMPLE_TAG if simple else DSSE_TAG,
            SIMPLE_SIGNING_LAYER if simple else DSSE_LAYER,
        )

    async def _referrers(self) -> None:
        listed = await self._client.referrers(self._repository, self._digest)
        self._take(len(listed))
        await _together(
            self._guarded(_short(descriptor.digest), self._referrer(descriptor.digest))
            for descriptor in listed
        )

    async def _guarded(self, name: str, reading: Coroutine[Any, Any, None]) -> None:
        """Read one of many: what is wrong with it must not hide the others."""
        try:
            await reading
        except TooMuch:
            raise
        except BadSignature as error:
            self._found.rejected.append(f"{name}: {error}")
        except (BadAnswer, NotFound) as error:
            self._found.rejected.append(error.message)
        except RegistryError as error:
            self._found.unread.append(error.message)
        except Exception as error:  # noqa: BLE001 - one that cannot be read is no signature
            self._found.rejected.append(f"{name}: cannot be read: {type(error).__name__}")

    async def _referrer(self, digest: str) -> None:
        async with self._turn:
            manifest = await self._client.manifest(self._repository, digest)
        document = manifest.document
        config = document.get("config")
        config_type = str(config.get("mediaType")) if isinstance(config, dict) else ""
        kind = document.get("artifactType") or config_type
        if not isinstance(kind, str) or not (
            kind.startswith(BUNDLE_PREFIX)
            or {kind, config_type} & {_COSIGN_SIGNATURE, _COSIGN_ATTESTATION}
        ):
            return
        subject = document.get("subject")
        if not isinstance(subject, dict) or subject.get("digest") != self._digest:
            raise BadSignature("the manifest does not name this image as its subject")
        if kind.startswith(BUNDLE_PREFIX):
            await self._bundle(manifest)
            return
        simple = _COSIGN_SIGNATURE in {kind, config_type}
        await self._layers(
            manifest,
            f"{self._repository.name}@{digest}",
            SIMPLE_REFERRER if simple else DSSE_REFERRER,
            SIMPLE_SIGNING_LAYER if simple else DSSE_LAYER,
            counted=1,
        )

    async def _bundle(self, manifest: Manifest) -> None:
        layers = _layers_of(manifest)
        if len(layers) != 1 or not str(layers[0].get("mediaType")).startswith(BUNDLE_PREFIX):
            raise BadSignature("the manifest has not exactly one layer that is a bundle")
        content = await self._blob(layers[0], BLOB_LIMIT)
        self._found.candidates.append(read_bundle(BUNDLE, manifest.digest, content))

    async def _layers(
        self, manifest: Manifest, name: str, form: str, layer_type: str, counted: int = 0
    ) -> None:
        layers = _layers_of(manifest)
        self._take(len(layers) - counted)
        await _together(
            self._guarded(
                f"{name}, layer {_short(str(layer.get('digest')))}",
                self._layer(layer, form, layer_type),
            )
            for layer in layers
        )

    async def _layer(self, layer: Mapping[str, Any], form: str, layer_type: str) -> None:
        if layer.get("mediaType") != layer_type:
            shown = str(layer.get("mediaType"))[:80]
            raise BadSignature(f"the layer's media type is {shown!r}, not {layer_type}")
        annotations = _annotations(layer)
        simple = layer_type == SIMPLE_SIGNING_LAYER
        content = await self._blob(layer, PAYLOAD_LIMIT if simple else BLOB_LIMIT)
        read = read_simple if simple else read_dsse
        self._found.candidates.append(read(form, str(layer["digest"]), content, annotations))

    async def _blob(self, layer: Mapping[str, Any], limit: int) -> bytes:
        digest, size = layer.get("digest"), layer.get("size")
        if not isinstance(digest, str) or not is_digest(digest):
            raise BadSignature("the layer has no digest")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise BadSignature("the layer has no size")
        if size > limit:
            raise BadSignature(f"the layer has {size} bytes, the limit is {limit}")
        self._bytes += size
        if self._bytes > MOST_BYTES:
            raise TooMuch(
                f"the signatures of {self._repository.name}@{self._digest} have more than "
                f"{MOST_BYTES} bytes, the limit"
            )
        async with self._turn:
            content = await self._client.blob(self._repository, digest, size)
        if len(content) != size:
            raise BadSignature(f"the layer has {len(content)} bytes, its manifest says {size}")
        return content

    def _take(self, count: int) -> None:
        self._count += max(0, count)
        if self._count > MOST_SIGNATURES:
            raise TooMuch(
                f"{self._repository.name}@{self._digest} has {self._count} signatures and "
                f"attestations or more; an image with more than {MOST_SIGNATURES} is refused"
            )


async def _together(readings: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await all; at the first failure end the others, which nobody would wait for."""
    tasks = [asyncio.ensure_future(reading) for reading in readings]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _layers_of(manifest: Manifest) -> list[dict[str, Any]]:
    layers = manifest.document.get("layers") or []
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise BadAnswer(f"the manifest {manifest.digest} has layers that are no list of objects")
    return layers


def _annotations(layer: Mapping[str, Any]) -> dict[str, str]:
    annotations = layer.get("annotations") or {}
    if not isinstance(annotations, dict):
        raise BadSignature("the layer's annotations are no object")
    return {key: value for key, value in annotations.items() if isinstance(value, str)}


def _short(digest: str) -> str:
    return f"{digest[:19]}…" if len(digest) > 20 else digest
