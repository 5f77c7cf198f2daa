"""The items: what they name exists, and the documentation names all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidewaiter.rules.catalogue import entries
from tidewaiter.rules.checklist.items import ITEM_IDS, ITEMS, Item

DOCUMENT = Path(__file__).parents[3] / "docs/checklist.md"


@pytest.mark.parametrize("item", ITEMS, ids=ITEM_IDS)
def test_every_rule_of_an_item_exists(item: Item) -> None:
    assert [name for name in (*item.rules, *item.namespace_rules) if name not in entries()] == []
    assert set(item.namespace_rules) <= set(item.rules)


def test_there_are_fifteen_items_with_names_of_their_own() -> None:
    assert len(set(ITEM_IDS)) == 15
    assert len({item.title for item in ITEMS}) == 15
    assert len({item.short for item in ITEMS}) == 15


def test_each_question_is_one() -> None:
    assert all(item.question.endswith("?") for item in ITEMS)


@pytest.mark.parametrize("item", ITEMS, ids=ITEM_IDS)
def test_the_documentation_tells_the_rules_of_each_item(item: Item) -> None:
    rules = ", ".join(f"[{name}](rules/{name}.md)" for name in item.rules)
    row = f"| `{item.id}` | {item.title} | {rules or '(none: read from the pods)'} |"
    assert row in DOCUMENT.read_text(encoding="utf-8")
