"""Writing an edited file: all of it or nothing, and never over what somebody else has written meanwhile."""

from __future__ import annotations

import os
import stat
import tempfile

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.sources import read_file


def rewrite(path: str, before: bytes, after: bytes) -> None:
    """Put other content into a file that still holds `before`. Raises InputError.

    Mode and owner stay; a symbolic link stays one, and the file that it leads to is written.
    """
    target = os.path.realpath(path)
    now = read_file(target)
    if now == after:  # the same file under another name
        return
    if now != before:
        raise InputError("was changed by somebody else meanwhile; nothing was written", file=path)
    try:
        status = os.stat(target)
        if not status.st_mode & 0o222 or not os.access(target, os.W_OK):
            raise InputError("cannot be written: it is read-only", file=path)
        _replace(target, after, status)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=path) from None


def create(path: str, content: bytes) -> None:
    """Write a new file. Raises InputError where there is one of that name already."""
    try:
        with open(path, "xb") as target:
            target.write(content)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=path) from None


def _replace(target: str, content: bytes, status: os.stat_result) -> None:
    folder = os.path.dirname(target)
    descriptor, temporary = tempfile.mkstemp(prefix=".tidewaiter-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), stat.S_IMODE(status.st_mode))
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                _keep_owner(stream.fileno(), status)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _keep_owner(descriptor: int, status: os.stat_result) -> None:
    try:
        os.fchown(descriptor, status.st_uid, status.st_gid)
    except PermissionError:
        pass  # only root gives files away
