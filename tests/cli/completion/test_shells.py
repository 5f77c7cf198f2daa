"""Completion, asked of the real shells."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tidewaiter.cli.commands.completion import SHELLS
from tidewaiter.cli.completion.vocabulary import Place, places, rule_names
from tidewaiter.cli.main import COMMANDS, main

PLACES = places()
COLUMNS, ROWS = 240, 400
EXPECTED = [
    ("", set(COMMANDS)),
    ("policy ", {"check", "diff", "export", "import", "schema", "show", "test"}),
    ("lint --format s", {"sarif"}),
    ("lint --profile pss", {"pss-baseline", "pss-restricted"}),
    ("rules --section se", {"secrets", "security"}),
    ("lint --only image-d", {"image-digest"}),
    ("fix --rule image-d", {"image-digest"}),
    ("explain no-privilege", {"no-privilege-escalation", "no-privileged"}),
    ("lint man", {"manifests"}),
    ("lint --policy man", {"manifests"}),
    ("lint --policy clu", {"cluster"}),
    ("lint --inventory man", {"manifests"}),
    ("completion ", set(SHELLS)),
]


def _script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "manifests" / "api").mkdir(parents=True)
    (tmp_path / "Überblick.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _options(place: Place) -> set[str]:
    return {flag for option in place.options for flag in option.flags if flag.startswith("--")}


def _words(place: Place) -> str:
    return "".join(f"{word} " for word in place.words)


def test_every_command_has_its_options_in_the_vocabulary() -> None:
    assert {place.words[0] for place in PLACES if place.words} == set(COMMANDS)
    known = {place.words: _options(place) for place in PLACES}
    assert {"--only", "--format", "--changed-since", "--jobs"} <= known["lint",]
    assert {"--check", "--policy"} <= known["baseline", "prune"]
    assert {"--tls-cert", "--bind"} <= known["serve",]


def _bash(script: str, lines: list[str]) -> list[set[str]]:
    ask = (
        'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _tidewaiter; '
        'printf "%s\\n" "${COMPREPLY[@]}" "=="; }\n'
    )
    calls = "".join(f"ask tidewaiter {_bash_words(line)}\n" for line in lines)
    run = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", f"{script}\n{ask}{calls}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stderr == ""
    return [set(part.split("\n")) - {""} for part in run.stdout.split("==\n")[:-1]]


def _bash_words(line: str) -> str:
    words = line.replace("=", " = ").split(" ") if line else [""]
    return " ".join(f"'{word}'" for word in words)


def test_bash_completes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = _script("bash", capsys)
    lines = [line for line, _ in EXPECTED]
    assert dict(zip(lines, _bash(script, lines), strict=True)) == dict(EXPECTED)
    found = _bash(
        script, ["lint --format=s", "lint --report j", "lint --report json=man", "lint Ü"]
    )
    assert found == [{"sarif"}, {"json=", "junit="}, {"manifests"}, {"Überblick.yaml"}]


def test_bash_knows_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    script = _script("bash", capsys)
    found = _bash(script, [f"{_words(place)}--" for place in PLACES])
    for place, options in zip(PLACES, found, strict=True):
        assert options == _options(place), place.words


def _fish(script: str, lines: list[str], folder: Path) -> list[set[str]]:
    calls = "".join(f"complete -C 'tidewaiter {line}'\necho ==\n" for line in lines)
    run = subprocess.run(
        ["fish", "--no-config", "-c", f"{script}\n{calls}"],
        capture_output=True, text=True, check=True, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    assert run.stderr == ""
    return [
        {row.partition("\t")[0].rstrip("/") for row in part.split("\n")} - {""}
        for part in run.stdout.split("==\n")[:-1]
    ]


def test_fish_completes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = _script("fish", capsys)
    lines = [line for line, _ in EXPECTED]
    assert dict(zip(lines, _fish(script, lines, folder), strict=True)) == dict(EXPECTED)


def test_fish_knows_every_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = _script("fish", capsys)
    found = _fish(script, [f"{_words(place)}--" for place in PLACES], tmp_path)
    for place, options in zip(PLACES, found, strict=True):
        assert options == _options(place), place.words


def _words_in(text: str) -> set[str]:
    return set(re.findall(r"[\w-]+", text))


class Zsh:
    """An interactive zsh, in which Tab is pressed."""

    def __init__(self, script: str, home: Path) -> None:
        (home / "functions").mkdir()
        (home / "functions" / "_tidewaiter").write_text(script)
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8",
            "COLUMNS": str(COLUMNS), "LINES": str(ROWS),
        }  # fmt: skip
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(shutil.which("zsh") or "zsh", ["zsh", "-f", "-i"], environment)
        self.type(
            f"stty cols {COLUMNS} rows {ROWS}; PS1='READY> '; unsetopt beep zle_bracketed_paste; "
            "LISTMAX=9999; setopt no_list_ambiguous no_auto_menu; fpath=($HOME/functions $fpath); "
            "autoload -U compinit && compinit -u -D; zstyle ':completion:*' verbose no\n"
        )
        self.read(lambda text: "READY> " in text.rpartition("verbose no")[2])

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def read(self, is_done: Callable[[str], bool]) -> str:
        """Read what is shown until it is complete, or nothing has come for a while."""
        text, until = "", time.monotonic() + 10
        while time.monotonic() < until and not is_done(text):
            if select.select([self.terminal], [], [], 0.2)[0]:
                part = os.read(self.terminal, 65536).decode("utf-8", "replace")
                text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", part)
        return text

    def complete(self, line: str, wanted: set[str]) -> set[str]:
        """Return the words that are shown after Tab, once those wanted are among them or time is up."""
        typed = f"tidewaiter {line}"
        self.type(f"{typed}\t")
        shown = self.read(lambda text: wanted <= _words_in(text))
        self.type("\x15")
        return _words_in(shown)

    def end(self) -> None:
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


@pytest.mark.slow
def test_zsh_completes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Zsh(_script("zsh", capsys), folder)
    try:
        for line, expected in EXPECTED:
            assert expected <= shell.complete(line, expected), line
        for place in PLACES:
            options = _options(place)
            assert options <= shell.complete(f"{_words(place)}--", options), place.words
    finally:
        shell.end()


def test_every_rule_is_in_each_script(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in SHELLS:
        assert main(["completion", shell]) == 0
        script = capsys.readouterr().out
        assert [name for name in rule_names() if name not in script] == []


def test_a_shell_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err
