"""A real nginx before the app, as a user would set it up."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.server import free_port

PROGRAMS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"
CONFIG = """
pid {folder}/nginx.pid;
daemon off;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxied;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1;
  proxy_set_header Host {host};
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_set_header Host {host};
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }}
    {more}
  }}
}}
"""
NOT_LIVE = "location /explorer-live/ {{ proxy_pass http://127.0.0.1:{behind}; }}"


@contextmanager
def nginx(
    folder: Path, behind: int, host: str, *, live: bool = True, port: int | None = None
) -> Iterator[int]:
    """Pass requests on to a port of this machine; the test is skipped where there is no nginx.

    Args:
        folder: for its files.
        behind: the port.
        host: the Host header that is passed on, in nginx's words.
        live: whether it passes the sockets of the decoder on too.
        port: its own; by default a free one.

    Returns:
        Its port.
    """
    program = shutil.which("nginx", path=PROGRAMS)
    if program is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    port = port or free_port()
    more = "" if live else NOT_LIVE.format(behind=behind)
    file = folder / "nginx.conf"
    text = CONFIG.format(folder=folder, port=port, behind=behind, host=host, more=more)
    file.write_text(text, encoding="utf-8")
    log = folder / "nginx.log"
    process = subprocess.Popen([program, "-c", str(file), "-e", str(log), "-p", str(folder)])
    try:
        while not _listens(port):
            if process.poll() is not None:
                raise AssertionError(f"nginx ended:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
