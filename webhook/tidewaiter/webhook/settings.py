"""What an operator sets: the options of `tidewaiter serve`, read and checked before anything starts.

The options are declared here, and not in the command line, so that `python -m tidewaiter.webhook` takes the same.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.record import record

if TYPE_CHECKING:
    import argparse

CLUSTER, NONE = "cluster", "none"
OFF = "off"
"""Values of `--inventory` that are no file."""
STDOUT = "-"
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")


@record
class Settings:
    """All of them, checked. Sizes are bytes, times are seconds, a limit of 0 is none."""

    policy: str = ""
    """The policy file or folder; empty for the default policy."""
    policy_objects: str = "auto"
    """auto: those of the cluster count too, where it is followed and has their definitions; or never."""
    certificate: str = ""
    key: str = ""
    """PEM files; both empty where the server speaks plain HTTP or makes its own."""
    own_secret: str = ""
    """The Secret in which the replicas share certificates that they make themselves; empty where they do not."""
    service: tuple[str, str] = ("", "")
    """Name and namespace of the Service that leads here; its namespace is that of the Secret."""
    own_names: tuple[str, ...] = ()
    """Further DNS names and addresses of the server."""
    webhook_configurations: tuple[str, ...] = ()
    certificate_lifetime: float = 30 * 86_400.0
    authority_lifetime: float = 365 * 86_400.0
    host: str = "127.0.0.1"
    port: int = 8443
    inventory: str = CLUSTER
    kubeconfig: str = ""
    max_inventory_age: float = 600.0
    background_audit: float = 3600.0
    """Time between two audits of the cluster; there are none without one."""
    audit_log: str = STDOUT
    """`-` for stdout, `none`, or a file."""
    audit_log_size: int = 100 * 2**20
    audit_log_files: int = 10
    verdicts: str = "sqlite"
    """Where verdicts on images are kept: memory, sqlite[:PATH] or valkey://HOST:PORT/N."""
    verdicts_secret: str = ""
    max_body: int = 8 * 2**20
    """Both versions of an object stand in a review, of 3 MiB each at most by the API server's own limit on bodies."""
    read_timeout: float = 10.0
    idle_timeout: float = 120.0
    """Above the 90 s after which the API server itself gives up an idle connection, so that it never writes into one
    that is being closed here."""
    max_connections: int = 4096
    max_in_flight: int = 256
    drain_grace: float = 5.0
    drain_timeout: float = 30.0
    reload_interval: float = 2.0
    ui: str = OFF
    """`cluster`: a page for those whom the API server lets look."""
    log_format: str = "text"
    log_level: str = "info"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Their defaults are those of `Settings`."""
    default = Settings()
    add = parser.add_argument
    add(
        "--policy",
        metavar="PATH",
        help="policy file or folder (default: tidewaiter.yaml here or above)",
    )
    add(
        "--policy-objects",
        choices=("auto", "never"),
        default=default.policy_objects,
        help="whether ClusterPolicy and Policy objects of the cluster count too (default: %(default)s, where the "
        "inventory is the cluster and it has their definitions)",
    )
    add("--tls-cert", metavar="FILE", help="PEM file of the certificate, with its chain")
    add("--tls-key", metavar="FILE", help="PEM file of the certificate's key")
    add(
        "--own-certificate",
        metavar="SECRET",
        help="make certificates, share them by this Secret in the Service's namespace, and renew them",
    )
    add("--service", metavar="NAME.NAMESPACE", help="the Service that leads here")
    add(
        "--own-name",
        action="append",
        metavar="NAME",
        help="further DNS name or address that an own certificate is for; repeatable",
    )
    add(
        "--webhook-configuration",
        action="append",
        metavar="NAME",
        help="ValidatingWebhookConfiguration that shall trust the own certificates; repeatable",
    )
    add(
        "--certificate-lifetime",
        metavar="DURATION",
        default="720h",
        help="of an own certificate; the last third is for its renewal (default: %(default)s)",
    )
    add(
        "--authority-lifetime",
        metavar="DURATION",
        default="8760h",
        help="of the own authority, likewise (default: %(default)s)",
    )
    add("--plain-http", action="store_true", help="serve without TLS beyond loopback too")
    add(
        "--bind",
        metavar="HOST:PORT",
        default=f"{default.host}:{default.port}",
        help="address to listen at; :PORT is all (default: %(default)s)",
    )
    add(
        "--inventory",
        metavar="cluster|none|PATH",
        default=default.inventory,
        help="where the other objects are known from (default: %(default)s)",
    )
    add("--kubeconfig", metavar="FILE", help="access to the cluster (default: as kubectl)")
    add(
        "--max-inventory-age",
        metavar="DURATION",
        default="10m",
        help="when the cluster has not been heard of for so long, what is missing from the inventory is unknown; "
        "0: never (default: %(default)s)",
    )
    add(
        "--background-audit",
        metavar="DURATION",
        default="1h",
        help="how often one of the replicas judges what is in the cluster and writes reports into it; 0: never "
        "(default: %(default)s)",
    )
    add(
        "--audit-log",
        metavar="-|none|FILE",
        default=default.audit_log,
        help="one JSON line a decision (default: -, stdout)",
    )
    add(
        "--audit-log-size",
        metavar="SIZE",
        default="100Mi",
        help="a file of this size is rotated (default: %(default)s)",
    )
    add(
        "--audit-log-files",
        metavar="N",
        default=str(default.audit_log_files),
        help="files kept, the current one included (default: %(default)s)",
    )
    add(
        "--verdicts",
        metavar="PLACE",
        default=default.verdicts,
        help="where verdicts on images are kept: memory, sqlite[:PATH] or valkey://HOST:PORT/N "
        "(default: %(default)s)",
    )
    add(
        "--verdicts-secret",
        metavar="FILE",
        help="file with the secret that replicas seal shared verdicts by",
    )
    add("--max-body", metavar="SIZE", default="8Mi", help="largest request (default: %(default)s)")
    add(
        "--read-timeout",
        metavar="DURATION",
        default="10s",
        help="time that a client has to send a request (default: %(default)s)",
    )
    add(
        "--idle-timeout",
        metavar="DURATION",
        default="120s",
        help="a connection without requests is closed after it (default: %(default)s)",
    )
    add(
        "--max-connections",
        metavar="N",
        default=str(default.max_connections),
        help="open connections; above it the one idle for longest is closed (default: %(default)s)",
    )
    add(
        "--max-in-flight",
        metavar="N",
        default=str(default.max_in_flight),
        help="requests at once; more are answered with 429 (default: %(default)s)",
    )
    add(
        "--drain-grace",
        metavar="DURATION",
        default="5s",
        help="at SIGTERM, time of not being ready before the server stops listening (default: %(default)s)",
    )
    add(
        "--drain-timeout",
        metavar="DURATION",
        default="30s",
        help="then, time that requests under way have to end (default: %(default)s)",
    )
    add(
        "--reload-interval",
        metavar="DURATION",
        default="2s",
        help="how often policy and certificate files are looked at (default: %(default)s)",
    )
    add(
        "--ui",
        choices=(OFF, CLUSTER),
        default=default.ui,
        help="a read-only page at /ui, for those whom the cluster permits it (default: %(default)s)",
    )
    add("--log-format", choices=LOG_FORMATS, default="text", help="of stderr (default: text)")
    add("--log-level", choices=LOG_LEVELS, default="info", help="of stderr (default: info)")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that the options mean. Raises InputError for those that cannot work."""
    host, port = _address(arguments.bind)
    certificate, key = arguments.tls_cert or "", arguments.tls_key or ""
    if bool(certificate) != bool(key):
        given, missing = ("--tls-cert", "--tls-key") if certificate else ("--tls-key", "--tls-cert")
        msg = f"{given} is given without {missing}: a certificate and its key go together"
        raise InputError(msg)
    own_secret = arguments.own_certificate or ""
    chosen = [
        option
        for option, value in (
            ("--plain-http", arguments.plain_http),
            ("--tls-cert", certificate),
            ("--own-certificate", own_secret),
        )
        if value
    ]
    if len(chosen) > 1:
        msg = f"{' and '.join(chosen)} exclude each other"
        raise InputError(msg)
    service = _service(arguments, own_secret)
    if not chosen and not arguments.plain_http and not _is_loopback(host):
        msg = (
            f"without --tls-cert and --tls-key only loopback is served, not {arguments.bind!r}: the API server speaks "
            "TLS to webhooks; --plain-http serves without it, behind a proxy that ends TLS"
        )
        raise InputError(msg)
    return Settings(
        policy=_policy(arguments.policy),
        policy_objects=arguments.policy_objects,
        certificate=certificate,
        key=key,
        own_secret=own_secret,
        service=service,
        own_names=tuple(arguments.own_name or ()),
        webhook_configurations=tuple(arguments.webhook_configuration or ()),
        certificate_lifetime=_seconds(
            "--certificate-lifetime", arguments.certificate_lifetime, least=30
        ),
        authority_lifetime=_seconds("--authority-lifetime", arguments.authority_lifetime, least=30),
        host=host,
        port=port,
        inventory=arguments.inventory,
        kubeconfig=arguments.kubeconfig or "",
        max_inventory_age=_seconds("--max-inventory-age", arguments.max_inventory_age),
        background_audit=_seconds("--background-audit", arguments.background_audit),
        audit_log=arguments.audit_log,
        audit_log_size=_size("--audit-log-size", arguments.audit_log_size, least=4096),
        audit_log_files=_number("--audit-log-files", arguments.audit_log_files),
        verdicts=arguments.verdicts,
        verdicts_secret=_secret(arguments.verdicts_secret),
        max_body=_size("--max-body", arguments.max_body, least=1024),
        read_timeout=_seconds("--read-timeout", arguments.read_timeout, least=0.1),
        idle_timeout=_seconds("--idle-timeout", arguments.idle_timeout, least=1),
        max_connections=_number("--max-connections", arguments.max_connections),
        max_in_flight=_number("--max-in-flight", arguments.max_in_flight),
        drain_grace=_seconds("--drain-grace", arguments.drain_grace),
        drain_timeout=_seconds("--drain-timeout", arguments.drain_timeout),
        reload_interval=_seconds("--reload-interval", arguments.reload_interval, least=0.05),
        ui=arguments.ui,
        log_format=arguments.log_format,
        log_level=arguments.log_level,
    )


