"""Check a policy file, show what it means for an object, print the JSON Schema of policy files."""

from __future__ import annotations

import os
import sys

from tidewaiter.cli.surroundings import (
    add_cluster_options,
    add_policy_options,
    chosen_policy,
    tell_of_refused,
    today,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.rules.policy.explain import Effective, ObjectExemption, RuleState


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    check = actions.add_parser(
        "check", help="report every mistake in a policy file", allow_abbrev=False
    )
    check.add_argument(
        "file", nargs="?", metavar="FILE", help="default: tidewaiter.yaml here or above"
    )
    show = actions.add_parser(
        "show", help="show the rules that hold for an object, and why", allow_abbrev=False
    )
    show.add_argument(
        "path", nargs="?", metavar="FILE", help="manifest of the objects, or - for stdin"
    )
    show.add_argument("--kind", help="only objects of this kind")
    show.add_argument("--name", help="only objects of this name")
    show.add_argument("--namespace", help="only objects of this namespace")
    add_policy_options(show)
    add_cluster_options(show)
    show.add_argument("--profile", action="append", metavar="NAME", help="as of `tidewaiter lint`")
    show.add_argument("--kubernetes-version", metavar="X.Y", help="as of `tidewaiter lint`")
    show.add_argument("--all", action="store_true", help="also the rules that are switched off")
    show.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    export = actions.add_parser(
        "export", help="print the rules in another form, for who enforces them", allow_abbrev=False
    )
    export.add_argument(
        "--as",
        dest="form",
        choices=("vap",),
        required=True,
        help="vap: ValidatingAdmissionPolicies of Kubernetes, with their bindings",
    )
    add_policy_options(export)
    add_cluster_options(export)
    export.add_argument(
        "--profile", action="append", metavar="NAME", help="as of `tidewaiter lint`"
    )
    export.add_argument("--kubernetes-version", metavar="X.Y", help="as of `tidewaiter lint`")
    importing = actions.add_parser(
        "import", help="print what another tool enforces as a policy", allow_abbrev=False
    )
    importing.add_argument("file", metavar="FILE", help="what to read, or - for stdin")
    test = actions.add_parser(
        "test", help="run the cases of a folder by the policy's own rules", allow_abbrev=False
    )
    test.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="each file or folder in it is a case"
    )
    add_policy_options(test)
    add_cluster_options(test)
    test.add_argument("--profile", action="append", metavar="NAME", help="as of `tidewaiter lint`")
    test.add_argument("--kubernetes-version", metavar="X.Y", help="as of `tidewaiter lint`")
    diff = actions.add_parser(
        "diff", help="show what another policy changes, of files or a cluster", allow_abbrev=False
    )
    from tidewaiter.cli.commands import policy_diff

    policy_diff.configure(diff)
    actions.add_parser("schema", help="print the JSON Schema of policy files", allow_abbrev=False)


def run(arguments: argparse.Namespace) -> int:
    """Do one action. Raises PolicyError and InputError for what cannot be read or found."""
    if arguments.action == "schema":
        return _schema()
    if arguments.action == "import":
        return _import(arguments)
    if arguments.action == "diff":
        from tidewaiter.cli.commands import policy_diff

        code, lines = policy_diff.run(arguments)
        _print(lines)
        return code
    if arguments.action == "export":
        return _export(arguments)
    if arguments.action == "test":
        from tidewaiter.cli.commands import policy_test

        return policy_test.run(arguments, _whole_policy(arguments), today())
    return _check(arguments) if arguments.action == "check" else _show(arguments)


def _schema() -> int:
    import json

    from tidewaiter.rules.policy.schema import policy_schema

    _print([json.dumps(policy_schema(), indent=2)])
    return 0


