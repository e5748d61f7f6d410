"""A line copied from a browser becomes the request that curl would send, or is refused with what it says too much."""

import base64
from pathlib import Path

import pytest

from integrity.errors import UsageError
from integrity.http.curl import read_curl
from integrity.http.request import Parts, Raw, Request, read_inline, shown_url

SHOP = "http://127.0.0.1:8000"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")

CHROME = r"""curl 'http://127.0.0.1:8000/api/pay' \
  -H 'Accept: application/json, text/plain, */*' \
  -H 'Accept-Language: en-US,en;q=0.9' \
  -H 'Connection: keep-alive' \
  -H 'Content-Type: application/json' \
  -b 'sessionid=q1w2e3; csrftoken=abcd' \
  -H 'X-CSRFToken: abcd' \
  --data-raw $'{"note":"it\'s \\u20ac5\u0021","amount":5}' \
  --compressed \
  --insecure ;
"""

READ = {
    "a plain URL": (f"curl {SHOP}/pay", Request("GET", f"{SHOP}/pay")),
    "no scheme": ("curl 127.0.0.1:8000/pay", Request("GET", f"{SHOP}/pay")),
    "a method": (f"curl -X DELETE '{SHOP}/carts/7'", Request("DELETE", f"{SHOP}/carts/7")),
    "a method that hangs on its letter": (f"curl -XPUT {SHOP}/a", Request("PUT", f"{SHOP}/a")),
    "a method in lowercase": (f"curl --request patch {SHOP}/a", Request("PATCH", f"{SHOP}/a")),
    "the URL as an option": (f"curl --url {SHOP}/a", Request("GET", f"{SHOP}/a")),
    "a query in double quotes": (f'curl "{SHOP}/a?x=1&y=2"', Request("GET", f"{SHOP}/a?x=1&y=2")),
    "data": (f"curl {SHOP}/pay -d amount=5 -d to=7", Request("POST", f"{SHOP}/pay", (FORM,), Raw("amount=5&to=7"))),
    "data of a kind": (
        f"""curl {SHOP}/pay -H 'content-type: application/json' -d '{{"amount": 5}}'""",
        Request("POST", f"{SHOP}/pay", (("content-type", "application/json"),), Raw('{"amount": 5}')),
    ),
    "raw data that begins with @": (f"curl {SHOP}/a --data-raw @me", Request("POST", f"{SHOP}/a", (FORM,), Raw("@me"))),
    "data by PUT": (f"curl -X PUT {SHOP}/a --data-binary x=1", Request("PUT", f"{SHOP}/a", (FORM,), Raw("x=1"))),
    "data to be encoded": (
        f"curl {SHOP}/a --data-urlencode 'note=a b&c' --data-urlencode '=d/e'",
        Request("POST", f"{SHOP}/a", (FORM,), Raw("note=a+b%26c&d%2Fe")),
    ),
    "data in the query": (f"curl -G {SHOP}/a -d x=1 -d y=2", Request("GET", f"{SHOP}/a?x=1&y=2")),
    "data behind a query": (f"curl --get '{SHOP}/a?x=1' -d y=2", Request("GET", f"{SHOP}/a?x=1&y=2")),
    "json": (
        f"curl {SHOP}/a --json '{{}}'",
        Request("POST", f"{SHOP}/a", (JSON, ("Accept", "application/json")), Raw("{}")),
    ),
    "cookies": (
        f"curl {SHOP}/a -b 'a=1; b=2' -H 'Cookie: c=3'",
        Request("GET", f"{SHOP}/a", (("Cookie", "a=1; b=2; c=3"),)),
    ),
    "letters together": (f"curl -sSLk {SHOP}/a", Request("GET", f"{SHOP}/a", is_insecure=True, follows_redirects=True)),
    "what is about the terminal": (f"curl -s -o /dev/null -w '%{{http_code}}' -i {SHOP}/a", Request("GET", f"{SHOP}/a")),
    "no body": (f"curl -I {SHOP}/a", Request("HEAD", f"{SHOP}/a")),
    "an empty header, and one taken away": (
        f"curl {SHOP}/a -d x=1 -H 'X-Empty;' -H 'Content-Type:'",
        Request("POST", f"{SHOP}/a", (("X-Empty", ""),), Raw("x=1")),
    ),
    "agent and referer": (
        f"curl -A 'me/1 (x)' -e {SHOP}/ {SHOP}/a",
        Request("GET", f"{SHOP}/a", (("User-Agent", "me/1 (x)"), ("Referer", f"{SHOP}/"))),
    ),
    "quotes that meet": (f"curl '{SHOP}/a'?q='it'\\''s'", Request("GET", f"{SHOP}/a?q=it's")),
    "escapes in double quotes": (
        f'curl {SHOP}/a -d "say \\"\\$5\\" \\n"',
        Request("POST", f"{SHOP}/a", (FORM,), Raw('say "$5" \\n')),
    ),
    "lines of HTTP/2, and a prompt": (f"$ curl {SHOP}/a -H ':authority: shop'", Request("GET", f"{SHOP}/a")),
    "a line cut off after its backslash": (f"curl {SHOP}/a \\\n", Request("GET", f"{SHOP}/a")),
    "lines that end as on Windows": (f"curl {SHOP}/a \\\r\n -X POST", Request("POST", f"{SHOP}/a")),
    "a path with a value": ("curl /wallets/{wallet_id}", Request("GET", "/wallets/{wallet_id}")),
    "the last method wins": (f"curl -X GET -X POST {SHOP}/a", Request("POST", f"{SHOP}/a")),
    "escapes by number": (f"curl {SHOP}/a -d $'\\x41\\102\\u00e9\\t'", Request("POST", f"{SHOP}/a", (FORM,), Raw("ABé\t"))),
}


