"""The patterns of ``redact``: what a secret, and the place of one, looks like.

Nothing here backtracks over more than a bounded number of characters; a test feeds each pattern its worst text.
"""

from __future__ import annotations

import re

_I = re.IGNORECASE
_M = re.MULTILINE
_IM = _I | _M

# Whole keys, headers and blocks -------------------------------------------------------------------------------------

# Up to the END line when it is there; a block cut in the middle ends with its base64 text.
PRIVATE_KEY = re.compile(
    r"(?P<begin>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
    r"(?:(?>(?:[^-]|-(?!----)){0,20000})(?P<end>-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
    r"|\[REDACTED\]|(?>(?:(?:\s|\\[nr]){0,8}[A-Za-z0-9+/=]{16,}+){1,400})|)"
)
PUTTY_KEY = re.compile(r"(?P<head>Private-Lines: \d{1,5})(?>(?:\r?\n[A-Za-z0-9+/=]{4,}+)+)")

# Everything before the last @ of the authority: a user name can be a token too.
URL_USERINFO = re.compile(r"://[^\s/?#\"'<>@]{1,512}(?:@[^\s/?#\"'<>@]{1,256}){0,4}@")
# A password with / ? or # in it; a port is not one.
URL_PASSWORD = re.compile(r"://[^\s/?#\"'<>@:]{0,128}:(?!\d{1,5}(?:[/?#]|$))[^\s\"'<>@]{1,256}@")

_SCHEMES = r"basic|bearer|negotiate|ntlm|token|apikey|api-key|key|oauth|hmac"
AUTHORIZATION = re.compile(
    r"(?P<head>\b(?:proxy-|x-)?(?:authorization|auth-token|api-key|apikey|vault-token)[\"']?[ \t]*[:=][ \t]*[\"']?"
    rf"(?:(?:{_SCHEMES})[ \t]+)?)"
    r"(?P<value>(?:digest|aws4-hmac-sha256|signature)[ \t][^\r\n]{1,2000}|[^\s\"',;]{1,8000})",
    _I,
)
COOKIE = re.compile(
    r"(?P<head>\b(?:set-)?cookie[\"']?[ \t]*:[ \t]*[\"']?|\b(?:JSESSIONID|LtpaToken2?|PHPSESSID|sessionid)=)"
    r"[^\r\n\"']{1,8000}",
    _I,
)
BASIC = re.compile(r"(?P<head>\bbasic[ \t]+)(?P<value>[A-Za-z0-9+/]{6,2000}={0,2})", _I)
BEARER = re.compile(r"(?P<head>\bbearer[ \t]+)(?P<value>[A-Za-z0-9._~+/-]{8,8000}=*)", _I)
JWT = re.compile(r"eyJ[A-Za-z0-9_-]{6,8000}\.[A-Za-z0-9_-]{2,8000}(?:\.[A-Za-z0-9_-]{0,8000}){0,3}")

# Tokens that carry their issuer's prefix.
KNOWN_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA|AIDA|AROA|AGPA|ANPA)[A-Z0-9]{16}\b"
    r"|gh[pousr]_[A-Za-z0-9]{16,255}|github_pat_\w{20,255}|gl(?:pat|ptt|dt|rt|cbt)-[\w-]{16,255}"
    r"|xox[abeoprs]-[\w-]{8,255}|xapp-[\w-]{8,255}"
    r"|[srp]k_(?:live|test)_\w{8,255}|whsec_\w{16,255}"
    r"|sk-[\w-]{16,255}|nvapi-[\w-]{16,255}|hf_\w{16,255}|gsk_\w{16,255}"
    r"|AIza[\w-]{30,60}|ya29\.[\w-]{16,2000}|GOCSPX-[\w-]{16,64}|1//0[\w-]{20,255}"
    r"|npm_\w{30,64}|pypi-[\w-]{16,512}|SG\.[\w-]{16,64}\.[\w-]{16,128}|key-[0-9a-f]{32}"
    r"|do[opr]_v1_[0-9a-f]{32,128}|dapi[0-9a-f]{32}(?:-\d)?|SK[0-9a-f]{32}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"
    r"|hv[bsr]\.[\w-]{16,255}|s\.(?=[A-Za-z]{0,23}\d)[A-Za-z0-9]{24}\b|AGE-SECRET-KEY-1[A-Z0-9]{50,64}"
    r"|\d{8,10}:AA[\w-]{30,40}|glsa_\w{30,64}|PMAK-[\w-]{30,80}|lin_api_\w{30,64}|ATATT3[\w=-]{20,255}"
    r")"
)
# WebSphere Liberty ({xor}, {aes}), LDAP and RACF-like encodings: reversible or crackable.
ENCODED_PASSWORD = re.compile(
    r"(?P<head>\{(?:xor|aes|des|3des|hash|ssha(?:\d{3})?|sha(?:\d{3})?|smd5|md5|crypt|cipher)\})[A-Za-z0-9+/=_.$-]{2,2000}",
    _I,
)
CRYPT_HASH = re.compile(r"\$(?:[1256y]|2[abxy]|apr1|argon2[id]{1,2}|scrypt|pbkdf2[\w-]{0,12})\$[\w./$=,+-]{8,300}")
WEBHOOK = re.compile(r"(?P<head>hooks\.slack\.com/services/|webhook\.office\.com/webhookb2/)[\w/@-]{8,500}")

