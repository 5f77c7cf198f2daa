"""Reading `tidewaiter.yaml`: every mistake at its line, and what is read kept for the next run."""

from __future__ import annotations

import os

from tidewaiter.rules import catalogue
from tidewaiter.rules.cache_folder import cache_folder, name_of, read_data, write_data
from tidewaiter.rules.errors import InputError, PolicyError
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy


def load_policy(path: str, *, use_cache: bool = True) -> PlainPolicy:
    """Read and validate a policy file and return its plain form.

    A file that was valid before is not validated again: its plain form is kept in the cache folder by
    its content and the rules that are there. Raises PolicyError with every mistake in its message, one
    on a line, each after its file, line and column; its own place is that of the first.
    """
    try:
        content = read_file(path)
    except InputError as error:
        raise PolicyError(f"the policy cannot be read: {error.message}", file=path) from error
    stored = _cache_path(content) if use_cache else ""
    plain = read_data(stored) if stored else None
    if plain is None:
        from tidewaiter.rules.policy.validation import validated

        plain = validated(content, path)
        if stored:
            write_data(stored, plain)
    return {**plain, "file": path}


def policy_warnings(plain: PlainPolicy) -> list[str]:
    """Return what is no mistake but does nothing: settings of rules that no profile switches on."""
    from tidewaiter.rules.policy.compiled import DEFAULT_PROFILE

    profiles = list(plain.get("profiles") or [DEFAULT_PROFILE])
    for override in plain.get("overrides", ()):
        profiles += override.get("profiles", [])
    enabled = {
        name
        for part in (plain, *plain.get("overrides", ()))
        for name, setting in part.get("rules", {}).items()
        if setting.get("enabled")
    }
    warnings = []
    for name, setting in plain.get("rules", {}).items():
        entry = catalogue.entries()[name]
        in_profile = any(catalogue.in_profile(entry, profile) for profile in profiles)
        if not in_profile and name not in enabled and setting.get("enabled") is None:
            warnings.append(
                f"rules.{name} has no effect: the rule is in none of the profiles "
                f"{', '.join(dict.fromkeys(profiles))}; `enabled: true` switches it on"
            )
    return warnings


def _cache_path(content: bytes) -> str:
    name = name_of((__version__.encode(), repr(catalogue.stamp()).encode(), content))
    return os.path.join(cache_folder(), "policies", f"{name}.bin")