@pytest.mark.parametrize("name", READ)
def test_a_line_is_read_as_curl_reads_it(name: str) -> None:
    line, request = READ[name]
    assert read_curl(line) == request


def test_a_line_as_chrome_copies_it_is_read_as_it_is() -> None:
    request = read_curl(CHROME)
    assert (request.method, request.url, request.is_insecure) == ("POST", f"{SHOP}/api/pay", True)
    assert request.body == Raw('{"note":"it\'s \\u20ac5!","amount":5}')
    assert [name for name, _ in request.headers] == ["Accept", "Accept-Language", "Content-Type", "X-CSRFToken", "Cookie"]


def test_user_and_password_become_a_header() -> None:
    header = read_curl(f"curl -u 'ann:pa:ss' {SHOP}/a").header("authorization")
    assert header == f"Basic {base64.b64encode(b'ann:pa:ss').decode()}"


def test_parts_of_a_form_and_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "cv.pdf").write_bytes(b"%PDF")
    (tmp_path / "text").write_text("a\nb\n")
    request = read_curl(
        f"curl {SHOP}/a -F name=Ann -F 'file=@cv.pdf;type=application/pdf' -F 'note=<text'", folder=tmp_path
    )
    assert isinstance(request.body, Parts)
    read = [(part.name, part.content, part.filename, part.content_type) for part in request.body.parts]
    assert read == [
        ("name", "Ann", None, None),
        ("file", b"%PDF", "cv.pdf", "application/pdf"),
        ("note", b"a\nb\n", None, None),
    ]
    assert request.method == "POST"


@pytest.mark.parametrize(("option", "sent"), [("-d", b"ab"), ("--data-binary", b"a\nb\n")])
def test_a_body_is_read_from_a_file_as_curl_does(tmp_path: Path, option: str, sent: bytes) -> None:
    (tmp_path / "body").write_text("a\nb\n")
    assert read_curl(f"curl {SHOP}/a {option} @body", folder=tmp_path).body == Raw(sent)


