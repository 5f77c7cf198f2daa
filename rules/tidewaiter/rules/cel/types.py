"""The types of the Common Expression Language, for the checker and for choosing an overload at run time.

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#values
"""

from __future__ import annotations

from typing import NamedTuple


class Type(NamedTuple):
    """A type: its name, and the types it is made of (`list` one, `map` two, `type` and `optional_type` one).

    A name that begins with an upper-case letter and has no dot is a type parameter, as in list(T).
    """

    name: str
    of: tuple[Type, ...] = ()

    def __str__(self) -> str:
        if not self.of:
            return self.name
        return f"{self.name}({', '.join(str(each) for each in self.of)})"

    @property
    def is_parameter(self) -> bool:
        """Whether this stands for any type, the same wherever it occurs in one signature."""
        return self.name[0].isupper() and "." not in self.name


DYN = Type("dyn")
BOOL = Type("bool")
INT = Type("int")
UINT = Type("uint")
DOUBLE = Type("double")
STRING = Type("string")
BYTES = Type("bytes")
NULL = Type("null_type")
TIMESTAMP = Type("google.protobuf.Timestamp")
DURATION = Type("google.protobuf.Duration")
A = Type("A")
B = Type("B")


def list_of(element: Type) -> Type:
    """Return the type of a list with such elements."""
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    """Return the type of a map with such keys and values."""
    return Type("map", (key, value))


def optional_of(value: Type) -> Type:
    """Return the type of an optional value."""
    return Type("optional_type", (value,))


def type_of(value: Type) -> Type:
    """Return the type of a type's own value."""
    return Type("type", (value,))
