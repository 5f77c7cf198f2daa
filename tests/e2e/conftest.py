"""A real API server for the tests of this folder, started once for all of them."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.api_server import ApiServer, running_api_server
from tests.e2e.binaries import Binaries, GoIsMissing, binaries, older_binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder as e2e."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A kube-apiserver of the version in servers/go.mod; the first run builds it, which takes minutes."""
    programs = built(binaries)
    with running_api_server(programs, tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture(scope="session")
def older_api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One of the minor version before, likewise."""
    programs = built(older_binaries)
    with running_api_server(programs, tmp_path_factory.mktemp("older-api-server")) as server:
        yield server


def built(build: Callable[[], Binaries]) -> Binaries:
    try:
        return build()
    except GoIsMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """The name of a new, empty namespace of this test's own."""
    return make_namespace(api_server)


def make_namespace(api_server: ApiServer, kind: str = "test") -> str:
    """Make a new, empty namespace and return its name, which begins with what kind it is of."""
    name = f"{kind}-{secrets.token_hex(4)}"
    api_server.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
