"""The patterns of ``redact``: the forms of secrets and of the places where they occur.

The words of the three languages are data (``data/words.json``). Patterns that begin ``After`` a key are matched where
one ends, so that a text is searched for keys once. Nothing here backtracks over more than a bounded number of
characters; a test times every pattern on the text that is worst for it.
"""

import json
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from orchestrator.codes.states import STATE_NAMES

_I = re.IGNORECASE
_M = re.MULTILINE
_IM = _I | _M

WORDS: dict[str, Any] = json.loads((files("orchestrator.redaction") / "data" / "words.json").read_bytes())
"""The vocabulary: parts of regular expressions, by their role."""
_KEYS = WORDS["keys"]


def either(parts: Iterable[str]) -> str:
    """An alternative of ``parts``, by their first letters: most places are left after one comparison."""
    by_letter: dict[str, list[str]] = {}
    for part in sorted(set(parts), key=lambda part: (len(re.sub(r"\(\?[=!].*", "", part)), part), reverse=True):
        length = 0 if part[:1] in "([\\" or part[1:2] in ("?", "{", "*", "+") else 1
        by_letter.setdefault(part[:length], []).append(part[length:])
    groups = [re.escape(letter) + f"(?:{'|'.join(rest)})" for letter, rest in by_letter.items()]
    return f"(?:{'|'.join(groups)})"


# Colours and cursor movements of a terminal (ECMA-48): they would stand between a key and its value.
TERMINAL = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)|[PX^_][^\x1b]{0,1000}\x1b\\|[@-Z\\-~])"
)

# Whole keys, headers and blocks -------------------------------------------------------------------------------------

# Up to the END line when it is there; a block cut in the middle ends with its base64 text.
PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?P<value>(?>(?:[^-]|-(?!----)){0,20000})(?=-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
    r"|(?>(?:(?:\s|\\[nr]){0,8}(?:[A-Za-z0-9+/=]{16,}+|\[REDACTED\])){1,400}))"
)
# A private key whose beginning was cut off: its end, and a line before it.
KEY_END = re.compile(r"\s{0,80}-----END [A-Z0-9 ]{0,40}PRIVATE KEY")
KEY_LINE = re.compile(r"\s{0,80}[A-Za-z0-9+/=]{1,80}\s{0,8}")
PUTTY_KEY = re.compile(r"Private-Lines: \d{1,5}(?P<value>(?>(?:\r?\n(?:[A-Za-z0-9+/=]{4,}+|\[REDACTED\]))+))")

# Everything before the last @ of the authority: a user name can be a token too.
URL_USERINFO = re.compile(
    r"://(?![^\s/?#\"'<>@:]{0,128}:\d{1,5}[;,])(?P<value>[^\s/?#\"'<>@]{1,512}(?:@[^\s/?#\"'<>@]{1,256}){0,4})@"
)
# A password with / ? or # in it; a port is not one.
URL_PASSWORD = re.compile(r"://(?P<value>[^\s/?#\"'<>@:]{0,128}:(?!\d{1,5}(?:[/?#;,]|$))[^\s\"'<>@]{1,256})@")

_SCHEMES = r"basic|bearer|negotiate|ntlm|token|apikey|api-key|key|oauth|hmac"
AFTER_AUTHORIZATION = re.compile(
    rf"[\"']?[ \t]{{0,8}}[:=][ \t]{{0,8}}[\"']?(?:(?:{_SCHEMES})[ \t]{{1,8}})?"
    r"(?P<value>(?:digest|aws4-hmac-sha256|signature)[ \t][^\r\n]{1,2000}|[^\s\"',;]{1,8000})",
    _I,
)
AFTER_COOKIE = re.compile(r"[\"']?[ \t]{0,8}:[ \t]{0,8}[\"']?(?P<value>[^\r\n\"']{1,8000})")
AFTER_SESSION = re.compile(r"=(?P<value>[^\r\n\"']{1,8000})")
AFTER_BASIC = re.compile(r"[ \t]{1,8}(?P<value>[A-Za-z0-9+/]{6,2000}={0,2})")
AFTER_BEARER = re.compile(r"[ \t]{1,8}(?P<value>[A-Za-z0-9._~+/-]{8,8000}=*)")

