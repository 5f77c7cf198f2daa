"""Whatever bytes a registry serves, they are read or refused in one way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.signatures.candidate import read_bundle, read_dsse, read_simple
from tidewaiter.rules.signatures.statement import (
    BadSignature,
    read_simple_signing,
    read_statement,
)
from tidewaiter.rules.signatures.strict_json import MalformedJson, read_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from(
    [
        "critical",
        "image",
        "identity",
        "type",
        "optional",
        "payload",
        "payloadType",
        "signatures",
        "sig",
        "subject",
        "digest",
        "predicateType",
        "_type",
        "mediaType",
        "verificationMaterial",
        "dsseEnvelope",
        "publicKey",
        "tlogEntries",
    ]
)
shaped = st.dictionaries(names, values | st.dictionaries(names, values, max_size=4), max_size=5)


@given(st.binary(max_size=200) | shaped.map(lambda value: json.dumps(value).encode()))
def test_no_content_is_too_odd(content: bytes) -> None:
    for read in (
        read_simple_signing,
        read_statement,
        lambda read_content: read_bundle("f", "d", read_content),
        lambda read_content: read_dsse("f", "d", read_content, {}),
        lambda read_content: read_simple(
            "f", "d", read_content, {"dev.cosignproject.cosign/signature": "AA=="}
        ),
    ):
        with pytest.raises(BadSignature):
            read(content)


@given(values)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '[{"a": {"b": 1, "b": 2}}]',
        '{"a": 1, "\\u0061": 2}',
        "NaN",
        "-Infinity",
        "1e999",
        "[" * 100_000,
        "1" * 5000,
        '{"a": 1} x',
        "",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(MalformedJson):
        read_json(text.encode())
    with pytest.raises(MalformedJson):
        read_json(b"\xff" + text.encode())
