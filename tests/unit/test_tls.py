"""What the parameters of a rediss:// URL mean, which are refused, and contexts that follow their files."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from tls_support import Authority

from orchestrator.broker.app import make_celery
from orchestrator.config import Settings
from orchestrator.errors import ConfigurationError
from orchestrator.tls import is_verified, tls_context, tls_options, without_tls_options


def refused(url: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        Settings.from_env({"REDIS_URL": url})
    assert "planted" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("query", "verification", "checks_name", "verified"),
    [
        ("", "required", True, True),
        ("?ssl_cert_reqs=required", "required", True, True),
        ("?ssl_cert_reqs=CERT_REQUIRED", "required", True, True),
        ("?ssl_cert_reqs=optional", "optional", True, True),
        ("?ssl_cert_reqs=none", "none", False, False),
        ("?ssl_cert_reqs=CERT_NONE", "none", False, False),
        ("?ssl_check_hostname=false", "required", False, False),
        ("?ssl_check_hostname=1", "required", True, True),
    ],
)
def test_tls_is_verified_unless_the_url_says_otherwise(
    query: str, verification: ssl.VerifyMode, checks_name: bool, verified: bool
) -> None:
    """Store, broker and result backend are given the same, whichever library's spelling is used."""
    settings = Settings.from_env({"REDIS_URL": f"rediss://:secret@redis.example:6380/1{query}"})
    options = tls_options(settings.redis_url)
    assert options == {"ssl_cert_reqs": verification, "ssl_check_hostname": checks_name}
    assert is_verified(options) is verified
    app = make_celery(settings, with_results=True)
    assert app.conf.broker_use_ssl == app.conf.redis_backend_use_ssl == options
    assert app.connection_for_read().ssl == options
    assert "?" not in app.conf.broker_url + app.conf.result_backend


def test_a_plain_url_has_no_tls() -> None:
    """Nothing of TLS is given to anybody."""
    assert tls_options("redis://127.0.0.1/0") == {}
    assert make_celery(Settings.from_env({}), with_results=True).connection_for_read().ssl is False


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://:planted@h/0?ssl_ca_certs=/x", "ssl_ca_certs needs rediss://"),
        ("rediss://:planted@h/0?ssl_cert_reqs=no", "ssl_cert_reqs: must be required, optional or none"),
        ("rediss://:planted@h/0?ssl_ca_certs=/nowhere.pem", "ssl_ca_certs: /nowhere.pem cannot be read"),
        ("rediss://:planted@h/0?ssl_keyfile=/dev/null", "ssl_keyfile: needs ssl_certfile"),
        ("rediss://:planted@h/0?ssl_ca_certs=/dev/null", "ssl_ca_certs: cannot be used"),
        ("rediss://:planted@h/0?ssl_certfile=/dev/null&ssl_password=planted", "ssl_certfile: cannot be used"),
        ("rediss://:planted@h/0?ssl_ciphers=none", "ssl_ciphers: cannot be used"),
        ("rediss://:planted@h/0?ssl_min_version=1.2", "ssl_min_version: must be 771 (TLS 1.2) or 772 (TLS 1.3)"),
        ("redis://:planted@h/0?socket_timeout=3", "the parameter 'socket_timeout' is not known"),
        ("rediss://:planted@h/0?db=", "the parameter 'db' is not known"),
        ("redis://:planted@a:1/0;redis://:planted@b:1/0", "cannot be read"),
        ("redis://:planted@a:1,b:1/0", "cannot be read"),
        ("sentinel://:planted@h:26379/0", "cannot be read as redis+sentinel://"),
        ("redis+sentinel://:planted@h:26379", "cannot be read as redis+sentinel://"),
        ("redis+sentinel://:planted@h:26379,:1/name", "cannot be read as redis+sentinel://"),
        ("redis+sentinel://:planted@h:0/name", "cannot be read as redis+sentinel://"),
        ("redis+sentinel://:planted@h/name/x", "cannot be read as"),
        ("redis+sentinel://:planted@h/name?ssl_ca_certs=/x", "ssl_ca_certs needs rediss://"),
        ("redis+sentinel://:planted@h/name?master=x", "the parameter 'master' is not known"),
        ("rediss+cluster://h:6379", "Redis Cluster is not supported"),
        ("redis-sentinel://h:26379/mymaster", "cannot be read as redis+sentinel://"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name(url: str, words: str) -> None:
    """The parameter and what is wrong with it are named, and nothing of the password."""
    assert words in refused(url)


def test_an_encrypted_key_asks_nobody(tmp_path: Path) -> None:
    """A key whose password is wrong or missing is refused; OpenSSL would ask for it on the terminal."""
    from cryptography.hazmat.primitives.serialization import (  # of this test alone
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    certificate, key = Authority(tmp_path).files()
    plain = load_pem_private_key(key.read_bytes(), None)
    encrypted = plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass word"))
    key.write_bytes(encrypted)
    url = f"rediss://h/0?ssl_certfile={certificate}&ssl_keyfile={key}"
    Settings.from_env({"REDIS_URL": url + "&ssl_password=pass%20word"})
    assert "ssl_certfile: cannot be used" in refused(url)
    assert "ssl_certfile: cannot be used" in refused(url + "&ssl_password=planted")


def test_the_password_of_a_key_is_shown_to_nobody() -> None:
    """Flower and ``inspect stats`` show the connection, without it."""
    url = "rediss://:secret@h/0?ssl_password=planted&ssl_cert_reqs=none"
    connection = make_celery(Settings.from_env({"REDIS_URL": url}), with_results=False).connection_for_read()
    assert connection.ssl["ssl_password"] == "planted"
    assert "planted" not in repr(connection.info()) + connection.as_uri()


def test_only_the_tls_parameters_are_taken_out_of_a_url() -> None:
    """What else a URL says, such as the database of a Unix socket, stays."""
    assert without_tls_options("rediss://h/0?ssl_cert_reqs=none") == "rediss://h/0"
    assert without_tls_options("unix:///run/redis.sock?db=2&ssl_ciphers=x") == "unix:///run/redis.sock?db=2"


def test_a_context_is_made_once_and_again_for_another_file(tmp_path: Path) -> None:
    """A renewed file is read at the next connection; one that cannot be used leaves the context there is."""
    authority = Authority(tmp_path)
    options = tls_options(f"rediss://h/0?ssl_ca_certs={authority.ca_file}")
    first = tls_context(options)
    assert tls_context(options) is first
    certificate = authority.ca_file.read_bytes()
    authority.ca_file.write_bytes(b"half of a certifi")
    assert tls_context(options) is first
    authority.ca_file.unlink()
    assert tls_context(options) is first
    authority.ca_file.write_bytes(certificate + Authority(tmp_path, "new").ca_file.read_bytes())
    second = tls_context(options)
    assert second is not first
    assert [len(context.get_ca_certs()) for context in (first, second)] == [1, 2]


def test_a_context_trusts_the_named_authorities_alone(tmp_path: Path) -> None:
    """The system's are not added to them."""
    options: dict[str, Any] = tls_options(f"rediss://h/0?ssl_ca_certs={Authority(tmp_path).ca_file}")
    assert len(tls_context(options).get_ca_certs()) == 1
    if ssl.get_default_verify_paths().cafile is not None:
        assert len(tls_context(tls_options("rediss://h/0")).get_ca_certs()) > 1
