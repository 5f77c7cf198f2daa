"""Questions to the API server's authorizer: authorizer.group('apps').resource('deployments').check('create').

Manifests do not tell who sends a request nor what they may do: every answer is CannotBeKnown.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library
"""

from __future__ import annotations

from typing import Any, NoReturn

from tidewaiter.rules.cel.function import Overload, member
from tidewaiter.rules.cel.types import BOOL, STRING, Type
from tidewaiter.rules.cel.values import CannotBeKnown

_PACKAGE = "kubernetes.authorization"
AUTHORIZER, PATH = Type(f"{_PACKAGE}.Authorizer"), Type(f"{_PACKAGE}.PathCheck")
GROUP, RESOURCE = Type(f"{_PACKAGE}.GroupCheck"), Type(f"{_PACKAGE}.ResourceCheck")
DECISION = Type(f"{_PACKAGE}.Decision")


def _ask(*_: Any) -> NoReturn:
    raise CannotBeKnown("what the sender of the request may do")


FUNCTIONS: tuple[Overload, ...] = (
    member("path", (AUTHORIZER, STRING), PATH, _ask),
    member("group", (AUTHORIZER, STRING), GROUP, _ask),
    member("serviceAccount", (AUTHORIZER, STRING, STRING), AUTHORIZER, _ask),
    member("resource", (GROUP, STRING), RESOURCE, _ask),
    *(
        member(name, (RESOURCE, STRING), RESOURCE, _ask)
        for name in ("subresource", "namespace", "name", "fieldSelector", "labelSelector")
    ),
    member("check", (PATH, STRING), DECISION, _ask),
    member("check", (RESOURCE, STRING), DECISION, _ask),
    *(member(name, (DECISION,), BOOL, _ask) for name in ("errored", "allowed")),
    *(member(name, (DECISION,), STRING, _ask) for name in ("error", "reason")),
)
