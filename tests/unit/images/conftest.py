"""Small files as users have them: pictures, folders, IDX sets, and a mirror to fetch them from."""

import gzip
import hashlib
import io
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from explorer.images.idx import MNIST


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def encode():
    def encode_picture(picture, file_format="PNG", **options):
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        buffer = io.BytesIO()
        image.save(buffer, file_format, **options)
        return buffer.getvalue()

    return encode_picture


@pytest.fixture
def make_folder(tmp_path):
    """A folder of n random pictures a class; classes None puts them into the folder itself."""

    def make(count=12, classes=("b", "a"), size=(16, 12), mode="L", suffix=".png"):
        rng = np.random.default_rng(0)
        folder = tmp_path / "pictures"
        channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
        for name in classes or (".",):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (*size, *channels), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / name / f"{number:03}{suffix}")
        return folder

    return make


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim])
    return header + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def tiny_mnist():
    """A source of 30 + 10 images with its own checksums, and the .gz files it consists of."""
    rng = np.random.default_rng(1)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (30, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 30, dtype=np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (10, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 10, dtype=np.uint8),
    }
    contents = {name: idx_bytes(array) for name, array in arrays.items()}
    source = replace(
        MNIST, md5={name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    )
    return source, {f"{name}.gz": gzip.compress(content) for name, content in contents.items()}


@pytest.fixture
def mirror():
    """A real HTTP server: `files` holds what it sends; `cut` names what it breaks off."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rpartition("/")[2]
            server.asked.append(name)
            if name not in server.files:
                self.send_error(404)
                return
            content = server.files[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if name in server.cut else content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.cut, server.asked = {}, set(), []
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
