"""The door: without the link's cookie, under another name, or from another site, nothing is read and nothing changes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from typer.testing import CliRunner

from optical_memory.errors import ConfigError
from optical_memory.inspection.cli import app
from optical_memory.inspection.web import make_app
from optical_memory.inspection.web.security import HEADERS
from optical_memory.inspection.web.serve import bound, names
from tests.web.conftest import BASE, HOST, POSTING, entered
from tests.web.routes import addresses


@pytest.fixture
def gate(database: Path):
    return make_app(str(database), hosts={HOST}, port=8000)


def bare(gate) -> TestClient:
    return TestClient(gate, base_url=BASE, raise_server_exceptions=False)


def test_there_are_routes_of_both_kinds(gate):
    """The walk over all routes is not empty: pages, twins, pictures, files and changes are in it."""
    found = list(addresses(gate))
    assert len(found) > 25
    assert sum(method == "POST" for method, _ in found) == 5
    assert {path for _, path in found} >= {
        "/",
        "/index.json",
        "/t/harbour/call.json",
        "/static/viewer.js",
        "/favicon.ico",
    }


def test_every_route_refuses_who_has_no_cookie(gate):
    """401 on every route without the cookie, with a wrong one, and with one of another viewer."""
    client = bare(gate)
    for cookie in (None, "optical_memory_8000=guess", "optical_memory_9000=x", "optical_memory_8000="):
        headers = {"cookie": cookie} if cookie else {}
        for method, path in addresses(gate):
            answer = client.request(method, path, headers=POSTING | headers)
            assert answer.status_code == 401, (method, path, cookie)
            assert "harbour" not in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:9000", "localhost.evil:8000", ""]
)
def test_every_route_refuses_another_host(gate, host):
    """403 on every route under any other name, cookie or not: a rebound name reads nothing."""
    client = entered(gate)
    for method, path in [*addresses(gate), ("GET", "/enter"), ("GET", "/nowhere")]:
        assert client.request(method, path, headers=POSTING | {"host": host}).status_code == 403, (method, path)


def test_two_hosts_are_one_too_many(gate):
    """A request that names its host twice is refused."""
    client = entered(gate)
    assert client.get("/", headers=[("host", HOST), ("host", "evil.example")]).status_code == 403


FOREIGN = [
    {"origin": "http://evil.example", "sec-fetch-site": "cross-site"},
    {"origin": "http://127.0.0.1:9000", "sec-fetch-site": "same-site"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"origin": f"https://{HOST}", "sec-fetch-site": "same-site"},
    {"origin": BASE, "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-origin"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_every_change_refuses_another_origin(gate, memory, headers):
    """403 for a post with a foreign origin, or none, even with the cookie and our header; nothing changes."""
    client = entered(gate)
    for method, path in addresses(gate):
        if method == "POST":
            told = headers | {"optical-memory": "test"}
            assert (
                client.post(path, headers=told, json={"turns": "1", "whole": True, "typed": "60"}).status_code == 403
            ), path
    assert len(memory.turns("harbour")) == 60
    assert not any(t.pinned for t in memory.turns("harbour"))


def test_a_change_needs_our_own_header(gate):
    """A form can send the cookie and an origin, but no header of ours."""
    client = entered(gate)
    told = {k: v for k, v in POSTING.items() if k != "optical-memory"}
    assert client.post("/t/harbour/pin", headers=told, data={"turns": "1"}).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(gate, method):
    """Only reading and posting exist."""
    client = entered(gate)
    assert {client.request(method, path, headers=POSTING).status_code for _, path in addresses(gate)} == {405}


def test_every_answer_has_the_headers_of_safety(gate):
    """Pages, twins, files, pictures and refusals carry the policy; nothing inline and nothing foreign is allowed in it."""
    client = entered(gate)
    answers = [client.get(path) for method, path in addresses(gate) if method == "GET"] + [
        bare(gate).get("/"),
        client.get("/x"),
    ]
    for answer in answers:
        assert {name: value.decode() for name, value in [(n.decode(), v) for n, v in HEADERS]}.items() <= dict(
            answer.headers
        ).items()
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not any(word in policy for word in ("unsafe", "http", "*", "data:"))


def test_the_link_is_good_once(gate):
    """The token opens one browser; a second use and a wrong token are refused."""
    token = gate.token
    assert bare(gate).get("/enter?token=wrong").status_code == 401
    assert bare(gate).get("/enter").status_code == 401
    first = bare(gate).get(f"/enter?token={token}")
    assert first.status_code == 200
    assert first.headers["refresh"] == "0;url=/"
    assert bare(gate).get(f"/enter?token={token}").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(gate):
    """HttpOnly and SameSite=Strict, named by the port, and not the token of the link."""
    answer = bare(gate).get(f"/enter?token={gate.token}")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("optical_memory_8000=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert str(answer.request.url.query, "ascii").split("=")[1] not in cookie


def test_websockets_are_refused(gate):
    """There are none, and nobody can open one."""
    with pytest.raises(WebSocketDisconnect) as refused, entered(gate).websocket_connect("/"):
        pass
    assert refused.value.code == 1008


def test_a_read_only_viewer_changes_nothing(database, view, memory):
    """With --read-only every change is refused, and no page offers one."""
    client = view(database, read_only=True)
    for action in ("pin", "unpin", "forget", "undo", "decay"):
        assert client.post(f"/t/harbour/{action}", headers=POSTING, json={"turns": "1"}).status_code == 403
    for path in ("/t/harbour", "/t/harbour/turn/5", "/t/harbour/log", "/t/harbour/fading"):
        page = client.get(path).text
        assert "data-ask" not in page.replace("data-ask]", "").replace('id="pin-chosen" data-ask', "").replace(
            'data-ask href="#"', ""
        )
        assert "read-only" in page
    assert not memory.turns("harbour")[0].pinned


def test_it_listens_on_this_machine_under_its_own_names():
    """Loopback by default; another host answers under that name only; a taken port is said so."""
    with bound("127.0.0.1", None) as listener:
        taken = listener.getsockname()
        assert taken[0] == "127.0.0.1"
        with pytest.raises(ConfigError, match=f"{taken[1]}.*--port"):
            bound("127.0.0.1", taken[1])
    assert names("127.0.0.1", 81) == {"127.0.0.1:81", "localhost:81", "[::1]:81"}
    assert names("192.0.2.1", 81) == {"192.0.2.1:81"}
    assert names("0.0.0.0", 81) >= {"localhost:81", f"{socket.gethostname()}:81"}
    assert "0.0.0.0:81" not in names("0.0.0.0", 81)


def test_at_port_80_it_answers_browsers_which_leave_the_port_out(database):
    """The address bar and the origin of a change say 127.0.0.1 alone; at another port that name is refused as ever."""
    gate = make_app(str(database), hosts=names("127.0.0.1", 80), port=80)
    client = TestClient(gate, base_url="http://127.0.0.1", raise_server_exceptions=False)
    assert client.get(f"/enter?token={gate.token}").status_code == 200
    assert client.get("/t/harbour").status_code == 200
    told = POSTING | {"origin": "http://127.0.0.1"}
    assert client.post("/t/harbour/pin", headers=told, json={"turns": "1"}).status_code == 200
    gate.close()


@pytest.mark.parametrize("host", ["", "nobody.invalid", "a" * 70, "300.1.1.1", "::1::2"])
def test_a_host_that_is_none_is_named_as_it_was_given(host):
    """A sentence with the host and no port that nobody gave; an empty one is not every address of this machine."""
    done = CliRunner().invoke(app, ["view", "--no-open", "--host", host])
    assert done.exit_code == 2, done.output
    assert "None" not in done.stderr
    assert host in done.stderr.splitlines()[-1]
    assert "--host" in done.stderr