# Keys and their values ------------------------------------------------------------------------------------------------

SECRET_PROBES = (
    "pass", "pwd", "pw", "psw", "senha", "contrase", "clave", "secret", "segredo", "token", "key", "chave", "llave",
    "credenc", "credential", "palavra", "sig", "_auth", "pin", "frase",
)  # fmt: skip
"""Cheap words one of which (lower-case) is in every line that the patterns of keys can match."""

# The key is searched for its last word only: no prefix has to be scanned, so the search stays linear.
_LONG = (
    r"passwords?|passwd|passwort|passw|passcode|passphrase|pswd|senhas?|contrase(?:ñ|n|n\u0303|Ã±)as?|clave"
    r"|palavra[ _-]passe|secrets?|segredos?|(?<!unexpected )token|credentials?|credenciais|credencial|credenciales"
    r"|(?:api|access|account|private|secret|encryption|encrypt|shared|sharedaccess|signing|master|ssh|subscription|"
    r"license|auth|client|storage|app|crypto|session|webhook)[ _.-]?(?:key|chave)"
    r"|(?:chave|llave)[ _.-](?:de[ _.-])?(?:api|acesso|acceso|privada|secreta|criptografia|cifrado)"
    r"|sharedaccesssignature|x-amz-(?:signature|credential|security-token)|connection[ _-]?string[ _-]?password"
)
_SHORT = r"pass|pwd|pw|pin|sig|_auth|psw"
_CAMEL = r"(?-i:(?<=[a-z0-9])(?:Pass|Pwd|Pw|Sig|Pin))"
_KEY = rf"(?:(?:{_LONG})|(?<![A-Za-z])(?:{_SHORT})|{_CAMEL})"
# db_password_prod=, passwordHash:, senha2=
_SUFFIX = (
    r"(?:\d{1,3}|hash|value|text|enc(?:rypted|oded)?|plain|[_.-](?:hash|value|enc|prod|dev|test|old|new|\d{1,3}))?"
)
_SUFFIX_BEFORE_EQUALS = r"(?:\d{1,3}|hash|value|text|enc(?:rypted|oded)?|plain|[_.-][\w.-]{1,30})?"
_OF = r"(?:[ \t]{1,4}(?:do|da|de|del|of|for|para|to|no|na|en)[ \t]{1,4}[^\s:=]{1,40}(?:[ \t]{1,4}[\w.@#/-]{1,40})?)?"

SECRET_KEY = re.compile(
    rf"(?:{_KEY}{_SUFFIX}$|^(?:proxy[_-])?authorization$|^(?:set[_-])?cookies?$|^x-(?:api-key|auth-token)$|[_-]apikey$)",
    _I,
)

_DQ = r'"(?>(?:[^"\\\r\n]|\\[^\r\n])*)"?'
_SQ = r"'(?>(?:[^'\\\r\n]|\\[^\r\n])*)'?"
_ESCAPED = r"\\{1,8}[\"'](?>(?:(?!\\{1,8}[\"'])[^\r\n])*)(?:\\{1,8}[\"'])?"
# A comma, semicolon or ampersand ends the value only where something like a next key follows.
_PLAIN = (
    r"(?>(?:\[REDACTED\]|\{\{[^{}\r\n]{1,80}\}\}|[^\s\"'<,;&\\]|[,&](?![\s\"']|$|[\w.-]{1,40}[=:(]|-)"
    r"|;(?![\s\"']|$|[\w .-]{1,40}[=:]|-)|[\"'](?=[\w$!@#%])|<(?![/A-Za-z])"
    r"|\\(?![\"'rnt]))+)"
)
_VALUE = rf"(?P<value>{_ESCAPED}|{_DQ}|{_SQ}|{_PLAIN})"
OPENING_QUOTE = re.compile(r"\\{0,8}[\"']")

