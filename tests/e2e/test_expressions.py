"""Expressions mean here what they mean to the API server: which it takes, and which value each has."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.client import Refused
from tests.e2e.policies import BINDING, POLICY, resource_of, warnings_until
from tidewaiter.rules.admission_policy.admitted import admitted
from tidewaiter.rules.admission_policy.environment import environment
from tidewaiter.rules.admission_policy.program import compiled, denials
from tidewaiter.rules.admission_policy.request import creation
from tidewaiter.rules.cel.compiled import Expression
from tidewaiter.rules.cel.syntax import ExpressionError
from tidewaiter.rules.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.api_server import ApiServer
    from tests.e2e.client import Client

TABLE = Path(__file__).parent / "expressions.txt"
LATEST = (1, 37)
AT_ONCE = 12
"""Validations of one policy: the API server cuts its warnings where they are longer than 4096 characters."""


def expressions() -> list[str]:
    """Return the table's expressions; `\\n` in a long string stands for a line's end."""
    text = TABLE.read_text(encoding="utf-8").replace("'''a\nb'''", "'''a\\nb'''")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def validation(number: int, expression: str) -> dict[str, str]:
    """Return a validation that fails, and says the expression's value."""
    said = f"'#{number} %s'.format([{expression}])"
    return {"expression": "false", "message": f"#{number} has none", "messageExpression": said}


def policy(name: str, validations: list[dict[str, str]]) -> dict[str, Any]:
    """Return a policy on the ConfigMaps with the label `of`: its name."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    constraints = {
        "objectSelector": {"matchLabels": {"of": name}},
        "resourceRules": [{**rule, "resources": ["configmaps"]}],
    }
    spec = {"matchConstraints": constraints, "validations": validations}
    return {**POLICY, "metadata": {"name": name}, "spec": spec}


def test_the_same_expressions_are_taken(api_server: ApiServer) -> None:
    known = environment()
    differing = {}
    for number, expression in enumerate(expressions()):
        row = validation(number, expression)
        theirs = ours = ""
        try:
            api_server.admin.create(policy("expression", [row]), dryRun="All")
        except Refused as refused:
            theirs = str(refused)
        try:
            Expression(row["messageExpression"], known)
        except ExpressionError as error:
            ours = error.message
        if bool(theirs) != bool(ours):
            differing[expression] = (theirs, ours)
    assert not differing


def test_expressions_have_the_same_values(api_server: ApiServer) -> None:
    known = environment()
    taken = []
    for number, expression in enumerate(expressions()):
        try:
            Expression(validation(number, expression)["messageExpression"], known)
        except ExpressionError:
            continue
        taken.append((number, expression))
    assert len(taken) > 300
    groups = [taken[place : place + AT_ONCE] for place in range(0, len(taken), AT_ONCE)]
    stamp = secrets.token_hex(4)
    for place, group in enumerate(groups):
        name = f"values-{stamp}-{place}"
        api_server.admin.create(policy(name, [validation(*row) for row in group]))
        spec = {"policyName": name, "validationActions": ["Warn"]}
        api_server.admin.create({**BINDING, "metadata": {"name": name}, "spec": spec})
    differing = {}
    for place, group in enumerate(groups):
        config_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "values",
                "namespace": "default",
                "labels": {"app": "x", "of": f"values-{stamp}-{place}"},
            },
            "data": {"a": "1", "b": "2"},
        }
        warned = warnings_until(api_server.admin, config_map, "values-")
        theirs = _numbered(text for _, text in warned)
        ours = _numbered(_messages(config_map, group, api_server.admin))
        for number, expression in group:
            # Who sends the request is known to the API server alone.
            if theirs.get(number) != ours.get(number) and "authorizer" not in expression:
                differing[expression] = (theirs.get(number), ours.get(number))
    assert not differing


def _messages(
    config_map: dict[str, Any], group: Iterable[tuple[int, str]], client: Client
) -> list[str]:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    resource = resource_of(config_map)
    inventory = Inventory([resource, resource_of(client.read(namespace))], complete=True)
    request = creation(resource, admitted(resource, LATEST), inventory, LATEST)
    spec = {"validations": [validation(*row) for row in group]}
    program, _ = compiled(spec, params=False)
    assert program is not None
    return [denial.message for denial in denials(program, request.values())]


def _numbered(messages: Iterable[str]) -> dict[int, str]:
    found = {}
    for message in messages:
        match = re.fullmatch(r"#(\d+) ?(.*)", message, re.DOTALL)
        assert match is not None, message
        found[int(match[1])] = match[2]
    return found