AFTER_SCHEME = {
    "authorization": AFTER_AUTHORIZATION, "cookie": AFTER_COOKIE, "basic": AFTER_BASIC, "bearer": AFTER_BEARER,
    **dict.fromkeys(
        ("jsessionid", "ltpatoken", "ltpatoken2", "phpsessid", "sessionid", "_gitlab_session"), AFTER_SESSION
    ),
}  # fmt: skip
"""What follows a scheme of authentication or the name of a session, lower-case."""

# WebSphere Liberty ({xor}, {aes}), LDAP and RACF-like encodings: reversible or crackable.
ENCODED_PASSWORD = re.compile(
    r"\{(?i:xor|aes|des|3des|hash|ssha(?:\d{3})?|sha(?:\d{3})?|smd5|md5|crypt|cipher)\}(?P<value>[A-Za-z0-9+/=_.$-]{2,2000})"
)
CRYPT_HASH = re.compile(
    r"(?P<value>\$(?:[1256y]|2[abxy]|apr1|argon2[id]{1,2}|scrypt|pbkdf2[\w-]{0,12})\$[\w./$=,+-]{8,300})"
)
WEBHOOK = re.compile(
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/|webhook\.office\.com/webhookb2/)(?P<value>[\w/@-]{8,500})"
)

# Keys -----------------------------------------------------------------------------------------------------------------

_STRONG = (
    *_KEYS["strong"],
    *(f"{a}{b}(?!word|code|phrase)" for a in _KEYS["compound"]["first"] for b in _KEYS["compound"]["last"]),
    *(f"{a}[ _.-]?{b}" for a in _KEYS["compound_key"]["first"] for b in _KEYS["compound_key"]["last"]),
)
_WEAK = (
    *(key for key in _KEYS["weak"] if key != "token"),
    *(first + _KEYS["compound_of"]["rest"] for first in _KEYS["compound_of"]["first"]),
    r"token(?<!unexpected token)(?<!invalid token)",
)
KEY_PARTS = (*_STRONG, *_WEAK)
STRONG_KEY = either(_STRONG)
WEAK_KEY = either(_WEAK)
"""Keys that also name other things: of an index, of a grammar."""
SHORT_KEY = either(_KEYS["short"])
PAIR_KEY = either(_KEYS["pair"])
LONG_KEY = rf"(?:{STRONG_KEY}|{WEAK_KEY})"
_CAMEL = r"(?-i:(?<=[a-z0-9])(?:Pass|Pwd|Pw|Sig|Pin))"
KEY = rf"(?:{LONG_KEY}|(?<![A-Za-z]){SHORT_KEY}|{_CAMEL})"
"""The end of a name under which a secret stands, in any case of letters."""
LOWER_KEY = re.compile(either((*KEY_PARTS, *(rf"{word}(?<![a-z]{word})" for word in _KEYS["short"]))))
"""A key in a text of lower case."""

# db_password_prod=, passwordHash:, senha2=
_OWNER = rf"{either(WORDS['owners'])}(?![A-Za-z])"
_SUFFIX = (
    rf"(?:\d{{1,3}}|{_OWNER}|hash|value|text|enc(?:rypted|oded)?|plain"
    r"|[_.-](?:hash|value|enc|prod|dev|test|old|new|\d{1,3}))?"
)
# password_age=90 and password_file=/x tell about a password.
_ABOUT = (
    r"(?:age|length|len|min|max|days?|policy|expir\w{0,6}|file|path|dir|type|count|retries|attempts|lifetime|history"
    r"|interval|seconds|timeout|ttl|url|uri|endpoint|name|id|field|header|cmd|command|errors?|exception|manager|provider"
    r"|validator|handler|factory|config|class|protected|based|less|store|policies)"
)
_SUFFIX_BEFORE_EQUALS = (
    rf"(?:\d{{1,3}}|{_OWNER}|hash|value|text|enc(?:rypted|oded)?|plain|[_.-](?!(?:\w{{1,12}}_)?{_ABOUT}(?![A-Za-z]))[\w.-]{{1,30}}"
    rf"|(?-i:(?<=[a-z])(?!{_ABOUT.replace('(?:', '(?i:', 1)}(?![a-z]))[A-Z][A-Za-z0-9]{{1,30}}))?"
)
SECRET_KEY = re.compile(
    rf"(?:{KEY}{_SUFFIX}$|^(?:proxy[_-])?authorization$|^(?:set[_-])?cookies?$|^x-(?:api-key|auth-token)$|[_-]apikey$)",
    _I,
)

