"""TWS instances: bad configuration fails at start with the variable's name, and secrets never show."""

import json
from pathlib import Path

import pytest

from orchestrator.errors import ConfigurationError, SourceError
from orchestrator.i18n.languages import Language
from workers.config import TwsSettings
from workers.sources.tws_status.instances import TwsInstances, load_instances
from workers.sources.tws_status.source import SPEC, known_instances


def _load(**environ: str) -> TwsInstances:
    return load_instances(TwsSettings.from_env(environ))


def test_host_and_port_make_an_https_url() -> None:
    """TWS_HOST and TWS_PORT are enough, with the app's own names and their APP_ prefix."""
    found = _load(APP_TWS_HOST="tws.exemplo", APP_TWS_PORT="9443", APP_TWS_USERNAME="u", APP_TWS_PASSWORD="p").get(None)
    assert (found.base_url, found.where, found.user) == ("https://tws.exemplo:9443", "tws.exemplo:9443", "u")


def test_the_api_prefix_may_be_part_of_the_url() -> None:
    """A gateway's path stays, the API's own prefix is not doubled."""
    found = _load(TWS_BASE_URL="https://gw/tws/twsd/api/v2/").get("default")
    assert found.base_url == "https://gw/tws"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://gw/a b", "https://gw/a%20b"),
        ("https://gw/x/../tws/", "https://gw/tws"),
        ("https://gw/produção", "https://gw/produ%C3%A7%C3%A3o"),
        ("https://GW:31116\n", "https://gw:31116"),
    ],
)
def test_the_url_is_kept_as_it_will_be_sent(written: str, sent: str) -> None:
    """A path that the client would write otherwise is not taken for another path at the first request."""
    found = _load(TWS_BASE_URL=written).get(None)
    assert found.base_url == sent


def test_a_bundle_whose_path_cannot_be_looked_at_is_a_wrong_setting() -> None:
    """Whatever the system says of the path, the worker names the variable."""
    with pytest.raises(ConfigurationError, match="TWS_VERIFY"):
        _load(TWS_HOST="tws", TWS_VERIFY="x" * 5_000)


