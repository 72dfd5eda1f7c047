"""Secrets out of text and JSON data, before the store, the stream, the log and a model see them.

Deterministic, idempotent and linear in the length of the text: every repetition is bounded, possessive or followed by
something its own characters cannot match. Codes, job names, paths, data set names and run ids stay as they are. When
in doubt about a value that stands where secrets stand, it goes: a lost word costs less than a leaked one.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from orchestrator.codes.patterns import SYSTEM_ABEND, USER_ABEND
from orchestrator.json_safe import utf8_safe
from orchestrator.redaction import commands, patterns
from orchestrator.redaction.lines import quoted, through

MARK = "[REDACTED]"
"""Replacement for a secret."""

CUT_MARGIN = 2_048
"""Characters that are read beyond a cut: more than a secret and the words that betray it have, unless they are in lines
that betray themselves, such as those of a private key."""
_MAX_PASSES = 4
_Sub = Callable[[re.Match[str]], str]

# A job named after its purpose (RESET_PASSWORD: S0C7) must not cost the reader the code.
_CODE = re.compile(rf"(?:{SYSTEM_ABEND}|{USER_ABEND}|RC=?-?\d+|[A-Z]{{3,6}}\d{{3,4}}[IWESAD])", re.ASCII)


def redact(text: str, *, personal: bool = False) -> str:
    """Return ``text`` with every recognised secret replaced by ``MARK``.

    ``personal`` also takes out e-mail addresses and Brazilian CPF and CNPJ numbers.
    """
    # A secret's removal can uncover another's place (two glued together), so a changed text is read again.
    for _ in range(_MAX_PASSES):
        before, text = text, _pass(text)
        if text == before:
            break
    return _personal(text) if personal else text


def _pass(text: str) -> str:
    if "\x1b" in text:
        text = patterns.TERMINAL.sub("", text)
    # What is quoted goes first, as masks might break its quotes. A token may begin like the frame of a line.
    return through(_tokens(quoted(text, _pass)), _lines)


def _tokens(text: str) -> str:
    for probes, pattern, replacement in _RULES:
        if not probes or any(map(text.__contains__, probes)):
            text = pattern.sub(replacement, text)
    return text


def _lines(text: str) -> str:
    """What is masked by the words around it; the result has as many lines."""
    if "-----BEGIN" in text:
        text = patterns.PRIVATE_KEY.sub(_private_key, text)
    if "-----END" in text:
        text = _key_ends(text)
    if "Private-Lines" in text:
        text = patterns.PUTTY_KEY.sub(lambda match: match["head"] + _mark_lines(match["value"]), text)
    text = _tokens(text)
    if patterns.YAML_HINT.search(text) is not None:
        text = patterns.YAML_BLOCK.sub(_yaml_block, text)
    if "</" in text:
        text = patterns.XML_ELEMENT.sub(lambda match: match["head"] + _mark_lines(match["value"]), text)
    if "&lt;/" in text:
        text = patterns.ESCAPED_XML.sub(rf"\g<head>{MARK}", text)
    text = _key_values(_next_lines(text))
    text = _commands(text)
    return patterns.LONG_RUN.sub(_random_run, text)


def redact_start(text: str, characters: int, *, personal: bool = False) -> tuple[str, bool]:
    """At most ``characters`` of the start of ``text``, with its secrets replaced, and whether there was more.

    For texts of any length: what is cut off is not read. A secret that is cut in the middle may not be recognised, so
    the end of what was read is cut off as well. Surrogates are replaced, as by ``utf8_safe``.
    """
    end = characters + CUT_MARGIN
    masked = redact(utf8_safe(text[:end]), personal=personal)
    if len(text) > end:
        return masked[:-CUT_MARGIN][:characters], True
    return masked[:characters], len(masked) > characters


def redact_data(value: Any, *, personal: bool = False) -> Any:
    """Return JSON-like ``value`` with secrets replaced: strings by ``redact``, whole values under secret-looking keys.

    Tuples become lists, as they do in JSON. Also understood: ``{"name": "DB_PASSWORD", "value": ...}`` and argument
    lists in which a secret follows its flag.
    """
    if isinstance(value, str):
        return redact(value, personal=personal)
    if isinstance(value, Mapping):
        return _mapping(value, personal=personal)
    if isinstance(value, (list, tuple)):
        return _items(value, personal=personal)
    return value


_known_keys: dict[tuple[str, bool], bool] = {}
"""Keys that are shown as they are, and whether their value is a secret: a source has the same ones in every answer."""
_MAX_KNOWN_KEYS, _KNOWN_CHARACTERS = 1_024, 64


def is_secret_key(key: str) -> bool:
    """Whether a value under ``key`` is a secret by its name (``db_password``, ``Authorization``, ``senha``)."""
    return patterns.SECRET_KEY.search(key) is not None


def _mapping(value: Mapping[Any, Any], *, personal: bool) -> dict[Any, Any]:
    named = next((value[k] for k in ("name", "key", "Name", "Key") if isinstance(value.get(k), str)), "")
    named_secret = is_secret_key(named)
    out: dict[Any, Any] = {}
    for key, item in value.items():
        shown, secret = key, False
        if isinstance(key, str):
            shown, secret = _key(key, personal)
            secret = secret or (named_secret and key.lower() == "value")
        if secret and isinstance(item, (int, float)) and patterns.COUNT.search(f"{key}=") is not None:
            secret = False  # {"pass": 12, "fail": 0} are counts
        out[shown] = _masked(item) if secret else redact_data(item, personal=personal)
    return out


def _key(key: str, personal: bool) -> tuple[str, bool]:
    """A key as it is shown, and whether its value is a secret."""
    secret = _known_keys.get((key, personal))
    if secret is not None:
        return key, secret
    shown, secret = redact(key, personal=personal), is_secret_key(key)
    if shown == key and len(key) <= _KNOWN_CHARACTERS:
        if len(_known_keys) >= _MAX_KNOWN_KEYS:
            _known_keys.clear()
        _known_keys[key, personal] = secret
    return shown, secret


def _items(value: list[Any] | tuple[Any, ...], *, personal: bool) -> list[Any]:
    out: list[Any] = []
    after_flag = False
    for item in value:
        out.append(_masked(item) if after_flag and isinstance(item, str) else redact_data(item, personal=personal))
        after_flag = isinstance(item, str) and item.startswith("-") and "=" not in item and is_secret_key(item)
    return out


def _masked(value: Any) -> Any:
    """``value`` with every leaf masked, except null, flags, and empty or harmless words."""
    if isinstance(value, Mapping):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(item) for item in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, str) and _is_harmless(value):
        return value
    return MARK


def _is_harmless(value: str) -> bool:
    if patterns.REFERENCE.fullmatch(value) is not None:
        return True
    core = value.strip(".,;:!?")
    return core.lower() in patterns.HARMLESS or _CODE.fullmatch(core) is not None


def _key_values(text: str) -> str:
    """Keys and their values: only the lines that hold one of the cheap words are read closely."""
    out: list[str] = []
    done = 0
    for start, end in _suspect_lines(text):
        out += (text[done:start], _key_value_line(text[start:end]))
        done = end
    return "".join((*out, text[done:])) if out else text


def _next_lines(text: str) -> str:
    """Values on the line after their key's: only pairs of lines whose first one ends like a key are read closely."""
    out: list[str] = []
    done = 0
    for hint in patterns.NEXT_LINE_HINT.finditer(text):
        start, end = text.rfind("\n", 0, hint.start()) + 1, text.find("\n", hint.end())
        pair = text[start : end if end >= 0 else len(text)]
        if start < done or not any(word in pair.lower() for word in patterns.SECRET_PROBES):
            continue
        changed = patterns.CONTINUED.sub(rf"\g<head>{MARK}", pair)
        changed = patterns.NEXT_LINE.sub(_if_password_like, changed)
        if changed != pair:
            out += (text[done:start], changed)
            done = start + len(pair)
    return "".join((*out, text[done:])) if out else text