# Values ---------------------------------------------------------------------------------------------------------------

_DQ = r'"(?>(?:[^"\\\r\n]|\\[^\r\n])*)"?'
_SQ = r"'(?>(?:[^'\\\r\n]|\\[^\r\n])*)'?"
_BQ = r"`[^`\r\n]{1,400}`"
_ESCAPED = r"\\{1,8}[\"'](?>(?:(?!\\{1,8}[\"'])[^\r\n])*)(?:\\{1,8}[\"'])?"
# A comma, semicolon or ampersand ends the value only where something like a next key follows.
_PLAIN = (
    r"(?>(?:\[REDACTED\]|\{\{[^{}\r\n]{1,80}\}\}|\$\([^()\r\n]{1,200}\)|(?<=\w)\((?=[\"'])[^()\r\n]{1,200}\)|[^\s\"'<,;&\\]|[,&](?![\s\"']|$|[\w.-]{1,40}[=:(]|-)"
    r"|;(?![\s\"']|$|[\w .-]{1,40}[=:]|-)|[\"'](?=[\w$!@#%])|<(?![/A-Za-z])"
    r"|\\(?![\"'rnt]))+)"
)
_VALUE = rf"(?P<value>{_ESCAPED}|{_DQ}|{_SQ}|{_BQ}|{_PLAIN})"
OPENING_QUOTE = re.compile(r"\\{0,8}[\"']|`")
_WORD = r"(?P<value>\"[^\"\r\n]{1,200}\"|'[^'\r\n]{1,200}'|`[^`\r\n]{1,200}`|[^\s\"',;:=()<>|`]{4,200})"
REST_OF_WORD = re.compile(r"[^\s\"'<>|`()\[\]]{0,400}")

# Between a key and its value ------------------------------------------------------------------------------------------

_B = r"[ \t]{0,80}+"
# Text within JSON, XML or a URL has its quotes and separators written out: &quot; \u0022 %22, %3D and %3A.
_WRITTEN_QUOTE = r"(?:&quot;|&#3[49];|\\{1,8}u002[27]|%2[27])"
_TAG = r"</?[A-Za-z][^<>\r\n]{0,80}>"
_SPACE_ENTITY = r"&(?:nbsp|#160|emsp|ensp);"
# Markdown, chat and HTML put signs around both; "SENHA DO USUARIO X .....:" is how reports line up their columns.
_CLOSING = (
    rf"{_B}(?:(?:\.[ \t]{{0,2}}){{2,60}}+{_B})?"
    rf"(?:(?:\\{{0,8}}[\"']|{_WRITTEN_QUOTE}|\\?[*~]{{1,3}}|_{{1,3}}(?=[\s:=*]|$)|\\(?=[:=])|`{{1,3}}|[\])}}]|{_TAG}"
    rf"|{_SPACE_ENTITY}"
    rf"|\((?!\[)[^()\r\n]{{1,40}}\)|\[(?!REDACTED\])[^\[\]\r\n]{{1,40}}\]){_B}){{0,5}}"
)
_OPENING = (
    rf"(?P<opening>(?:{_WRITTEN_QUOTE}|\\?[*_~]{{1,3}}(?![*_~\s])|\|\|(?=\S)|`{{3}}|{_TAG}|{_SPACE_ENTITY}|<!\[CDATA\["
    rf"|N(?=')|!(?:!\w{{1,12}}|vault|encrypted|unsafe)(?=[ \t])|(?:é|eh|es|is)(?=[ \t])){_B}){{0,5}}"
)
# Not that of a time, nor of a URL; Markdown may close its emphasis behind it.
_COLON = (
    r"(?:\.?[ \t]{0,4}(?!(?<=\d):\d\d(?!\d)):(?!//)(?:[ \t]?:){0,2}(?:\\?[*_~]{1,3}(?=[ \t]))?"
    r"|%3A|\\{1,8}u003a|&colon;|&#58;)"
)
_EQUALS = r"(?:={1,6}>|:=|={1,3}|%3D|\\{1,8}u003d)"
_ARROW = r"(?:[-=~]{1,3}>|>{1,2}|[→➡⇒➜►▶👉]\ufe0f?)"

