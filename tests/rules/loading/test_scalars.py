"""Scalars mean what Kubernetes makes of them.

The expected values were taken from sigs.k8s.io/yaml 1.6 itself (`yaml.YAMLToJSON`).
"""

from __future__ import annotations

import pytest

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.documents import load_documents

READINGS = {
    "y": True,
    "Yes": True,
    "on": True,
    "TRUE": True,
    "n": False,
    "NO": False,
    "Off": False,
    "yEs": "yEs",
    "tRUE": "tRUE",
    "": None,
    "~": None,
    "Null": None,
    "nULL": "nULL",
    "~a": "~a",
    "=": "=",
    "<<": "<<",
    "0644": 420,
    "0o644": 420,
    "08": 8,
    "08.5": 8.5,
    "0x1F": 31,
    "-0x1f": -31,
    "0xg": "0xg",
    "0b11": 3,
    "0b-1": -1,
    "-0b-1": "-0b-1",
    "0b2": "0b2",
    "1_000": 1000,
    "1__0": 10,
    "_1": "_1",
    "-_5": -5,
    "0x_1": 1,
    "+5": 5,
    "--1": "--1",
    "12:30": "12:30",
    "190:20:30.15": "190:20:30.15",
    "2001-01-01": "2001-01-01",
    "2001-12-14t21:59:43.10-05:00": "2001-12-14t21:59:43.10-05:00",
    "1.0": 1,
    "1.5": 1.5,
    "1e3": 1000,
    "1E+3": 1000,
    ".5": 0.5,
    "5.": 5,
    ".5_0": 0.5,
    "._5": "._5",
    "+.5": 0.5,
    "-0.0": 0,
    "1e999": "1e999",
    "1e": "1e",
    "0x1p4": "0x1p4",
    "inf": "inf",
    "nan": "nan",
    "9223372036854775807": 9223372036854775807,
    "18446744073709551615": 18446744073709551615,
    "18446744073709551616": 18446744073709551616.0,
    "1234567890123456789.0": 1234567890123456800,
    "100m": "100m",
    "1Gi": "1Gi",
    "1,000": "1,000",
    "!!str 5": "5",
    "!!int '5'": 5,
    "!!float 5": 5,
    "!!bool yes": True,
    "!!null ''": None,
    "!!timestamp 2001-1-1": "2001-1-1",
    "!!binary aGk=": "hi",
    "!!binary /w==": "\ufffd",
    "!custom 5": "5",
    "! 5": "5",
    "'5'": "5",
    '"yes"': "yes",
}

REFUSED = [
    ".inf",
    "-.INF",
    ".NaN",
    "!!int abc",
    "!!int 1.5",
    "!!bool 1",
    "!!null x",
    "!!float 18446744073709551615",
    "!!timestamp 2001-02-30",
    "!!timestamp 5",
    "!!binary a",
]

KEYS = {
    "yes": "true",
    "off": "false",
    "0x10": "16",
    "0644": "420",
    "1.5": "1.5",
    "1.0": "1",
    "27E05": "2.7e+06",
    "0.00001": "1e-05",
    "16777217.0": "1.6777216e+07",
    ".inf": ".inf",
    "-.inf": "-.inf",
    ".nan": ".nan",
    "1e300": ".inf",
    "'yes'": "yes",
    "!!str 5": "5",
    "!!float 5": "5",
    "2001-01-01": "2001-01-01",
}

REFUSED_KEYS = ["~", "? ''\n? !!null ''", "18446744073709551615", "[a]", "{a: b}"]


def read(text: str) -> object:
    loaded = load_documents(text.encode(), "f.yaml")
    if loaded.errors:
        raise loaded.errors[0]
    return loaded.documents[0].value


@pytest.mark.parametrize(("written", "value"), READINGS.items())
def test_a_value_is_read_as_kubernetes_reads_it(written: str, value: object) -> None:
    got = read(f"a: {written}")
    assert got == {"a": value}
    assert isinstance(got, dict)
    assert type(got["a"]) is type(value)


@pytest.mark.parametrize("written", REFUSED)
def test_a_value_that_json_cannot_hold_is_an_error_with_its_place(written: str) -> None:
    with pytest.raises(InputError) as caught:
        read(f"a: 1\nb: {written}")
    assert (caught.value.line, caught.value.column) == (2, 4)


@pytest.mark.parametrize(("written", "key"), KEYS.items())
def test_a_key_becomes_the_text_that_kubernetes_makes_of_it(written: str, key: str) -> None:
    assert read(f"{written}: 1") == {key: 1}


@pytest.mark.parametrize("written", REFUSED_KEYS)
def test_a_key_that_is_no_text_is_an_error(written: str) -> None:
    with pytest.raises(InputError):
        read(f"? {written}\n: 1" if "?" not in written else written)


def test_a_merge_key_takes_part_in_order() -> None:
    base = "base: &b {x: 1, y: 2}\n"
    before = read(base + "k:\n  x: 3\n  <<: *b")
    behind = read(base + "k:\n  <<: *b\n  x: 3")
    assert isinstance(before, dict)
    assert isinstance(behind, dict)
    assert before["k"] == {"x": 1, "true": 2}
    assert behind["k"] == {"x": 3, "true": 2}


def test_the_first_of_several_merged_mappings_counts_most() -> None:
    got = read("a: &a {x: 1}\nb: &b {x: 2, z: 3}\nk: {<<: [*a, *b]}")
    assert isinstance(got, dict)
    assert got["k"] == {"x": 1, "z": 3}


@pytest.mark.parametrize("merged", ["1", "", "[1]", "*l"])
def test_only_mappings_can_be_merged(merged: str) -> None:
    with pytest.raises(InputError, match="merge key"):
        read(f"l: &l [{{a: 1}}]\nk: {{<<: {merged}}}")


def test_a_quoted_merge_key_is_an_ordinary_key() -> None:
    assert read('"<<": 1') == {"<<": 1}
