"""Reading `tidewaiter.yaml`: every mistake at its line, and what is read kept for the next run."""

from __future__ import annotations

import os

from tidewaiter.rules import catalogue
from tidewaiter.rules.cache_folder import cache_folder, keep_newest, name_of, read_data, write_data
from tidewaiter.rules.errors import InputError, PolicyError
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.policy.discovery import POLICY_FILE
from tidewaiter.rules.version import __version__

_DEFAULT = b"{apiVersion: tidewaiter.dev/v1, kind: Policy, metadata: {name: default}, spec: {}}"
"""The policy of a folder that has none."""
_NAME_FILES = (b"admissionPolicies", b"authorities", b"registryAuthorities")
"""Keys below which a policy names other files."""
_KEPT = 64
"""Policies in the cache; each takes some kilobytes, and every change to the file makes another."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.policy.compiled import PlainPolicy


def load_policy(path: str, *, use_cache: bool = True) -> PlainPolicy:
    """Read and validate a policy file, or the policy of a folder, and return its plain form.

    A folder holds `tidewaiter.yaml`, or ValidatingAdmissionPolicies with their bindings and parameters, or both.
    A file that was valid before is not validated again: its plain form is kept in the cache folder by
    its content and the rules that are there. Raises PolicyError with every mistake in its message, one
    on a line, each after its file, line and column; its own place is that of the first.
    """
    folders: list[str] = []
    if os.path.isdir(path):
        folders, path = [path], os.path.join(path, POLICY_FILE)
    try:
        content = _DEFAULT if folders and not os.path.exists(path) else read_file(path)
    except InputError as error:
        raise PolicyError(f"the policy cannot be read: {error.message}", file=path) from error
    # What a policy names elsewhere may change while it stays as it is.
    reads_others = bool(folders) or any(key in content for key in _NAME_FILES)
    stored = _cache_path(content) if use_cache and not reads_others else ""
    plain = read_data(stored) if stored else None
    if plain is None:
        from tidewaiter.rules.policy.validation import validated

        plain = validated(content, path, folders)
        if content is _DEFAULT and not plain.get("admissionObjects"):
            msg = f"the folder has no {POLICY_FILE} and no ValidatingAdmissionPolicy"
            raise PolicyError(msg, file=folders[0])
        if stored and write_data(stored, plain):
            keep_newest(os.path.dirname(stored), files=_KEPT)
    return {**plain, "file": path if content is not _DEFAULT else ""}


def policy_warnings(plain: PlainPolicy) -> list[str]:
    """Return what is no mistake but does nothing: one sentence for each, in the file's order."""
    return [
        *_idle_settings(plain),
        *_idle_workloads(plain),
        *_unbound_policies(plain),
        *_open_identities(plain),
    ]


def _open_identities(plain: PlainPolicy) -> Iterator[str]:
    """Yield the regular expressions for signers that others' names may hold too."""
    from tidewaiter.rules.policy.image_authorities import signing_parts

    for index, row in enumerate(plain.get("images", ())):
        for part in signing_parts(row):
            for kind in ("keyless", "certificate"):
                for name in ("issuerRegExp", "subjectRegExp"):
                    text = part.get(kind, {}).get(name, "^")
                    if text[0] != "^":
                        yield (
                            f"images[{index}]: {name} {text!r} may be found anywhere in a name, that of "
                            "somebody else among them; ^ at its beginning prevents that"
                        )


def _unbound_policies(plain: PlainPolicy) -> Iterator[str]:
    """Yield the ValidatingAdmissionPolicies without a binding, and the bindings without a policy."""
    from tidewaiter.rules.names import nearest_name

    policies: dict[str, str] = {}
    bindings: dict[str, str] = {}
    for row in plain.get("admissionObjects", ()):
        value = row["object"]
        if value.get("kind") == "ValidatingAdmissionPolicy":
            policies[value["metadata"]["name"]] = row["file"]
        elif value.get("kind") == "ValidatingAdmissionPolicyBinding":
            bindings[value["spec"]["policyName"]] = row["file"]
    for name in sorted(policies.keys() - bindings):
        yield f"{policies[name]}: ValidatingAdmissionPolicy {name} has no effect: no binding names it"
    for name in sorted(bindings.keys() - policies):
        near = nearest_name(name, policies)
        hint = f"; did you mean {near}?" if near else ""
        yield f"{bindings[name]}: a binding has no effect: there is no policy {name}{hint}"


def _idle_settings(plain: PlainPolicy) -> Iterator[str]:
    """Yield the settings of rules that no profile holds and that nothing switches on."""
    from tidewaiter.rules.policy.compiled import DEFAULT_PROFILE

    overrides = plain.get("overrides", [])
    profiles = list(plain.get("profiles") or [DEFAULT_PROFILE])
    for override in overrides:
        profiles += override.get("profiles", [])
    parts = [("rules", plain.get("rules", {}))] + [
        (f"overrides[{index}].rules", override.get("rules", {}))
        for index, override in enumerate(overrides)
    ]
    enabled = {
        name for _, stated in parts for name, setting in stated.items() if setting.get("enabled")
    }
    for place, stated in parts:
        for name, setting in stated.items():
            entry = catalogue.entries().get(name)
            if entry is None:  # a rule of the policy's own, which is always on
                continue
            in_profile = any(catalogue.in_profile(entry, profile) for profile in profiles)
            if not in_profile and name not in enabled and setting.get("enabled") is None:
                yield (
                    f"{place}.{name} has no effect: the rule is in none of the profiles "
                    f"{', '.join(dict.fromkeys(profiles))}; `enabled: true` switches it on"
                )


def _idle_workloads(plain: PlainPolicy) -> Iterator[str]:
    """Yield the kinds whose pod spec is known without the policy and stands elsewhere."""
    from tidewaiter.rules.manifest.resource import kind_id
    from tidewaiter.rules.manifest.workload import POD_SPECS

    for index, row in enumerate(plain.get("workloads", ())):
        name = kind_id(row["apiVersion"], row["kind"])
        known = POD_SPECS.get(name, row["podSpec"])
        if known != row["podSpec"]:
            yield f"workloads[{index}] has no effect: the pod spec of {name} is known, at {known}"


def _cache_path(content: bytes) -> str:
    name = name_of((__version__.encode(), repr(catalogue.stamp()).encode(), content))
    return os.path.join(cache_folder(), "policies", f"{name}.bin")