_WHICH = rf"{either(WORDS['which'])}(?!\w)"
_OF = (
    rf"(?:[ \t]{{1,4}}(?:{_WHICH}|{either(WORDS['of'])}(?:[ \t]{{1,4}}{either(WORDS['articles'])}(?=[ \t]))?"
    rf"(?:[ \t]{{1,4}}{either(WORDS['names'])}(?=[ \t]))?[ \t]{{1,4}}[^\s:=]{{1,40}}"
    r"(?:[ \t]{1,4}[\w.@#/-]{1,40}(?!\w))?"
    r"|\((?!\[)[^()\r\n]{1,40}\)|\[(?!REDACTED\])[^\[\]\r\n]{1,40}\]"
    rf"|{either(WORDS['that'])}[ \t]{{1,4}}(?:{either(WORDS['persons'])}[ \t]{{1,4}}){{0,2}}\w{{1,12}})){{0,3}}"
)
_COPULA = either(WORDS["copulas"])

AFTER_KEY = re.compile(
    rf"(?:{_SUFFIX_BEFORE_EQUALS}{_CLOSING}{_EQUALS}|{_SUFFIX_BEFORE_EQUALS}(?P<of>{_OF}){_CLOSING}(?:(?P<colon>{_COLON})|=))"
    rf"{_B}{_OPENING}(?!\(){_VALUE}",
    _I,
)
# PASSWORD(x), PASSWORD=(old,new), password('x'); "a parameter not passed (CALL with ...)" is prose.
IN_PARENTHESES = re.compile(
    rf"{_SUFFIX}(?:[ \t]{{0,8}}=[ \t]{{0,8}})?\([ \t]{{0,8}}"
    rf"(?P<value>{_DQ}|{_SQ}|[^)\s\"']{{1,200}}+(?:[ \t]{{1,4}}[^)\s\"']{{1,200}}+)?(?=[ \t]{{0,4}}\)))",
    _I,
)
AFTER_PHRASE = re.compile(
    rf"{_OF}[\"']?{_B}[:=]{_B}(?P<value>{_DQ}|{_SQ}|[^\s\"',;][^\r\n\"',;]{{0,400}})",
    _I,
)
# A prompt or a heading whose answer stands alone on the next line, and an assignment that goes on there.
ON_NEXT_LINE = re.compile(
    rf"{_SUFFIX}{_OF}{_CLOSING}(?P<colon>[:=])?{_CLOSING}\r?\n"
    r"(?:[ \t]{0,40}+(?:`{3}\w{0,10})?[ \t]{0,8}+\r?\n)?"
    rf"[ \t>]{{0,80}}+{_OPENING}(?P<value>[^\s\"'=()<>]{{4,200}}){_CLOSING}(?=\r?$)",
    _IM,
)
CONTINUED = re.compile(
    rf"{_SUFFIX}{_B}[:=]{_B}(?:\\[ \t]{{0,8}}\r?\n|,?[ \t]{{0,8}}\r?\n//)[ \t]{{1,40}}(?P<value>[^\s]{{1,400}})", _I
)
YAML_BLOCK = re.compile(
    rf"{_SUFFIX}{_B}:{_B}[|>][-+]?[ \t]{{0,8}}\r?\n(?P<indent>[ \t]{{1,40}})(?P<value>[^\r\n]++"
    r"(?>(?:\r?\n(?P=indent)[^\r\n]++)*))",
    _I,
)
# <property name="password" value="x"/>, <entry key="senha">x</entry>
NAMED_VALUE = re.compile(
    rf"{_SUFFIX}[\"'](?:(?:[ \t]{{1,8}}[\w:-]{{1,20}}=[\"'][^\"'<>\r\n]{{0,60}}[\"']){{0,3}}?"
    r"[ \t]{0,8}(?:value|content)=[\"']"
    r"|[ \t]{0,8}>[ \t]{0,8}(?:<value>)?)(?P<value>[^\"'<\r\n]{1,2000})",
    _I,
)
# - name: DB_PASSWORD, and the value in the next line or behind it; <name>db.password</name> <value>x</value>
VALUE_OF_NAME = re.compile(
    rf"{_SUFFIX_BEFORE_EQUALS}(?:(?:\\?[\"'])?[ \t]{{0,8}}[,;{{]?[ \t]{{0,8}}(?:\r?\n[ \t]{{0,40}})?(?:\\?[\"'])?"
    rf"(?:value|valor|default)(?:\\?[\"'])?[ \t]{{0,8}}[:=][ \t]{{0,8}}(?![{{\[|>])"
    rf"|</[\w:.-]{{0,20}}(?:name|key|nome|chave)>\s{{0,80}}<[\w:.-]{{0,20}}(?:value|string|valor)>(?=[^<]))"
    rf"(?P<value>{_ESCAPED}|{_DQ}|{_SQ}|{_PLAIN})",
    _I,
)
NAME_BEFORE = re.compile(
    r"(?:name|key|nome|chave|param\w{0,8}|variable)(?:\\?[\"'])?[ \t]{0,4}[:=>][ \t]{0,4}(?:\\?[\"'])?[\w.-]{0,60}$"
)
# passwords: ["x", "y"], and a YAML list
LISTED = re.compile(rf"{_SUFFIX}(?:\\?[\"'])?{_B}[:=]{_B}\[[ \t]{{0,8}}(?P<value>\\?[\"'][^\[\]\r\n]{{1,800}})", _I)
YAML_LIST = re.compile(
    rf"{_SUFFIX}{_B}:[ \t]{{0,8}}\r?\n"
    rf"(?P<value>(?>[ \t]{{0,40}}-[ \t]{{1,8}}[\"']?[^\s:\"']{{4,200}}[\"']?[ \t]{{0,8}}(?:\r?\n|$)){{1,40}})",
    _I,
)
XML_HEAD = re.compile(r"<[\w:.-]{0,60}$")
IN_ELEMENT = re.compile(
    rf"{_SUFFIX}(?:[ \t][^<>]{{0,200}})?>(?:<!\[CDATA\[)?(?P<value>(?:[^<\]]|\](?!\]>)){{1,2000}}+)(?=(?:\]\]>)?</)", _I
)
IN_ESCAPED_ELEMENT = re.compile(rf"{_SUFFIX}&gt;(?P<value>(?:(?!&lt;)[^\r\n]){{1,300}})(?=&lt;/)", _I)
# "the password is x", "a senha do banco é x", "la contraseña es x"
SPOKEN = re.compile(rf"{_SUFFIX}{_OF}[ \t]{{1,4}}{_COPULA}(?:[ \t]{{1,4}}:?|:)[ \t]{{0,4}}{_OPENING}{_VALUE}", _I)
# senha inválida: x
REFUSED = re.compile(rf"[ \t]{{1,4}}{either(WORDS['refused'])}[ \t]{{0,4}}[:=(-][ \t]{{0,4}}{_WORD}", _I)
SENTENCE_END = re.compile(r"[\"')\]}*_`]{0,3}[ \t]{0,8}(?:[.,;!?)]|\r?$|\n)")
# netrc, composer user definitions, and prose without a separator; taken only when the word looks like a password.
BEFORE_WORD = re.compile(
    rf"{_SUFFIX}(?P<of>{_OF}){_CLOSING}(?:(?<=[ \t]){either(WORDS['towards'])}(?=[ \t]))?"
    rf"[ \t]{{0,8}}(?:{_ARROW}|(?<=[ \t])-{{1,2}}(?=[ \t])|[|/(]|\|\||_{{2,30}}"
    r"|(?P<listed>[\"'],)[ \t]{0,4}(?=[\"'])|(?<=[\s>*`\"')\]]))"
    rf"{_B}{_OPENING}{_WORD}",
    _I,
)
FLAG_VALUE = re.compile(
    rf"(?:[ \t]{{1,8}}|=)(?![-=:])(?P<value>{_ESCAPED}|\"[^\"\r\n]{{1,400}}\"|'[^'\r\n]{{1,400}}'|[^\s\"']{{1,400}})"
)
# args: [--password, x]; "--password" and "x", or - --password and - x, each in its line
LISTED_FLAG_VALUE = re.compile(
    r"[\"']?(?:,[ \t]{1,4}|,?[ \t]{0,8}\r?\n[ \t]{0,60}(?:-[ \t]{1,4}|(?=[\"'])))[\"']?"
    r"(?![-=:\"'])(?P<value>[^\s\"',\]]{1,400})"
)
LIST_BEFORE_FLAG = re.compile(r"(?:\[[^\[\]\r\n]*|\n[ \t]*-[ \t]+[\"']?|\n[ \t]*[\"'])--?[\w.-]*$")
# 05 WS-SENHA PIC X(8) VALUE 'x'; DCL SENHA CHAR(8) INIT('x'); SENHA DC CL8'x'
DECLARED = re.compile(
    r"[\w-]{0,30}[ \t]{1,40}(?:PIC(?:TURE)?[ \t]{1,8}[^\s]{1,20}[ \t]{1,40}VALUE[ \t]{1,8}(?:IS[ \t]{1,8})?"
    r"|CHAR(?:ACTER)?[ \t]{0,4}\(\d{1,4}\)[ \t]{1,40}(?:\w{1,10}[ \t]{1,8}){0,2}INIT(?:IAL)?[ \t]{0,4}\([ \t]{0,4}"
    r"|DC[ \t]{1,40}CL?\d{0,3}"
    r"|N?VARCHAR2?\(\d{1,5}\)[ \t]{0,8}(?::?=|DEFAULT)[ \t]{0,8}N?)"
    r"(?P<quote>[\"'])(?P<value>[^\"'\r\n]{1,200})(?P=quote)",
    _I,
)
# A user and a password after credentials, logins and "usuário/senha:".
AFTER_PAIR = re.compile(
    rf"{_OF}{_CLOSING}(?:[:=-]{{1,2}}|(?<=[ \t]){_COPULA}(?=[ \t]))?{_B}{_OPENING}[\"']?(?P<user>[\w.@\\$#-]{{1,64}})"
    rf"(?:[ \t]{{0,4}}[:/|,;][ \t]{{0,4}}|[ \t]{{1,4}}(?:{either(WORDS['and'])}[ \t]{{1,4}})?){_WORD}",
    _I,
)
MASKED_PAIR = re.compile(r"[\w.@\\$#-]{1,64}[:/|,;]\[REDACTED\]")
USER_LINE = re.compile(r"(?:^|\n)[ \t]{0,8}USER[ \t]{1,4}[^\s]{1,60}\r?\n$")
LAST_WORD = re.compile(r"[ \t]{1,4}(?P<value>[^\s]{1,200})(?=[ \t]{0,80}\r?$)", _M)
# x (senha), op / x (usuário e senha)
IN_BRACKETS_AFTER = re.compile(
    rf"[ \t]\((?:[^\W\d_]{{4,8}}[ \t]{{0,4}}(?:{either(WORDS['and'])}|[/,|+])[ \t]{{0,4}})?$"
)
WORD_BEFORE = re.compile(r"(?P<value>[^\s\"'`()]{4,128})$")
LEAD = re.compile(rf"(?:^|[^\w]){either(WORDS['lead'])}[ \t]{{1,4}}$")
AS = re.compile(
    r"(?P<value>[^\s\"'`]{4,128}|\"[^\"]{1,128}\"|'[^']{1,128}'|`[^`]{1,128}`)"
    rf"[ \t]{{1,4}}{either(WORDS['as'])}[ \t]{{1,4}}$"
)

