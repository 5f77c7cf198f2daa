"""The OpenAPI description of the endpoints for reviews, which are plain ASGI."""

from __future__ import annotations

from typing import Any

TIMEOUT_PATTERN = r"([0-9]{1,6}(\.[0-9]{1,9})?(ns|us|ms|s|m|h))+"
TIMEOUT_LENGTH = 20
"""A Go duration without a sign, and too short to overflow one."""

_MESSAGE = {"$ref": "#/components/schemas/Message"}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _failure(description: str) -> dict[str, Any]:
    return {"description": description, "content": _json(_MESSAGE)}


def _review(summary: str, operation: str, review: str, answer: str) -> dict[str, Any]:
    return {
        "post": {
            "summary": summary,
            "operationId": operation,
            "parameters": [
                {
                    "name": "timeout",
                    "in": "query",
                    "description": "How long the API server waits, as a Go duration; the answer comes before.",
                    "schema": {
                        "type": "string",
                        "pattern": f"^{TIMEOUT_PATTERN}$",
                        "maxLength": TIMEOUT_LENGTH,
                        "example": "10s",
                    },
                }
            ],
            "requestBody": {
                "required": True,
                "content": _json({"$ref": f"#/components/schemas/{review}"}),
            },
            "responses": {
                "200": {
                    "description": "The verdict",
                    "content": _json({"$ref": f"#/components/schemas/{answer}"}),
                },
                "400": _failure("The body is no review of the supported version, or no JSON"),
                "408": _failure("The request did not arrive in time"),
                "413": _failure("The body is too large"),
                "415": _failure("The body is not application/json, or compressed"),
                "429": _failure("Too many requests at once"),
                "431": _failure("The headers are too large"),
                "503": _failure("Too many connections"),
            },
        }
    }


REVIEW_PATHS: dict[str, Any] = {
    "/validate": _review(
        "Judge an object (AdmissionReview, admission.k8s.io/v1)",
        "validate",
        "AdmissionReview",
        "AdmissionReviewAnswer",
    ),
    "/image-policy": _review(
        "Judge images (ImageReview, imagepolicy.k8s.io/v1alpha1)",
        "imagePolicy",
        "ImageReview",
        "ImageReviewAnswer",
    ),
}

_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
_OBJECT = {"type": ["object", "null"]}
_STRING = {"type": ["string", "null"]}
_KIND = {
    "type": ["object", "null"],
    "properties": dict.fromkeys(("group", "version", "kind", "resource"), _STRING),
}


def _envelope(api_version: str, kind: str, part: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["apiVersion", "kind", part],
        "properties": {
            "apiVersion": {"const": api_version},
            "kind": {"const": kind},
            part: schema,
        },
    }


SCHEMAS: dict[str, Any] = {
    "Message": {
        "type": "object",
        "required": ["message"],
        "properties": {"message": {"type": "string"}},
        "additionalProperties": False,
    },
    "AdmissionReview": _envelope(
        "admission.k8s.io/v1",
        "AdmissionReview",
        "request",
        {
            "type": "object",
            "required": ["uid", "kind", "operation", "object"],
            "properties": {
                "uid": {"type": "string", "minLength": 1},
                "kind": {
                    "type": "object",
                    "required": ["version", "kind"],
                    "properties": {
                        "group": _STRING,
                        "version": {"type": "string", "minLength": 1},
                        "kind": {"type": "string", "minLength": 1},
                    },
                },
                "operation": {"enum": ["CREATE", "UPDATE", "DELETE", "CONNECT"]},
                "resource": _KIND,
                "requestKind": _KIND,
                "name": _STRING,
                "namespace": _STRING,
                "subResource": _STRING,
                "dryRun": {"type": ["boolean", "null"]},
                "object": {"type": "object"},
                "oldObject": _OBJECT,
                "userInfo": {
                    "type": ["object", "null"],
                    "properties": {
                        "username": _STRING,
                        "groups": {"type": ["array", "null"], "items": {"type": "string"}},
                    },
                },
            },
        },
    ),
    "AdmissionReviewAnswer": _envelope(
        "admission.k8s.io/v1",
        "AdmissionReview",
        "response",
        {
            "type": "object",
            "required": ["uid", "allowed"],
            "properties": {
                "uid": {"type": "string"},
                "allowed": {"type": "boolean"},
                "status": {"type": "object"},
                "warnings": {"type": "array", "items": {"type": "string"}},
                "auditAnnotations": _STRINGS,
            },
        },
    ),
    "ImageReview": _envelope(
        "imagepolicy.k8s.io/v1alpha1",
        "ImageReview",
        "spec",
        {
            "type": "object",
            "required": ["containers"],
            "properties": {
                "containers": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["image"],
                        "properties": {"image": {"type": "string", "minLength": 1}},
                    },
                },
                "annotations": {**_STRINGS, "type": ["object", "null"]},
                "namespace": _STRING,
            },
        },
    ),
    "ImageReviewAnswer": _envelope(
        "imagepolicy.k8s.io/v1alpha1",
        "ImageReview",
        "status",
        {
            "type": "object",
            "required": ["allowed"],
            "properties": {
                "allowed": {"type": "boolean"},
                "reason": {"type": "string"},
                "auditAnnotations": _STRINGS,
            },
        },
    ),
}
