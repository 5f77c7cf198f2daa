"""The compiled parser is loaded alone, and PyYAML stays whole for everyone else."""

from __future__ import annotations

import subprocess
import sys

import pytest

READ = """
from tidewaiter.rules.loading.documents import load_documents
def check():
    loaded = load_documents(b"a: &x [1, yes]\\nb: *x\\n---\\nc: d: e\\n---\\nf: \\x07\\n", "f")
    assert loaded.documents[0].value == {"a": [1, True], "b": [1, True]}
    assert [(error.line, error.column) for error in loaded.errors] == [(4, 5), (6, 4)], loaded.errors
check()
"""

YAML_WORKS = """
import datetime
import yaml
text = "a: [1, 2001-01-01, {b: *x}, &x y]".replace("*x", "z")
for loader in (yaml.SafeLoader, yaml.CSafeLoader):
    assert yaml.load(text, loader)["a"][1] == datetime.date(2001, 1, 1)
for broken in ("a: b: c", "a: \\x07", "*a"):
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        try:
            yaml.load(broken, loader)
        except yaml.error.YAMLError as error:
            assert type(error).__module__ in {"yaml.scanner", "yaml.reader", "yaml.composer"}, error
        else:
            raise AssertionError(broken)
assert yaml.dump({"a": [1]}, Dumper=yaml.CSafeDumper) == "a:\\n- 1\\n"
assert [type(e).__name__ for e in yaml.parse("a", yaml.CLoader)][2] == "ScalarEvent"
assert type(next(yaml.scan("a", yaml.CLoader))).__module__ == "yaml.tokens"
from yaml.constructor import SafeConstructor
import yaml.reader
assert yaml.__with_libyaml__
"""

NO_COMPILED_PARSER = """
import sys
from importlib.machinery import PathFinder
class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "yaml._yaml":
            raise ImportError("not there")
        return None
real = PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name == "yaml._yaml" else real(name, path, target)
)
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_reading_yaml_imports_neither_pyyaml_s_package_nor_what_it_needs() -> None:
    heavy = (
        "{'re', 'datetime', 'yaml.reader', 'yaml.loader', 'typing', 'dataclasses', 'enum', 'json'}"
    )
    assert run(READ + f"import sys; print(sorted({heavy} & set(sys.modules)))") == "[]\n"


@pytest.mark.parametrize(
    "code",
    [
        READ + YAML_WORKS + "check()",
        YAML_WORKS + READ + YAML_WORKS,
        "import yaml\n" + READ + YAML_WORKS,
    ],
    ids=["PyYAML after", "PyYAML before", "PyYAML half before"],
)
def test_pyyaml_works_beside_it_in_any_order(code: str) -> None:
    run(code)


def test_a_pyyaml_without_its_compiled_parser_is_read_by_its_python_one() -> None:
    run(NO_COMPILED_PARSER + READ + "import yaml; assert not yaml.__with_libyaml__")
