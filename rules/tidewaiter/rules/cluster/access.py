"""Where a cluster is and how one gets in: from a kubeconfig, or from inside a pod.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tidewaiter.rules.cluster.credentials import (
    ExecPlugin,
    FixedHeaders,
    TokenFile,
    basic,
    bearer,
    exec_version_known,
)
from tidewaiter.rules.cluster.kubeconfig import choose, kubeconfig_files
from tidewaiter.rules.cluster.proxy import proxy_from_environment
from tidewaiter.rules.errors import ClusterError

if TYPE_CHECKING:
    from tidewaiter.rules.cluster.credentials import Credentials
    from tidewaiter.rules.cluster.kubeconfig import Chosen, Entry

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where the kubelet puts a pod's token, the cluster's certificate authority and the namespace."""
IN_CLUSTER = "in-cluster"
_EXEC_EXTENSION = "client.authentication.k8s.io/exec"
_PROXIES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Access:
    """One cluster and who speaks to it.

    `name` is the kubeconfig's context or `in-cluster`. `server` is a URL without a slash at its end. `tls` is
    None for plain HTTP, over which no credentials go. `server_name` is what the server's certificate must be for,
    where that is not the URL's host. `headers` go with each request (impersonation). `namespace` is that of the
    context or the pod, empty where none is stated.
    """

    name: str
    server: str
    tls: ssl.SSLContext | None = field(repr=False)
    credentials: Credentials = field(repr=False)
    server_name: str = ""
    proxy: str = field(repr=False, default="")
    headers: tuple[tuple[str, str], ...] = field(repr=False, default=())
    namespace: str = ""


def find_access(kubeconfig: str | None = None, context: str | None = None) -> Access:
    """Return the way into the cluster that kubectl would take.

    The stated kubeconfig, else those of $KUBECONFIG, else ~/.kube/config, else the pod's own service account.
    Raises ClusterError with the place of the mistake.
    """
    files = kubeconfig_files(kubeconfig)
    if files:
        return _from_kubeconfig(choose(files, context))
    listed = os.environ.get("KUBECONFIG")
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not context:
        return in_cluster()
    if listed:
        msg = "no file that $KUBECONFIG names exists"
        raise ClusterError(msg, file=listed)
    raise ClusterError(
        "no cluster is known: there is neither a kubeconfig (--kubeconfig, $KUBECONFIG, ~/.kube/config) "
        "nor a service account of a pod"
    )


