"""Who may look and who may change something, asked of the server itself."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest

pytest.importorskip("dash")

from betanas.analysis.dashboard.access import LEAST_TOKEN, MOST_WRONG, TOKEN_HEADER, check_opening, is_loopback
from betanas.analysis.dashboard.app import create_app
from betanas.analysis.dashboard.feed import StudyFeed
from betanas.analysis.dashboard.followed import FollowedStudies
from betanas.analysis.dashboard.server import MOST_BYTES, dashboard_server
from betanas.errors import StudyError, UserError

HOST = "127.0.0.1:8050"
OWN = {"Host": HOST, "Origin": f"http://{HOST}"}
TOKEN = "t" * LEAST_TOKEN
ASK = {
    "output": "search-answer.children",
    "outputs": {"id": "search-answer", "property": "children"},
    "inputs": [
        {"id": "pause", "property": "n_clicks", "value": 1},
        {"id": "go-on", "property": "n_clicks"},
        {"id": "confirm-stop", "property": "submit_n_clicks"},
        {"id": "set-planned", "property": "n_clicks"},
    ],
    "changedPropIds": ["pause.n_clicks"],
    "state": [
        {"id": {"name": "focus", "type": "choice"}, "property": "data", "value": 0},
        {"id": "planned", "property": "value", "value": 40},
    ],
}


@pytest.fixture
def feed(stored_study: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudyFeed]:
    feed = StudyFeed(str(stored_study))
    asked: list[str] = []
    monkeypatch.setattr(feed, "request", asked.append)
    feed.asked = asked  # type: ignore[attr-defined]
    yield feed
    feed.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    check_opening(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "laboratory", "", "localhost.example.org"])
def test_an_open_address_needs_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(UserError, match="must have a token"):
        check_opening(host, None)
    check_opening(host, TOKEN)


def test_a_short_token_is_refused_and_not_repeated() -> None:
    with pytest.raises(UserError, match="at least 16 characters") as caught:
        check_opening("0.0.0.0", "secret")
    assert "secret with" not in str(caught.value)
    assert "'secret'" not in str(caught.value)


def test_the_page_is_served_with_a_policy(feed: StudyFeed) -> None:
    answer = create_app(FollowedStudies([feed])).test_client().get("/", headers={"Host": HOST})
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "'unsafe-inline'" not in policy.split(";")[0]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "http://" not in answer.text.replace(f"http://{HOST}", "")
    assert "https://" not in answer.text


def test_another_name_that_points_here_is_refused(feed: StudyFeed) -> None:
    client = create_app(FollowedStudies([feed])).test_client()
    assert client.get("/", headers={"Host": "attacker.example:8050"}).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OWN, 200),
        ({"Host": HOST}, 403),
        ({"Host": HOST, "Origin": "http://attacker.example"}, 403),
        ({"Host": HOST, "Origin": "http://127.0.0.1:9999"}, 403),
        ({"Host": HOST, "Origin": "null"}, 403),
    ],
)
def test_a_change_must_come_from_the_page_itself(feed: StudyFeed, headers: dict[str, str], status: int) -> None:
    client = create_app(FollowedStudies([feed])).test_client()
    answer = client.post("/_dash-update-component", json=ASK, headers=headers)
    assert answer.status_code == status
    assert feed.asked == (["pause"] if status == 200 else [])  # type: ignore[attr-defined]


def test_a_change_must_be_a_post(feed: StudyFeed) -> None:
    client = create_app(FollowedStudies([feed])).test_client()
    answer = client.get("/_dash-update-component", query_string=ASK, headers=OWN)
    assert answer.mimetype == "text/html", "a GET of any address is answered with the page"
    assert feed.asked == []  # type: ignore[attr-defined]


def test_without_the_token_nothing_is_told(feed: StudyFeed) -> None:
    client = create_app(FollowedStudies([feed]), token=TOKEN).test_client()
    front = client.get("/", headers={"Host": HOST})
    assert front.status_code == 401
    assert "digits" not in front.text
    for path in ("/_dash-layout", "/_dash-dependencies", "/assets/dashboard.js"):
        assert client.get(path, headers={"Host": HOST}).status_code == 401
    assert client.post("/_dash-update-component", json=ASK, headers=OWN).status_code == 401
    assert client.get("/_dash-layout", headers={"Host": HOST, TOKEN_HEADER: "w" * LEAST_TOKEN}).status_code == 401
    assert feed.asked == []  # type: ignore[attr-defined]


def test_the_token_in_a_header_opens(feed: StudyFeed) -> None:
    client = create_app(FollowedStudies([feed]), token=TOKEN).test_client()
    assert client.get("/_dash-layout", headers={"Host": "laboratory:8050", TOKEN_HEADER: TOKEN}).status_code == 200


def test_the_form_sets_a_cookie_that_is_not_the_token(feed: StudyFeed) -> None:
    client = create_app(FollowedStudies([feed]), token=TOKEN).test_client()
    base = f"http://{HOST}"
    wrong = client.post("/login", data={"token": "wrong"}, headers=OWN, base_url=base)
    assert wrong.status_code == 401
    assert "Set-Cookie" not in wrong.headers
    right = client.post("/login", data={"token": TOKEN}, headers=OWN, base_url=base)
    cookie = right.headers["Set-Cookie"]
    assert right.status_code == 303
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    assert client.get("/_dash-layout", headers={"Host": HOST}, base_url=base).status_code == 200
    foreign = client.post("/login", data={"token": TOKEN}, headers={**OWN, "Origin": "http://a.example"}, base_url=base)
    assert foreign.status_code == 403


def test_a_server_that_cannot_open_says_why(stored_study: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must have a token"), dashboard_server([str(stored_study)], host="0.0.0.0"):
        pass
    with pytest.raises(StudyError, match="must exist"), dashboard_server([str(tmp_path / "none")], port=0):
        pass
    with (
        dashboard_server([str(stored_study)], port=0) as server,
        pytest.raises(UserError, match="address that is free"),
        dashboard_server([str(stored_study)], port=server.port),
    ):
        pass


def test_connections_that_say_nothing_take_no_thread(stored_study: Path) -> None:
    with dashboard_server([str(stored_study)], port=0) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
            for each in silent[::2]:
                each.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n")
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=60) as answer:
                assert answer.status == 200
            assert threading.active_count() < 50
            for each in silent:
                each.close()
        finally:
            server.shutdown()
            serving.join()


def test_a_body_that_is_too_long_is_not_read(stored_study: Path) -> None:
    with dashboard_server([str(stored_study)], port=0) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as visitor:
                head = f"POST /_dash-update-component HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {MOST_BYTES + 1}"
                visitor.sendall(f"{head}\r\n\r\n".encode())
                assert b" 413 " in visitor.recv(200)
        finally:
            server.shutdown()
            serving.join()


def test_wrong_tokens_are_answered_ten_times_a_minute(feed: StudyFeed) -> None:
    client = create_app(FollowedStudies([feed]), token=TOKEN).test_client()
    wrong = {"Host": HOST, TOKEN_HEADER: "w" * LEAST_TOKEN}
    for _ in range(MOST_WRONG // 2):
        assert client.get("/_dash-layout", headers=wrong).status_code == 401
        assert client.post("/login", data={"token": "wrong"}, headers=OWN).status_code == 401
    for headers in (wrong, {"Host": HOST, TOKEN_HEADER: TOKEN}):
        answer = client.get("/_dash-layout", headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    right = client.get("/_dash-layout", headers={"Host": HOST, TOKEN_HEADER: TOKEN}, environ_overrides=elsewhere)
    assert right.status_code == 200, "one visitor's guesses are no other's"


def test_names_of_studies_are_told_apart(stored_study: Path, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "digits"
    shutil.copytree(stored_study, other)
    feeds = [StudyFeed(str(stored_study)), StudyFeed(str(other))]
    followed = FollowedStudies(feeds)
    assert followed.names == (f"digits ({stored_study})", f"digits ({other})")
    assert [followed.is_pick(pick) for pick in ([1, 3], [2, 3], [0, -1], [0, None], None, [True, 1], [0, 1, 2])] == [
        True,
        *[False] * 6,
    ]
    assert [followed.place(value) for value in (1, 7, None, "x")] == [1, 0, 0, 0]
    assert (followed.once("key", lambda: 1), followed.once("key", lambda: 2)) == (1, 1)
    assert followed.versions() == [ANY, ANY]
    for feed in feeds:
        feed.close()
