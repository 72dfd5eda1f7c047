"""The patterns of ``redact``: the forms of secrets and of the places where they occur.

Nothing here backtracks over more than a bounded number of characters; a test feeds each pattern its worst text.
"""

import re

from orchestrator.codes.states import STATE_NAMES

_I = re.IGNORECASE
_M = re.MULTILINE
_IM = _I | _M

# Colours and cursor movements of a terminal (ECMA-48): they would stand between a key and its value.
TERMINAL = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)|[PX^_][^\x1b]{0,1000}\x1b\\|[@-Z\\-~])"
)

# Whole keys, headers and blocks -------------------------------------------------------------------------------------

# Up to the END line when it is there; a block cut in the middle ends with its base64 text.
PRIVATE_KEY = re.compile(
    r"(?P<begin>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
    r"(?:(?>(?:[^-]|-(?!----)){0,20000})(?P<end>-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
    r"|(?>(?:(?:\s|\\[nr]){0,8}(?:[A-Za-z0-9+/=]{16,}+|\[REDACTED\])){1,400})|)"
)
# A private key whose beginning was cut off: its end, and a line before it.
KEY_END = re.compile(r"\s{0,80}-----END [A-Z0-9 ]{0,40}PRIVATE KEY")
KEY_LINE = re.compile(r"\s{0,80}[A-Za-z0-9+/=]{1,80}\s{0,8}")
PUTTY_KEY = re.compile(r"(?P<head>Private-Lines: \d{1,5})(?P<value>(?>(?:\r?\n[A-Za-z0-9+/=]{4,}+)+))")

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
    "código", "codigo",
)  # fmt: skip
"""Cheap words one of which (lower-case) is in every line that the patterns of keys can match."""

# The key is searched for its last word only: no prefix has to be scanned, so the search stays linear.
LONG_KEY = (
    r"passwords?|passwd|passwort|passw|passcode|passphrase|pswd|senhas?|contrase(?:ñ|n|n\u0303|Ã±)as?|clave"
    r"|palavra[ _-]passe|secrets?|segredos?|(?<!unexpected )(?<!invalid )token"
    r"|credentials?|credenciais|credencial|credenciales"
    r"|(?:ssh|ftp|sftp|db|sql|ora|pg|mq|ldap|smtp|mail|http|proxy|jdbc|usr|user|admin|root|app|bind|key|store|trust|svc)"
    r"(?:pass|pwd|psw|pw)"
    r"|(?:api|access|account|private|secret|encryption|encrypt|shared|sharedaccess|signing|master|ssh|hmac|subscription|"
    r"license|auth|client|storage|app|crypto|session|webhook)[ _.-]?(?:key|chave)"
    r"|(?:chave|llave|token|clave|senha|c[oó]digo)[ _.-]?(?:de[ _.-]?)?"
    r"(?:api|acesso|acceso|seguran[cç]a|seguridad|autentica[cç][aã]o|autenticaci[oó]n|privada|secreta|criptografia|cifrado)"
    r"|sharedaccesssignature|x-amz-(?:signature|credential|security-token)|connection[ _-]?string[ _-]?password"
)
_SHORT = r"pass|pwd|pw|pin|sig|_auth|psw"
_CAMEL = r"(?-i:(?<=[a-z0-9])(?:Pass|Pwd|Pw|Sig|Pin))"
KEY = rf"(?:(?:{LONG_KEY})|(?<![A-Za-z])(?:{_SHORT})|{_CAMEL})"
# db_password_prod=, passwordHash:, senha2=
_SUFFIX = (
    r"(?:\d{1,3}|hash|value|text|enc(?:rypted|oded)?|plain|[_.-](?:hash|value|enc|prod|dev|test|old|new|\d{1,3}))?"
)
# password_age=90 and password_file=/x tell about a password.
_ABOUT = (
    r"(?:age|length|len|min|max|days?|policy|expir\w{0,6}|file|path|dir|type|count|retries|attempts|lifetime|history)"
)
_SUFFIX_BEFORE_EQUALS = (
    rf"(?:\d{{1,3}}|hash|value|text|enc(?:rypted|oded)?|plain|[_.-](?!{_ABOUT}(?![A-Za-z]))[\w.-]{{1,30}})?"
)
_WHICH = (
    r"(?:[ \t]{1,4}(?:tempor\w{2,5}|provis\w{3,5}|nova|novo|atual|actual|antiga|inicial|padr[aã]o"
    r"|new|old|current|default|gerad[oa]|generated|recebid[oa]))?"
)
_OF = (
    _WHICH
    + r"(?:[ \t]{1,4}(?:do|da|de|del|of|for|para|to|no|na|en)[ \t]{1,4}[^\s:=]{1,40}(?:[ \t]{1,4}[\w.@#/-]{1,40})?)?"
)

