"""Judge what is sent to a cluster: a validating admission webhook and image policy webhook.

Ends with 0 after SIGTERM or SIGINT, and with 2 where it cannot start. docs/webhook.md says how it answers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tidewaiter.webhook.settings import configure, settings_of

if TYPE_CHECKING:
    import argparse
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from tidewaiter.webhook.settings import Settings

__all__ = ["configure", "run"]

_NEEDED = (
    "cryptography",
    "fastapi",
    "httptools",
    "httpx",
    "orjson",
    "prometheus_client",
    "uvicorn",
)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to end, and return the exit code. Raises TidewaiterError where it cannot start."""
    settings = settings_of(arguments)
    _check_packages()
    _serve(settings)
    return 0


def _check_packages() -> None:
    """Raise InputError where the packages of the webhook are not installed."""
    from importlib.util import find_spec

    from tidewaiter.rules.errors import InputError

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        msg = (
            f"the webhook needs packages that are not installed ({', '.join(missing)}): "
            "pip install 'tidewaiter[webhook]'"
        )
        raise InputError(msg)


def _serve(settings: Settings) -> None:
    import asyncio

    from tidewaiter.webhook.log import set_up

    set_up(settings.log_format, settings.log_level)
    _allow_connections(settings.max_connections)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(settings))


def _loop_factory() -> Callable[[], AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # only CPython has it
        return None
    return uvloop.new_event_loop


async def _run(settings: Settings) -> None:
    from tidewaiter.webhook.app import Application
    from tidewaiter.webhook.audit_log import AuditLog
    from tidewaiter.webhook.background_audit import open_background_audit
    from tidewaiter.webhook.certificates import Certificates
    from tidewaiter.webhook.images import Images
    from tidewaiter.webhook.inventory_source import open_inventory, own_namespace
    from tidewaiter.webhook.log import logger
    from tidewaiter.webhook.metrics import Metrics
    from tidewaiter.webhook.own_certificates import PairFiles, begin_renewal
    from tidewaiter.webhook.policy_objects import open_policy_objects
    from tidewaiter.webhook.policy_watch import PolicyWatch
    from tidewaiter.webhook.server import Server
    from tidewaiter.webhook.serving import Serving
    from tidewaiter.webhook.traces import tracer_from_environment
    from tidewaiter.webhook.ui import open_ui

    metrics = Metrics()
    renewal = await begin_renewal(settings) if settings.own_secret else None
    files = renewal.files if renewal else PairFiles(settings.certificate, settings.key)
    certificates = (
        Certificates(files.certificate, files.key, metrics) if files.certificate else None
    )
    policy = PolicyWatch(
        settings.policy, partial(open_inventory, settings), metrics, own_namespace(settings)
    )
    tracer = tracer_from_environment()
    audit_log = AuditLog(settings, metrics)
    images = Images(settings)
    audit = open_background_audit(settings, lambda: policy.current.policy.plain, metrics)
    objects = open_policy_objects(settings, policy, metrics)
    ui = open_ui(settings)
    serving = Serving(
        settings,
        metrics,
        policy.source,
        policy,
        audit_log,
        tracer,
        images,
        audit,
        objects,
        ui,
    )
    if certificates is None:
        logger.warning("plain HTTP: the API server speaks to webhooks by TLS only")
    try:
        await Server(serving, Application(serving), certificates, renewal).run()
    finally:
        await images.aclose()
        if ui is not None:
            await ui.viewers.close()
        audit_log.close()
        if renewal is not None:
            await renewal.close()
        if tracer is not None:
            tracer.close()
    logger.info("ended")


def _allow_connections(number: int) -> None:
    """Raise the limit on open files, which is 1,024 by default, as far as it may be."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Beside the open ones there are those that are still at their handshake.
    wanted = 4 * number + 1024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