def in_cluster(folder: str = SERVICE_ACCOUNT) -> Access:
    """Return the way into the cluster that this process runs in, as its pod's service account."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "") or "443"
    if not host:
        raise ClusterError("this is no pod of a cluster: KUBERNETES_SERVICE_HOST is not set")
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    server = f"https://{host}:{port}"
    authority = os.path.join(folder, "ca.crt")
    credentials = TokenFile(os.path.join(folder, "token"))
    credentials.headers()  # a token that cannot be read is told now
    try:
        tls = ssl.create_default_context(cafile=authority)
    except (OSError, ValueError) as error:
        msg = "the certificate authority cannot be read"
        raise ClusterError(msg, file=authority) from error
    try:
        with open(os.path.join(folder, "namespace"), encoding="utf-8") as file:
            namespace = file.read().strip()
    except (OSError, ValueError):
        namespace = ""
    return Access(
        IN_CLUSTER,
        server,
        tls,
        credentials,
        proxy=proxy_from_environment(server),
        namespace=namespace,
    )


def _from_kubeconfig(chosen: Chosen) -> Access:
    cluster, user = chosen.cluster, chosen.user
    server = _server(cluster)
    proxy = cluster.text("proxy-url")
    if proxy and urlsplit(proxy).scheme not in _PROXIES:
        raise cluster.error(f"proxy-url must be a URL of {', '.join(_PROXIES)}", "proxy-url")
    tls: ssl.SSLContext | None = None
    credentials: Credentials = FixedHeaders()
    headers: tuple[tuple[str, str], ...] = ()
    if server.startswith("https://"):
        tls = _tls(cluster)
        if user is not None:
            _load_own_certificate(tls, user)
            credentials = _credentials(user, cluster, tls)
            headers = _impersonation(user)
    return Access(
        chosen.name,
        server,
        tls,
        credentials,
        server_name=cluster.text("tls-server-name"),
        proxy=proxy or proxy_from_environment(server),
        headers=headers,
        namespace=chosen.namespace,
    )


def _server(cluster: Entry) -> str:
    """Return the URL; without a scheme it is HTTPS where something is said of TLS, as kubectl reads it."""
    stated = cluster.text("server")
    if not stated:
        raise cluster.error(
            "the cluster has no server", "server" if "server" in cluster.fields else ""
        )
    if "://" not in stated:
        said = ("certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify")
        scheme = "https" if any(cluster.fields.get(name) for name in said) else "http"
        stated = f"{scheme}://{stated}"
    try:
        parts = urlsplit(stated)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise cluster.error(f"the server {cluster.text('server')!r} is no URL", "server")
    return stated.rstrip("/")


def _tls(cluster: Entry) -> ssl.SSLContext:
    authority, insecure = (
        _pem(cluster, "certificate-authority"),
        cluster.flag("insecure-skip-tls-verify"),
    )
    if authority and insecure:
        msg = "insecure-skip-tls-verify and a certificate authority exclude each other"
        raise cluster.error(msg, "insecure-skip-tls-verify")
    try:
        tls = ssl.create_default_context(cadata=authority or None)
    except (ssl.SSLError, ValueError) as error:
        name = _stated(cluster, "certificate-authority")
        raise cluster.error(f"{name} holds no certificate in PEM form", name) from error
    if insecure:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    return tls


def _load_own_certificate(tls: ssl.SSLContext, user: Entry) -> None:
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if certificate and not key:
        msg = "the client certificate has no key"
        raise user.error(msg, _stated(user, "client-certificate"))
    if key and not certificate:
        raise user.error("the client key has no certificate", _stated(user, "client-key"))
    if certificate:
        try:
            load_certificate(tls, certificate, key)
        except (ssl.SSLError, ValueError) as error:
            msg = "the client certificate and key cannot be used: they are no PEM, or no pair"
            raise user.error(msg, _stated(user, "client-certificate")) from error


def load_certificate(tls: ssl.SSLContext, certificate: str, key: str) -> None:
    """Make TLS connections present a certificate (PEM); the key is on disk only while it is read."""
    descriptor, path = tempfile.mkstemp(prefix="tidewaiter-")  # readable for this user only
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{certificate}\n{key}\n")
        tls.load_cert_chain(path, password=_no_password)
    finally:
        os.unlink(path)


def _no_password() -> str:
    """Refuse an encrypted key, which OpenSSL would otherwise ask about on the terminal."""
    raise ValueError("the key is encrypted")


def _credentials(user: Entry, cluster: Entry, tls: ssl.SSLContext) -> Credentials:
    token, token_file = user.text("token"), user.path("tokenFile")
    username, password = user.text("username"), user.text("password")
    if (token or token_file) and (username or password):
        raise user.error("a token and a password exclude each other", "username")
    plugin = user.below("exec")
    if "auth-provider" in user.fields:
        msg = "auth-provider is not supported; use the exec plugin of your provider in its place"
        raise user.error(msg, "auth-provider")
    if token_file:
        from_file = TokenFile(token_file)
        try:
            from_file.headers()
            return from_file
        except ClusterError:
            if not token:
                raise
    if token:
        return bearer(token)
    if username or password:
        return basic(username, password)
    return _plugin(plugin, cluster, tls) if plugin is not None else FixedHeaders()


def _plugin(plugin: Entry, cluster: Entry, tls: ssl.SSLContext) -> ExecPlugin:
    command, version = plugin.text("command"), plugin.text("apiVersion")
    if not command:
        raise plugin.error("the exec plugin has no command")
    if not exec_version_known(version):
        msg = f"the exec plugin's apiVersion is {version!r}; it must be client.authentication.k8s.io/v1"
        raise plugin.error(msg, "apiVersion")
    if plugin.text("interactiveMode") == "Always":
        msg = "the exec plugin wants a terminal (interactiveMode Always), and it has none here"
        raise plugin.error(msg, "interactiveMode")
    environment: dict[str, str] = {}
    for row in plugin.fields.get("env") or ():
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise plugin.error("env must be a list of name and value", "env")
        environment[row["name"]] = str(row.get("value", ""))
    # A bare name is looked for on $PATH, anything else beside the kubeconfig.
    program = command if os.path.basename(command) == command else plugin.path("command")
    return ExecPlugin(
        (program, *plugin.texts("args")),
        environment,
        version,
        plugin.file,
        partial(load_certificate, tls),
        _cluster_info(cluster) if plugin.flag("provideClusterInfo") else None,
        hint=plugin.text("installHint"),
    )


def _cluster_info(cluster: Entry) -> dict[str, Any]:
    """Return what a plugin that asks for it is told of the cluster."""
    found: dict[str, Any] = {"server": cluster.text("server"), "config": None}
    authority = _pem(cluster, "certificate-authority")
    if authority:
        found["certificate-authority-data"] = base64.b64encode(authority.encode()).decode()
    for name in ("tls-server-name", "proxy-url", "insecure-skip-tls-verify", "disable-compression"):
        if cluster.fields.get(name):
            found[name] = cluster.fields[name]
    for row in cluster.fields.get("extensions") or ():
        if isinstance(row, dict) and row.get("name") == _EXEC_EXTENSION:
            found["config"] = row.get("extension")
    return found


def _impersonation(user: Entry) -> tuple[tuple[str, str], ...]:
    """Return the headers of `as`, `as-uid`, `as-groups` and `as-user-extra`.

    https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
    """
    name, uid, groups = user.text("as"), user.text("as-uid"), user.texts("as-groups")
    extra = user.below("as-user-extra")
    rows = [("Impersonate-User", name)] if name else []
    rows += [("Impersonate-Uid", uid)] if uid else []
    rows += [("Impersonate-Group", group) for group in groups]
    if extra is not None:
        for key in extra.fields:
            header = f"Impersonate-Extra-{quote(key, safe='')}"
            rows += [(header, value) for value in extra.texts(key)]
    if rows and not name:
        raise user.error("groups, uid or extra are impersonated without a user: `as` is missing")
    return tuple(rows)


def _stated(entry: Entry, name: str) -> str:
    data = f"{name}-data"
    return data if entry.fields.get(data) else name


def _pem(entry: Entry, name: str) -> str:
    """Return what the entry holds itself (base64), or what the file it names does, empty for neither."""
    data, path = entry.text(f"{name}-data"), entry.path(name)
    try:
        if data:
            return base64.b64decode(data, validate=True).decode()
        if not path:
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        reason = error.strerror or "unknown error"
        raise entry.error(f"{name} {path!r} cannot be read: {reason}", name) from error
    except (binascii.Error, ValueError) as error:
        form = "base64 of PEM" if data else "PEM"
        raise entry.error(f"{_stated(entry, name)} is not {form}", _stated(entry, name)) from error
