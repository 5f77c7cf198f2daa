"""The question of an AdmissionReview, read out of its JSON.

Only the envelope is checked: the object under review stays the plain mapping that it is.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text
from tidewaiter.webhook.decision import ReviewedObject

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
OPERATIONS = ("CREATE", "UPDATE", "DELETE", "CONNECT")


class BadReview(Exception):
    """A body that is no review: `message` says why, `status` is the HTTP status to answer with."""

    def __init__(self, message: str, status: int = 400) -> None:
        """Keep the sentence and the status."""
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """What the API server asks.

    `subject` names it. `object` is the object as it will be, None on DELETE and CONNECT; `old` as it was, None on
    CREATE. Both have the version that the webhook is registered for, and `requested_version` is the one that the
    client has used. `resource` is the plural name and group of what is asked for, such as `deployments.apps` where
    the object is a Scale.
    """

    subject: ReviewedObject
    object: dict[str, Any] | None
    old: dict[str, Any] | None
    resource: str = ""
    requested_version: str = ""


def parse_review(payload: object) -> AdmissionRequest:
    """Return the request of an AdmissionReview. Raises BadReview."""
    request = review_part(payload, API_VERSION, KIND, "request")
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        raise BadReview("the request has no uid")
    operation = request.get("operation")
    if operation not in OPERATIONS:
        raise BadReview(f"the request's operation is none of {', '.join(OPERATIONS)}")
    check_types(request, _REQUEST, "request")
    for key in ("kind", "resource", "requestKind"):
        check_types(mapping(request.get(key)), _KIND, key)
    kind = mapping(request.get("kind"))
    if not text(kind.get("kind")) or not text(kind.get("version")):
        raise BadReview("the request does not say of which kind its object is")
    new, old = _object(request, "object"), _object(request, "oldObject")
    if operation in {"CREATE", "UPDATE"} and new is None:
        raise BadReview(f"the request is a {operation} and has no object")
    user = mapping(request.get("userInfo"))
    check_types(user, _USER, "userInfo")
    if not all(isinstance(group, str) for group in sequence(user.get("groups"))):
        raise BadReview("a group of the userInfo is no string")
    subject = ReviewedObject(
        uid=uid,
        username=text(user.get("username")),
        groups=tuple(sequence(user.get("groups"))),
        operation=operation,
        api_version=_api_version(kind),
        kind=text(kind.get("kind")),
        namespace=text(request.get("namespace")),
        name=text(request.get("name")) or _name(new or old),
        subresource=text(request.get("subResource")),
        dry_run=request.get("dryRun") is True,
    )
    resource, requested = mapping(request.get("resource")), mapping(request.get("requestKind"))
    group = text(resource.get("group"))
    return AdmissionRequest(
        subject,
        new,
        old,
        resource=f"{text(resource.get('resource'))}.{group}"
        if group
        else text(resource.get("resource")),
        requested_version=_api_version(requested) if requested else subject.api_version,
    )


def review_part(payload: object, api_version: str, kind: str, part: str) -> dict[str, Any]:
    """Return a part of a review of that version and kind. Raises BadReview."""
    if not isinstance(payload, dict):
        raise BadReview(f"the body is no {kind}")
    if payload.get("kind") != kind or payload.get("apiVersion") != api_version:
        raise BadReview(f"the body is no {kind} of {api_version}")
    found = payload.get(part)
    if not isinstance(found, dict):
        raise BadReview(f"the {kind} has no {part}")
    return found


def check_types(value: Mapping[str, Any], types: Mapping[str, type], what: str) -> None:
    """Raise BadReview where a field that is there has another type than these; null is none there, as in Go."""
    for key, kind in types.items():
        stated = value.get(key)
        if stated is not None and type(stated) is not kind:
            raise BadReview(f"{key} of the {what} is no {_NAMES[kind]}")


_NAMES: dict[type, str] = {str: "string", bool: "boolean", dict: "object", list: "list"}
_REQUEST: dict[str, type] = {
    "name": str,
    "namespace": str,
    "subResource": str,
    "dryRun": bool,
    "userInfo": dict,
    "kind": dict,
    "resource": dict,
    "requestKind": dict,
}
_KIND: dict[str, type] = {"group": str, "version": str, "kind": str, "resource": str}
_USER: dict[str, type] = {"username": str, "groups": list}


def _object(request: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = request.get(key)
    if value is not None and not isinstance(value, dict):
        raise BadReview(f"the request's {key} is no object")
    return value


def _api_version(kind: Mapping[str, Any]) -> str:
    group, version = text(kind.get("group")), text(kind.get("version"))
    return f"{group}/{version}" if group else version


def _name(value: object) -> str:
    metadata = dig(value, "metadata")
    prefix = text(dig(metadata, "generateName"))
    return text(dig(metadata, "name")) or (f"{prefix}*" if prefix else "")
