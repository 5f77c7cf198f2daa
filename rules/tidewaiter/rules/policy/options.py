"""The command line's options laid over a policy: they win over what the file says."""

from __future__ import annotations

from tidewaiter.rules import catalogue
from tidewaiter.rules.errors import PolicyError
from tidewaiter.rules.names import nearest_name
from tidewaiter.rules.policy.compiled import LATEST_VERSION, parse_version
from tidewaiter.rules.rule import PROFILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tidewaiter.rules.policy.compiled import PlainPolicy


def with_options(
    plain: PlainPolicy,
    *,
    profiles: Sequence[str] | None = None,
    kubernetes_version: str | None = None,
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    fail_on: str | None = None,
) -> PlainPolicy:
    """Return the policy with the given options in place of its own settings.

    Raises PolicyError for a name that is no rule or profile, and for a version that is not known.
    """
    result: PlainPolicy = {**plain}
    if profiles:
        _check_names(profiles, PROFILES, "profile")
        result["profiles"] = list(profiles)
    if kubernetes_version:
        result["kubernetesVersion"] = checked_version(kubernetes_version)
    if only:
        _check_names(only, _rules(plain), "rule")
        result["only"] = list(only)
    if skip:
        _check_names(skip, _rules(plain), "rule")
        result["skip"] = list(skip)
    if fail_on:
        result["failOn"] = fail_on
    return result


def _rules(plain: PlainPolicy) -> Collection[str]:
    """Return the names of all rules, the policy's own included."""
    from tidewaiter.rules.policy.own_rules import own_entries

    return [*catalogue.entries(), *own_entries(plain)]


def checked_version(text: str) -> str:
    """Return a Kubernetes version as major.minor, or raise PolicyError where it is not known."""
    version = parse_version(text)
    if version is None or not (1, 0) <= version <= LATEST_VERSION:
        newest = ".".join(map(str, LATEST_VERSION))
        msg = f"{text!r} is no known Kubernetes version; give one from 1.0 to {newest}"
        raise PolicyError(msg)
    return f"{version[0]}.{version[1]}"


def _check_names(names: Sequence[str], known: Collection[str], what: str) -> None:
    for name in names:
        if name not in known:
            nearest = nearest_name(name, known)
            hint = f"; did you mean {nearest!r}?" if nearest else "; see `tidewaiter rules`"
            msg = f"there is no {what} {name!r}{hint}"
            raise PolicyError(msg)
