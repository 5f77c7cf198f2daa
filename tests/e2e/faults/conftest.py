"""A cluster that the tests of this folder may break, and a note of what came of each fault."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.api_server import Cluster, running_cluster
from tests.e2e.binaries import binaries
from tests.e2e.conftest import built, make_namespace
from tests.e2e.faults.game_day import Outcome, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.faults.asking import Asking

OUTCOMES: list[Outcome] = []


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API server and etcd of this folder's own."""
    programs = built(binaries)
    with running_cluster(programs, tmp_path_factory.mktemp("game-days")) as running_one:
        yield running_one


@pytest.fixture
def shop(cluster: Cluster) -> str:
    """The name of a new namespace, which the gate is registered for."""
    return make_namespace(cluster.server, "shop")


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Hold a fault's outcome to its bounds, and keep it for the table."""

    def hold(sees: str, asked: Asking, seconds: float, *, within: float) -> None:
        fault = " ".join((request.function.__doc__ or "").split("\n\n")[0].split()).rstrip(".")
        outcome = Outcome(fault, sees, len(asked.attempts), asked.wrongly_allowed, seconds, within)
        OUTCOMES.append(outcome)
        assert outcome.asked > 0
        assert outcome.wrongly_allowed == 0
        assert asked.wrongly_denied == []
        assert outcome.seconds <= within

    return hold


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Write the table of docs/reliability.md where that is asked for."""
    if OUTCOMES and os.environ.get("TIDEWAITER_WRITE_RELIABILITY"):
        write(OUTCOMES)
