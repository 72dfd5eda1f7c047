"""Redis over TLS: an authority of the test's own, its certificates, and URLs that trust it."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import trustme


class Authority:
    """A certificate authority whose certificate is the file ``ca_file`` of a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._authority = trustme.CA()
        self._folder, self._name = folder, name
        self.ca_file = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.ca_file)

    def server_context(
        self, *names: str, not_after: datetime | None = None, client_authority: Authority | None = None
    ) -> ssl.SSLContext:
        """What a server speaks TLS with, by default as localhost; clients of an authority must show a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.load(context, *names, not_after=not_after)
        if client_authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            client_authority._authority.configure_trust(context)
        return context

    def load(self, context: ssl.SSLContext, *names: str, not_after: datetime | None = None) -> None:
        """Give a server another certificate, as a rotation does."""
        self._authority.issue_cert(*(names or ("localhost", "127.0.0.1")), not_after=not_after).configure_cert(context)

    def files(self, *names: str, label: str = "server", not_after: datetime | None = None) -> tuple[Path, Path]:
        """Certificate and key of a server or client as files."""
        issued = self._authority.issue_cert(*(names or ("localhost", "127.0.0.1")), not_after=not_after)
        certificate, key = self._folder / f"{self._name}-{label}.pem", self._folder / f"{self._name}-{label}.key"
        certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return certificate, key

    def url(self, plain: str, port: int, **parameters: object) -> str:
        """The ``rediss://`` form of a plain URL, at another port, which trusts this authority."""
        credentials = plain.removeprefix("redis://").partition("@")[0]
        query = {"ssl_ca_certs": self.ca_file} | parameters
        joined = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items() if value is not None)
        return f"rediss://{credentials}@localhost:{port}/0" + (f"?{joined}" if joined else "")