def _suspect_lines(text: str) -> list[tuple[int, int]]:
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters grow when lowered: positions would not fit
        return [(0, len(text))]
    spans: set[tuple[int, int]] = set()
    for word in patterns.SECRET_PROBES:
        at = lowered.find(word)
        while at >= 0:
            start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
            end = len(text) if end < 0 else end
            spans.add((start, end))
            at = lowered.find(word, end)
    return sorted(spans)


def _key_value_line(line: str) -> str:
    line = patterns.NAMED_VALUE.sub(rf"\g<head>{MARK}", line)
    line = patterns.PASSPHRASE.sub(_keep_harmless, line)
    line = patterns.KEY_VALUE.sub(_keep_harmless, line)
    line = patterns.KEY_PAREN.sub(_keep_harmless, line)
    line = patterns.SPOKEN.sub(_keep_harmless, line)
    return patterns.KEY_SPACE_VALUE.sub(_if_password_like, line)


def _keep_harmless(match: re.Match[str]) -> str:
    head, value = match["head"], match["value"]
    quote = patterns.OPENING_QUOTE.match(value)
    if quote is not None:
        inner = value[quote.end() :]
        closed = inner.endswith(quote[0])
        inner = inner[: -len(quote[0])] if closed else inner
        if not inner or _is_harmless(inner):
            return match[0]
        return f"{head}{quote[0]}{MARK}{quote[0] if closed else ''}"
    core, tail = _without_unmatched_closers(value)
    if patterns.COUNT.search(head) is not None and re.fullmatch(r"\d{1,3}(?:/\d{1,3})?", core) is not None:
        return match[0]
    if not core or _is_harmless(core) or _is_directory(head, core):
        return match[0]
    return f"{head}{MARK}{tail}"