# ${DB_PASSWORD}, %PW%, {{ token }}, ^PW^, &PW. and <password>: where a secret comes from, not the secret.
REFERENCE = re.compile(
    r"\$\{[\w.:-]{1,80}\}|\{\w{1,40}\}|\$[A-Z_]{1,60}|%[A-Za-z_]\w{0,60}%|\{\{[^{}]{1,80}\}\}|\^[A-Za-z]\w{0,60}\^"
    r"|&[A-Z][A-Z0-9]{0,7}\.?|<[\w -]{1,40}>|\.{2,6}|…|[*•]{1,64}|[xX]{3,64}|(?:WS|LK|LS|WK)-[A-Z0-9-]{1,28}"
    r"|\$\((?:cat[ \t]|<)[ \t]?[\w./${}~-]{1,120}\)"
    r"|\[(?i:protected|masked|hidden|filtered|removed|omitted|oculto|oculta|mascarad[ao]|suprimid[ao]|none|null|empty|vazi[ao])\]"
)
HARMLESS = frozenset(WORDS["harmless"]).union(map(str.lower, STATE_NAMES))
"""Words that stand where a secret could and are none, lower-case; states of jobs among them."""
TEST_NAME = re.compile(r"[Tt]est\w*|[\w/.]+::\w+")
CMDLET = re.compile(r"[A-Z][A-Za-z]{1,20}-[A-Z][A-Za-z]{1,30}")
CONSTANT = re.compile(r"[A-Z]{2,20}(?:_[A-Z]{2,20}){1,4}")
LABEL = re.compile(r"[a-z][a-z0-9]{0,30}(?:-[a-z0-9]{1,30}){1,6}")
"""The name of an object, as Kubernetes has them."""
PROSE_WORD = re.compile(r"[^\W\d_]{1,40}[.,;:!?]?")
PROSE_ENDINGS = tuple(WORDS["prose_endings"])

