"""Requests that are no reviews, each with a defined answer; docs/webhook.md has the same table."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.webhook.running import PRIVILEGED, config_map, pod, review_of

if TYPE_CHECKING:
    from tests.webhook.running import Webhook

JSON = {"content-type": "application/json"}


def test_a_review_gets_its_verdict(webhook: Webhook) -> None:
    response = webhook.review(PRIVILEGED)
    assert response["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert response["allowed"] is False
    assert "no-privileged" in response["status"]["message"]
    assert webhook.review(config_map())["allowed"] is True


def test_images_get_their_verdict(webhook: Webhook) -> None:
    review = {
        "apiVersion": "imagepolicy.k8s.io/v1alpha1",
        "kind": "ImageReview",
        "spec": {"containers": [{"image": "registry.example/app:latest"}], "namespace": "shop"},
    }
    answer = webhook.post("/image-policy", review).json
    assert answer["kind"] == "ImageReview"
    assert answer["status"]["allowed"] is False


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b"apiVersion: v1",
    ],
)
def test_what_is_not_json_is_refused(webhook: Webhook, body: bytes) -> None:
    answer = webhook.post("/validate", body)
    assert answer.status == 400
    assert answer.json["message"].startswith("the body is not JSON: ")


@pytest.mark.parametrize("path", ["/validate", "/image-policy"])
@pytest.mark.parametrize(
    "value",
    [None, [], 1, "a", {}, {"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}],
)
def test_another_version_or_kind_is_refused_and_the_supported_one_named(
    webhook: Webhook, path: str, value: object
) -> None:
    answer = webhook.post(path, value)
    assert answer.status == 400
    kind = "AdmissionReview" if path == "/validate" else "ImageReview"
    assert kind in answer.json["message"]


def test_numbers_beyond_64_bits_and_repeated_keys_do_no_harm(webhook: Webhook) -> None:
    review = json.dumps(review_of(pod())).replace(
        '"containers"', '"priority": 99999999999999999999999, "priority": 1e30, "containers"'
    )
    answer = webhook.post("/validate", review.encode())
    assert answer.status == 200
    assert "allowed" in answer.json["response"]


def test_a_deeply_nested_object_gets_a_verdict_or_a_refusal(webhook: Webhook) -> None:
    value: object = "x"
    for _ in range(900):
        value = {"a": value}
    response = webhook.review({**config_map(), "extra": value})
    assert "allowed" in response


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/yaml", "application/x-www-form-urlencoded", ""]
)
def test_another_content_type_is_refused(webhook: Webhook, kind: str) -> None:
    answer = webhook.request("POST", "/validate", b"{}", {"content-type": kind} if kind else {})
    assert answer.status == 415
    assert "application/json" in answer.json["message"]


def test_a_compressed_body_is_refused_and_said_to_be_so(webhook: Webhook) -> None:
    body = gzip.compress(json.dumps(review_of(PRIVILEGED)).encode())
    answer = webhook.post("/validate", body, **{"content-encoding": "gzip"})
    assert answer.status == 415
    assert "not compressed" in answer.json["message"]
    plain = webhook.post("/validate", review_of(PRIVILEGED), **{"content-encoding": "identity"})
    assert plain.status == 200


def test_a_charset_may_be_stated(webhook: Webhook) -> None:
    body = json.dumps(review_of(config_map())).encode()
    answer = webhook.request(
        "POST", "/validate", body, {"Content-Type": "Application/JSON; charset=utf-8"}
    )
    assert answer.status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_another_method_is_refused(webhook: Webhook, method: str) -> None:
    answer = webhook.request(method, "/validate")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert webhook.request("POST", "/metrics", b"").status == 405


@pytest.mark.parametrize("path", ["/", "/validate/", "/Validate", "/%76alidate/x", "/..", "/docs"])
def test_another_path_is_not_found(webhook: Webhook, path: str) -> None:
    answer = webhook.post(path, {})
    assert answer.status == 404
    assert answer.json == {"message": "Not Found"}


def test_a_body_of_10_megabytes_is_refused_before_it_is_read(webhook: Webhook) -> None:
    with webhook.connect() as connection:
        connection.sendall(_head(10 * 2**20))
        # Nothing of the body is sent, and the answer comes all the same.
        assert _read(connection).startswith(b"HTTP/1.1 413 ")


def test_who_sends_such_a_body_whole_reads_the_answer(webhook: Webhook) -> None:
    answer = webhook.post("/validate", b"x" * 10 * 2**20)
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert "8388608 bytes" in answer.json["message"]


def test_a_chunked_body_of_10_megabytes_is_refused(webhook: Webhook) -> None:
    with webhook.connect() as connection:
        connection.sendall(_head(None))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(160):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
        except OSError:
            pass
        assert _read(connection).startswith(b"HTTP/1.1 413 ")


def test_both_versions_of_the_largest_object_pass(webhook: Webhook) -> None:
    # The API server takes objects of up to 3 MiB by its default limit on bodies; etcd's default is 1.5 MiB.
    large = config_map(text="x" * 3 * 2**20)
    response = webhook.review(large, operation="UPDATE", oldObject=large)
    assert response["allowed"] is True


def test_a_chunked_review_gets_its_verdict(webhook: Webhook) -> None:
    body = json.dumps(review_of(PRIVILEGED)).encode()
    with webhook.connect() as connection:
        connection.sendall(_head(None))
        for at in range(0, len(body), 50):
            part = body[at : at + 50]
            connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        connection.sendall(b"0\r\n\r\n")
        assert b"no-privileged" in _read(connection)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-length: 1x\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST /validate HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /validate HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
def test_a_malformed_request_is_refused(webhook: Webhook, head: bytes) -> None:
    with webhook.connect() as connection:
        connection.sendall(head)
        answer = _read(connection)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 413 "))
    assert webhook.review(config_map())["allowed"] is True


def test_a_body_shorter_than_it_says_is_no_review(webhook: Webhook) -> None:
    before = webhook.metric("tidewaiter_requests_refused_total", reason="disconnected")
    with webhook.connect() as connection:
        connection.sendall(_head(100) + b"{}")
    with webhook.connect() as connection:
        connection.sendall(_head(100) + b"{}")
        connection.unwrap()
    assert webhook.metric("tidewaiter_requests_refused_total", reason="disconnected") >= before + 1


def test_a_body_longer_than_it_says_is_refused(webhook: Webhook) -> None:
    body = json.dumps(review_of(config_map())).encode()
    with webhook.connect() as connection:
        connection.sendall(_head(len(body)) + body + b"rubbish\r\n\r\n")
        assert _read(connection).startswith(b"HTTP/1.1 400 ")


def test_headers_without_end_are_refused(webhook: Webhook) -> None:
    with webhook.connect() as connection:
        connection.sendall(b"POST /validate HTTP/1.1\r\nhost: a\r\n")
        try:
            for number in range(200):
                connection.sendall(b"x-%d: %b\r\n" % (number, b"a" * 1000))
        except OSError:
            pass
        assert _read(connection).startswith(b"HTTP/1.1 431 ")


def test_unknown_kinds_pass(webhook: Webhook) -> None:
    value = {"apiVersion": "example.com/v1", "kind": "Game", "metadata": {"name": "a"}, "spec": []}
    assert webhook.review(value)["allowed"] is True


@pytest.mark.parametrize("timeout", ["10", "soon", "1h1", "-"])
def test_a_timeout_that_is_no_duration_is_refused(webhook: Webhook, timeout: str) -> None:
    answer = webhook.post(f"/validate?timeout={timeout}", review_of(config_map()))
    assert answer.status == 400
    assert "is not a duration" in answer.json["message"]


def test_a_review_that_arrives_too_late_is_answered_without_a_verdict(webhook: Webhook) -> None:
    answer = webhook.post("/validate?timeout=1ns", review_of(PRIVILEGED))
    assert answer.status == 200
    response = answer.json["response"]
    assert "allowed" in response
    assert webhook.post("/validate?timeout=30s", review_of(config_map())).json["response"][
        "allowed"
    ]


def test_health_is_plain(webhook: Webhook) -> None:
    assert webhook.request("GET", "/livez").text == "ok\n"
    assert webhook.request("GET", "/readyz").text == "ok\n"
    verbose = webhook.request("GET", "/readyz?verbose").text
    assert "[+]policy ok" in verbose
    assert "inventory from: none" in verbose


def test_a_client_without_tls_gets_nothing(webhook: Webhook) -> None:
    with socket.create_connection(("127.0.0.1", webhook.port), timeout=20) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"HTTP/1.1 200" not in plain.recv(1000)


def test_old_versions_of_tls_are_refused(webhook: Webhook) -> None:
    old = ssl.create_default_context(cafile=webhook.folder / "ca.crt")
    with pytest.deprecated_call():
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    plain = socket.create_connection(("127.0.0.1", webhook.port), timeout=20)
    with plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="127.0.0.1")


def _head(length: int | None) -> bytes:
    """Return the head of a review: with a length, or chunked."""
    body = f"content-length: {length}" if length is not None else "transfer-encoding: chunked"
    return f"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{body}\r\n\r\n".encode()


def _read(connection: ssl.SSLSocket) -> bytes:
    """Return what the server says until the answer is whole or the connection ends."""
    answer = b""
    connection.settimeout(5)
    try:
        while part := connection.recv(65536):
            answer += part
            head, end, body = answer.partition(b"\r\n\r\n")
            _, found, rest = head.partition(b"content-length: ")
            if end and found and len(body) >= int(rest.split(b"\r\n")[0]):
                break
    except OSError:
        pass
    return answer
