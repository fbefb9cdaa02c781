import asyncio

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser

from explorer.images.batch import MAX_ARCHIVE_BYTES
from explorer.live.server import keep_uploads_in_memory


def test_no_upload_is_written_to_disk(monkeypatch):
    monkeypatch.setattr(MultiPartParser, "spool_max_size", MultiPartParser.spool_max_size)
    size = 3 * 2**20

    async def pieces():
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        for _ in range(3):
            yield b"x" * (size // 3)
        yield b"\r\n--edge--\r\n"

    async def upload():
        headers = Headers({"Content-Type": "multipart/form-data; boundary=edge"})
        return (await MultiPartParser(headers, pieces()).parse())["file"]

    keep_uploads_in_memory()
    found = asyncio.run(upload())
    with found.file:
        assert found.size == size
        assert found._in_memory
    assert MultiPartParser.spool_max_size > MAX_ARCHIVE_BYTES
