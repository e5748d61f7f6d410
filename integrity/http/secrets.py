r"""Secrets in what somebody declared of requests: taken out, and a variable of the environment in the place of each.

    {"headers": {"Authorization": "Bearer x7"}}    ->  {"headers": {"Authorization": "${RACE_AUTHORIZATION}"}}
    "curl /pay -b 'session=x7' -d pin=1"           ->  "curl /pay -b '${RACE_COOKIE}' -d pin=1"

What is one is known by its name, or by where it stands: it is a guess, made wide. A place for a value (`{token}`,
`${TOKEN}`) is none. What is declared can be read as it was where the variables are set.
"""

import re
from collections.abc import Mapping
from typing import Any

from integrity.http.curl import is_curl

SHOWN = "***"
PREFIX = "RACE_"
FOR_A_SHELL = ("command", "shell")
"""Keys whose text a shell reads."""
_LEAST = 3  # letters; shorter ones would be found in every text
_PART_LEAST = 8  # of what a header says: the token behind "Bearer"
_NAME = re.compile(
    r"password|passwd|passphrase|passcode|pwd|secret|token|authori[sz]ation|(?:api|access|private)[-_]?key|session|credential"
    r"|jwt|cookie|signature|(?:^|[-_.])pass(?:$|[-_.])",
    re.IGNORECASE,
)
_NOT_SECRET = ("take", "bearer", "volatile")
"""Keys behind which names stand, of fields that may be called so."""
_HEADER = re.compile(
    r"""(?P<name>\b(?:proxy-)?authorization|\bcookie|\bx-[\w-]*(?:token|key|secret|auth)[\w-]*)(?P<sep>\s*:\s*)(?P<value>[^'"\n]+)""",
    re.IGNORECASE,
)
_URL = re.compile(r"(?P<name>)(?P<sep>://[^/\s:@'\"]*:)(?P<value>[^/\s@'\"]+)(?=@)")
_CURL = re.compile(
    r"(?<=\s)(?P<name>-b|-u|--cookie|--user|--oauth2-bearer)(?P<sep>=|\s*)(?P<value>'[^']*'|\"[^\"]*\"|[^\s'\"]+)"
)
_VALUE = r"""(?P<value>\\"[^"\\]*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|(?!\$)[^\s&;,'"<>(){}\[\]\\]+)"""
_PAIR = re.compile(rf"""(?P<name>[A-Za-z_][\w.\-\[\]]*)(?P<sep>\\?["']?\s*[:=]\s*){_VALUE}""")
_OPTION = re.compile(rf"""(?P<name>--[A-Za-z][\w-]*)(?P<sep>\s+){_VALUE}""")
_PLACE = re.compile(r"""["'\\]*(?:\{\w+\}|\$\$?\{?\w+\}?)["'\\]*""")
_OF_CURL = {"-b": "COOKIE", "--cookie": "COOKIE", "-u": "USER", "--user": "USER", "--oauth2-bearer": "TOKEN"}


def is_secret_name(name: str) -> bool:
    """Return whether what has this name is likely to be a secret."""
    return _NAME.search(name) is not None


class Secrets:
    """Those that were taken out so far.

    Args:
        values: by the variable that stands for each.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def taken_out(self, given: Any, *, key: str = "", is_secret: bool = False) -> Any:
        """Return tables, lists and texts with a variable in the place of each secret.

        Args:
            key: that it stands behind.
            is_secret: all of it is one.
        """
        if key in _NOT_SECRET:
            return given
        if isinstance(given, Mapping):
            return {
                name: self.taken_out(each, key=name, is_secret=is_secret or is_secret_name(name))
                for name, each in given.items()
            }
        if isinstance(given, list):
            return [self.taken_out(each, key=key, is_secret=is_secret) for each in given]
        if not isinstance(given, str):
            return given
        if is_secret and key == "cookies":  # lines as a browser shows them
            name, is_pair, value = given.partition("=")
            value, rest, others = value.partition(";")
            return f"{name}={self._variable(name.strip(), value)}{rest}{others}" if is_pair else given
        return self._variable(key, given) if is_secret else self._of_text(given, key)

    def _of_text(self, text: str, key: str) -> str:
        def hidden(found: re.Match[str]) -> str:
            name, value = found["name"], found["value"]
            if found.re in (_PAIR, _OPTION) and not is_secret_name(name):
                return found[0]
            if key == "sql" and not value.startswith("'"):  # a column, or a function
                return found[0]
            quote = next((mark for mark in ('\\"', '"', "'") if value.startswith(mark) and len(value) > len(mark)), "")
            inner = value.removeprefix(quote).removesuffix(quote)
            marks = '"' if key in FOR_A_SHELL and quote == "'" else quote  # where a shell is to fill it in
            return f"{name}{found['sep']}{marks}{self._variable(_OF_CURL.get(name, name or 'PASSWORD'), inner)}{marks}"

        for pattern in (_URL, *([_CURL] if is_curl(text) else []), _HEADER, _PAIR, _OPTION):
            text = pattern.sub(hidden, text)
        return text

    def _variable(self, name: str, value: str) -> str:
        """Return what stands for a secret; a place for a value is none."""
        if not value.strip() or _PLACE.fullmatch(value):
            return value
        base = PREFIX + re.sub(r"\W+", "_", name).strip("_").upper()
        number = 1
        while (variable := base if number == 1 else f"{base}_{number}") in self.values and self.values[variable] != value:
            number += 1
        self.values[variable] = value
        return f"${{{variable}}}"


def hidden_in(given: Any, secrets: frozenset[str]) -> Any:
    """Return tables, lists and texts without these secrets, and without texts whose name is one's."""
    parts = {part for each in secrets for part in re.split(r"[\s=;,:]+", each) if len(part) >= _PART_LEAST}
    known = sorted({each for each in secrets if len(each) >= _LEAST} | parts, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def hide(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                name: SHOWN if isinstance(each, str) and each and is_secret_name(str(name)) else hide(each)
                for name, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [hide(each) for each in value]
        return pattern.sub(SHOWN, value) if pattern is not None and isinstance(value, str) else value

    return hide(given)