# A program status word in a dump, which z/OS calls PSW.
STATUS_WORD = re.compile(r"[0-9A-F]{8,16}")
# pass=12 and pass: 2/3 count tests, sig=9 is a signal.
COUNT_KEY = frozenset(("pass", "sig", "pin", "pw"))
COUNT = re.compile(r"\d{1,3}(?:/\d{1,3})?")
# Signs and mixtures that passwords have and names of jobs, hosts, files, dates and units do not.
PASSWORD_SIGN = re.compile(r"[!%^*+?~]")
NATIONAL_SIGN = re.compile(r"[@#$&]")
NOT_PASSWORD = re.compile(
    r"/|[.\w-]{1,60}/[\w./-]{1,200}$|\d{4}-\d\d-\d\d|\d{1,2}[A-Za-z]{3}\d{2,4}$|[A-Z]{3,6}\d{3,5}[A-Z]$|[\d.,:/-]{1,40}$"
    r"|(?:sha|md|aes|utf|base|pkcs|tls|rsa|x|rc|des|oauth|saml|log4j|v|sqlstate)-?\d[\d.]{0,8}$"
    r"|\d{1,5}(?:d|h|s|ms|min\w{0,5}|sec\w{0,5}|seg\w{0,6}|hours?|horas?|days?|dias?|[kmgt]i?b|chars?|bytes|bits?|x)$",
    _I,
)

# The rest -------------------------------------------------------------------------------------------------------------

LONG_RUN = re.compile(r"[A-Za-z0-9+/]{48,}+={0,2}")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}\b")
CPF = re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)")
CNPJ = re.compile(r"(?<![\dA-Z.])[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-\d{2}(?!\d)")
BARE_DIGITS = re.compile(r"(?<![0-9A-Za-z])(?:\d{11}|[0-9A-Z]{12}\d{2})(?![0-9A-Za-z])")
