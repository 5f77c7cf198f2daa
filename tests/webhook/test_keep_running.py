"""Parts of the server that stop by a defect."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tidewaiter.webhook.keep_running import keep_running

if TYPE_CHECKING:
    import pytest


def test_a_part_that_stops_begins_again_and_the_log_says_where(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = []

    async def part() -> None:
        begun.append(True)
        if len(begun) == 1:
            async with asyncio.TaskGroup():
                raise ValueError("a secret value")

    asyncio.run(keep_running("the inventory", part))
    assert len(begun) == 2
    said = caplog.text
    assert "the inventory stopped and begins again" in said
    assert "ValueError (test_keep_running.py:" in said
    assert "secret" not in said
