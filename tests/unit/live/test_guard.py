import http.client
import json
import socket
from contextlib import contextmanager

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from explorer.live import guard
from explorer.live.guard import Access
from explorer.live.protocol import DECODE
from explorer.live.route import PREFIX, UNHEARD
from explorer.ui.access import streamlit_access
from tests.browser.server import StreamlitServer
from tests.unit.live.serving import dial, floats, frame, serve


@pytest.fixture(autouse=True)
def nothing_logged(monkeypatch):
    monkeypatch.setattr(guard, "_logged", set())


def ask(host, path, method="GET", body=None, **headers):
    """Status, headers and words of a request whose Host header may be any."""
    connection = http.client.HTTPConnection(host, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    words = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, words


# -- names --


def own_name():
    return socket.gethostname().partition(".")[0]


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8501", "LOCALHOST.", "tab.localhost:1", "127.0.0.1:8501",
        "127.8.0.1", "[::1]:8501", "[fe80::1]", "192.168.1.7:8501", "203.0.113.9", "app",
        "app:8501", "{own}", "{own}.local:8501", None,
    ],
)  # fmt: skip
def test_names_that_no_stranger_can_own_are_answered(host):
    name = host and host.format(own=own_name())
    assert Access().refuse_host(name, None) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8501", "127.0.0.1.evil.example", "localhost.evil.example",
        "1.2.3.4.5", "other.local", "{own}.evil.example", "localhost@evil.example", "evil.example/",
        "localhost:port", "[::1", "", "a b.example", "evil.example?@localhost",
    ],
)  # fmt: skip
def test_a_name_that_a_stranger_may_own_is_refused_with_what_to_set(host):
    name = host.format(own=own_name())
    words = Access().refuse_host(name, f"http://{name}")
    assert repr(name) in words
    assert "browser.serverAddress" in words
    assert "server.allowedHosts" in words


def test_a_refusal_quotes_no_more_than_a_line():
    words = Access().refuse_host("a." * 5000 + "\n", None)
    assert len(words) < 600
    assert "\n" not in words


def test_the_settings_name_further_hosts():
    access = Access(pages=frozenset({"app.example"}), names=frozenset({"mypc.lan"}))
    assert access.refuse_host("APP.example:443", None) is None
    assert access.refuse_host("mypc.lan:8501", "http://mypc.lan:8501") is None
    assert access.refuse_host("evil.example", "http://evil.example") is not None
    # A proxy writes the Host; the page's origin is what its browser knows.
    assert access.refuse_host("inner.service", "https://app.example") is None
    assert access.refuse_host("inner.service", None) is None
    assert access.refuse_host("inner.service", "http://mypc.lan:8501") is not None


def test_a_list_of_hosts_is_all_there_is():
    access = Access(lists_host=lambda host: host == "app.example")
    assert access.refuse_host("app.example", None) is None
    for host in ("evil.example", "localhost", "127.0.0.1"):
        assert "server.allowedHosts" in access.refuse_host(host, "https://app.example")


def test_where_every_origin_is_welcome_so_is_every_name():
    assert Access(any_origin=True).refuse_host("evil.example", None) is None
    assert Access(any_origin=True, lists_host=lambda _: False).refuse_host("any", None)


# -- Streamlit's settings --


@contextmanager
def settings(**options):
    """Access as it is where the app is started with these settings."""
    from streamlit import config

    before = config._config_options
    config.get_config_options(force_reparse=True)
    for name, value in options.items():
        config.set_option(name.replace("__", "."), value)
    try:
        yield streamlit_access()
    finally:
        config._config_options = before


def test_the_settings_are_streamlits_own():
    with settings(
        server__corsAllowedOrigins=["https://app.example", "https://Other.example:8443"],
        browser__serverAddress="mine.example",
        server__address="mypc.lan",
    ) as access:
        assert access.pages == {"app.example", "other.example", "mine.example"}
        assert access.names == {"mypc.lan"}
        assert access.lists_host is None
        assert not access.any_origin
        for origin in ("https://app.example", "http://mine.example:7", "http://localhost:8080"):
            assert access.takes_origin(origin)
    with settings(server__allowedHosts=["*.example"]) as access:
        assert access.refuse_host("app.example:1", None) is None
        assert access.refuse_host("localhost", None)
    with settings(server__enableCORS=False) as access:
        assert access.any_origin


# -- a real server --


@pytest.fixture(scope="module")
def page():
    """A server with a page and the live routes, as the app has them."""
    access = Access(origins=("https://app.example",), pages=frozenset({"app.example"}))

    def show(_request):
        return PlainTextResponse("a page", headers={"Referrer-Policy": "no-referrer"})

    with serve(access=access, routes=[Route("/", show), Route("/_stcore/health", show)]) as host:
        yield host


