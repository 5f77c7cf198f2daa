"""A server that the tests share that only ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.webhook.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.webhook.running import Webhook


@pytest.fixture(scope="session")
def webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    """A server by the default policy, without an inventory."""
    with running(tmp_path_factory.mktemp("webhook")) as server:
        yield server