def _export(arguments: argparse.Namespace) -> int:
    import yaml

    from tidewaiter.rules.errors import PolicyError
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.rules.policy.export import OLDEST, export

    policy = Policy(_whole_policy(arguments))
    if policy.version < OLDEST:
        msg = "Kubernetes serves ValidatingAdmissionPolicy v1 from 1.30 on"
        raise PolicyError(msg, file=policy.file)
    found = export(policy, today=today())
    for note in found.notes:
        print(f"tidewaiter: {note}", file=sys.stderr)
    if not found.objects:
        raise PolicyError("none of the policy's rules has a form in CEL", file=policy.file)
    _print([yaml.safe_dump_all(found.objects, sort_keys=False, width=100).rstrip()])
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from tidewaiter.rules.errors import PolicyError
    from tidewaiter.rules.loading.sources import read_file
    from tidewaiter.rules.policy.importing import import_policy
    from tidewaiter.rules.policy.validation import validated

    name = "standard input" if arguments.file == "-" else arguments.file
    made, parts = import_policy(read_file(arguments.file), name)
    try:
        validated(made.encode(), "the imported policy")
    except PolicyError as error:
        print(f"tidewaiter: what was imported is no valid policy yet: {error}", file=sys.stderr)
        _print([made.rstrip()])
        return 2
    for part in parts:
        for note in part.notes:
            where = f"{part.what}: " if part.what else ""
            print(f"{name}: {where}{note}", file=sys.stderr)
    _print([made.rstrip()])
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from tidewaiter.cli.output.statistics import counted
    from tidewaiter.rules.errors import InputError
    from tidewaiter.rules.policy.compiled import DEFAULT_PROFILE
    from tidewaiter.rules.policy.discovery import find_policy
    from tidewaiter.rules.policy.file import load_policy, policy_warnings

    path = arguments.file or find_policy(os.getcwd())
    if not path:
        raise InputError(
            "there is no tidewaiter.yaml here or in a folder above; name a policy file"
        )
    plain = load_policy(path)
    for warning in policy_warnings(plain):
        print(f"{path}: warning: {warning}", file=sys.stderr)
    _check_images(plain)
    profiles = ", ".join(plain.get("profiles") or [DEFAULT_PROFILE])
    counts = {
        "rule setting": len(plain.get("rules", ())),
        "override": len(plain.get("overrides", ())),
        "exemption": len(plain.get("exemptions", ())),
        "custom rule": len(plain.get("customRules", ())),
        "image entry": len(plain.get("images", ())),
    }
    plurals = {"image entry": "image entries"}
    parts = [
        counted(number, what, plurals.get(what, "")) for what, number in counts.items() if number
    ]
    if policies := _admission_policies(plain):
        parts.append(counted(policies, "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicies"))
    _print([f"{path}: valid: {', '.join([f'profile {profiles}', *parts])}"])
    return 0


def _check_images(plain: PlainPolicy) -> None:
    """Read the keys of the section `images`, where what reads them is installed. Raises PolicyError."""
    from tidewaiter.rules.policy.compiled import Policy

    facts = Policy(plain).images if plain.get("images") else None
    if facts is None:
        return
    try:
        from tidewaiter.rules.signatures.check_section import check_section
    except ModuleNotFoundError:
        print(
            "tidewaiter: the keys of images are not read, which needs tidewaiter[signatures]",
            file=sys.stderr,
        )
        return
    check_section(facts, plain.get("file", ""))


def _admission_policies(plain: PlainPolicy) -> int:
    kinds = [row["object"].get("kind") for row in plain.get("admissionObjects", ())]
    return kinds.count("ValidatingAdmissionPolicy")


def _show(arguments: argparse.Namespace) -> int:
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.rules.policy.explain import effective_policy

    plain = chosen_policy(arguments)
    policy = Policy(plain)
    resources: list[Resource | None] = list(_resources(arguments, policy)) or [None]
    now, by_option = today(), bool(arguments.profile)
    shown = [
        (resource, effective_policy(policy, resource, today=now, profile_option=by_option))
        for resource in resources
    ]
    if arguments.format == "json":
        import json

        objects = [_plain(resource, found, policy.file) for resource, found in shown]
        _print([json.dumps(objects, indent=2)])
    else:
        lines: list[str] = []
        for resource, found in shown:
            lines += [*_text(resource, found, policy.file, with_off=arguments.all), ""]
        _print(lines[:-1])
    return 2 if tell_of_refused(plain) else 0


def _print(lines: Iterable[str]) -> None:
    """Print in UTF-8 whatever the locale; names of files keep their bytes."""
    from tidewaiter.cli.output.excerpt import printable

    text = "".join(f"{line if chr(10) in line else printable(line)}\n" for line in lines)
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _whole_policy(arguments: argparse.Namespace) -> PlainPolicy:
    from tidewaiter.rules.errors import PolicyError

    plain = chosen_policy(arguments)
    if refused := plain.get("refused"):
        raise PolicyError("\n".join(refused))
    return plain


