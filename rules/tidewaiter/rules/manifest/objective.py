"""Alerts and service level objectives, and the names that stand in them.

PrometheusRule (https://prometheus-operator.dev/), VMRule, Rules of Google Cloud, PrometheusServiceLevel of
Sloth (https://sloth.dev/), ServiceLevelObjective of Pyrra (https://github.com/pyrra-dev/pyrra), SLO of
OpenSLO, DatadogSLO and DatadogMonitor.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import items, mapping, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

RULES = (
    "PrometheusRule.monitoring.coreos.com",
    "VMRule.operator.victoriametrics.com",
    "Rules.monitoring.googleapis.com",
    "ClusterRules.monitoring.googleapis.com",
    "GlobalRules.monitoring.googleapis.com",
)
OBJECTIVES = (
    "PrometheusServiceLevel.sloth.slok.dev",
    "ServiceLevelObjective.pyrra.dev",
    "SLO.openslo.com",
    "DatadogSLO.datadoghq.com",
    "DatadogMonitor.datadoghq.com",
)
_IN_NAMES = "abcdefghijklmnopqrstuvwxyz0123456789-_"


class Watched:
    """The names in alerts and objectives: whole words, and the beginnings of longer ones."""

    __slots__ = ("_beginnings", "_words")

    def __init__(self, texts: Iterator[str]) -> None:
        """Take the texts apart into names of services, metrics and jobs."""
        self._words: set[str] = set()
        self._beginnings: set[str] = set()
        for value in set(texts):
            for word in _words(value):
                self._add(word)

    def holds(self, name: str) -> bool:
        """Tell whether a name of a service stands in an alert or objective.

        A metric (`payments_api_errors_total`) and a pattern (`payments-.*`) that begin with it do too.
        """
        name = name.lower()
        if name in self._words or name.replace("-", "_") in self._words:
            return True
        parts = name.split("-")
        return any("-".join(parts[:end]) in self._beginnings for end in range(1, len(parts)))

    def _add(self, word: str) -> None:
        if word.endswith("-"):
            # What is left of `payments-.*`.
            self._beginnings.add(word.rstrip("-"))
            word = word.rstrip("-")
        self._words.add(word)
        # A metric begins with the name of what exposes it.
        at = word.find("_")
        while at > 0:
            self._words.add(word[:at])
            at = word.find("_", at + 1)


def watched(inventory: Inventory) -> Watched:
    """Return the names in all alerts and objectives of the set, for `Inventory.once`."""
    return Watched(_texts(inventory))


def _texts(inventory: Inventory) -> Iterator[str]:
    for kind in RULES:
        for resource in inventory.of_kind(kind):
            yield from _of_rules(resource)
    for kind in OBJECTIVES:
        for resource in inventory.of_kind(kind):
            yield resource.name
            yield from _strings(resource.labels)
            yield from _strings(resource.spec)


def _of_rules(resource: Resource) -> Iterator[str]:
    """Yield the texts of the alerts; recording rules alert nobody."""
    has_alerts = False
    for group, _ in items(resource.spec.get("groups"), ""):
        for rule, _ in items(group.get("rules"), ""):
            alert = text(rule.get("alert"))
            if not alert:
                continue
            has_alerts = True
            yield text(group.get("name"))
            yield _hyphenated(alert)
            yield text(rule.get("expr"))
            yield from _strings(mapping(rule.get("labels")))
    if has_alerts:
        yield resource.name
        yield from _strings(resource.labels)


def _hyphenated(name: str) -> str:
    """Write `PaymentsApiErrors` with an underscore at each capital, so that its beginnings are names."""
    return "".join(f"_{char}" if char.isupper() else char for char in name).strip("_")


def _strings(value: Any) -> Iterator[str]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _words(value: str) -> list[str]:
    lowered = value.lower()
    for char in set(lowered).difference(_IN_NAMES):
        lowered = lowered.replace(char, " ")
    return lowered.split()
