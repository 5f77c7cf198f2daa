"""Pin images to the digests that their tags have now: `api:1.4` becomes `api:1.4@sha256:…`, in place.

In every pod spec, in the `images` of kustomizations, and in Helm values where --values-path points. Exit codes: 0
done; 1 with --check, a pinned tag has moved, or with --diff, something would change; 2 the job could not be done
whole (a mistake in the call, or a file or registry that cannot be read): the other images were still pinned.
"""

from __future__ import annotations

import os
import sys

from tidewaiter.cli.streams import complain
from tidewaiter.cli.surroundings import shown, stated_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tidewaiter.cli.run.pin import PinResult
    from tidewaiter.rules.signatures.registry import RegistrySettings

STDIN = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="file, folder or - for stdin (default: .)")
    add("--update", action="store_true", help="also move pinned tags to the digest they have now")
    add("--check", action="store_true", help="write nothing; exit 1 if a pinned tag has moved")
    add("--diff", action="store_true", help="print what would change as a diff; write nothing")
    add("--values-path", action="append", metavar="FILE:/POINTER", help="an image in Helm values")
    add("--except", action="append", dest="excepted", metavar="GLOB", help="leave these images be")
    add("--exclude", action="append", metavar="GLOB", help="leave out files, as in .gitignore")
    add("--policy", metavar="FILE", help="policy file (default: tidewaiter.yaml here or above)")
    add("--plain-http", action="append", metavar="HOST", help="a registry without TLS; repeatable")
    add("--registry-ca", metavar="FILE", help="certificates (PEM) to trust beside the system's")
    add("-q", "--quiet", action="store_true", help="print the last line of the summary only")


def run(arguments: argparse.Namespace) -> int:
    """Pin, write, say what was done, and return the exit code."""
    from tidewaiter.rules.errors import InputError

    paths = tuple(arguments.paths or ([] if arguments.values_path else ["."]))
    if STDIN in paths and len(paths) > 1:
        raise InputError("standard input can only be pinned alone: name - or files, not both")
    if arguments.check and arguments.update:
        raise InputError("--check writes nothing, --update does: name one of them")
    try:
        from tidewaiter.cli.run.pin import PinJob, pin
    except ImportError as error:
        packages = "pip install 'tidewaiter[signatures]'"
        raise InputError(f"pinning needs {error.name}, which is missing: {packages}") from None
    from tidewaiter.rules.policy.compiled import Policy

    plain = stated_policy(arguments.policy)
    policy_file = plain.get("file", "")

    contents = {}
    if STDIN in paths:
        from tidewaiter.rules.loading.sources import read_file

        contents[STDIN] = read_file(STDIN)
    job = PinJob(
        paths=paths,
        exclude=tuple(arguments.exclude or ()),
        values=_values_paths(arguments.values_path or ()),
        value_globs=tuple(
            (tuple(row["files"]), tuple(row["paths"]))
            for row in plain.get("pin", {}).get("values", ())
        ),
        root=os.path.realpath(os.path.dirname(policy_file) or "."),
        excepted=tuple(arguments.excepted or ()),
        pod_specs=dict(Policy(plain).pod_specs or {}),
        follows=arguments.update or arguments.check,
        pins=not arguments.check,
    )
    result = pin(job, _settings(arguments), contents)
    failed = _say_errors(result)
    for chart in () if arguments.quiet else result.charts:
        complain(
            f"note: chart {chart} is left alone: --values-path FILE:/POINTER, or the policy, says where "
            "its values hold images"
        )
    keeps = arguments.diff or arguments.check
    if arguments.diff:
        _print_diff(result)
    elif STDIN in paths and not arguments.check:
        sys.stdout.buffer.write(result.changed.get(STDIN, (b"", contents[STDIN]))[1])
        sys.stdout.buffer.flush()
    elif not keeps:
        failed = _write(result) or failed
    out = sys.stderr if arguments.diff or STDIN in paths else sys.stdout
    for line in _report(result, would=keeps, quiet=arguments.quiet):
        print(shown(line), file=out)
    if failed:
        return 2
    return 1 if keeps and result.changed else 0


def _values_paths(stated: list[str] | tuple[()]) -> dict[str, tuple[str, ...]]:
    from tidewaiter.rules.errors import InputError

    found: dict[str, tuple[str, ...]] = {}
    for one in stated:
        file, colon, pointer = one.rpartition(":/")
        if not colon or not file or not pointer:
            raise InputError(f"--values-path takes FILE:/POINTER, not {one!r}")
        found[file] = (*found.get(file, ()), f"/{pointer}")
    return found


def _settings(arguments: argparse.Namespace) -> RegistrySettings:
    from tidewaiter.rules.loading.sources import read_file
    from tidewaiter.rules.signatures.registry import RegistrySettings

    certificates = arguments.registry_ca
    return RegistrySettings(
        plain_http_hosts=frozenset(arguments.plain_http or ()),
        certificates=read_file(certificates).decode("utf-8", "replace") if certificates else "",
    )


def _say_errors(result: PinResult) -> bool:
    from tidewaiter.cli.run.pin import FAILED

    failed = bool(result.errors)
    for error in result.errors:
        place = ":".join(str(part) for part in (error.file, error.line, error.column) if part)
        complain(f"{place}: error: {error.message}" if place else error.message)
    for image in result.images:
        if image.outcome == FAILED:
            failed = True
            complain(f"{image.file}:{image.line}: error: {image.image}: {image.reason}")
    return failed


def _print_diff(result: PinResult) -> None:
    from tidewaiter.cli.output.diff import unified

    for path, (before, after) in sorted(result.changed.items()):
        for line in unified(path if path != STDIN else "stdin", before, after):
            sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _write(result: PinResult) -> bool:
    from tidewaiter.rules.errors import InputError
    from tidewaiter.rules.fixes.writing import rewrite

    failed = False
    for path, (before, after) in sorted(result.changed.items()):
        try:
            rewrite(path, before, after)
        except InputError as error:
            complain(f"{path}: error: {error.message}")
            failed = True
    return failed


def _report(result: PinResult, *, would: bool, quiet: bool) -> Iterator[str]:
    from tidewaiter.cli.run.pin import CURRENT, FAILED, LEFT, MOVED, PINNED, count

    images = result.images
    if not quiet:
        for one in images:
            place = f"{one.file}:{one.line}: "
            if one.outcome == PINNED:
                yield f"{place}{one.image} {'would be' if would else 'is now'} pinned to {one.digest}"
            elif one.outcome == MOVED:
                yield f"{place}{one.image}: the tag {'now leads' if would else 'was moved'} to {one.digest}"
            elif one.outcome == LEFT:
                named = one.image or "an image"
                yield f"{place}{named} is left: {one.reason}"
    parts = [
        f"{count(images, PINNED)} {'to pin' if would else 'pinned'}",
        f"{count(images, MOVED)} moved",
        f"{count(images, CURRENT)} as pinned before",
    ]
    parts += [f"{number} left" for number in [count(images, LEFT)] if number]
    parts += [f"{number} failed" for number in [count(images, FAILED)] if number]
    yield f"{len(images)} image{'' if len(images) == 1 else 's'}: {', '.join(parts)}"
