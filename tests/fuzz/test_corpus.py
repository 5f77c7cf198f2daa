"""Every input of the corpus, which holds what once broke a reader, keeps its reader's word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(path for path in CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_of_the_corpus_keeps_the_word_of_its_reader(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_each_reader_has_a_corpus_and_each_corpus_a_reader() -> None:
    assert {path.parent.name for path in INPUTS} == set(TARGETS)


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in INPUTS) < 300_000


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_survives_nothing_and_noise(name: str) -> None:
    for data in (
        b"",
        b"\x00",
        b"\xff\xfe" * 40,
        b"[" * 5000,
        b"{" * 5000,
        b'{"a":' * 3000,
        b"\n----\n" * 9,
    ):
        TARGETS[name](data)
