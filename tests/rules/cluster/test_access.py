"""The way into a cluster: each kind of kubeconfig, and each mistake in one, at its line."""

from __future__ import annotations

import base64
import json
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.certificates import Authority
from tidewaiter.rules.cluster.access import find_access, in_cluster
from tidewaiter.rules.cluster.kubeconfig import choose
from tidewaiter.rules.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

Object = dict[str, Any]


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the tester's own cluster nor a proxy is found."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def kubeconfig(
    folder: Path, user: Object | None = None, cluster: Object | None = None, name: str = "config"
) -> str:
    """Write a kubeconfig with one context."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [
            {"name": "c", "cluster": {"server": "https://api.example:6443", **(cluster or {})}}
        ],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}
        ],
    }
    path = folder / name
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return str(path)


def error_of(path: str, context: str | None = None) -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        find_access(path, context)
    return caught.value


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


# Who one is


def test_a_token_is_a_bearer_token(tmp_path: Path) -> None:
    access = find_access(kubeconfig(tmp_path, {"token": "abc"}))
    assert access.credentials.headers() == {"Authorization": "Bearer abc"}
    assert (access.name, access.server, access.namespace) == (
        "here",
        "https://api.example:6443",
        "shop",
    )


def test_a_token_file_counts_from_the_kubeconfigs_folder_and_wins_over_a_token(
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text("from-file\n", encoding="utf-8")
    access = find_access(kubeconfig(tmp_path, {"token": "abc", "tokenFile": "token"}))
    assert access.credentials.headers() == {"Authorization": "Bearer from-file"}


def test_where_the_token_file_is_missing_the_token_serves(tmp_path: Path) -> None:
    access = find_access(kubeconfig(tmp_path, {"token": "abc", "tokenFile": "missing"}))
    assert access.credentials.headers() == {"Authorization": "Bearer abc"}
    assert "token" in error_of(kubeconfig(tmp_path, {"tokenFile": "missing"})).message


def test_a_name_and_a_password_are_basic_authentication(tmp_path: Path) -> None:
    access = find_access(kubeconfig(tmp_path, {"username": "jane", "password": "pass"}))
    pair = base64.b64encode(b"jane:pass").decode()
    assert access.credentials.headers() == {"Authorization": f"Basic {pair}"}


def test_a_client_certificate_is_taken_from_files_and_from_the_kubeconfig(
    tmp_path: Path, authority: Authority
) -> None:
    pair = authority.issue("jane")
    files = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
    data = {
        "client-certificate-data": encoded(pair.certificate),
        "client-key-data": encoded(pair.key),
    }
    for user in (files, data, {**files, **data}):
        assert find_access(kubeconfig(tmp_path, user)).tls is not None


def test_an_exec_plugin_beside_the_kubeconfig_gives_the_token(tmp_path: Path) -> None:
    plugin = tmp_path / "bin" / "login"
    plugin.parent.mkdir()
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "fresh"},
    }
    plugin.write_text(
        f"#!/bin/sh\necho \"$KUBERNETES_EXEC_INFO $1 $REGION\" > {tmp_path}/asked\ncat <<'E'\n{json.dumps(answer)}\nE\n",
        encoding="utf-8",
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    stated = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./bin/login",
        "args": ["--quiet"],
        "env": [{"name": "REGION", "value": "eu"}],
        "interactiveMode": "Never",
        "provideClusterInfo": True,
    }
    access = find_access(kubeconfig(tmp_path, {"exec": stated}))
    assert access.credentials.headers() == {"Authorization": "Bearer fresh"}
    asked = (tmp_path / "asked").read_text(encoding="utf-8")
    assert asked.endswith("--quiet eu\n")
    info = json.loads(asked.removesuffix(" --quiet eu\n"))
    assert info["spec"]["cluster"]["server"] == "https://api.example:6443"


def test_a_missing_plugin_is_told_with_the_hint_to_install_it(tmp_path: Path) -> None:
    stated = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "no-such-login",
        "installHint": "Install the tool of your provider.",
    }
    access = find_access(kubeconfig(tmp_path, {"exec": stated}))
    with pytest.raises(ClusterError, match=r"not installed\. Install the tool"):
        access.credentials.headers()


def test_impersonation_is_sent_with_each_request(tmp_path: Path) -> None:
    user = {
        "token": "abc",
        "as": "deployer",
        "as-uid": "7",
        "as-groups": ["a", "b"],
        "as-user-extra": {"example.com/reason": ["audit"]},
    }
    assert find_access(kubeconfig(tmp_path, user)).headers == (
        ("Impersonate-User", "deployer"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-example.com%2Freason", "audit"),
    )


def test_over_plain_http_no_credentials_go(tmp_path: Path) -> None:
    access = find_access(
        kubeconfig(tmp_path, {"token": "abc"}, {"server": "http://127.0.0.1:8001/"})
    )
    assert (access.server, access.tls) == ("http://127.0.0.1:8001", None)
    assert access.credentials.headers() == {}


def test_nothing_that_is_secret_is_shown(tmp_path: Path) -> None:
    for user in ({"token": "sesame"}, {"username": "jane", "password": "sesame"}):
        assert "sesame" not in repr(find_access(kubeconfig(tmp_path, user)))


# Where the cluster is


def test_a_certificate_authority_is_taken_from_a_file_beside_it_and_from_the_kubeconfig(
    tmp_path: Path, authority: Authority
) -> None:
    (tmp_path / "ca.crt").write_bytes(authority.certificate.read_bytes())
    for cluster in (
        {"certificate-authority": "ca.crt"},
        {"certificate-authority-data": encoded(authority.certificate)},
    ):
        tls = find_access(kubeconfig(tmp_path, cluster=cluster)).tls
        assert tls is not None
        assert len(tls.get_ca_certs()) == 1
        assert tls.check_hostname


def test_verification_is_skipped_only_where_that_is_stated(tmp_path: Path) -> None:
    tls = find_access(kubeconfig(tmp_path, cluster={"insecure-skip-tls-verify": True})).tls
    assert tls is not None
    assert not tls.check_hostname
    assert tls.verify_mode == 0


@pytest.mark.parametrize(
    ("stated", "more", "server"),
    [
        ("https://h:6443/", {}, "https://h:6443"),
        ("https://h/k8s/clusters/c-1", {}, "https://h/k8s/clusters/c-1"),
        ("https://[2001:db8::1]:6443", {}, "https://[2001:db8::1]:6443"),
        ("h:6443", {"insecure-skip-tls-verify": True}, "https://h:6443"),
        ("h:8080", {}, "http://h:8080"),
    ],
)
def test_a_server_is_read_as_kubectl_reads_it(
    tmp_path: Path, stated: str, more: Object, server: str
) -> None:
    assert find_access(kubeconfig(tmp_path, cluster={"server": stated, **more})).server == server


def test_the_name_for_tls_and_the_proxy_are_taken(tmp_path: Path) -> None:
    cluster = {"tls-server-name": "internal", "proxy-url": "socks5://127.0.0.1:1080"}
    access = find_access(kubeconfig(tmp_path, cluster=cluster))
    assert (access.server_name, access.proxy) == ("internal", "socks5://127.0.0.1:1080")


@pytest.mark.parametrize(
    ("server", "without", "is_used"),
    [
        ("https://api.example:6443", "", True),
        ("https://api.example:6443", "example", False),
        ("https://api.example:6443", ".example", False),
        ("https://notexample:6443", "example", True),
        ("https://api.example:6443", "api.example:443", True),
        ("https://api.example:6443", "api.example:6443", False),
        ("https://10.1.2.3", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.1.2.4", True),
        ("https://[2001:db8::1]", "2001:db8::/32", False),
        ("https://127.0.0.1:6443", "", False),
        ("https://localhost", "", False),
        ("https://api.example", "*", False),
    ],
)
def test_the_environments_proxy_is_used_but_for_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, without: str, is_used: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", without)
    access = find_access(kubeconfig(tmp_path, cluster={"server": server}))
    assert access.proxy == ("http://proxy.example:3128" if is_used else "")


# Which files


def test_of_several_files_the_first_that_names_something_has_the_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kubeconfig(tmp_path, {"token": "first"}, name="first")
    second = kubeconfig(tmp_path, {"username": "x", "password": "second"}, name="second")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "missing"), first, second]))
    assert find_access().credentials.headers() == {"Authorization": "Bearer first"}
    assert find_access(second).credentials.headers()["Authorization"].startswith("Basic")


def test_entries_of_several_files_complete_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kubeconfig(tmp_path, {"token": "abc"})
    context = {"contexts": [{"name": "other", "context": {"cluster": "c", "user": "u"}}]}
    (tmp_path / "more").write_text(
        yaml.safe_dump({**context, "current-context": "other"}), encoding="utf-8"
    )
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "more"), path]))
    assert find_access().name == "other"
    assert find_access(context="here").name == "here"


def test_the_file_in_the_home_folder_is_the_last_resort(tmp_path: Path) -> None:
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    kubeconfig(tmp_path / "home" / ".kube", {"token": "abc"})
    assert find_access().name == "here"


def test_a_pod_speaks_as_its_service_account(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.crt").write_bytes(authority.certificate.read_bytes())
    (tmp_path / "token").write_text("one", encoding="utf-8")
    (tmp_path / "namespace").write_text("tidewaiter", encoding="utf-8")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    for host, shown in (("10.0.0.1", "10.0.0.1"), ("fd00::1", "[fd00::1]")):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        access = in_cluster(str(tmp_path))
        assert (access.server, access.namespace) == (f"https://{shown}:6443", "tidewaiter")
    assert access.credentials.headers() == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two", encoding="utf-8")
    access.credentials.refuse()  # the server has answered 401
    assert access.credentials.headers() == {"Authorization": "Bearer two"}


def test_without_any_way_into_a_cluster_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match="no cluster is known"):
        find_access()
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with pytest.raises(ClusterError, match=r"\$KUBECONFIG"):
        find_access()


# Mistakes


@pytest.mark.parametrize(
    ("user", "cluster", "message", "line"),
    [
        ({}, {"server": ""}, "no server", 7),
        ({}, {"server": "ftp://h"}, "no URL", 7),
        ({}, {"server": ["h"]}, "must be a string", 7),
        ({}, {"certificate-authority": "missing.crt"}, "cannot be read", 8),
        ({}, {"certificate-authority-data": "%"}, "not base64", 8),
        ({}, {"certificate-authority-data": "aGVsbG8="}, "no certificate", 8),
        ({}, {"insecure-skip-tls-verify": "yes"}, "true or false", 8),
        ({}, {"proxy-url": "ftp://p"}, "proxy-url", 8),
        ({"token": "a", "username": "b"}, {}, "exclude each other", 12),
        ({"client-certificate-data": "YQ=="}, {}, "no key", 11),
        ({"client-key-data": "YQ=="}, {}, "no certificate", 11),
        ({"client-key-data": "YQ==", "client-certificate-data": "YQ=="}, {}, "no pair", 12),
        ({"auth-provider": {"name": "oidc"}}, {}, "not supported", 11),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}, {}, "no command", 11),
        ({"exec": {"command": "x", "apiVersion": "v0"}}, {}, "apiVersion", 13),
        ({"as-groups": ["a"]}, {}, "without a user", 10),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_line(
    tmp_path: Path, user: Object, cluster: Object, message: str, line: int
) -> None:
    path = kubeconfig(tmp_path, user, cluster)
    error = error_of(path)
    assert message in error.message
    assert error.file == path
    assert error.line == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "current-context"),
        ("{", "cannot be read"),
        ("- a", "no mapping"),
        ("kind: Pod", "no kubeconfig"),
        ("current-context: x", "no context 'x'"),
        ("current-context: [x]", "must be a string"),
        ("contexts: 3", "must be a list"),
        ("contexts: [{context: {}}]", "with a name"),
        ("contexts: [{name: a, context: 3}]", "must be a mapping"),
        ("contexts: [{name: a, context: {}}, {name: a, context: {}}]", "'a' twice"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: b}}]}", "no cluster 'b'"),
        ("a: 1\n---\nb: 2", "one document"),
    ],
)
def test_a_broken_kubeconfig_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    assert message in error_of(str(path)).message


def test_a_misspelt_context_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    assert "did you mean 'here'" in error_of(kubeconfig(tmp_path), "heer").message
    assert "does not exist" in error_of(str(tmp_path / "missing")).message


_NAMES = st.text("abcdefgh", min_size=1, max_size=3)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "cluster",
                    "user",
                    "context",
                    "clusters",
                    "users",
                    "contexts",
                    "current-context",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(value=_VALUES)
def test_whatever_stands_in_a_kubeconfig_no_other_error_comes_of_it(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_text(json.dumps(value), encoding="utf-8")
    with suppress(ClusterError):
        choose([str(path)])


@given(
    tokens=st.dictionaries(_NAMES, st.text("xyz", min_size=1), min_size=1, max_size=4),
    split=st.integers(0, 4),
)
def test_a_kubeconfig_cut_into_files_means_the_same(
    tmp_path_factory: pytest.TempPathFactory, tokens: dict[str, str], split: int
) -> None:
    rows = [
        {
            "clusters": [{"name": name, "cluster": {"server": f"https://{name}"}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }
        for name, token in tokens.items()
    ]
    folder = tmp_path_factory.getbasetemp()
    files = []
    for number, part in enumerate((rows[:split], rows[split:])):
        path = folder / f"part-{number}"
        merged = {key: [each for row in part for each in row[key]] for key in rows[0]}
        path.write_text(json.dumps(merged), encoding="utf-8")
        files.append(str(path))
    for name, token in tokens.items():
        chosen = choose(files, name)
        assert chosen.cluster.text("server") == f"https://{name}"
        assert chosen.user is not None
        assert chosen.user.text("token") == token
