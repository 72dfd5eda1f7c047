"""Planted secrets, in many kinds and places: none survives; codes, job names, paths and data sets do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import orchestrator.codes
import workers.knowledge
from orchestrator.codes.states import STATE_NAMES
from orchestrator.redaction.redact import MARK, is_secret_key, redact, redact_data
from workers.lab.simulator.scenarios import all_scenarios

BATCH = json.loads((Path(__file__).parents[2] / "data" / "redaction.json").read_text(encoding="utf-8"))
"""Texts of batch job logs, JCL, scripts and configuration: with secrets in them, and harmless ones that look alike."""
RUNBOOKS = Path(workers.knowledge.__path__[0]) / "runbooks"
CATALOGUE = Path(orchestrator.codes.__path__[0]) / "data"

S = "Zq9!xW3kLm7"
"""The planted secret, where its shape is free."""
B64 = "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
PEM = (
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"
    "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu"
)
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

# name, text, the secret in it
CORPUS: list[tuple[str, str, str]] = [
    ("password equals", f"job BATCH001 password={S} ABEND S0C7", S),
    ("password colon", f"Password: {S}", S),
    ("senha", f"senha: {S} para o job FATURA01", S),
    ("senha in upper case", f"SENHA={S};JOB=FATURA01", S),
    ("senha é", f"a senha é {S} e o job é BATCH001", S),
    ("senha do banco é", f"A senha do banco é {S}", S),
    ("senha do usuário", f"Senha do usuário batch: {S}", S),
    ("contraseña", f"contraseña = {S}", S),
    ("contraseña es", f"la contraseña es {S}", S),
    ("contrasena without tilde", f"contrasena:{S}", S),
    ("clave", f"clave={S}", S),
    ("password is", f"the password is {S}.", S),
    ("prose without separator", f"usuário admin senha {S} no servidor", S),
    ("json", json.dumps({"user": "x", "password": S}), S),
    ("json in json", json.dumps(json.dumps({"password": S, "job": "BATCH001"})), S),
    ("json with escaped quote", '{"password": "Zq9\\"xW3kLm7tail", "job": "A"}', "xW3kLm7tail"),
    ("python dict", f"{{'db_password': '{S}'}}", S),
    ("unterminated quote", f'password="{S} rest', S),
    ("environment", f"export DB_PASSWORD_PROD={S}", S),
    ("camel case", f"dbPass={S}", S),
    ("properties", f"spring.datasource.password={S}", S),
    ("ini with spaces", f"passwd   =   {S}", S),
    ("yaml", f"db:\n  password: {S}\n  host: db1", S),
    ("yaml block", f"token: |\n  {S}\n  second{S}\nhost: db1", S),
    ("comma in it", "password=Zq9,xW3kLm7 host=db1", "xW3kLm7"),
    ("ampersand in it", "password=Zq9&xW3kLm7", "xW3kLm7"),
    ("quote in it", 'password=Zq9"xW3kLm7', "xW3kLm7"),
    ("brackets in it", "password=Zq9(xW3)[kLm7]{abc}", "kLm7"),
    ("passphrase with spaces", "passphrase: correct horse battery staple", "battery staple"),
    ("token", f"access_token={S}", S),
    ("api key", f"api_key: {S}", S),
    ("client secret", f"clientSecret={S}", S),
    ("chave de acesso", f"chave de acesso: {S}", S),
    ("account key", "AccountName=a;AccountKey=Eby8vdM02xNOcqFlqUwJ==;Suffix=x", "Eby8vdM02xNOcqFlqUwJ"),
    ("ado connection string", f"Server=db1;User Id=sa;Password={S};Database=prod", S),
    ("pwd in connection string", f"DRIVER=DB2;UID=u;PWD={S};", S),
    ("url userinfo", "redis://default:hunter2x@10.0.0.1:6379/0", "hunter2x"),
    ("url with @ in password", "postgresql://app:hun@ter2x@db1:5432/prod", "ter2x"),
    ("url with / in password", "amqp://app:hun/ter2x@mq1/vhost", "ter2x"),
    ("url with token as user", "https://abcdef0123456789@git.example.org/x.git", "abcdef0123456789"),
    ("query parameter", f"GET /v1/x?token={S}&job=BATCH001 HTTP/1.1", S),
    ("signature", "https://b.example.org/c?sv=2024&sig=abc%2Fdef123%3D&se=2026", "abc%2Fdef123"),
    ("jdbc url", f"jdbc:db2://db1:50000/PROD:user=app;password={S};", S),
    ("jdbc oracle", "jdbc:oracle:thin:scott/t1gerpw@//db1:1521/ORCL", "t1gerpw"),
    ("private key", f"-----BEGIN RSA PRIVATE KEY-----\n{PEM}\n-----END RSA PRIVATE KEY-----\nABEND S0C7", PEM[:40]),
    ("private key cut", f"-----BEGIN PRIVATE KEY-----\n{PEM}", PEM[-40:]),
    ("private key without its beginning", f"{PEM}\n-----END PRIVATE KEY-----", PEM[:40]),
    ("private key in json", json.dumps({"pem": f"-----BEGIN PRIVATE KEY-----\n{PEM}"}), PEM[-40:]),
    ("putty key", f"Private-Lines: 2\n{PEM}\n", PEM[:40]),
    ("authorization basic", f"Authorization: Basic {B64}", B64),
    ("authorization bearer", "Authorization: Bearer abcDEF123456ghi", "abcDEF123456ghi"),
    ("authorization digest", 'Authorization: Digest username="u", response="6629fae49393a053"', "6629fae49393a053"),
    ("authorization raw", "authorization: abcDEF123456ghi", "abcDEF123456ghi"),
    ("authorization in curl", "curl -H 'Authorization: Bearer abcDEF123456ghi' https://x", "abcDEF123456ghi"),
    ("authorization in json", '{"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}', "dXNlcjpwYXNzd29yZA"),
    ("bearer alone", "sent bearer abcDEF123456ghi to host", "abcDEF123456ghi"),
    ("basic alone", f"header was Basic {B64}", B64),
    ("x-api-key", f"X-API-Key: {S}", S),
    ("cookie", "Cookie: JSESSIONID=0000abcDEF; LtpaToken2=xyz987", "xyz987"),
    ("set-cookie", "Set-Cookie: sid=abcDEF123; Path=/", "abcDEF123"),
    ("jwt", f"got {JWT} from issuer", JWT[-30:]),
    ("aws key id", "key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
    ("aws secret", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "bPxRfiCYEXAMPLEKEY"),
    ("github token", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F292c6912E7710c838347Ae178B4a"),
    ("gitlab token", "glpat-abcdEFGH1234ijklMNOP", "abcdEFGH1234ijklMNOP"),
    ("slack token", "xoxb-123456789012-abcdefABCDEF", "abcdefABCDEF"),
    ("slack webhook", "https://hooks.slack.com/services/T000/B000/XXXXabcd1234", "XXXXabcd1234"),
    ("stripe key", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"),
    ("openai key", "sk-proj-abcdEFGH1234ijklMNOP5678", "abcdEFGH1234ijklMNOP5678"),
    ("nvidia key", "nvapi-abcdEFGH1234ijklMNOP5678", "abcdEFGH1234ijklMNOP5678"),
    ("google key", "AIzaSyA1234567890abcdefghijklmnopqrstuv", "SyA1234567890abcdefghijklmnopqrstuv"),
    ("vault token", "hvs.CAESIabcdefghijk1234567", "CAESIabcdefghijk1234567"),
    ("telegram token", "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"),
    ("liberty xor", 'password="{xor}Lz4sLChvLTs="', "Lz4sLChvLTs"),
    ("liberty aes alone", "value {aes}AEmVKa+jOeA7pos+sSfpHNmH1MVfwg8ZoV29iDi6I0ZGcov6hSZsAx", "AEmVKa+jOeA7pos"),
    ("ldap hash", "userPassword: {SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3", "DkMTwBl"),
    ("bcrypt", "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW", "EixZaYVK1fsbw1ZfbX3OXe"),
    ("shadow", "root:$6$saltsalt$hashhashhashhash12345:19000:0", "hashhashhashhash12345"),
    ("jcl password", f"//BATCH001 JOB (ACCT),'X',USER=PRD,PASSWORD={S},CLASS=A", S),
    ("jcl password old and new", "//J JOB USER=PRD,PASSWORD=(OLDPW1,NEWPW2),CLASS=A", "NEWPW2"),
    ("racf", "ALTUSER PRD PASSWORD(SECRET9) NOEXPIRED", "SECRET9"),
    ("password in parentheses after a name", "DB_PASSWORD(hunter2x)", "hunter2x"),
    ("password function", "SET PASSWORD = PASSWORD('hunter2x')", "hunter2x"),
    ("old and new in parentheses", "ALTUSER U PASSWORD(OLDPW1, NEWPW2)", "NEWPW2"),
    ("dollar in it", "password=$ecretP4ss", "ecretP4ss"),
    ("percent in it", "password=%ab12%cd", "ab12"),
    ("tso logon", "LOGON TSOUSR/SECRET9 ACCT(X)", "SECRET9"),
    ("mysql -p glued", "mysql -u root -phunter2x prod", "hunter2x"),
    ("-p with space", "sshpass -p hunter2x ssh app@host", "hunter2x"),
    ("-p of an unknown program", "runbatch.sh -p hunter2x BATCH001", "hunter2x"),
    ("-p quoted", "mysqldump -u root -p'hunter 2x' prod", "hunter"),
    ("--password flag", f"tool --password {S} --job BATCH001", S),
    ("--password quoted", 'tool --password "hunter two" --job BATCH001', "hunter two"),
    ("conman flags", f"conman -username twsuser -password {S} sj @", S),
    ("redis-cli -a", "redis-cli -h h -a hunter2x ping", "hunter2x"),
    ("keytool", "keytool -list -storepass changeit9 -keystore k.jks", "changeit9"),
    ("windows flag", "cmdkey /add:srv /user:u /pass:hunter2x", "hunter2x"),
    ("net use", "net use Z: \\\\srv\\share hunter2x /user:dom\\u", "hunter2x"),
    ("curl -u", "curl -u app:hunter2x https://x", "hunter2x"),
    ("smbclient -U", "smbclient -U app%hunter2x //srv/x", "hunter2x"),
    ("openssl passin", "openssl rsa -passin pass:hunter2x", "hunter2x"),
    ("sqlplus", "sqlplus -s scott/t1gerpw@ORCL @x.sql", "t1gerpw"),
    ("sqlldr userid", "sqlldr userid=scott/t1gerpw control=x", "t1gerpw"),
    ("identified by", "CREATE USER x IDENTIFIED BY hunter2x;", "hunter2x"),
    ("sql with password", "ALTER ROLE x WITH PASSWORD 'hunter2x'", "hunter2x"),
    ("windows /p after /u", "logon.exe /u:admin /p:hunter2x", "hunter2x"),
    ("database link", "CREATE DATABASE LINK l CONNECT TO app IDENTIFIED BY hunter2x", "hunter2x"),
    ("identified by on its own line", "ALTER USER app\n  IDENTIFIED BY hunter2x;", "hunter2x"),
    ("sqlplus connect", "SQL> connect scott/t1gerpw", "t1gerpw"),
    ("exp", "exp scott/t1gerpw file=x.dmp", "t1gerpw"),
    ("ftp user and pass", "USER app\nPASS hunter2x", "hunter2x"),
    ("7z glued", "7z x a.7z -phunter2x", "hunter2x"),
    ("sqlcmd glued", "sqlcmd -S h -U sa -Phunter2x -Q x", "hunter2x"),
    ("db2 connect", "CONNECT TO PROD USER app USING hunter2x", "hunter2x"),
    ("ftp pass", "ftp> PASS hunter2x", "hunter2x"),
    ("netrc", "machine h login u password hunter2x", "hunter2x"),
    ("pgpass", "db1:5432:prod:app:hunter2x", "hunter2x"),
    ("composer user", 'username WS1#app\n  password "hunter2x"\nend', "hunter2x"),
    ("echo to sudo", "echo hunter2x | sudo -S ls", "hunter2x"),
    ("xml element", f"<password>{S}</password>", S),
    ("xml element with a bracket", "<senha>Ab]c</senha>", "Ab]c"),
    ("xml section of characters", "<senha><![CDATA[Ab]c]]></senha>", "Ab]c"),
    ("xml element with prefix", f"<ns:userPassword type='x'>{S}</ns:userPassword>", S),
    ("xml property", '<property name="db.password" value="hunter2x"/>', "hunter2x"),
    ("xml entry", '<entry key="senha">hunter2x</entry>', "hunter2x"),
    ("npmrc", "//registry.example.org/:_authToken=abcDEF123456", "abcDEF123456"),
    ("mojibake", "contraseÃ±a: hunter2x", "hunter2x"),
    ("crlf lines", f"a\r\npassword={S}\r\nb", S),
    ("in the middle of a job log", f"+++ AWSBHT001E x\nIEF450I BATCH001 - ABEND=S0C7\npwd={S}\n", S),
]  # fmt: skip

KEPT = [
    "Job BATCH001 falhou com ABEND S0C7 no STEP030",
    "AWSBHT001E The job PRD#FATURA.JOB_A failed: AWSBDW009E logon user unknown",
    "IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000 REASON=00000000",
    "RESET_PASSWORD: S0C7",
    *(f"RESET_PASSWORD: {state}" for state in sorted(STATE_NAMES)),
    "job TOKEN_REFRESH: ABEND S0C4 rc=12",
    "TOKEN_REFRESH failed, RESETPW ended RC=8",
    "//SYSUT1 DD DSN=PROD.FATURA.PASSWORD.FILE,DISP=SHR",
    "dataset PROD.VENDAS.D261123.T0300(+1) SB37-04",
    "/opt/app/keys/reports/2026/11/24/monthly/consolidated/output/result",
    "PWD=/opt/ibm/TWA/TWS OLDPWD=/root",
    "password expired for job BATCH001",
    "senha inválida: contate o suporte",
    "Password: invalid",
    "basic authentication failed; bearer authorization required",
    "mkdir -p /var/log/app && ssh -p 2222 app@host",
    "cp -p a b; tar -p -xf x.tar",
    "max_tokens=6000 prompt tokens: 512",
    "run 0b5e2a1c9d7f4e11a1b2c3d4e5f60718 id 7b6f3f9e-1c2d-4e5f-8a9b-0c1d2e3f4a5b",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "key=BATCH001 primary key: CUST_ID VSAM KEYS(12 0)",
    "http://127.0.0.1:8080/twsd/api/v2/plan/job?limit=5",
    "see http://host/~team@x and user@host",
    "a senha do job BATCH001 foi trocada",
    "secretary: Maria; compass=north; bypass: yes",
    "conman sj PRD#FATURA.BATCH001",
    "conman \"ss @#@;limit=10\"",
    "limit 0 on CPU1; SEDE; U4038; RC 137; elapsed 00:12:31",
    "2026-11-24T03:00:12Z BATCH001 SUCC elapsed=731",
    "Lock token mismatch; login failed for user app",
    "a parameter that the caller did not pass (CALL with fewer parameters)",
    "Wrong user or password (ERROR_LOGON_FAILURE).",
    "export DB_PASSWORD=${VAULT_DB_PASSWORD} PW=%PW% token: {{ vault.token }} senha=^SENHA^",
    "//J JOB (A),'X',USER=&SYSUID,PASSWORD=&PW.",
    "export REDIS_PASSWORD=...   # your own",
    'SQL0104N  An unexpected token "END-OF-STATEMENT" was found following "SELECT"',
    "syntax error near unexpected token: IDENTIFIER",
    "tests: pass=12 fail=0; killed sig=9",
    "12:30:05 PASS BATCH001",
    "PASS BATCH001",
    "could not connect SRV1/DB01 ",
    "job started by user root using sudo",
    "the step identified by STEP030 failed",
    "msbuild /p:Configuration=Release /t:Build",
    "find /dados -user batch -print",
    "conman -file x.txt -wait 10",
    "mysql -h db1 --port 3306 -protocol tcp",
    "ORA-28001: the password has expired; ORA-01017: invalid username/password; logon denied",
    "ICH408I USER(BATCHPRD) GROUP(PRD) LOGON/JOB INITIATION - INVALID PASSWORD",
    "Permission denied (publickey,password).",
    "exp A/B ratio, imp C/D ratio",
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "secret"), CORPUS, ids=[name for name, _, _ in CORPUS])
def test_no_planted_secret_survives(name: str, text: str, secret: str) -> None:
    """A planted secret is gone, whatever its kind and place."""
    assert secret in text
    assert secret not in redact(text)
    assert MARK in redact(text)


def test_no_secret_of_the_batch_world_survives() -> None:
    """JCL, utilities, command lines, connection strings, headers, markup and reports lose their secrets for good."""
    for case in BATCH["secrets"]:
        once = redact(case["text"])
        assert [secret for secret in case["secrets"] if secret in once] == [], case["text"]
        assert redact(once) == once
    for case in BATCH["personal"]:
        assert [secret for secret in case["secrets"] if secret in redact(case["text"], personal=True)] == []


@pytest.mark.parametrize("text", BATCH["kept"])
def test_what_only_looks_like_a_secret_survives(text: str) -> None:
    """Job names, codes, dumps, digests, options and prose about passwords are left exactly as they were."""
    assert redact(text) == text


def test_terminal_colours_hide_no_secret() -> None:
    """Escape sequences of a terminal go, also from within a key; the rest of the line stays."""
    assert redact("\x1b[1;31mERRO\x1b[0m pass\x1b[0mword=Spl1tAnsi7 ABEND S0C7") == f"ERRO password={MARK} ABEND S0C7"


def test_the_corpus_is_wide() -> None:
    """At least forty kinds and places of secrets are covered."""
    assert len({name for name, _, _ in CORPUS}) >= 40


@pytest.mark.parametrize("text", KEPT)
def test_codes_names_and_paths_survive(text: str) -> None:
    """What an operator needs is left exactly as it was."""
    assert redact(text) == text


@pytest.mark.parametrize("text", [text for _, text, _ in CORPUS])
def test_redaction_is_idempotent_and_deterministic(text: str) -> None:
    """Redacting twice changes nothing more, and no part of a mask is masked again."""
    once = redact(text)
    assert redact(once) == once
    assert once.count("]") <= text.count("]") + once.count(MARK)
    assert redact(text) == once


def test_neighbours_of_a_secret_survive() -> None:
    """Only the secret goes: code, job, class and host beside it stay."""
    assert redact(f"BATCH001 password={S} ABEND S0C7") == f"BATCH001 password={MARK} ABEND S0C7"
    assert (
        redact(f"//BATCH001 JOB (A),USER=P,PASSWORD={S},CLASS=A")
        == f"//BATCH001 JOB (A),USER=P,PASSWORD={MARK},CLASS=A"
    )
    assert redact(f"Server=db1;Password={S};Database=prod") == f"Server=db1;Password={MARK};Database=prod"
    assert redact("redis://u:p4ss@h:6379/0") == f"redis://{MARK}@h:6379/0"
    key = redact(f"-----BEGIN PRIVATE KEY-----\n{PEM}\n-----END PRIVATE KEY-----\nABEND S0C7")
    assert key.endswith("-----END PRIVATE KEY-----\nABEND S0C7")


def test_all_corpus_at_once() -> None:
    """One text with every secret in it loses them all and is stable."""
    text = "\n".join(text for _, text, _ in CORPUS)
    once = redact(text)
    assert [name for name, _, secret in CORPUS if secret in once] == []
    assert redact(once) == once


def test_data_is_redacted_recursively() -> None:
    """Values under secret keys go whole; other strings are searched; numbers and codes stay."""
    data = {
        "job": "BATCH001",
        "rc": 12,
        "password": S,
        "auth": {"token": [S, {"x": S}]},
        "lines": (f"senha={S}", "ABEND S0C7"),
        "env": [{"name": "DB_PASSWORD", "value": S}, {"name": "HOST", "value": "db1"}],
        "argv": ["tool", "--password", S, "--job", "BATCH001"],
        "tokens": {"prompt": 10},
        "tests": {"pass": 12, "fail": 0},
        "secret": None,
        "nested": json.dumps({"password": S}),
    }
    out = redact_data(data)
    assert S not in json.dumps(out)
    assert out["job"] == "BATCH001"
    assert out["rc"] == 12
    assert out["lines"] == [f"senha={MARK}", "ABEND S0C7"]
    assert out["env"][1] == {"name": "HOST", "value": "db1"}
    assert out["argv"] == ["tool", "--password", MARK, "--job", "BATCH001"]
    assert out["tokens"] == {"prompt": 10}
    assert out["tests"] == {"pass": 12, "fail": 0}
    assert out["secret"] is None
    assert redact_data(out) == out


def test_secret_keys() -> None:
    """Keys are judged by their last word, so that names which only contain one stay readable."""
    for key in ("password", "DB_PASSWORD", "clientSecret", "senha", "Authorization", "x-api-key", "userPwd", "apiKey"):
        assert is_secret_key(key), key
    for key in ("job", "tokens", "max_tokens", "key", "keys", "compass", "passed", "secretary", "cause", "config"):
        assert not is_secret_key(key), key


def test_what_the_project_ships_is_left_alone() -> None:
    """Runbooks, catalogue and the scenarios' logs, caches, metrics and questions come through unchanged."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(RUNBOOKS.rglob("*.md"))]
    catalogue = [path.read_text(encoding="utf-8") for path in sorted(CATALOGUE.glob("*.json"))]
    assert len(catalogue) > 10
    texts += catalogue
    for scenario in all_scenarios():
        texts += ["\n".join(log) for log in scenario.plan.logs.values()]
        texts += [*scenario.log_cache.values(), scenario.metrics_text, scenario.question]
    assert len(texts) > 50
    for text in texts:
        changed = [(a, b) for a, b in zip(text.splitlines(), redact(text).splitlines(), strict=True) if a != b]
        assert changed == []


