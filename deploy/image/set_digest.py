"""Write a released image into the chart and the Kustomize base: set_digest.py REPOSITORY DIGEST VERSION [FOLDER].

The release does it before it packs both, so that what is installed from a release runs what that release has built.
FOLDER holds `chart` and `kustomize`; by default it is `deploy`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def main(arguments: list[str]) -> int:
    """Change the files; 2 where the arguments or the files are not as expected."""
    if len(arguments) not in {3, 4} or not DIGEST.fullmatch(arguments[1]):
        print("usage: set_digest.py REPOSITORY sha256:DIGEST VERSION [FOLDER]", file=sys.stderr)
        return 2
    repository, digest, version = arguments[:3]
    folder = Path(arguments[3]) if len(arguments) == 4 else Path(__file__).parents[1]
    values, chart = folder / "chart/values.yaml", folder / "chart/Chart.yaml"
    base = folder / "kustomize/base/kustomization.yaml"
    _replace(values, r"(?m)^  repository: .*$", f"  repository: {repository}")
    _replace(values, r"(?m)^  digest: .*$", f'  digest: "{digest}"')
    _replace(chart, r"(?m)^version: .*$", f"version: {version}")
    _replace(chart, r"(?m)^appVersion: .*$", f'appVersion: "{version}"')
    text = re.sub(r"(?ms)^images:\n(?:[ -].*?\n)+", "", base.read_text(encoding="utf-8"))
    entry = f"images:\n  - name: tidewaiter\n    newName: {repository}\n    digest: {digest}\n"
    base.write_text(text + entry, encoding="utf-8")
    return 0


def _replace(file: Path, pattern: str, line: str) -> None:
    """Change the one line that fits."""
    text, count = re.subn(pattern, lambda _: line, file.read_text(encoding="utf-8"))
    if count != 1:
        sys.exit(f"set_digest.py: {file} has {count} lines like {pattern}, and one is expected")
    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
