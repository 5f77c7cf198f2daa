"""What is other in one policy than in another: settings, rules as they hold in general, overrides and exemptions.

Lines and names of objects do not count: a policy that was moved from a file into an object is the same.
"""

from __future__ import annotations

import json

from tidewaiter.rules.policy.compiled import DEFAULT_PROFILE, Policy
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.policy.compiled import PlainPolicy

_DEFAULTS: dict[str, Any] = {"profiles": [DEFAULT_PROFILE], "failOn": "error"}
_SINGLE = ("profiles", "kubernetesVersion", "failOn", "pin")
_MAPPINGS = ("admission", "imageSettings")
_LISTS = ("overrides", "exemptions", "workloads", "customRules", "images", "admissionObjects")
_OF_PLACE = ("line", "source", "file", "document", "prefix")


@record
class Change:
    """One difference. `before` is None for what was added, `after` for what was removed."""

    place: str
    before: Any
    after: Any


def differences(before: PlainPolicy, after: PlainPolicy) -> list[Change]:
    """Return all differences, in the order of the policy file."""
    one: dict[str, Any] = {**_DEFAULTS, **before}
    other: dict[str, Any] = {**_DEFAULTS, **after}
    found = [
        Change(key, one.get(key), other.get(key))
        for key in _SINGLE
        if one.get(key) != other.get(key)
    ]
    for key in _MAPPINGS:
        found += _of_mappings(key, one.get(key, {}), other.get(key, {}))
    found += _of_rules(before, after)
    for key in _LISTS:
        found += _of_lists(key, one.get(key, ()), other.get(key, ()))
    return found


def _of_mappings(key: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield Change(f"{key}.{name}", one.get(name), other.get(name))


def _of_rules(before: PlainPolicy, after: PlainPolicy) -> Iterator[Change]:
    """Yield what holds otherwise where no override matches."""
    one, other = _states(before), _states(after)
    for name in [*one, *(each for each in other if each not in one)]:
        first, second = one.get(name, _OFF), other.get(name, _OFF)
        if first["enabled"] != second["enabled"]:
            yield Change(f"rules.{name}", _shown(first), _shown(second))
            continue
        for key in sorted(first.keys() | second.keys()):
            if first.get(key) != second.get(key):
                yield Change(f"rules.{name}.{key}", first.get(key), second.get(key))


_OFF: dict[str, Any] = {"enabled": False}


def _states(plain: PlainPolicy) -> dict[str, dict[str, Any]]:
    policy = Policy(plain)
    settings = policy.settings()
    found = {}
    for name, (severity, stated) in settings.rules.items():
        state: dict[str, Any] = {
            "enabled": True,
            "severity": severity,
            "mode": settings.mode_of(name),
        }
        parameters = {**policy.rule(name).defaults(), **stated}
        for key, value in parameters.items():
            state[f"parameters.{key}"] = list(value) if isinstance(value, tuple) else value
        found[name] = state
    return found


def _shown(state: dict[str, Any]) -> str:
    return f"{state['severity']}, {state['mode']}" if state["enabled"] else "off"


def _of_lists(key: str, one: Any, other: Any) -> Iterator[Change]:
    """Yield the entries that only one of two lists has; where only their order is another, the order."""
    first, second = [_bare(each) for each in one], [_bare(each) for each in other]
    rest = list(second)
    removed = []
    for each in first:
        if each in rest:
            rest.remove(each)
        else:
            removed.append(each)
    yield from (Change(key, json.loads(each), None) for each in removed)
    yield from (Change(key, None, json.loads(each)) for each in rest)
    if not removed and not rest and first != second:
        yield Change(
            f"{key}, in another order", list(map(json.loads, first)), list(map(json.loads, second))
        )


def _bare(entry: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in entry.items() if key not in _OF_PLACE}
    return json.dumps(kept, sort_keys=True, default=str)