def _without_unmatched_closers(value: str) -> tuple[str, str]:
    end = len(value)
    while (
        end
        and value[end - 1] in ")]}"
        and value.count(value[end - 1], 0, end) > value.count({")": "(", "]": "[", "}": "{"}[value[end - 1]], 0, end)
    ):
        end -= 1
    return value[:end], value[end:]


def _is_directory(head: str, value: str) -> bool:
    """``PWD=/opt/app`` is a shell's working directory, not a password."""
    return value.startswith("/") and re.search(r"(?<![A-Za-z_])(?:OLD)?PWD\s*=\s*$", head) is not None


def _if_password_like(match: re.Match[str]) -> str:
    value = match["value"]
    if value[0] in "\"'":
        return f"{match['head']}{value[0]}{MARK}{value[0]}"
    special = re.search(r"[!@#$%^&*+?]", value) is not None and re.search(r"[A-Za-z0-9]", value) is not None
    mixed = len(value) >= 6 and re.search(r"[a-z]", value) is not None and re.search(r"\d", value) is not None
    long = re.fullmatch(r"(?=[A-Z]*\d[A-Z]*\d)[A-Z0-9]{16,}", value) is not None  # longer than a host's names
    if _is_harmless(value) or value.startswith(MARK) or not (special or mixed or long):
        return match[0]
    return f"{match['head']}{MARK}"


def _commands(text: str) -> str:
    """Passwords in command lines; line by line where the meaning of ``-p`` depends on the program."""
    lowered = text.lower()
    for words, pattern in commands.COMMAND_SECRETS:
        if any(map(lowered.__contains__, words)):
            text = pattern.sub(rf"\g<head>{MARK}", text)
    for words, pattern in commands.LIKELY_SECRETS:
        if any(map(lowered.__contains__, words)):
            text = pattern.sub(_if_password_like, text)
    return "".join(_short_flags(line) for line in text.splitlines(keepends=True)) if " -" in text else text


def _short_flags(line: str) -> str:
    line = commands.GLUED_PASSWORD.sub(rf"\g<head>{MARK}", line)
    if commands.SHORT_PASSWORD_FLAG.search(line) is None:
        return line
    if commands.PASSWORD_PROGRAM.search(line) is not None:
        return commands.SHORT_PASSWORD_FLAG.sub(rf"\g<head>{MARK}", line)
    if commands.HARMLESS_PROGRAM.search(line) is not None:
        return line
    return commands.BARE_P_FLAG.sub(rf"\g<head>{MARK}", line)


