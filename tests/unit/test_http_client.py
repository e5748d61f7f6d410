"""A session sends each request once, keeps cookies, tokens and logins, and says in words why no answer came."""

import queue
import socket
import threading
from urllib.parse import parse_qsl

import pytest

from integrity.errors import AuditError, UsageError
from integrity.http.answer import Answer, Unanswered
from integrity.http.client import Client, Outcome
from integrity.http.curl import read_curl
from integrity.http.login import log_in, send_all
from integrity.http.request import Json, Part, Parts, Request, read_inline
from integrity.http.statuses import read_statuses
from tests.unit.http_server import Got, Reply, serving


def _ok(_: Got) -> Reply:
    return Reply(200, '{"id": 7}')


def test_a_request_arrives_as_it_was_pasted() -> None:
    with serving(_ok) as site, Client(site.url) as client:
        answer = client.session().send(
            read_curl(f"curl '{site.url}/pay?x=1%202' -H 'X-A: b' -b 'a=1; b=2' --json '{{\"amount\": 5}}'")
        )
        (got,) = site.got
    assert (answer.status, answer.json()) == (200, {"id": 7})
    assert (got.method, got.path, got.body) == ("POST", "/pay?x=1%202", '{"amount": 5}')
    assert (got.headers["x-a"], got.headers["content-type"]) == ("b", "application/json")
    assert got.cookies == {"a": "1", "b": "2"}


def test_a_path_is_at_the_address_of_the_application() -> None:
    with serving(_ok) as site, Client(site.url) as client:
        client.session().send(Request("POST", "/pay/{id}", (), Json({"id": "{id}"})), {"id": 7})
        (got,) = site.got
    assert (got.path, got.body) == ("/pay/7", '{"id": 7}')


def test_a_form_of_parts_arrives_with_its_file() -> None:
    body = Parts((Part("name", "Ann"), Part("file", b"%PDF", "cv.pdf", "application/pdf")))
    with serving(_ok) as site, Client(site.url) as client:
        client.session().send(Request("POST", "/a", (), body))
        (got,) = site.got
    assert got.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="name"\r\n\r\nAnn' in got.body.replace("Content-Type: text/plain; charset=utf-8\r\n", "")
    assert 'filename="cv.pdf"' in got.body


def _counting(got: Got) -> Reply:
    count = int(got.cookies.get("count", "0")) + 1
    return Reply(headers=(("Set-Cookie", f"count={count}; Path=/"),))


def test_cookies_are_kept_by_a_session_and_by_no_other() -> None:
    with serving(_counting) as site, Client(site.url) as client:
        first, second = client.session(), client.session()
        for session in (first, first, second):
            session.send(Request("GET", "/"))
        assert [got.cookies for got in site.got] == [{}, {"count": "1"}, {}]


def _redirecting(got: Got) -> Reply:
    return Reply(302, headers=(("Location", "/there"),)) if got.path == "/" else Reply(200, "{}")


@pytest.mark.parametrize(("follows", "status", "paths"), [(False, 302, ["/"]), (True, 200, ["/", "/there"])])
def test_a_redirect_is_an_answer_unless_it_is_to_be_followed(follows: bool, status: int, paths: list[str]) -> None:
    with serving(_redirecting) as site, Client(site.url) as client:
        answer = client.session().send(Request("GET", "/", follows_redirects=follows))
        assert (answer.status, [got.path for got in site.got]) == (status, paths)


def test_a_request_whose_connection_is_closed_is_not_sent_again() -> None:
    with serving(lambda _: None) as site, Client(site.url) as client:
        session = client.session()
        with pytest.raises(Unanswered, match="closed before an answer") as closed:
            session.send(Request("GET", "/"))
        assert closed.value.was_sent
        assert len(site.got) == 1


def test_a_port_that_nobody_listens_at_is_told_as_that() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it meanwhile
        with (
            Client(f"http://127.0.0.1:{taken.getsockname()[1]}") as client,
            pytest.raises(Unanswered, match=r"no connection: .*refused") as refused,
        ):
            client.session().send(Request("GET", "/"))
    assert not refused.value.was_sent


def test_an_answer_that_does_not_come_in_time_is_told_as_that() -> None:
    is_over = threading.Event()

    def silent(_: Got) -> None:
        is_over.wait()

    with serving(silent) as site, Client(site.url, timeout_s=0.2) as client:
        try:
            with pytest.raises(Unanswered, match=r"no answer within 0\.2 s"):
                client.session().send(Request("GET", "/"))
        finally:
            is_over.set()


def _begun(client: Client, requests: list[Request], values: dict[str, object]) -> Outcome:
    told: queue.Queue[Outcome] = queue.Queue()
    client.session().begin(requests, values, told.put)
    return told.get(timeout=60)


def test_requests_go_one_behind_the_other_with_values_of_answers_before() -> None:
    requests = [Request("GET", "/wallets", takes={"id": "$.id"}), read_inline('POST /pay {"wallet": {id}}', place="p")]
    with serving(_ok) as site, Client(site.url) as client:
        outcome = _begun(client, requests, {})
        assert isinstance(outcome, Answer)
        assert [(got.path, got.body) for got in site.got] == [("/wallets", ""), ("/pay", '{"wallet": 7}')]


def test_requests_end_with_the_first_answer_that_is_not_expected() -> None:
    requests = [Request("GET", "/a", expected=read_statuses(404, place="p")), Request("GET", "/b"), Request("GET", "/c")]
    with serving(lambda got: Reply(404 if got.path == "/a" else 409)) as site, Client(site.url) as client:
        outcome = _begun(client, requests, {})
        assert isinstance(outcome, Answer)
        assert (outcome.status, [got.path for got in site.got]) == (409, ["/a", "/b"])


