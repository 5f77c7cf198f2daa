"""All functions that an expression may use: those of the language and those that Kubernetes adds.

https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import tidewaiter.rules.cel.library as package

if TYPE_CHECKING:
    from tidewaiter.rules.cel.function import Overload


@cache
def functions() -> tuple[Overload, ...]:
    """Return every overload, the modules of this folder in the order of their names."""
    names = sorted(found.name for found in iter_modules(package.__path__))
    modules = [import_module(f"{package.__name__}.{name}") for name in names]
    return tuple(each for module in modules for each in getattr(module, "FUNCTIONS", ()))
