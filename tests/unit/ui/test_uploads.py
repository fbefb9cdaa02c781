import asyncio
import http.client
import re
import time
import urllib.request

import pytest
from starlette.responses import PlainTextResponse
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from explorer.ui.uploads import MOST_UPLOADED, UploadBudget
from tests.browser.server import StreamlitServer

PATH = "/_stcore/upload_file"


class Store:
    """Takes uploads, each of which stays on its way until the door is opened."""

    def __init__(self):
        self.held = {}
        self.door = asyncio.Event()
        self.budget = UploadBudget(self.take, lambda session: self.held.get(session, 0))

    async def take(self, scope, receive, send):
        await self.door.wait()
        await PlainTextResponse("taken", 204)(scope, receive, send)

    async def put(self, session, size, path=PATH, method="PUT"):
        """Status and words."""
        sent = []

        async def send(message):
            sent.append(message)

        headers = [] if size is None else [(b"content-length", str(size).encode())]
        scope = {"type": "http", "method": method, "path": f"{path}/{session}/x"}
        await self.budget(scope | {"headers": headers}, None, send)
        return sent[0]["status"], sent[1]["body"].decode()


def test_a_session_may_hold_so_many_bytes_those_on_their_way_among_them():
    async def bring():
        store = Store()
        store.held["a"] = MOST_UPLOADED // 2
        first = asyncio.create_task(store.put("a", MOST_UPLOADED // 2))
        await asyncio.sleep(0)
        status, words = await store.put("a", 1)
        assert status == 413
        assert f"{MOST_UPLOADED:,} wait to be taken in" in words
        assert "upload fewer" in words
        other = asyncio.create_task(store.put("b", MOST_UPLOADED))
        store.door.set()
        assert (await first)[0] == (await other)[0] == 204
        # It arrived and was taken in.
        store.held["a"] = 0
        assert (await store.put("a", MOST_UPLOADED))[0] == 204
        assert (await store.put("a", MOST_UPLOADED + 1))[0] == 413
        assert (await store.put("a", None))[0] == 411
        assert (await store.put("a", "-5"))[0] == 411
        assert (await store.put("a", MOST_UPLOADED + 1, path="/elsewhere"))[0] == 204
        assert (await store.put("a", MOST_UPLOADED + 1, method="DELETE"))[0] == 204

    asyncio.run(bring())


class Visitor:
    """A browser's session without a browser."""

    def __init__(self, server, socket):
        self.address = f"localhost:{server.port}"
        with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=30) as answer:
            cookies = answer.headers.get_all("Set-Cookie")
        self.token = re.search(r"_streamlit_xsrf=([^;]+)", " ".join(cookies)).group(1)
        message = BackMsg()
        message.rerun_script.query_string = ""
        socket.send(message.SerializeToString())
        while True:
            found = ForwardMsg.FromString(socket.recv(60))
            if found.WhichOneof("type") == "new_session":
                self.id = found.new_session.initialize.session_id
                return

    def upload(self, number, size):
        line = http.client.HTTPConnection(self.address, timeout=60)
        edge = "edge"
        body = (
            f"--{edge}\r\nContent-Disposition: form-data; name=f; filename=a.png\r\n\r\n".encode()
            + bytes(size)
            + f"\r\n--{edge}--\r\n".encode()
        )
        headers = {
            "Content-Type": f"multipart/form-data; boundary={edge}",
            "Cookie": f"_streamlit_xsrf={self.token}",
            "X-Xsrftoken": self.token,
        }
        line.request("PUT", f"{PATH}/{self.id}/{number}", body, headers)
        status = line.getresponse().status
        line.close()
        return status


def kept_bytes(server):
    """What the server says that it keeps of uploads; what it says may be seconds old."""
    url = f"{server.url}/_stcore/metrics?families=cache_memory_bytes"
    with urllib.request.urlopen(url, timeout=30) as answer:
        found = re.findall(r"UploadedFileManager.*?} (\d+)", answer.read().decode())
    return sum(map(int, found))


@pytest.mark.slow
def test_what_a_visitor_uploaded_goes_with_them_though_nobody_else_comes(tmp_path):
    settings = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "1"}
    with StreamlitServer(folder=tmp_path, environment=settings) as server:
        line = connect(
            f"ws://localhost:{server.port}/_stcore/stream",
            origin=server.url,
            subprotocols=["streamlit"],
            max_size=None,
        )
        with line as socket:
            visitor = Visitor(server, socket)
            size = MOST_UPLOADED // 3
            assert [visitor.upload(number, size) for number in range(4)] == [204, 204, 413, 413]
            while kept_bytes(server) != 2 * size:
                time.sleep(0.2)
        while kept_bytes(server):
            time.sleep(0.2)
