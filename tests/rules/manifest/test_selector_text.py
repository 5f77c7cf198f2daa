"""Label selectors as kubectl takes them."""

from __future__ import annotations

import pytest

from tidewaiter.rules.manifest.selector import EVERYTHING, InvalidSelector
from tidewaiter.rules.manifest.selector_text import parse_selector_text


@pytest.mark.parametrize(
    ("text", "selected", "passed_over"),
    [
        ("app=api", {"app": "api"}, {"app": "web"}),
        ("app == api", {"app": "api"}, {}),
        ("app!=api", {}, {"app": "api"}),
        ("app", {"app": ""}, {"tier": "app"}),
        ("!app", {"tier": "app"}, {"app": "api"}),
        ("app in (api, web)", {"app": "web"}, {"app": "db"}),
        ("app notin (api,web)", {"app": "db"}, {"app": "web"}),
        ("app in (api,web),!debug", {"app": "api"}, {"app": "api", "debug": "1"}),
        ("example.com/team=psp, tier", {"example.com/team": "psp", "tier": "1"}, {"tier": "1"}),
    ],
)
def test_selects_as_kubectl_does(
    text: str, selected: dict[str, str], passed_over: dict[str, str]
) -> None:
    selector = parse_selector_text(text)
    assert selector.matches(selected)
    assert not selector.matches(passed_over)


def test_an_empty_text_selects_everything() -> None:
    assert parse_selector_text(" ") == EVERYTHING


@pytest.mark.parametrize(
    "text", ["app in api", "app in (api", "in (a)", "app,", "=api", "app=a b", "app=(api)", "a b"]
)
def test_refuses_what_is_no_selector(text: str) -> None:
    with pytest.raises(InvalidSelector):
        parse_selector_text(text)
