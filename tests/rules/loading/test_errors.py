"""Errors carry their place as fields, across processes too."""

from __future__ import annotations

import pickle

from tidewaiter.rules.errors import InputError, PolicyError, TidewaiterError


def test_an_error_shows_its_place_before_its_message() -> None:
    assert str(InputError("is broken", file="a.yaml", line=3, column=1)) == "a.yaml:3:1: is broken"
    assert str(InputError("is broken", file="a.yaml")) == "a.yaml: is broken"
    assert str(InputError("is broken")) == "is broken"


def test_an_error_survives_pickling() -> None:
    error = PolicyError("is broken", file="a.yaml", line=3, column=1, pointer="/spec")
    copy = pickle.loads(pickle.dumps(error))
    assert copy == error
    assert isinstance(copy, TidewaiterError)
    assert (copy.file, copy.line, copy.column, copy.pointer) == ("a.yaml", 3, 1, "/spec")


def test_errors_of_different_kinds_or_places_differ() -> None:
    assert InputError("x") != PolicyError("x")
    assert InputError("x", line=1) != InputError("x", line=2)
