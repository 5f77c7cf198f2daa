"""Variables that are made of others."""

from __future__ import annotations

from tidewaiter.rules.manifest.environment import expand


def test_known_variables_are_replaced_and_unknown_ones_stay() -> None:
    known = {"HOST": "db", "PORT": "5432"}
    assert expand("postgres://$(HOST):$(PORT)/shop", known) == "postgres://db:5432/shop"
    assert expand("$(USER)@$(HOST)", known) == "$(USER)@db"
    assert expand("$(HOST", known) == "$(HOST"
    assert expand("plain", known) == "plain"


def test_variables_that_double_each_other_stay_short() -> None:
    known = {"V0": "x" * 100}
    for index in range(200):
        known[f"V{index + 1}"] = expand(f"$(V{index})$(V{index})", known)
    assert len(known["V200"]) == 4096
