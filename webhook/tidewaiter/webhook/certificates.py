"""The certificate that the server shows, replaced while it runs.

Each handshake is given the newest context by the callback that OpenSSL has for server names, which is called
whether or not the client sends one. So a new pair is read whole into a context of its own before anything uses
it: a certificate without its key, as a half-written update leaves it, changes nothing.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

from tidewaiter.rules.errors import InputError
from tidewaiter.webhook.log import logger

if TYPE_CHECKING:
    from tidewaiter.webhook.metrics import Metrics

Stamp = tuple[tuple[int, int, int], ...]


class Certificates:
    """The pair of files, and the contexts made of them."""

    def __init__(self, certificate: str, key: str, metrics: Metrics) -> None:
        """Read the pair. Raises InputError where it cannot be used."""
        self._certificate, self._key = certificate, key
        self._metrics = metrics
        self._stamp = self._look()
        self._failed: Stamp | None = None
        self._current = self._read()
        self.context = self._read()
        """What the listening socket is given; its own pair is shown by no handshake after a reload."""
        self.context.sni_callback = self._choose

    def reload(self) -> bool:
        """Take the files into use if they have changed and belong together; tell whether they were."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        try:
            current = self._read()
        except InputError as error:
            if stamp != self._failed:
                self._failed = stamp
                self._metrics.certificate_reloads.labels("failure").inc()
                logger.error("the certificate is not replaced, the old one stays: %s", error)
            return False
        self._stamp, self._current, self._failed = stamp, current, None
        self._metrics.certificate_reloads.labels("success").inc()
        logger.info("the certificate was replaced")
        return True

    def _choose(
        self,
        connection: ssl.SSLSocket | ssl.SSLObject,
        server_name: str | None,
        context: ssl.SSLContext,
    ) -> None:
        del server_name, context
        connection.context = self._current

    def _look(self) -> Stamp:
        """Return what changes when a file is replaced, through symbolic links as those of a mounted Secret."""
        try:
            found = [os.stat(path) for path in (self._certificate, self._key)]
        except OSError:
            return ()
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def _read(self) -> ssl.SSLContext:
        for path in (self._certificate, self._key):
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                msg = f"cannot be read: {error.strerror}"
                raise InputError(msg, file=path) from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # A passphrase would be asked for at the terminal, and there is none.
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except ssl.SSLError as error:
            raise InputError(self._why(error), file=self._certificate) from None
        except (OSError, ValueError):
            raise InputError("the certificate cannot be read", file=self._certificate) from None
        self._metrics.certificate_expiry.set(_expiry(self._certificate))
        return context

    def _why(self, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key in {self._key} is not that of the certificate"
        return (
            f"this is no PEM certificate with the key of {self._key} (unencrypted): "
            f"{(error.reason or 'unknown').lower().replace('_', ' ')}"
        )


def _expiry(path: str) -> float:
    """Return when the first certificate of a file ends, in seconds since the epoch."""
    from cryptography import x509

    with open(path, "rb") as file:
        return x509.load_pem_x509_certificate(file.read()).not_valid_after_utc.timestamp()
