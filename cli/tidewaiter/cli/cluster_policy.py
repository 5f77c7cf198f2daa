"""The policy that is in force in a cluster: a file, and over it the ClusterPolicies and Policies that are there.

It is joined as the webhook joins it, so that both come to one verdict.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tidewaiter.rules.policy.compiled import PlainPolicy


def cluster_policy(base: str | None, kubeconfig: str | None, context: str | None) -> PlainPolicy:
    """Return what the objects of a cluster make of a policy file, None for the default policy.

    What is not accepted of them is in `refused`: a replica that has seen an earlier form of it may hold that. Raises PolicyError for a mistake in the file, ClusterError for a cluster that cannot be asked, and InputError where
    what asks is not installed.
    """
    import asyncio

    from tidewaiter.rules.errors import InputError
    from tidewaiter.rules.policy.file import load_policy
    from tidewaiter.rules.policy.objects import join, shown

    try:
        from tidewaiter.rules.cluster.client import open_client
        from tidewaiter.rules.cluster.policies import read_policies
    except ModuleNotFoundError as error:
        msg = f"a part is missing ({error.name}): install tidewaiter[cluster]"
        raise InputError(msg) from error

    async def read() -> list[dict[str, Any]]:
        async with open_client(kubeconfig, context) as client:
            return await read_policies(client)

    plain: PlainPolicy = load_policy(base) if base else {}
    joined = join(plain, asyncio.run(read()), problem_of_images=_images_check())
    refused = [
        f"{shown(place)} is not accepted: {verdict.message}"
        for place, verdict in joined.verdicts.items()
        if not verdict.is_accepted
    ]
    return {**joined.plain, "refused": refused} if refused else joined.plain


def _images_check() -> Callable[[PlainPolicy], str] | None:
    """Return what says what is wrong with the keys of a policy, None where what reads them is not installed."""
    try:
        from tidewaiter.rules.signatures.check_section import check_section
    except ModuleNotFoundError:
        return _tell_of_unread_keys
    from tidewaiter.rules.errors import PolicyError
    from tidewaiter.rules.policy.compiled import Policy

    def problem(plain: PlainPolicy) -> str:
        images = Policy({"images": plain.get("images", [])}).images
        try:
            if images is not None:
                check_section(images, "")
        except PolicyError as error:
            return error.message
        return ""

    return problem


def _tell_of_unread_keys(_: PlainPolicy) -> str:
    print(
        "tidewaiter: the keys of images are not read, which needs tidewaiter[signatures]",
        file=sys.stderr,
    )
    return ""
