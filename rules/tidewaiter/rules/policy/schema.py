"""The JSON Schema of the policy file: that of the models, with the rules and their parameters.

https://json-schema.org/draft/2020-12/schema
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules import catalogue
from tidewaiter.rules.policy.model import PolicyFile

if TYPE_CHECKING:
    from tidewaiter.rules.rule import Parameter, Rule

_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "string": {"type": "string"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "integers": {"type": "array", "items": {"type": "integer"}},
}


def policy_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12."""
    schema = PolicyFile.model_json_schema()
    definitions = schema["$defs"]
    rules = catalogue.load_all()
    names = [rule.name for rule in rules]
    settings = {
        "type": "object",
        "additionalProperties": False,
        "properties": {rule.name: _settings(rule) for rule in rules},
    }
    definitions["Rules"] = settings
    for owner in ("PolicySpec", "Override"):
        stated = definitions[owner]["properties"]["rules"]
        definitions[owner]["properties"]["rules"] = {
            "$ref": "#/$defs/Rules",
            "description": stated["description"],
        }
    definitions["Exemption"]["properties"]["rules"]["items"] = {"enum": names}
    plain: dict[str, Any] = without_nulls(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "https://tidewaiter.dev/schemas/policy-v1.json",
            **schema,
            "title": "tidewaiter policy",
        }
    )
    return plain


def _settings(rule: Rule) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "additionalProperties": False,
        "properties": {parameter.name: _parameter(parameter) for parameter in rule.parameters},
    }
    return {
        "description": f"{rule.summary[0].upper()}{rule.summary[1:]}.",
        "allOf": [{"$ref": "#/$defs/RuleSettings"}],
        "properties": {"parameters": parameters},
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = (
        {"enum": list(parameter.choices)}
        if parameter.kind == "choice"
        else {**_TYPES[parameter.kind]}
    )
    if parameter.minimum is not None:
        schema["minimum"] = parameter.minimum
    default = parameter.default
    return {
        **schema,
        "default": list(default) if isinstance(default, tuple) else default,
        "description": parameter.description,
    }


def without_nulls(schema: Any) -> Any:
    """Drop the branch for null of optional keys: a key that is there has a value."""
    if isinstance(schema, list):
        return [without_nulls(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: without_nulls(value)
        for key, value in schema.items()
        if key != "title" or isinstance(value, dict) or value == "tidewaiter policy"
    }
    if plain.get("default", 0) is None:
        del plain["default"]
    stated = plain.get("anyOf")
    if not isinstance(stated, list):  # none, or a key of the policy that is called so
        return plain
    branches = [one for one in stated if one != {"type": "null"}]
    if len(branches) == 1:
        del plain["anyOf"]
        return {**branches[0], **plain}
    if branches:
        plain["anyOf"] = branches
    return plain
