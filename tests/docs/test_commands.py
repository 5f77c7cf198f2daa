"""Every command of the documentation runs, and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.sessions import (
    IN_CLUSTER,
    PAGES,
    ROOT,
    commands,
    environment,
    is_shown_rightly,
    run,
    sandbox,
)

WITH_COMMANDS = [page for page in PAGES if "```console\n" in page.read_text(encoding="utf-8")]
MOST_NOT_RUN = 60
"""More exceptions than that are a habit."""


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    wanted = [each for each in commands(page.read_text(encoding="utf-8")) if not each.mark]
    if not wanted:
        pytest.skip("each of its commands is marked")
    done = run(page, wanted, sandbox(tmp_path), environment(tmp_path))
    assert len(done) == len(wanted)
    wrong = [
        f"{page.name}:{each.line}: $ {each.text}\nexit code {result.code}\n{result.output}"
        for each, result in zip(wanted, done, strict=True)
        # 1 says that something was found, which the page may want to show.
        if result.code not in {0, 1}
        or (each.shown and not is_shown_rightly(each.shown, result.output))
    ]
    assert not wrong, "\n\n".join(wrong)


def test_what_is_not_run_has_a_reason_and_stays_rare() -> None:
    marks = [
        each.mark
        for page in PAGES
        for each in commands(page.read_text(encoding="utf-8"))
        if each.mark and each.mark != IN_CLUSTER
    ]
    assert all(len(mark.removeprefix("not run: ")) > 10 for mark in marks)
    assert len(marks) <= MOST_NOT_RUN


@pytest.mark.parametrize(
    ("shown", "output", "is_right"),
    [
        ("a\nb", "a\nb\n", True),
        ("a", "a\nb", False),
        ("a\n...", "a\nb\nc", True),
        ("...\nc", "a\nb\nc", True),
        ("a … c", "a bb c", True),
        ("a.c", "abc", False),
    ],
)
def test_an_ellipsis_stands_for_what_a_page_leaves_out(
    shown: str, output: str, is_right: bool
) -> None:
    assert is_shown_rightly(shown, output) is is_right