def test_personal_data_goes_only_by_option() -> None:
    """E-mail addresses, CPF and CNPJ stay by default and go when asked; run ids and times are no CPF."""
    text = (
        "maria@example.com.br CPF 529.982.247-25 52998224725 CNPJ 11.222.333/0001-81 12.ABC.345/01DE-35 rid 20261124030"
    )
    assert redact(text) == text
    out = redact(text, personal=True)
    assert out == f"{MARK} CPF {MARK} {MARK} CNPJ {MARK} {MARK} rid 20261124030"


@pytest.mark.parametrize(
    "unit",
    ["password", "password=", "a", "://", "://a:b", "\\", "\\\"", "'", '"', "-p ", "-----BEGIN PRIVATE KEY-----", "eyJ",
     "eyJaaaaaa.",
     "senha de ", "<password ", "name='", "Basic ", "=", "@", "a@", "1:", "token: |\n  ", "token: |\n", "{xor}", "$6$",
     "A1b",
     "[REDACTED]",
     "password=a,", "password=(", "Cookie: ", "user x using ", "echo a|", "PASS ", "a.", "AKIA", "é",
     " \t", "-", "-u a:", "password=\\\n ", "password:\n", "password ...", "curl -au a", "lftp -u a,",
     "insert into a (", "insert into a (senha) values (", "USERID=(a,", "-createCredential a ", "//INPUT DD *\n",
     "\x1b[", "\x1b]a",
     "&lt;password&gt;", "open a:", "a/a@", "AUTH ", "passwd <<<", "snmp -c ", "MOVE 'a' TO "],
)  # fmt: skip
def test_time_is_linear(unit: str) -> None:
    """No text makes a pattern backtrack without bound: a long one costs about as much per character as a short one."""

    def seconds(size: int) -> float:
        started = time.thread_time()
        redact(unit * (size // len(unit)))
        return time.thread_time() - started

    # Twice, as other processes share the caches.
    # Four times the text takes about four times as long, and would take sixteen times as long by its square.
    assert any(seconds(40_000) < 8 * max(seconds(10_000), 0.01) for _ in range(5))