def test_a_page_under_a_strangers_name_is_told_why_and_its_socket_is_refused(
    host, token, model, caplog
):
    name = f"evil.example:{host.rpartition(':')[2]}"
    status, headers, words = ask(
        host, f"{PREFIX}/points/bars-vae", Host=name, X_Explorer_Token=token
    )
    assert (status, headers["Content-Type"]) == (403, "text/plain; charset=utf-8")
    assert "'evil.example" in words
    assert "browser.serverAddress" in words
    for _ in range(2):
        with pytest.raises(InvalidStatus, match="403"):
            dial(host, token, origin=f"http://{name}", name_of_host=name)
    assert [record.getMessage() for record in caplog.records] == [words]


def test_a_foreign_page_gets_no_socket_and_the_log_says_what_to_set(host, token, caplog):
    with pytest.raises(InvalidStatus, match="403"):
        dial(host, token, origin="https://app.example")
    (record,) = caplog.records
    assert "'https://app.example'" in record.getMessage()
    assert "server.corsAllowedOrigins" in record.getMessage()


def test_a_page_may_ask_why_it_gets_no_socket(host, page):
    def words(address, origin):
        status, _, text = ask(address, f"{PREFIX}/access", "POST", Origin=origin)
        assert status == 200
        return json.loads(text)["words"]

    assert "server.corsAllowedOrigins" in words(host, "https://app.example")
    assert words(page, "https://app.example") == UNHEARD
    assert words(host, f"http://{host}") == UNHEARD


def test_an_origin_of_the_settings_gets_a_socket_whatever_the_host(page, token, model):
    for name in ("app", "inner.service:80"):
        with dial(page, token, origin="https://app.example", name_of_host=name) as opened:
            opened.send(frame(model, DECODE, floats(0, 0)))
            assert opened.recv(30)
    with pytest.raises(InvalidStatus, match="403"):
        dial(page, token, origin="https://evil.example", name_of_host="app")


@pytest.mark.parametrize(
    ("path", "policy"),
    [("/", "no-referrer"), (f"{PREFIX}/points/none", "same-origin"), ("/nowhere", "same-origin")],
)
def test_every_answer_bears_the_headers_that_protect_a_page(page, path, policy):
    _, headers, _ = ask(page, path)
    assert headers["Content-Security-Policy"] == "frame-ancestors 'self' https://app.example"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers.get_all("Referrer-Policy") == [policy]


def test_a_page_may_be_framed_by_all_where_every_origin_is_welcome():
    assert "Content-Security-Policy" not in Access(any_origin=True).page_headers


def test_a_health_check_is_answered_under_every_name():
    def show(_request):
        return PlainTextResponse("ok")

    with serve(routes=[Route("/_stcore/health", show), Route("/", show)]) as host:
        assert ask(host, "/_stcore/health", Host="pod.example")[0] == 200
        assert ask(host, "/", Host="pod.example")[0] == 403


@pytest.mark.parametrize("path", ["pictures", "names", "fits", "likelihood"])
def test_who_leaves_in_the_midst_of_a_request_leaves_nothing_in_the_log(
    token, checkpoints, path, capfd
):
    with serve() as host:
        address, port = host.split(":")
        for _ in range(3):
            with socket.create_connection((address, int(port))) as line:
                line.sendall(
                    f"POST {PREFIX}/{path}/bars-vae HTTP/1.1\r\nHost: {host}\r\n"
                    f"X-Explorer-Token: {token}\r\nContent-Length: 100\r\n\r\nsome".encode()
                )
    # The server has ended, and with it every request.
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_the_whole_app_is_behind_the_guard(tmp_path):
    def dial_page(server, name, origin):
        return connect(
            f"ws://{name}/_stcore/stream",
            sock=socket.create_connection(("localhost", server.port), 30),
            origin=origin,
            subprotocols=["streamlit"],
        )

    with StreamlitServer(folder=tmp_path) as server:
        host, evil = f"localhost:{server.port}", f"evil.example:{server.port}"
        status, headers, _ = ask(host, "/")
        assert status == 200
        assert headers["Content-Security-Policy"] == "frame-ancestors 'self'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        with dial_page(server, host, f"http://{host}") as line:
            assert line.subprotocol == "streamlit"
        assert ask(host, "/", Host=evil)[0] == 403
        with pytest.raises(InvalidStatus, match="403"), dial_page(server, evil, f"http://{evil}"):
            pass
        with (
            pytest.raises(InvalidStatus, match="403"),
            dial_page(server, host, "http://elsewhere.example"),
        ):
            pass
        log = server.output()
    assert "does not know the name 'evil.example" in log
    assert "add 'http://elsewhere.example' to server.corsAllowedOrigins" in log
