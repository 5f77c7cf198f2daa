"""The errors that people see, each carrying its place as fields.

A gate formats them once (the command line on stderr and in the report's `errors`, the webhook in its
answer); no other code puts a file name or a line into a message.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class TidewaiterError(Exception):
    """Something that keeps a job from being done whole.

    `message` is one sentence without its place. `file` is as the user named it, empty where there is
    none; `line` and `column` count from 1 in characters, None where unknown; `pointer` is a JSON
    pointer (RFC 6901) into the document or policy, empty where unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        line: int | None = None,
        column: int | None = None,
        pointer: str = "",
    ) -> None:
        """Keep the message and the place apart."""
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.pointer = pointer

    def __str__(self) -> str:
        """The message after its place, as compilers print it: `a.yaml:3:1: message`."""
        place = [
            str(part) for part in (self.file, self.line, self.column) if part not in {"", None}
        ]
        return ":".join([*place, f" {self.message}"]) if place else self.message

    def __eq__(self, other: object) -> bool:
        """Two errors are equal when all their fields are."""
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Hash by place and message."""
        return hash((type(self), self.message, self.file, self.line, self.column, self.pointer))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error cross to another process with its fields."""
        return type(self), (self.message,), vars(self)


class InputError(TidewaiterError):
    """A file, folder, stream or document that cannot be read."""


class PolicyError(TidewaiterError):
    """A mistake in a policy; `mistakes` are all of them, each with its place, where it stands for several."""

    mistakes: tuple[PolicyError, ...] = ()


class RegistryError(TidewaiterError):
    """An image registry that cannot be reached or answers wrongly."""


class ClusterError(TidewaiterError):
    """A cluster that cannot be reached or answers wrongly."""