def test_a_wrong_setting_is_named_in_the_readers_language() -> None:
    """The variables stand in the sentence whatever the language, and no sentence is looked up by its English."""
    with pytest.raises(ConfigurationError) as caught:
        _load(TWS_HOST="tws", TWS_USER="u")
    assert caught.value.message.in_language(Language.PT_BR) == "TWS_USER e TWS_PASSWORD andam juntos: falta um deles"


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"TWS_BASE_URL": "tws.exemplo:31116"}, "TWS_BASE_URL"),
        ({"TWS_BASE_URL": "https://u:p@tws"}, "TWS_BASE_URL"),
        ({"TWS_BASE_URL": "https://tws:99999"}, "TWS_BASE_URL"),
        ({"TWS_BASE_URL": "https://tws?x=1"}, "TWS_BASE_URL"),
        ({"TWS_BASE_URL": "https://"}, "TWS_BASE_URL"),
        ({"TWS_HOST": "https://tws"}, "TWS_HOST"),
        ({"TWS_HOST": "tws", "TWS_PORT": "0"}, "TWS_PORT"),
        ({"TWS_HOST": "tws", "TWS_PORT": "abc"}, "TWS_PORT"),
        ({"TWS_HOST": "tws", "TWS_USER": "u"}, "TWS_PASSWORD"),
        ({"TWS_HOST": "tws", "TWS_PASSWORD": "segredo"}, "TWS_USER"),
        ({"TWS_HOST": "tws", "TWS_USER": "u", "TWS_PASSWORD": "segredo", "TWS_TOKEN": "t"}, "TWS_TOKEN"),
        ({"TWS_HOST": "tws", "TWS_VERIFY": "/nao/existe.pem"}, "TWS_VERIFY"),
        ({"TWS_HOST": "tws", "TWS_AUTH_HEADER": "segredo sem nome"}, "TWS_AUTH_HEADER"),
        ({"TWS_HOST": "tws", "TWS_AUTH_HEADER": "X-Key: a\nb: segredo"}, "TWS_AUTH_HEADER"),
        ({"TWS_HOST": "tws", "TWS_AUTH_HEADER": "Transfer-Encoding: chunked"}, "TWS_AUTH_HEADER"),
        ({"TWS_HOST": "tws", "TWS_AUTH_HEADER": "authorization: segredo", "TWS_TOKEN": "t"}, "TWS_AUTH_HEADER"),
        ({"TWS_HOST": "tws", "TWS_TOKEN": "segredo\n"}, "TWS_TOKEN"),
        ({"TWS_HOST": "tws", "TWS_TOKEN": "segredó"}, "TWS_TOKEN"),
        ({"TWS_HOST": "tws", "TWS_TOKEN": "Bearer segredo"}, "TWS_TOKEN"),
        ({"TWS_HOST": "tws", "TWS_USER": "u", "TWS_PASSWORD": "segredo\n"}, "TWS_PASSWORD"),
        ({"TWS_HOST": "tws", "TWS_USER": "u:v", "TWS_PASSWORD": "segredo"}, "TWS_USER"),
        ({"TWS_BASE_URL": "https://tws\x01"}, "TWS_BASE_URL"),
        ({"TWS_HOST": "tws", "TWS_DEFAULT_INSTANCE": "a b"}, "TWS_DEFAULT_INSTANCE"),
        ({"TWS_INSTANCES_FILE": "/nao/existe.json"}, "TWS_INSTANCES_FILE"),
    ],
)
def test_a_wrong_setting_is_named(environ: dict[str, str], variable: str) -> None:
    """The error at start names the variable and does not repeat a secret."""
    with pytest.raises(ConfigurationError) as caught:
        SPEC.create(environ)
    assert variable in str(caught.value)
    assert "segredo" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_ca_bundle_must_hold_certificates(tmp_path: Path) -> None:
    """A file that is no PEM is found at start, not at the first request."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("isto não é um certificado")
    with pytest.raises(ConfigurationError, match="TWS_VERIFY"):
        _load(TWS_HOST="tws", TWS_VERIFY=str(bundle))


def test_nothing_configured_is_no_error_until_asked() -> None:
    """A worker without TWS starts, knows no instance, and its fetch would say which variable to set."""
    found = _load()
    assert found.names == ()
    with pytest.raises(SourceError, match="TWS_BASE_URL") as caught:
        found.get(None)
    assert caught.value.reason == "not_configured"
    assert known_instances({}) == ()


def _file(tmp_path: Path, content: object) -> str:
    path = tmp_path / "instances.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_several_instances_come_from_one_file(tmp_path: Path) -> None:
    """Instances are keyed by name; the default one is the one named by TWS_DEFAULT_INSTANCE."""
    path = _file(
        tmp_path,
        {
            "prod": {"host": "tws-prd", "port": 31116, "username": "u", "password": "p1"},
            "homolog": {"url": "http://tws-hml:8080", "token": "t", "verify_ssl": False},
        },
    )
    environ = {"TWS_INSTANCES_FILE": path, "TWS_DEFAULT_INSTANCE": "prod"}
    found = _load(**environ)
    assert found.names == known_instances(environ) == ("homolog", "prod")
    assert found.get(None).where == "tws-prd:31116"
    assert found.get("homolog").headers() == {"Authorization": "Bearer t"}
    assert found.get("homolog").verify is False


def test_an_unknown_instance_names_the_known_ones(tmp_path: Path) -> None:
    """Asking for an instance that is not there says which ones are."""
    path = _file(tmp_path, {"instances": {"prod": {"host": "a"}, "dr": {"host": "b"}}})
    with pytest.raises(SourceError, match="known: dr, prod") as caught:
        _load(TWS_INSTANCES_FILE=path).get("teste")
    assert caught.value.reason == "unknown_instance"


def test_a_single_instance_is_the_default(tmp_path: Path) -> None:
    """With one instance nobody has to name it."""
    path = _file(tmp_path, {"prod": {"host": "a"}})
    assert _load(TWS_INSTANCES_FILE=path).get(None).name == "prod"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ([], "object of instances"),
        ({}, "object of instances"),
        ({"a b": {"host": "x"}}, "plain name"),
        ({"a": "x"}, "plain name"),
        ({"a": {}}, "base_url"),
        ({"a": {"host": "x", "passwrd": "segredo"}}, "passwrd"),
        ({"a": {"host": "x", "port": "31116"}}, "port"),
        ({"a": {"host": "x", "user": "u"}}, "password"),
        ('{"a": {"host": "x"}, "a": {"host": "y"}}', "'a' stands there twice"),
        ('{"a": {"host": "x", "host": "y"}}', "'host' stands there twice"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, content: object, said: str) -> None:
    """A typo in the file is named together with the instance, and its value is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        _load(TWS_INSTANCES_FILE=_file(tmp_path, content))
    assert "TWS_INSTANCES_FILE" in str(caught.value)
    assert said in str(caught.value)
    assert "segredo" not in str(caught.value)


