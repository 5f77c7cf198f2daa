"""The section `images` beyond its form: keys, certificates and trust roots are read, conditions checked.

What files hold becomes part of the plain policy, so that its hash changes with a key.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.signatures.authority import PREDICATE_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST = 4 * 1024 * 1024
"""Of a file that the section names; the public trust root has 7 KB."""
_TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot"


class SectionMistake(NamedTuple):
    """What is wrong, and where: a JSON pointer from the policy file's root, and a place in a text."""

    pointer: str
    message: str
    offset: int = 0


def read_section(
    rows: list[dict[str, Any]], folder: str
) -> tuple[list[dict[str, Any]], list[SectionMistake]]:
    """Return the entries with what their files hold, and the mistakes that the model does not see.

    rows: of a valid form. folder: of the policy file.
    """
    reader = _Reader(folder)
    read = [reader.entry(row, f"/spec/images/{index}") for index, row in enumerate(rows)]
    return read, reader.mistakes


def read_settings(
    settings: dict[str, Any], folder: str
) -> tuple[dict[str, Any], list[SectionMistake]]:
    """Return `imageSettings` of a valid form with what its files hold, and the mistakes in them."""
    reader, pointer = _Reader(folder), "/spec/imageSettings/registryAuthorities"
    read = [
        reader.material(row, f"{pointer}/{index}", "CERTIFICATE")
        for index, row in enumerate(settings["registryAuthorities"])
    ]
    return {**settings, "registryAuthorities": read}, reader.mistakes


class _Reader:
    """Walks the entries, and keeps what is wrong."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.mistakes: list[SectionMistake] = []

    def entry(self, row: dict[str, Any], pointer: str) -> dict[str, Any]:
        found = {
            **row,
            "authorities": self.authority(row["authorities"], f"{pointer}/authorities"),
        }
        if "attestations" in row:
            found["attestations"] = [
                self._attestation(each, f"{pointer}/attestations/{index}")
                for index, each in enumerate(row["attestations"])
            ]
        return found

    def _attestation(self, row: dict[str, Any], pointer: str) -> dict[str, Any]:
        from tidewaiter.rules.policy.attestation_conditions import mistakes_in

        self.mistakes += [
            SectionMistake(f"{pointer}/conditions{each.pointer}", each.message, each.offset)
            for each in mistakes_in(row.get("conditions", ()))
        ]
        found = {**row, "type": PREDICATE_TYPES.get(row["type"], row["type"])}
        if "authorities" in row:
            found["authorities"] = self.authority(row["authorities"], f"{pointer}/authorities")
        return found

    def authority(self, row: dict[str, Any], pointer: str) -> dict[str, Any]:
        found = dict(row)
        for name, kind in (("key", "PUBLIC KEY"), ("certificate", "CERTIFICATE")):
            if name in row:
                found[name] = self.material(row[name], f"{pointer}/{name}", kind)
        if "intermediates" in row.get("certificate", {}):
            found["certificate"]["intermediates"] = self.material(
                row["certificate"]["intermediates"],
                f"{pointer}/certificate/intermediates",
                "CERTIFICATE",
            )
        if "timestamp" in row:
            found["timestamp"] = [
                self.material(each, f"{pointer}/timestamp/{index}", "CERTIFICATE")
                for index, each in enumerate(row["timestamp"])
            ]
        if "trustedRoot" in row:
            found["trustedRoot"] = self.material(row["trustedRoot"], f"{pointer}/trustedRoot", "")
        for name in ("anyOf", "allOf"):
            if name in row:
                found[name] = self._all(row[name], f"{pointer}/{name}")
        if "atLeast" in row:
            parts = self._all(row["atLeast"]["of"], f"{pointer}/atLeast/of")
            found["atLeast"] = {**row["atLeast"], "of": parts}
            signers = [_without_names(part) for part in parts]
            self.mistakes += [
                SectionMistake(
                    f"{pointer}/atLeast/of/{index}",
                    "this authority stands above already: one signature must not count twice",
                )
                for index, signer in enumerate(signers)
                if signer in signers[:index]
            ]
        return found

    def _all(self, rows: list[dict[str, Any]], pointer: str) -> list[dict[str, Any]]:
        return [self.authority(row, f"{pointer}/{index}") for index, row in enumerate(rows)]

    def material(self, row: dict[str, Any], pointer: str, kind: str) -> dict[str, Any]:
        """Return a material with its text; kind: of the PEM that is wanted, "" for a trust root."""
        found = dict(row)
        if "secretRef" in row:
            found["secretRef"] = {"key": "cosign.pub", **row["secretRef"]}
            return found
        where = f"{pointer}/data"
        if "file" in row:
            where = f"{pointer}/file"
            try:
                found["data"] = self._text_of(row["file"])
            except InputError as error:
                self.mistakes.append(SectionMistake(where, f"{row['file']}: {error.message}"))
                return found
        for problem in material_problems(found["data"], kind):
            named = f"{row['file']} {problem}" if "file" in row else f"this {problem}"
            self.mistakes.append(SectionMistake(where, named))
        return found

    def _text_of(self, file: str) -> str:
        path = os.path.join(self._folder, file)
        content = read_file(path)
        if len(content) > _LARGEST:
            raise InputError(f"is larger than {_LARGEST >> 20} MiB")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError("is no text") from None


def _without_names(value: Any) -> Any:
    """Return what an authority is, whatever it is called and wherever its key is read from."""
    if isinstance(value, dict):
        return {
            key: _without_names(each) for key, each in value.items() if key not in {"name", "file"}
        }
    if isinstance(value, list):
        return [_without_names(each) for each in value]
    return value.strip() if isinstance(value, str) else value


def material_problems(text: str, kind: str) -> Iterator[str]:
    """Yield what is wrong with a key, certificates or a trust root, as far as their form shows it."""
    if not kind:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            yield "is no JSON; a trust root is a trusted_root.json"
            return
        stated = value.get("mediaType") if isinstance(value, dict) else None
        if not isinstance(stated, str) or not stated.startswith(_TRUSTED_ROOT):
            yield f"is no trust root: its mediaType is not {_TRUSTED_ROOT}+json;version=0.1 or later"
        return
    if "PRIVATE KEY-----" in text:
        yield "holds a private key; a policy needs the public key alone, and the private one must not be here"
    elif f"-----BEGIN {kind}-----" not in text:
        held = text.partition("-----BEGIN ")[2].partition("-----")[0]
        what = f"holds a {held[:40]}" if held else "holds no PEM"
        yield f"{what} where -----BEGIN {kind}----- is asked for"
    elif kind == "PUBLIC KEY" and text.count(f"-----BEGIN {kind}-----") > 1:
        yield "holds several keys; each is an authority of its own"
    elif f"-----END {kind}-----" not in text:
        yield f"has no line -----END {kind}-----"
