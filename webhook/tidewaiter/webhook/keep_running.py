"""Keeping the parts of a server going that have no end."""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from typing import TYPE_CHECKING, Any

from tidewaiter.webhook.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

_STEADY = 300.0
"""After so many seconds a part that fails again has nothing to do with its failures before."""
_LONGEST_PAUSE = 60.0


async def keep_running(what: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a part of the server that has no end; where it fails, say so and begin it again rather than do without."""
    failures = 0
    while True:
        began = time.monotonic()
        try:
            await run()
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts go on
            failures = 1 if time.monotonic() - began > _STEADY else failures + 1
            logger.error(
                "%s stopped and begins again, which is a defect: %s",
                what,
                "; ".join(_causes(error)),
            )
        await asyncio.sleep(min(2.0 ** (failures - 1), _LONGEST_PAUSE))


def _causes(error: BaseException) -> Iterator[str]:
    """Yield what went wrong, and where in the program, without values that an error may quote."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
        return
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    yield f"{type(error).__name__}{place}"