_BEFORE_SEPARATOR = r"[ \t]*(?:\\{0,8}[\"'])?\]?[ \t]*"
KEY_VALUE = re.compile(
    rf"(?P<head>{_KEY}(?:{_SUFFIX_BEFORE_EQUALS}{_BEFORE_SEPARATOR}(?:=>|:=|={{1,3}})"
    rf"|{_SUFFIX}{_OF}{_BEFORE_SEPARATOR}(?:=|:(?!//)))[ \t]*)(?!\()" + _VALUE,
    _I,
)
# PASSWORD(x), PASSWORD=(old,new), password('x'); "a parameter not passed (CALL with ...)" is prose.
KEY_PAREN = re.compile(
    rf"(?P<head>{_KEY}{_SUFFIX}(?:[ \t]*=[ \t]*)?\([ \t]*)"
    rf"(?P<value>{_DQ}|{_SQ}|[^)\s\"']{{1,200}}+(?:[ \t]{{1,4}}[^)\s\"']{{1,200}}+)?(?=[ \t]{{0,4}}\)))",
    _I,
)
PASSPHRASE = re.compile(
    r"(?P<head>(?:pass[ _-]?phrase|frase[ _-](?:secreta|senha|de[ _]senha))[\"']?[ \t]*[:=][ \t]*)"
    rf"(?P<value>{_DQ}|{_SQ}|[^\s\"',;][^\r\n\"',;]{{0,400}})",
    _I,
)
YAML_HINT = re.compile(r":[ \t]{0,8}[|>][-+]?[ \t]{0,8}\r?\n")
YAML_BLOCK = re.compile(
    rf"(?P<head>{_KEY}{_SUFFIX}[ \t]*:[ \t]*[|>][-+]?[ \t]*\r?\n)(?P<indent>[ \t]{{1,40}})[^\r\n]++"
    r"(?>(?:\r?\n(?P=indent)[^\r\n]++)*)",
    _I,
)
# <property name="password" value="x"/>, <entry key="senha">x</entry>
NAMED_VALUE = re.compile(
    rf"(?P<head>\b(?:name|key|id)=[\"'][\w.-]{{0,60}}?{_KEY}{_SUFFIX}[\"']"
    r"(?:[ \t]{1,8}type=[\"'][\w.-]{1,40}[\"'])?(?:[ \t]{1,8}(?:value|content)=[\"']"
    r"|[ \t]{0,8}>[ \t]{0,8}(?:<value>)?))"
    r"[^\"'<\r\n]{1,2000}",
    _I,
)
XML_ELEMENT = re.compile(
    rf"(?P<head><[\w:.-]{{0,60}}?{_KEY}{_SUFFIX}(?:[ \t][^<>]{{0,200}})?>)[^<]{{1,2000}}(?=</)", _I
)
# "the password is x", "a senha do banco é x", "la contraseña es x"
SPOKEN = re.compile(
    rf"(?P<head>(?:{_LONG}){_OF}[ \t]{{1,4}}(?:is|é|eh|es|era|=)[ \t]{{1,4}}:?[ \t]{{0,4}})" + _VALUE,
    _I,
)
# netrc, composer user definitions, and prose without a separator; taken only when the word looks like a password.
KEY_SPACE_VALUE = re.compile(
    r"(?P<head>(?<![\w.-])(?:password|passwd|pass|pwd|senha|contraseña|clave|(?<!unexpected )token|secret)[ \t]{1,8})"
    r"(?P<value>\"[^\"\r\n]{1,200}\"|'[^'\r\n]{1,200}'|[^\s\"',;:=()<>]{4,200})",
    _I,
)

# ${DB_PASSWORD}, %PW%, {{ token }}, ^PW^, &PW. and <password>: where a secret comes from, not the secret.
REFERENCE = re.compile(
    r"\$\{[\w.:-]{1,80}\}|%[A-Za-z_]\w{0,60}%|\{\{[^{}]{1,80}\}\}|\^[A-Za-z]\w{0,60}\^"
    r"|&[A-Z][A-Z0-9]{0,7}\.?|<[\w -]{1,40}>|\.{2,6}"
)

HARMLESS = frozenset(
    """
    [redacted] true false null none nil yes no sim não nao nenhum nenhuma empty vazia vacío unset undefined required
    optional missing expired invalid incorrect wrong rejected denied failed failure changed reset locked unknown
    accepted valid ok error obrigatória obrigatório inválida invalida inválido incorreta incorreto expirada expirado
    errada errado vencida alterada bloqueada ausente caducada incorrecta incorrecto inválidas not is was has for from
    abend fail succ exec hold ready stuck abenp wait end cancl fence intro pend susp suppr error basic bearer digest
    ldap kerberos oauth oauth2 saml string str int number boolean object file env prompt * ** *** **** ***** ******
    ******** xxxx xxxxx xxxxxx xxxxxxxx <redacted> <hidden> <none> a o the em in do da de del para to no na e and or
    """.split()  # noqa: SIM905  # a list of a hundred quoted words hides them
)
"""Words that stand where a secret could and are none, lower-case."""

