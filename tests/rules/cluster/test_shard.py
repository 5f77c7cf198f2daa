"""Which part of a cluster is whose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.cluster.shard import Shard, parse_shard, shard_of_job
from tidewaiter.rules.errors import InputError


@given(st.text(min_size=1), st.integers(min_value=1, max_value=50))
def test_each_namespace_is_of_exactly_one_shard(namespace: str, total: int) -> None:
    assert sum(Shard(index, total).has(namespace) for index in range(total)) == 1


def test_what_is_in_no_namespace_is_of_the_first() -> None:
    assert [Shard(index, 3).has("") for index in range(3)] == [True, False, False]


def test_a_namespace_stays_with_its_shard_from_one_version_to_the_next() -> None:
    found = {name: [Shard(index, 4).has(name) for index in range(4)].index(True) for name in NAMES}
    assert found == NAMES


NAMES = {"default": 1, "kube-system": 1, "payments": 0, "team-1": 0}


def test_namespaces_are_spread_evenly() -> None:
    sizes = [sum(Shard(index, 8).has(f"team-{each}") for each in range(4000)) for index in range(8)]
    assert min(sizes) > 400
    assert max(sizes) < 600


@pytest.mark.parametrize("text", ["", "1", "3/3", "0/0", "-1/2", "a/b", "1/2/3", "0/10001", "٠/2"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="INDEX/TOTAL"):
        parse_shard(text)


def test_a_pod_of_an_indexed_job_takes_its_index() -> None:
    assert shard_of_job("8", "3") == parse_shard("3/8") == Shard(3, 8)


@pytest.mark.parametrize(
    ("total", "index", "said"),
    [
        ("8", "", "is not set"),
        ("8", "x", "is 'x'"),
        ("8", "8", "completions"),
        ("0", "0", "--shards takes"),
        ("many", "0", "--shards takes"),
    ],
)
def test_a_pod_that_does_not_know_its_part_says_so(total: str, index: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        shard_of_job(total, index)