def _service(arguments: argparse.Namespace, own_secret: str) -> tuple[str, str]:
    """Return name and namespace of the Service. Raises InputError where own certificates cannot do without."""
    name, _, namespace = (arguments.service or "").partition(".")
    if arguments.service and (not name or not namespace or "." in namespace):
        msg = f"--service takes NAME.NAMESPACE, not {arguments.service!r}"
        raise InputError(msg)
    if own_secret and not name:
        msg = "--own-certificate needs --service NAME.NAMESPACE, for which the certificate is"
        raise InputError(msg)
    if own_secret and not arguments.webhook_configuration:
        msg = "--own-certificate needs --webhook-configuration NAME: nobody else would trust it"
        raise InputError(msg)
    return name, namespace


def _secret(file: str | None) -> str:
    """Return the secret in a file. Raises InputError where it cannot be read."""
    from tidewaiter.rules.loading.sources import read_file

    return read_file(file).decode("utf-8", "replace").strip() if file else ""


def _policy(stated: str | None) -> str:
    """Return the policy's path. Raises InputError where it is named and not there."""
    from tidewaiter.rules.policy.discovery import find_policy

    if stated is None:
        return find_policy(os.getcwd()) or ""
    if not os.path.exists(stated):
        raise InputError("there is no such policy file", file=stated)
    return stated


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        msg = f"--bind takes HOST:PORT, with an IPv6 address in brackets, not {text!r}"
        raise InputError(msg)
    if not colon or not port.isascii() or not port.isdigit() or int(port[:6]) > 65535:
        msg = f"--bind takes HOST:PORT with a port from 0 to 65535, not {text!r}"
        raise InputError(msg)
    return host, int(port)


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seconds(option: str, text: str, *, least: float = 0) -> float:
    from tidewaiter.rules.manifest.duration import InvalidDuration, parse_duration

    try:
        seconds = parse_duration(text) / 1e9
    except InvalidDuration as error:
        msg = f"{option}: {error}"
        raise InputError(msg) from None
    if seconds < least:
        msg = f"{option} is at least {least:g}s, not {text!r}"
        raise InputError(msg)
    return seconds


def _size(option: str, text: str, *, least: int) -> int:
    from tidewaiter.rules.manifest.quantity import NANO, quantity_of

    amount = quantity_of(text)
    if amount is None:
        msg = f"{option} takes a size such as 8Mi, not {text!r}"
        raise InputError(msg)
    if amount < least * NANO:
        msg = f"{option} is at least {least} bytes, not {text!r}"
        raise InputError(msg)
    return amount // NANO


def _number(option: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 7 or int(text) == 0:
        msg = f"{option} takes a number from 1, not {text!r}"
        raise InputError(msg)
    return int(text)
