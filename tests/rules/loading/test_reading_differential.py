"""The composer agrees with a plain, slow reading of the same events, written apart from it."""

from __future__ import annotations

import json
import math
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tidewaiter.rules.loading.documents import load_documents

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
TRUE = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
FALSE = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
NULL = {"", "~", "null", "Null", "NULL"}
SPECIAL = {
    re.compile(r"\+?\.(inf|Inf|INF)"): math.inf,
    re.compile(r"-\.(inf|Inf|INF)"): -math.inf,
    re.compile(r"\.(nan|NaN|NAN)"): math.nan,
}
INTEGERS = (
    (re.compile(r"([-+]?)0[xX]([0-9a-fA-F]+)"), 16),
    (re.compile(r"([-+]?)0[bB]([01]+)"), 2),
    (re.compile(r"()0b([-+][01]+)"), 2),
    (re.compile(r"([-+]?)0[oO]?([0-7]+)"), 8),
    (re.compile(r"([-+]?)(0|[1-9][0-9]*)"), 10),
)
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class NotReadableError(Exception):
    pass


def resolve(text: str) -> Any:
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    if text in NULL:
        return None
    for pattern, number in SPECIAL.items():
        if pattern.fullmatch(text):
            return number
    if not re.match(r"[-+.0-9]", text):
        return text
    if text.startswith("."):
        plain = re.sub(r"(?<=[0-9])_(?=[0-9])", "", text)
        return as_float(plain, text)
    plain = text.replace("_", "")
    for pattern, base in INTEGERS:
        found = pattern.fullmatch(plain)
        if found:
            whole = int(found[1] + found[2], base)
            if -(2**63) <= whole < 2 ** (63 if plain[0] in "+-" or found[2][0] in "+-" else 64):
                return whole
    return as_float(plain, text)


def as_float(plain: str, text: str) -> Any:
    if FLOAT.fullmatch(plain) and math.isfinite(float(plain)):
        return float(plain)
    return text


def as_json(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotReadableError
        if value.is_integer() and abs(value) < 2**53:
            return int(value)
    return value


def as_key(value: Any) -> str:
    if value is None or (isinstance(value, int) and value >= 2**63):
        raise NotReadableError
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int):
        return json.dumps(value)
    return single(value)


def single(value: float) -> str:
    """Search the shortest text that a 32-bit float reads back, and lay it out as C's %g does."""
    if math.isnan(value):
        return ".nan"
    limit = struct.unpack("f", b"\xff\xff\x7f\x7f")[0] * (1 + 2**-25)
    if abs(value) >= limit:
        return ".inf" if value > 0 else "-.inf"
    exact = struct.unpack("f", struct.pack("f", value))[0]
    for digits in range(1, 18):
        shown = f"{exact:.{digits}g}"
        try:
            if struct.unpack("f", struct.pack("f", float(shown)))[0] == exact:
                break
        except OverflowError:
            continue
    scientific = f"{float(shown):.{digits - 1}e}"
    exponent = int(scientific.split("e")[1])
    return scientific if not -4 <= exponent < 6 else plain_digits(shown)


def plain_digits(shown: str) -> str:
    from decimal import Decimal

    return f"{Decimal(shown):f}"


class Oracle:
    def __init__(self, text: str) -> None:
        self.events = iter(yaml.parse(text, Loader=yaml.CBaseLoader))
        self.anchors: dict[str, Any] = {}

    def document(self) -> Any:
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        return as_json(self.value(next(self.events)))

    def value(self, event: Any) -> Any:
        """Return the value with floats kept, so that a key can be made of an aliased one."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise NotReadableError
            return self.anchors[event.anchor]
        if isinstance(event, yaml.ScalarEvent):
            got: Any = event.value
            if event.tag is None and event.implicit[0]:
                got = resolve(event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            self.anchors.pop(event.anchor or "", None)
            got = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                got.append(as_json(self.value(inner)))
        else:
            self.anchors.pop(event.anchor or "", None)
            got = self.mapping()
        if event.anchor:
            self.anchors[event.anchor] = got
        return got

    def mapping(self) -> dict[str, Any]:
        got: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
                following = next(self.events)
                merged = self.value(following)
                is_alias = isinstance(following, yaml.AliasEvent)
                if isinstance(merged, dict):
                    got.update(merged)
                elif isinstance(merged, list) and not is_alias and all(map(is_mapping, merged)):
                    for each in reversed(merged):
                        got.update(each)
                else:
                    raise NotReadableError
                continue
            key = self.value(event)
            if isinstance(key, dict | list):
                raise NotReadableError
            key = as_key(key)
            got[key] = as_json(self.value(next(self.events)))
        return got


def is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def agree(text: str) -> None:
    loaded = load_documents(text.encode(), "f.yaml")
    try:
        expected = Oracle(text).document()
    except (NotReadableError, yaml.YAMLError):
        assert loaded.errors, text
        return
    assert not loaded.errors, (text, loaded.errors)
    assert same(loaded.documents[0].value if loaded.documents else None, expected), text


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(same(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, int | float) and isinstance(right, float) and abs(right) >= 2**53:
        return not isinstance(left, bool) and float(left) == right
    return type(left) is type(right) and bool(left == right)


@given(st.text("0123456789+-._eExXobBaFinf~ynNtT:", max_size=9))
@settings(max_examples=1500, deadline=None)
def test_generated_scalars_are_read_alike(scalar: str) -> None:
    assume(not scalar.startswith(("---", "...", "- ")) and ": " not in scalar)
    agree(f"a: {scalar}")
    agree(f"{scalar}: a")


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=500, deadline=None)
def test_floats_are_read_alike_as_keys_and_values(number: float) -> None:
    agree(f"a: {number!r}\n{number!r}: 1")


LEAVES = st.sampled_from(
    [
        "1",
        "x",
        "yes",
        "~",
        "0644",
        "1.0",
        ".5",
        ".inf",
        "'5'",
        '"on"',
        "*a",
        "*b",
        "&a 1",
        "&b {p: 1, q: 2}",
        "&a [1, *b]",
        "{<<: *b}",
        "{p: 3, <<: *b, q: 4}",
        "{<<: [*b, {r: 1}]}",
    ]
)
FLOW_KEYS = st.sampled_from(["a", "b", "1", "yes", "1.5", "'k'", "<<"])
FLOW = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(FLOW_KEYS, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=12,
)


@given(FLOW)
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_generated_documents_with_anchors_and_merges_are_read_alike(document: str) -> None:
    agree(f"base: &b {{x: 0, p: 9}}\nlist: &a one\nvalue: {document}")


def test_the_corpus_is_read_alike() -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of public manifests is not beside this project")
    compared = 0
    for path in sorted(CORPUS.rglob("*.y*ml")):
        text = path.read_text()
        for part in re.split(r"^---(?=\s)", text, flags=re.MULTILINE):
            if part.strip():
                agree("---" + part if text.startswith("---") else part)
                compared += 1
    assert compared > 900