# pass=12 counts tests, sig=9 is a signal.
COUNT = re.compile(r"(?<![A-Za-z])(?:pass|sig|pin)[\"' \t]*[:=][ \t]*$", _I)

# Programs -------------------------------------------------------------------------------------------------------------

COMMAND_PROBES = (
    " -", " /", "plus", "jdbc:", "userid", "identified", "using", "logon", "pass", "echo", "printf", "net use", ":5432",
    ":*:", "connect", "conn ", "rman", "exp ", "imp ", "impdp", "expdp", "sqlldr",
)  # fmt: skip
"""As ``SECRET_PROBES``, for the programs below."""

_ARGUMENT = r"(?:\"[^\"\r\n]{1,400}\"|'[^'\r\n]{1,400}'|[^\s\"']{1,400})"
COMMAND_SECRETS: tuple[re.Pattern[str], ...] = (
    # --password x, -password x, -pw x, --api-key x, -storepass x
    re.compile(
        rf"(?P<head>(?<![\w-])--?(?:[\w.]{{1,20}}-){{0,3}}(?:{_LONG}|pass|pwd|pw|storepass|keypass|authpass|userpass|passin|"
        rf"passout|bindpw|newpass)(?:[ \t]{{1,8}}|=))(?!-){_ARGUMENT}",
        _IM,
    ),
    # cmdkey /pass:x, /password:x, /p:x
    re.compile(r"(?P<head>(?<![\w/])(?:/(?:pass|password|pwd):|/u(?:ser)?:[^\s]{1,80}[ \t]{1,8}/r?p:))"
               r"(?!/)[^\s]{1,400}", _IM),
    # curl -u user:password, --user, --proxy-user; smbclient -U user%password
    re.compile(r"(?P<head>(?<![\w-])(?:-u|--user|--proxy-user|-U)[ =]{0,4}[\"']?[\w.@\\-]{1,80}[:%])[^\s\"']{1,400}"),
    # sqlplus scott/tiger@db, jdbc:oracle:thin:scott/tiger@, userid=scott/tiger
    re.compile(
        r"(?P<head>(?:\b(?:sqlplus|rman|expdp|impdp|sqlldr)|(?:^|[>;])[ \t]{0,8}conn(?:ect)?)[ \t]{1,8}"
        r"(?:-\w{1,8}[ \t]{1,8}){0,4}[\"']?"
        r"[A-Za-z]\w{0,30}/)[^\s/@\"']{1,128}(?=@|[\"']?\s|[\"']?$)",
        _IM,
    ),
    re.compile(r"(?P<head>\b(?:exp|imp)[ \t]{1,8}[A-Za-z]\w{0,30}/)[^\s/@\"']{1,128}(?=@|[ \t]{1,8}\w{1,20}=)", _IM),
    re.compile(r"(?P<head>\bjdbc:oracle:\w{1,8}:\w{1,31}/)[^\s@\"']{1,128}(?=@)", _IM),
    re.compile(r"(?P<head>\buserid=[\"']?\w{1,31}/)[^\s@\"',]{1,128}", _IM),
    # IDENTIFIED BY x; CONNECT TO db USER x USING y; TSO LOGON user/password; FTP PASS x
    re.compile(rf"(?P<head>(?:\b(?:user|role|to)[ \t]{{1,8}}[\w\".#$@'-]{{1,60}}\s{{1,40}}|^[ \t]{{0,40}})"
               rf"identified[ \t]{{1,8}}by[ \t]{{1,8}}(?:values[ \t]{{1,8}})?){_ARGUMENT}", _IM),
    re.compile(rf"(?P<head>\b(?:connect|attach)[ \t]{{1,8}}to[ \t]{{1,8}}[\w\"]{{1,40}}[ \t]{{1,8}}user[ \t]{{1,8}}"
               rf"[\w\"'.\\-]{{1,60}}[ \t]{{1,8}}using[ \t]{{1,8}}){_ARGUMENT}", _IM),
    re.compile(r"(?P<head>\bLOGON[ \t]{1,8}(?:APPLID\([^)\r\n]{1,20}\)[ \t]{1,8})?[A-Z0-9@#$]{1,8}/)[^\s/,]{1,40}"),
    re.compile(r"(?P<head>\.LOGON[ \t]{1,8}[\w./-]{1,80},)[^\s;]{1,80}", _IM),
    re.compile(r"(?P<head>(?:^[^\r\n>]{0,80}>[ \t]{0,8}|^[ \t]{0,8}USER[ \t]{1,4}[^\s]{1,60}\r?\n[ \t]{0,8})"
               r"PASS[ \t]{1,4})(?!\[)[^\s]{1,200}(?=[ \t]*\r?$)", _M),
    # .pgpass: host:port:database:user:password
    re.compile(r"(?P<head>^[\w.*-]{1,200}:(?:5432|\*):[\w*-]{1,63}:[\w*-]{1,63}:)[^\s]{1,200}(?=[ \t]*\r?$)", _M),
    re.compile(rf"(?P<head>\b(?:echo|printf)[ \t]{{1,8}})(?:-\w[ \t]{{1,4}})?{_ARGUMENT}"
               r"(?=[ \t]{0,8}\|[ \t]{0,8}(?:sudo[ \t]{1,4}-S|passwd|chpasswd|su\b|docker login|kinit))"),
    re.compile(rf"(?P<head>\bnet[ \t]{{1,4}}use[ \t]{{1,4}}(?:[A-Z]:[ \t]{{1,4}})?\\\\[^\s]{{1,200}}[ \t]{{1,4}})"
               rf"(?!/){_ARGUMENT}"
               r"(?=[ \t]{1,4}/user)", _IM),
    re.compile(r"(?P<head>\bpass:)(?!\[)[^\s\"']{1,200}"),
)  # fmt: skip