def _resources(arguments: argparse.Namespace, policy: object) -> Iterator[Resource]:
    """Yield the objects of the manifest that the options name. Raises InputError for none."""
    from tidewaiter.rules.errors import InputError

    narrowed = [arguments.kind, arguments.name, arguments.namespace]
    if not arguments.path:
        if any(narrowed):
            raise InputError("--kind, --name and --namespace choose among the objects of a FILE")
        return
    from tidewaiter.rules.loading.resources import read_resources
    from tidewaiter.rules.loading.sources import read_file

    content = read_resources(
        read_file(arguments.path),
        arguments.path,
        explicit=True,
        pod_specs=getattr(policy, "pod_specs", None),
    )
    if content.errors:
        raise content.errors[0]
    found = [
        resource
        for resource in content.resources
        if (not arguments.kind or resource.kind.lower() == arguments.kind.lower())
        and (not arguments.name or resource.name == arguments.name)
        and (not arguments.namespace or resource.namespace == arguments.namespace)
    ]
    if not found:
        known = ", ".join(dict.fromkeys(map(repr, content.resources)))
        raise InputError(f"no object here is meant; there are {known}", file=arguments.path)
    yield from found


def _text(
    resource: Resource | None, found: Effective, file: str, *, with_off: bool
) -> Iterator[str]:
    whose = repr(resource) if resource is not None else "objects that no override matches"
    yield f"Policy for {whose}"
    yield f"  policy file         {file or 'none, the default policy'}"
    yield f"  profiles            {', '.join(found.profiles)}"
    yield f"  Kubernetes version  {found.kubernetes_version}"
    yield f"  Pod Security level  {found.level}"
    if found.overrides:
        yield f"  overrides           {', '.join(found.overrides)}"
    yield ""
    width = max((len(state.name) for state in found.rules), default=0)
    for state in found.rules:
        if state.enabled or with_off:
            yield from _state(state, width)
    off = sum(not state.enabled for state in found.rules)
    if off and not with_off:
        yield ""
        yield f"  {off} more {'rule is' if off == 1 else 'rules are'} switched off; --all shows them"


def _state(state: RuleState, width: int) -> Iterator[str]:
    level = state.severity if state.enabled else "off"
    yield f"  {state.name:{width}}  {level:7}  {'; '.join(state.reasons)}"
    if state.enabled and state.mode != "enforce":
        yield f"  {'':{width}}           mode at admission: {state.mode}"
    for name, value in state.parameters.items():
        yield f"  {'':{width}}           {name}: {_value(value)}"
    for exemption in state.exemptions:
        yield f"  {'':{width}}           {_exemption(exemption)}"


def _exemption(exemption: ObjectExemption) -> str:
    parts = ["no longer exempted" if exemption.expired else "exempted"]
    for what, globs in (("containers", exemption.containers), ("images", exemption.images)):
        if globs:
            parts.append(f"for {what} {', '.join(globs)}")
    if exemption.expires:
        parts.append(
            f"{'since it expired on' if exemption.expired else 'until'} {exemption.expires}"
        )
    place = "annotation" if exemption.source == "annotation" else f"line {exemption.line}"
    return f"{' '.join(parts)} ({place}): {exemption.reason or 'no reason given'}"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(resource: Resource | None, found: Effective, file: str) -> dict[str, object]:
    identity = None
    if resource is not None:
        identity = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "namespace": resource.namespace,
            "name": resource.name,
        }
    return {
        "resource": identity,
        "policy": file or None,
        "profiles": list(found.profiles),
        "kubernetesVersion": found.kubernetes_version,
        "podSecurityLevel": found.level,
        "overrides": list(found.overrides),
        "rules": [
            {
                "name": state.name,
                "enabled": state.enabled,
                "severity": state.severity,
                "mode": state.mode,
                "parameters": state.parameters,
                "reasons": list(state.reasons),
                "exemptions": [
                    {
                        "source": exemption.source,
                        "reason": exemption.reason,
                        "expires": exemption.expires or None,
                        "expired": exemption.expired,
                        "line": exemption.line or None,
                        "containers": list(exemption.containers),
                        "images": list(exemption.images),
                    }
                    for exemption in state.exemptions
                ],
            }
            for state in found.rules
        ],
    }