SECRET_KEY = re.compile(
    rf"(?:{KEY}{_SUFFIX}$|^(?:proxy[_-])?authorization$|^(?:set[_-])?cookies?$|^x-(?:api-key|auth-token)$|[_-]apikey$)",
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

# Text within JSON, XML or a URL has its quotes and separators written out: &quot; \u0022 %22, %3D and %3A.
_WRITTEN_QUOTE = r"(?:&quot;|&#3[49];|\\{1,8}u002[27]|%2[27])"
# "SENHA DO USUARIO X .....:" is how reports line up their columns.
_BEFORE_SEPARATOR = rf"[ \t]*(?:\.{{2,60}}[ \t]*)?(?:\\{{0,8}}[\"']|{_WRITTEN_QUOTE})?\]?[ \t]*"
KEY_VALUE = re.compile(
    rf"(?P<head>{KEY}(?:{_SUFFIX_BEFORE_EQUALS}{_BEFORE_SEPARATOR}(?:=>|:=|={{1,3}}|%3D)"
    rf"|{_SUFFIX}{_OF}{_BEFORE_SEPARATOR}(?:=|:(?!//)|%3A|\\{{1,8}}u003[ad]))[ \t]*{_WRITTEN_QUOTE}?)(?!\()" + _VALUE,
    _I,
)
# PASSWORD(x), PASSWORD=(old,new), password('x'); "a parameter not passed (CALL with ...)" is prose.
KEY_PAREN = re.compile(
    rf"(?P<head>{KEY}{_SUFFIX}(?:[ \t]*=[ \t]*)?\([ \t]*)"
    rf"(?P<value>{_DQ}|{_SQ}|[^)\s\"']{{1,200}}+(?:[ \t]{{1,4}}[^)\s\"']{{1,200}}+)?(?=[ \t]{{0,4}}\)))",
    _I,
)
PASSPHRASE = re.compile(
    r"(?P<head>(?:pass[ _-]?phrase|frase[ _-](?:secreta|senha|de[ _]senha))[\"']?[ \t]*[:=][ \t]*)"
    rf"(?P<value>{_DQ}|{_SQ}|[^\s\"',;][^\r\n\"',;]{{0,400}})",
    _I,
)
# A prompt whose answer stands alone on the next line, and an assignment that goes on there.
NEXT_LINE = re.compile(
    rf"(?P<head>{KEY}{_SUFFIX}{_OF}[ \t]*[:=][ \t]*\r?\n[ \t]*)(?P<value>[^\s\"',;:=()<>]{{4,200}})(?=[ \t]*\r?$)", _IM
)
CONTINUED = re.compile(
    rf"(?P<head>{KEY}{_SUFFIX}[ \t]*[:=][ \t]*(?:\\[ \t]*\r?\n|,?[ \t]*\r?\n//)[ \t]{{1,40}})"
    r"(?P<value>[^\s]{1,400})",
    _I,
)
NEXT_LINE_HINT = re.compile(r"[:=][ \t]{0,8}[,\\]?[ \t]{0,8}\r?\n")
YAML_HINT = re.compile(r":[ \t]{0,8}[|>][-+]?[ \t]{0,8}\r?\n")
YAML_BLOCK = re.compile(
    rf"(?P<head>{KEY}{_SUFFIX}[ \t]*:[ \t]*[|>][-+]?[ \t]*\r?\n)(?P<indent>[ \t]{{1,40}})[^\r\n]++"
    r"(?>(?:\r?\n(?P=indent)[^\r\n]++)*)",
    _I,
)
# <property name="password" value="x"/>, <entry key="senha">x</entry>
NAMED_VALUE = re.compile(
    rf"(?P<head>\b(?:name|key|id)=[\"'][\w.-]{{0,60}}?{KEY}{_SUFFIX}[\"']"
    r"(?:[ \t]{1,8}type=[\"'][\w.-]{1,40}[\"'])?(?:[ \t]{1,8}(?:value|content)=[\"']"
    r"|[ \t]{0,8}>[ \t]{0,8}(?:<value>)?))"
    r"[^\"'<\r\n]{1,2000}",
    _I,
)
XML_ELEMENT = re.compile(
    rf"(?P<head><[\w:.-]{{0,60}}?{KEY}{_SUFFIX}(?:[ \t][^<>]{{0,200}})?>)(?P<value>[^<]{{1,2000}})(?=</)", _I
)
ESCAPED_XML = re.compile(rf"(?P<head>&lt;[\w:.-]{{0,60}}?{KEY}{_SUFFIX}&gt;)(?:(?!&lt;)[^\r\n]){{1,2000}}(?=&lt;/)", _I)
# "the password is x", "a senha do banco é x", "la contraseña es x"
SPOKEN = re.compile(
    rf"(?P<head>(?:{LONG_KEY}){_OF}[ \t]{{1,4}}(?:is|é|eh|es|era|=)[ \t]{{1,4}}:?[ \t]{{0,4}})" + _VALUE,
    _I,
)
# netrc, composer user definitions, and prose without a separator; taken only when the word looks like a password.
KEY_SPACE_VALUE = re.compile(
    r"(?P<head>(?:(?<![\w.-])(?:password|passwd|pass|pwd|senha|contraseña|clave|(?<!unexpected )token|secret)"
    r"|[A-Za-z]_(?:password|passwd|pass|pwd|senha|token|secret|(?:access|api|secret|account)_key))[ \t]{1,8})"
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
    user users usuario usuário module campo field informe digite preencha
    expected esperado esperada found near
    errada errado vencida alterada bloqueada ausente caducada incorrecta incorrecto inválidas not is was has for from
    basic bearer digest ldap kerberos oauth oauth2 saml string str int number boolean object file env prompt * ** ***
    **** ***** ****** ******** xxxx xxxxx xxxxxx xxxxxxxx <redacted> <hidden> <none> a o the em in do da de del para
    to no na e and or
    """.split()  # noqa: SIM905  # a list of a hundred quoted words hides them
).union(map(str.lower, STATE_NAMES))
"""Words that stand where a secret could and are none, lower-case; states of jobs among them."""

# pass=12 and pass: 2/3 count tests, sig=9 is a signal.
COUNT = re.compile(r"(?<![A-Za-z])(?:pass|sig|pin)[\"' \t]*[:=][ \t]*$", _I)

# The rest -------------------------------------------------------------------------------------------------------------

LONG_RUN = re.compile(r"[A-Za-z0-9+/]{48,}+={0,2}")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}\b")
CPF = re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)")
CNPJ = re.compile(r"(?<![\dA-Z.])[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-\d{2}(?!\d)")
BARE_DIGITS = re.compile(r"(?<![0-9A-Za-z])(?:\d{11}|[0-9A-Z]{12}\d{2})(?![0-9A-Za-z])")