def _random_run(match: re.Match[str]) -> str:
    """A long base64 run, for example a key whose BEGIN line was cut off; words and hexadecimal digests stay."""
    run = match[0]
    digits = sum(char.isdigit() for char in run)
    changes = sum(a.isupper() != b.isupper() for a, b in pairwise(run) if a.isalpha() and b.isalpha())
    looks_random = digits * 25 >= len(run) and changes * 5 >= len(run) and run.count("/") * 12 <= len(run)
    return MARK if looks_random else run


def _private_key(match: re.Match[str]) -> str:
    begin, end = match["begin"], match["end"] or ""
    return f"{begin}{_mark_lines(match[0][len(begin) : len(match[0]) - len(end)])}{end}"


def _yaml_block(match: re.Match[str]) -> str:
    lines = match[0][len(match["head"]) :].split("\n")
    return match["head"] + "\n".join(f"{match['indent']}{MARK}" for _ in lines)


def _mark_lines(text: str) -> str:
    """``MARK`` in place of all that stands in ``text``, on each of its lines: none of them moves."""
    first, *between, last = text.split("\n") if "\n" in text else (text, "")
    if not between and not last:
        return MARK
    return "\n".join((first and MARK, *(MARK for _ in between), last and MARK))


def _key_ends(text: str) -> str:
    """The last lines of private keys whose beginning was cut off: the very last may be too short to look random."""
    lines = text.split("\n")
    is_in_key = False
    for index in range(len(lines) - 1, -1, -1):
        if is_in_key and patterns.KEY_LINE.fullmatch(lines[index]) is not None:
            lines[index] = MARK
        else:
            is_in_key = patterns.KEY_END.match(lines[index]) is not None
    return "\n".join(lines)


def _basic(match: re.Match[str]) -> str:
    """``Basic`` is also an English word: only what decodes to ``user:password`` is one."""
    token = match["value"]
    try:
        decoded = base64.b64decode(token + "=" * (-len(token) % 4), validate=True)
    except (binascii.Error, ValueError):
        return match[0]
    return f"{match['head']}{MARK}" if b":" in decoded else match[0]


def _bearer(match: re.Match[str]) -> str:
    token = match["value"]
    is_token = len(token) >= 20 or any(char.isdigit() for char in token)
    return f"{match['head']}{MARK}" if is_token else match[0]


def _personal(text: str) -> str:
    text = patterns.EMAIL.sub(MARK, text)
    text = patterns.CNPJ.sub(MARK, text)
    text = patterns.CPF.sub(MARK, text)
    return patterns.BARE_DIGITS.sub(lambda m: MARK if _is_cpf(m[0]) or _is_cnpj(m[0]) else m[0], text)


def _check_digits(number: str, weights: tuple[tuple[int, ...], ...]) -> bool:
    """Modulo 11 over ASCII minus 48, as the Receita Federal defines it for CPF and for the alphanumeric CNPJ."""
    if len(set(number)) == 1:
        return False
    values = [ord(char) - 48 for char in number]
    for row in weights:
        rest = sum(v * w for v, w in zip(values, row, strict=False)) % 11
        if values[len(row)] != (0 if rest < 2 else 11 - rest):
            return False
    return True


def _is_cpf(number: str) -> bool:
    return len(number) == 11 and _check_digits(number, (tuple(range(10, 1, -1)), tuple(range(11, 1, -1))))


def _is_cnpj(number: str) -> bool:
    first = (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    return len(number) == 14 and _check_digits(number, (first, (6, *first)))


# (substrings one of which must occur, pattern, replacement); the first column only saves time.
_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str], str | _Sub], ...] = (
    (("://",), patterns.URL_USERINFO, rf"://{MARK}@"),
    (("://",), patterns.URL_PASSWORD, rf"://{MARK}@"),
    ((), patterns.AUTHORIZATION, _keep_harmless),
    ((), patterns.COOKIE, rf"\g<head>{MARK}"),
    ((), patterns.BASIC, _basic),
    ((), patterns.BEARER, _bearer),
    (("eyJ",), patterns.JWT, MARK),
    ((), patterns.KNOWN_TOKEN, MARK),
    (("{",), patterns.ENCODED_PASSWORD, rf"\g<head>{MARK}"),
    (("$",), patterns.CRYPT_HASH, MARK),
    (("hooks.slack.com", "webhook.office.com"), patterns.WEBHOOK, rf"\g<head>{MARK}"),
)
