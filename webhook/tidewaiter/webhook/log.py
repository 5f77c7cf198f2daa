"""What the server says on stderr: a line each, as text or JSON, and never a value of an object."""

from __future__ import annotations

import logging
import sys
import time

logger = logging.getLogger("tidewaiter.webhook")


def set_up(form: str, level: str) -> None:
    """Send the program's log, and the gravest of its libraries', to stderr."""
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(logging.WARNING)
    logger.setLevel(level.upper())
    logging.getLogger("tidewaiter").setLevel(level.upper())
    for library in ("uvicorn", "uvicorn.error", "httpx", "asyncio"):
        # A malformed request or a broken handshake is the client's affair: it is counted, not logged.
        logging.getLogger(library).setLevel(logging.CRITICAL)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_time(record)} {record.levelname} {_line(record)}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        import json

        return json.dumps(
            {"time": _time(record), "level": record.levelname.lower(), "message": _line(record)}
        )


def _line(record: logging.LogRecord) -> str:
    """Return the message as one line; a traceback, whose last line may quote a value, is no part of it."""
    return record.getMessage().replace("\n", "; ")


def _time(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03}Z"