def test_whoever_waits_is_told_of_a_value_that_is_missing() -> None:
    with serving(_ok) as site, Client(site.url) as client:
        outcome = _begun(client, [Request("GET", "/{nothing}")], {})
    assert isinstance(outcome, AuditError)


def test_a_request_that_is_cut_off_is_told_as_unanswered() -> None:
    is_here, is_over = threading.Event(), threading.Event()

    def silent(_: Got) -> None:
        is_here.set()
        is_over.wait()

    told: queue.Queue[Outcome] = queue.Queue()
    with serving(silent) as site, Client(site.url) as client:
        try:
            cut = client.session().begin([Request("GET", "/")], {}, told.put)
            assert is_here.wait(60)
            cut()
            assert str(told.get(timeout=60)) == "it was cut off"
        finally:
            is_over.set()


class Guarded:
    """An application that takes a POST with the token alone that it gave, as a framework does."""

    def __init__(self, *, cookie: str = "", page: str = "", header: str, field: str = "") -> None:
        self.cookie, self.page, self.header, self.field = cookie, page, header, field

    def __call__(self, got: Got) -> Reply:
        if got.method == "GET":
            headers = (("Set-Cookie", f"{self.cookie}=tok%3Den; Path=/"),) if self.cookie else ()
            return Reply(200, self.page, headers, "text/html; charset=utf-8")
        given = {got.headers.get(self.header.lower()), dict(parse_qsl(got.body)).get(self.field)} - {None}
        return Reply(200 if given and given <= {"tok=en"} else 403)


FRAMEWORKS = {
    "Django's cookie": Guarded(cookie="csrftoken", header="X-CSRFToken", field="csrfmiddlewaretoken"),
    "Django's form": Guarded(
        page='<form><input type="hidden" name="csrfmiddlewaretoken" value="tok=en"></form>',
        header="X-CSRFToken",
        field="csrfmiddlewaretoken",
    ),
    "Rails": Guarded(
        page='<meta name="csrf-param" content="authenticity_token" /><meta name="csrf-token" content="tok=en" />',
        header="X-CSRF-Token",
        field="authenticity_token",
    ),
    "Laravel's cookie": Guarded(cookie="XSRF-TOKEN", header="X-XSRF-TOKEN"),
    "Laravel's page": Guarded(page='<meta name="csrf-token" content="tok=en">', header="X-CSRF-TOKEN", field="_token"),
    "Flask-WTF": Guarded(page="<input name='csrf_token' value='tok=en'>", header="X-CSRFToken", field="csrf_token"),
    "Spring": Guarded(
        page='<meta name="_csrf" content="tok=en"/><meta name="_csrf_header" content="X-SPRING"/>', header="X-SPRING"
    ),
}


@pytest.mark.parametrize("body", ["", " a=1&_token=old", ' {"a": 1}'], ids=["nothing", "form", "json"])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_token_goes_back_as_the_framework_wants_it(name: str, body: str) -> None:
    post = read_inline(f"POST /pay{body.replace('_token', FRAMEWORKS[name].field or 'b')}", place="p")
    with serving(FRAMEWORKS[name]) as site, Client(site.url) as client:
        session = client.session()
        assert session.send(post).status == 403
        session.send(Request("GET", "/form"))
        assert session.send(post).status == 200


def _shop(got: Got) -> Reply:
    if got.path == "/login":
        is_right = "hunter2" in got.body
        headers = (("Set-Cookie", "session=s3; Path=/; HttpOnly"),) if is_right else ()
        return Reply(200 if is_right else 401, '{"auth": {"token": "b5"}}', headers)
    is_known = got.cookies.get("session") == "s3" or got.headers.get("authorization") == "Bearer b5"
    return Reply(200 if is_known else 401)


@pytest.mark.parametrize("bearer", [None, "$.auth.token"])
def test_a_login_is_made_once_and_kept_for_each_session(bearer: str | None) -> None:
    login = read_inline('POST /login {"password": "hunter2"}', place="login")
    with serving(_shop) as site, Client(site.url) as client:
        kept = log_in(client.session(), [login], {}, bearer=bearer)
        sessions = [client.session(kept), client.session(kept), client.session()]
        assert [session.send(Request("POST", "/pay")).status for session in sessions] == [200, 200, 401]
        assert sum(got.path == "/login" for got in site.got) == 1
        assert site.got[1].headers.get("authorization") == (bearer and "Bearer b5")
    assert "s3" not in repr(kept)
    assert "b5" not in repr(kept)


def test_a_login_that_is_refused_is_told_without_its_password() -> None:
    login = read_inline('POST /login {"password": "hunter3"}', place="login")
    with (
        serving(_shop) as site,
        Client(site.url) as client,
        pytest.raises(UsageError, match="login: POST /login was answered with 401, which is no success") as refusal,
    ):
        log_in(client.session(), [login], {})
    assert "hunter3" not in str(refusal.value)


def test_requests_of_a_setup_hand_on_their_values() -> None:
    with serving(_ok) as site, Client(site.url) as client:
        requests = [Request("POST", "/wallets", takes={"wallet": "$.id"}), Request("GET", "/wallets/{wallet}")]
        _, values = send_all(client.session(), requests, {"a": 1}, place="setup")
        assert values == {"a": 1, "wallet": 7}
        assert site.got[1].path == "/wallets/7"
