"""Look for bytes that break a reader: run.py TARGET [--seconds N]; `make fuzz` runs every target.

What is found lies in tests/fuzz/corpus/TARGET as crash-…: mend the reader, keep the file under a name that says
what it is, and test_corpus.py replays it for good. New inputs of the search go to .fuzz/, and not into the corpus.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["tidewaiter"]):
    from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(".fuzz")
_STRUCTURED = frozenset({"admission", "bundles", "policies", "manifests"})
_LARGEST = 16_384
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**63, "", "0", "*", "a/b:c", "-1", "1e9Gi", "${X}", [], {}, [None], {"": None},
)  # fmt: skip


def main() -> None:
    """Run one target until its time is over; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=180)
    arguments = parser.parse_args()
    kept = CORPUS / arguments.target
    found = FOUND / arguments.target
    found.mkdir(parents=True, exist_ok=True)
    options = [
        sys.argv[0],
        f"-max_total_time={arguments.seconds}",
        f"-max_len={_LARGEST}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={kept}/",
        "-print_final_stats=1",
        str(found),
        str(kept),
    ]
    mutate = {"custom_mutator": _mutate} if arguments.target in _STRUCTURED else {}
    with atheris.instrument_imports(include=["tidewaiter"]):
        atheris.Setup(options, TARGETS[arguments.target], **mutate)
        atheris.Fuzz()


def _mutate(data: bytes, largest: int, seed: int) -> bytes:
    """Change a value of a JSON document and leave it well-formed; one time in four, change its bytes."""
    chance = random.Random(seed)
    with suppress(ValueError, RecursionError):
        document = json.loads(data)
        if isinstance(document, dict | list) and chance.random() > 0.25:
            for _ in range(chance.choice((1, 1, 2, 4))):
                _change(document, chance)
            changed = json.dumps(document).encode()
            if len(changed) <= largest:
                return changed
    mutated: bytes = atheris.Mutate(data, largest)
    return mutated


def _change(document: Any, chance: random.Random) -> None:
    places = list(_places(document))
    if not places:
        return
    parent, key = chance.choice(places)
    how = chance.randrange(6)
    if how == 0:
        del parent[key]
    elif how in {1, 2}:
        other, at = chance.choice(places)
        parent[key] = json.loads(json.dumps(other[at]))
    elif how == 3 and isinstance(parent[key], str):
        parent[key] = atheris.Mutate(parent[key].encode(), 200).decode("utf-8", "replace")
    elif how == 4 and isinstance(parent, list):
        parent.append(json.loads(json.dumps(parent[key])))
    else:
        parent[key] = chance.choice(_ODD)


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from _places(value[key])
    elif isinstance(value, list):
        for key, inner in enumerate(value):
            yield value, key
            yield from _places(inner)


if __name__ == "__main__":
    main()