def test_a_name_of_file_and_variables_is_refused(tmp_path: Path) -> None:
    """The instance of TWS_BASE_URL does not take the place of one of the file in silence."""
    path = _file(tmp_path, {"prod": {"host": "x"}})
    assert _load(TWS_INSTANCES_FILE=path, TWS_HOST="tws").names == ("default", "prod")
    with pytest.raises(ConfigurationError, match="TWS_DEFAULT_INSTANCE"):
        _load(TWS_INSTANCES_FILE=path, TWS_HOST="tws", TWS_DEFAULT_INSTANCE="prod")


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    path = _file(tmp_path, "\ufeff" + json.dumps({"prod": {"host": "a"}}))
    assert _load(TWS_INSTANCES_FILE=path).names == ("prod",)


def test_an_unknown_default_instance_is_refused(tmp_path: Path) -> None:
    """TWS_DEFAULT_INSTANCE must be one of the file's names when it is set."""
    path = _file(tmp_path, {"a": {"host": "x"}, "b": {"host": "y"}})
    with pytest.raises(ConfigurationError, match="TWS_DEFAULT_INSTANCE"):
        _load(TWS_INSTANCES_FILE=path, TWS_DEFAULT_INSTANCE="c")


def test_secrets_do_not_show() -> None:
    """Neither repr nor str of an instance holds a password, a token or a header."""
    found = _load(TWS_HOST="tws", TWS_USER="u", TWS_PASSWORD="pw-1", TWS_AUTH_HEADER="X-Api-Key: hd-3").get(None)
    assert "pw-1" not in f"{found!r} {found}"
    assert "hd-3" not in f"{found!r} {found}"
    assert found.headers() == {"X-Api-Key": "hd-3"}


def test_proxies_are_off_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used with TWS_USE_PROXY alone, and not for a host that it excludes."""
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "tws-local")
    assert _load(TWS_HOST="tws").get(None).proxy() is None
    assert _load(TWS_HOST="tws", TWS_USE_PROXY="true").get(None).proxy() == "http://proxy:3128"
    assert _load(TWS_HOST="tws-local", TWS_USE_PROXY="true").get(None).proxy() is None


@pytest.mark.parametrize("proxy", ["socks5://proxy:1080", "ftp://proxy", "http://", "http://pro\x01xy"])
def test_a_proxy_that_cannot_be_used_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The variable that asks for it is named, and one without a scheme is read as curl reads it."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(ConfigurationError, match="TWS_USE_PROXY"):
        _load(TWS_HOST="tws", TWS_USE_PROXY="true")
    monkeypatch.setenv("https_proxy", "proxy:3128")
    assert _load(TWS_HOST="tws", TWS_USE_PROXY="true").get(None).proxy() == "http://proxy:3128"