REFUSED = {
    "an unknown option": (f"curl {SHOP}/a --proxy x", "column 30: the option --proxy of curl is not known here"),
    "an unknown letter": (f"curl -sx y {SHOP}/a", "column 6: the option -x of curl is not known here"),
    "nearly an option": (f"curl --heder 'A: b' {SHOP}/a", "Perhaps you meant --header"),
    "an option with =": (f"curl --request=POST {SHOP}/a", "curl takes no = behind --request"),
    "an option cut off": (f"curl {SHOP}/a -H", "column 30: nothing stands behind -H"),
    "an open quote": (f"curl '{SHOP}/a", "column 6: the quote ' is not closed"),
    "an open quote of escapes": (f"curl {SHOP}/a -d $'x", "the quote $' is not closed"),
    "a URL without quotes": (f"curl {SHOP}/a?x=1&y=2", "'&' outside quotes ends a command"),
    "a second command": (f"curl {SHOP}/a | jq .", "'|' outside quotes ends a command"),
    "the Windows command line": ('curl ^"http://a/^"', 'Copy it as "cURL (bash)"'),
    "a variable": (f'curl -H "Authorization: Bearer $TOKEN" {SHOP}/a', "no shell reads this line"),
    "a second URL": (f"curl {SHOP}/a {SHOP}/b", "column 30: a second URL"),
    "no URL": ("curl -X POST", "the line has no URL"),
    "no curl": ("wget http://a/", "'wget' is no curl line"),
    "no method": (f"curl -X POTS {SHOP}/a", "'POTS' is no method"),
    "a file of cookies": (f"curl -b cookies.txt {SHOP}/a", "a file of cookies is not read"),
    "a file that is not there": (f"curl -d @none.json {SHOP}/a", "none.json cannot be read"),
    "no header": (f"curl -H nothing {SHOP}/a", "what stands behind it is no header"),
    "two kinds of body": (f"curl {SHOP}/a -d x=1 -F y=2", "cannot both be sent"),
    "another protocol": ("curl ftp://127.0.0.1/a", "neither a path nor a URL of HTTP"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    line, said = REFUSED[name]
    with pytest.raises(UsageError) as refusal:
        read_curl(line, folder=tmp_path)
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("--curl: ")


@pytest.mark.parametrize(
    "line",
    [
        f"curl -u ann:hunter2 -H 'Authorization: Bearer hunter2' -b 'session=hunter2' -d 'password=hunter2' {SHOP}/a",
        "curl 'http://ann:hunter2@127.0.0.1:8000/a?token=hunter2&x=1'",
    ],
)
def test_a_secret_stands_in_no_text_that_is_shown(line: str) -> None:
    request = read_curl(line)
    assert "hunter2" not in f"{request!r} {request.shown} {request.body!r}"


@pytest.mark.parametrize(
    "line",
    [
        f"curl -H 'Authorization: Bearer hunter2' {SHOP}/a --wrong",
        f"curl -uann:hunter2 {SHOP}/a -b hunter2",
        f"curl -H hunter2 {SHOP}/a",
        "curl http://ann:hunter2@127.0.0.1/a ftp://ann:hunter2@b/",
        "curl ftp://ann:hunter2@b/",
    ],
)
def test_a_secret_stands_in_no_refusal(line: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read_curl(line)
    assert "hunter2" not in str(refusal.value)


def test_what_a_url_shows_keeps_what_is_no_secret() -> None:
    assert shown_url("http://ann:x@shop/pay?api_key=x&page=2") == "http://ann:***@shop/pay?api_key=***&page=2"


def test_a_request_is_declared_in_one_line() -> None:
    assert read_inline('post /pay {"to": {wallet_id}}', place="p") == Request(
        "POST", "/pay", (JSON,), Raw('{"to": {wallet_id}}')
    )
    assert read_inline("PUT /pay a=1&b=2", place="p") == Request("PUT", "/pay", (FORM,), Raw("a=1&b=2"))


@pytest.mark.parametrize(
    ("line", "said"),
    [("POTS /pay", "Perhaps you meant POST"), ("GET pay", "'pay' is neither a path"), ("pay", "is no request")],
)
def test_a_line_that_declares_no_request_is_refused(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_inline(line, place="scenarios/pay.toml:3:1")
