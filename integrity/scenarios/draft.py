"""A scenario to go on with, of curl lines or of an example, with what else can be said as comments."""

from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlsplit

from integrity.http.curl import read_curl
from integrity.http.request import Request

EXAMPLE = """POST /pay {"amount": 5}"""
URL = "http://127.0.0.1:8000"
_SECRET_HEADERS = (
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-csrftoken",
    "x-csrf-token",
    "x-xsrf-token",
)


def draft_scenario(name: str, curls: Sequence[str], *, command: str = "") -> str:
    """Return the text of a scenario.

    Args:
        curls: lines of curl's; one that comes twice, or alone, races itself.
        command: starts the application; empty: it is running already.

    Raises:
        UsageError: a line cannot be read.
    """
    requests = {line.strip(): read_curl(line, place=f"--curl {number}") for number, line in enumerate(curls, start=1)}
    counts = Counter(line.strip() for line in curls) if curls else Counter({EXAMPLE: 2})
    if counts.total() == 1:
        counts = Counter(dict.fromkeys(counts, 2))
    address = next(filter(None, map(_address, requests.values())), URL)
    said = [
        f"# integrity: the race `{name}`. docs/scenarios.md has every key.",
        f"title = {_spell(name.replace('-', ' '))}",
        "",
    ]
    said += _app(address, command)
    said += [
        "",
        "# [setup]                                  # before each schedule",
        '# sql = "update wallets set balance = 100"  # or a file: "fixtures.sql"',
        '# requests = [{ request = \'POST /wallets {"owner": "ann"}\', take = { wallet = "$.id" } }] # then {wallet} below',
        "",
        "# [login]                                  # once; its cookies are each actor's",
        "# requests = ['GET /login', 'POST /login name=ann&password=${SHOP_PASSWORD}']",
    ]
    if any(_has_secret(request) for request in requests.values()):
        said += [
            "",
            "# What was pasted holds a session or a token: ${NAME} takes it from the environment, [login] makes a new one.",
        ]
    for line, count in counts.items():
        said += ["", "[[actors]]", f"requests = [{_spell(line)}]", f"count = {count}"]
    said += [
        "",
        "[expect]",
        "# exactly_one = 200               # one actor succeeds, the others are declined",
        '# declines = [409, "insufficient"]  # no other answer of 4xx is right',
        '# volatile = { fields = ["created_at"], columns = ["updated_at"] }',
    ]
    return "\n".join(said) + "\n"


def _app(address: str, command: str) -> list[str]:
    ready = '# ready = "/health"               # a path or a port; else the port of its url'
    if command:
        return ["[app]", f"command = {_spell(command)}", f"url = {_spell(address)}", ready]
    return [
        "[app]",
        f"url = {_spell(address)}",
        '# command = "uvicorn shop:app --port $PORT"   # starts it on the database that DATABASE_URL names; url = "http://127.0.0.1:${PORT}"',
        ready,
    ]


def _address(request: Request) -> str:
    split = urlsplit(request.url)
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}" if split.netloc else ""


def _has_secret(request: Request) -> bool:
    return any(name.lower() in _SECRET_HEADERS for name, _ in request.headers)


def _spell(text: str) -> str:
    """Return a text as TOML has it, with no variable of the environment in it."""
    text = text.replace("${", "$${")
    if "'" not in text and "\n" not in text and text.isprintable():
        return f"'{text}'"
    if "'''" not in text and not text.endswith("'") and all(letter in "\n\t" or letter.isprintable() for letter in text):
        return f"'''\n{text}'''"
    import json

    return json.dumps(text).replace("\x7f", "\\u007f")
