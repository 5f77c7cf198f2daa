"""The proxy that the environment asks for, by the rules of Go's clients, kubectl among them.

https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
"""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit


def proxy_from_environment(url: str) -> str:
    """Return the proxy for a URL, empty for none: this machine is always reached directly."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    stated = _variable(f"{parts.scheme}_proxy")
    if not stated or _is_loopback(host):
        return ""
    if any(
        _excludes(rule.strip().lower(), host, port) for rule in _variable("no_proxy").split(",")
    ):
        return ""
    return stated if "://" in stated else f"http://{stated}"


def is_local(url: str) -> bool:
    """Say whether a URL leads to this machine."""
    return _is_loopback(urlsplit(url).hostname or "")


def _variable(name: str) -> str:
    return os.environ.get(name.upper()) or os.environ.get(name) or ""


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _excludes(rule: str, host: str, port: int) -> bool:
    """Say whether an entry of NO_PROXY is about a host: a name, a `.suffix`, an address, a network or `*`."""
    if not rule:
        return False
    if rule == "*":
        return True
    address = _address(host)
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, separator, stated_port = rule.rpartition(":")
    if separator and stated_port.isdigit() and (":" not in name or name.startswith("[")):
        if int(stated_port) != port:
            return False
        rule = name
    rule = rule.strip("[]").removeprefix("*")
    if address is not None:
        return _address(rule) == address
    return (host == rule.removeprefix(".") and not rule.startswith(".")) or host.endswith(
        rule if rule.startswith(".") else f".{rule}"
    )
