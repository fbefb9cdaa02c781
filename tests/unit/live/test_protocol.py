import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import ProtocolError
from explorer.live.protocol import (
    DECODE,
    HEADER,
    LARGEST_REQUEST,
    PICTURE,
    PLACE,
    Request,
    read_request,
    write_answer,
)

TAG = 77


def frame(kind=DECODE, payload=b"", tag=TAG, sequence=5):
    return HEADER.pack(kind, 0, tag, sequence) + payload


def code(*values):
    return np.array(values, "<f4").tobytes()


def read(message):
    return read_request(message, tag=TAG, latent_dim=3, rows=10)


def test_a_code_comes_through():
    request = read(frame(payload=code(1, -2, 0.5)))
    assert (request.kind, request.sequence) == (DECODE, 5)
    np.testing.assert_array_equal(request.latents, np.float32([1, -2, 0.5]))


def test_a_row_comes_through():
    assert read(frame(PICTURE, (9).to_bytes(4, "little"))).row == 9


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "0 bytes; its header alone has 8"),
        (b"\x01\x00", "2 bytes"),
        (frame(payload=code(1, 2)), "carries 8 bytes; a code of 3 latents has 12"),
        (frame(payload=code(1, 2, 3, 4)), "carries 16 bytes"),
        (frame(payload=bytes(LARGEST_REQUEST)), "at most 2056 are read"),
        (frame(payload=code(1, np.nan, 3)), "not finite"),
        (frame(payload=code(1, np.inf, 3)), "not finite"),
        (frame(payload=code(1, -3e38, 3)), "beyond 1,000,000"),
        (frame(kind=9), "kind is 9"),
        (frame(payload=code(1, 2, 3), tag=TAG + 1), "another model"),
        (frame(PICTURE, (10).to_bytes(4, "little")), "no encoding 10; the model has 10"),
        (frame(PICTURE, b"\x00"), "carries 4 bytes; this one has 1"),
    ],
)
def test_a_bad_frame_is_refused_in_words(message, words):
    with pytest.raises(ProtocolError, match=words):
        read(message)


@given(st.binary(max_size=64))
def test_whatever_comes_is_read_or_refused(message):
    try:
        request = read(message)
    except ProtocolError:
        return
    assert request.kind in (DECODE, PICTURE)


def test_an_answer_carries_place_pixels_and_origin():
    answer = write_answer(
        Request(PICTURE, 12, row=3), tag=TAG, place=np.float32([1.5, -2]), pixels=b"abc", real=True
    )
    assert HEADER.unpack_from(answer) == (PICTURE, 1, TAG, 12)
    assert PLACE.unpack_from(answer, HEADER.size) == (1.5, -2.0)
    assert answer[HEADER.size + PLACE.size :] == b"abc"