PASSWORD_PROGRAM = re.compile(
    r"(?:\b(?:mysql\w*|mariadb\w*|sshpass|mongo\w*|docker[ \t]+login|podman[ \t]+login|helm[ \t]+\w+[ \t]+login"
    r"|sqlcmd|bcp|isql|ldap\w+|redis-cli|zip|unzip|7za?|plink|pscp|htpasswd|ipmitool|rabbitmqadmin|xfreerdp|winexe|lftp"
    r"|az[ \t]+login|oc[ \t]+login|conman|composer|planman|optman|twsinst\w*|wsadmin\w*|startappserver|dataexport)\b"
    r"|[ \t](?:-u|-U|--user(?:name)?|-username|-user)[ =]?[\w.@\\\"'-])"
)
SHORT_PASSWORD_FLAG = re.compile(
    r"(?P<head>(?<![\w-])-[pPwa](?:[ \t]{1,8}|=)[\"']?)(?![-\s\[])[^\s\"']{2,200}(?:[\"'](?=\s|$))?"
)
# Glued to its flag: -phunter2. Other programs have options that begin with these letters.
GLUED_PASSWORD = re.compile(
    r"(?P<head>\b(?:mysql\w*|mariadb\w*|sshpass|7za?|isql|sqlcmd|bcp)\b[^\r\n|;]{0,300}?[ \t]-[pP])"
    r"(?![\s\[]|rotocol|ort\b|lugin)(?:\"[^\"\r\n]{1,200}\"|'[^'\r\n]{1,200}'|[^\s\"']{2,200})"
)
HARMLESS_PROGRAM = re.compile(
    r"\b(?:mkdir|cp|ssh|scp|sftp|ps|tar|install|rsync|nc|ncat|docker|podman|compose|touch|netstat|ss|iptables|pgrep|kill|java|"
    r"javac|make|cmake|pip3?|pytest|tee|read|perl|python3?|git|lsof|nmap|grep|sort|sed|patch|gpg|tail|systemctl|pv|rm|ln|cd|"
    r"test|umount|mount|df|du|lp|lpr|pax|cpio|uname|export|declare|set|celery|redis-server|mv|chmod|chown|find|xargs|node)\b"
)
# With no program known: -p and a word that is neither a number, a path, another option nor a job log's code.
BARE_P_FLAG = re.compile(
    r"(?P<head>(?<![\w-])-p(?:[ \t]{1,8}|=))(?!\d+(?:\s|$)|[/.~-]|\[|S[0-9A-F]{3}\b|U\d{4}\b)[^\s]{2,200}"
)

# The rest -------------------------------------------------------------------------------------------------------------

LONG_RUN = re.compile(r"[A-Za-z0-9+/]{48,}+={0,2}")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}\b")
CPF = re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)")
CNPJ = re.compile(r"(?<![\dA-Z.])[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-\d{2}(?!\d)")
BARE_DIGITS = re.compile(r"(?<![0-9A-Za-z])(?:\d{11}|[0-9A-Z]{12}\d{2})(?![0-9A-Za-z])")
