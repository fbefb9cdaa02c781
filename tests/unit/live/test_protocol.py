import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import ProtocolError
from explorer.live.protocol import (
    DECODE,
    DRAWING,
    ENCODE,
    ENCODED_FACTS,
    GHOST,
    HEADER,
    KINDS,
    LARGEST_ENCODE,
    LARGEST_REQUEST,
    PICTURE,
    PICTURE_FACTS,
    PLACE,
    REAL,
    SPOT,
    TRUTH,
    VIEW,
    VOTES,
    Request,
    answer_header,
    check_view_name,
    read_request,
    write_decoded,
    write_encoded,
    write_json,
    write_picture,
)

TAG = 77


def frame(kind=DECODE, payload=b"", tag=TAG, sequence=5, flags=0):
    return HEADER.pack(kind, flags, tag, sequence) + payload


def code(*values):
    return np.array(values, "<f4").tobytes()


def read(message):
    return read_request(message, tag=TAG, latent_dim=3, rows=10)


@pytest.mark.parametrize("kind", [DECODE, TRUTH])
@pytest.mark.parametrize("ghost", [False, True])
def test_a_code_comes_through(kind, ghost):
    request = read(frame(kind, code(1, -2, 0.5), flags=GHOST if ghost else 0))
    assert (request.kind, request.sequence, request.ghost) == (kind, 5, ghost)
    np.testing.assert_array_equal(request.latents, np.float32([1, -2, 0.5]))


def test_a_code_that_is_a_guess_comes_with_the_position_it_is_a_guess_for():
    assert read(frame(TRUTH, code(1, -2, 0.5))).spot is None
    request = read(frame(TRUTH, code(1, -2, 0.5, 7, -8)))
    np.testing.assert_array_equal(request.latents, np.float32([1, -2, 0.5]))
    np.testing.assert_array_equal(request.spot, np.float32([7, -8]))


def test_a_row_comes_through():
    assert read(frame(PICTURE, (9).to_bytes(4, "little"))).row == 9


def test_a_spot_comes_through_alone_or_with_held_axes():
    free = read(frame(SPOT, code(1.5, -2)))
    np.testing.assert_array_equal(free.spot, np.float32([1.5, -2]))
    assert free.held is None
    held = read(frame(SPOT, code(1.5, -2, np.nan, 3, np.nan)))
    np.testing.assert_array_equal(held.spot, np.float32([1.5, -2]))
    np.testing.assert_array_equal(held.held, np.float32([np.nan, 3, np.nan]))


def drawing(width, height, channels, size=None, rest=0):
    count = width * height * channels if size is None else size
    return frame(ENCODE, DRAWING.pack(width, height, channels, rest) + bytes(range(256)) * 400)[
        : HEADER.size + DRAWING.size + count
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_drawing_comes_through_row_by_row(channels):
    request = read(drawing(5, 3, channels))
    assert request.kind == ENCODE
    assert request.drawing.shape == (3, 5, channels)
    assert request.drawing.ravel().tolist() == list(range(15 * channels))
    assert read(drawing(160, 160, 3)).drawing.shape == (160, 160, 3)


VIEWS = [
    "map",
    "map-3d",
    "principal",
    "principal-3d",
    "axes:0,1",
    "axes:511,10",
    f"fit:{'0a' * 16}",
]


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_comes_through(name):
    assert read(frame(VIEW, name.encode())).view == name


@pytest.mark.parametrize(
    "name",
    ["", "Map", "map ", "map\n", "axes:1", "axes:01,2", "axes:-1,2", "axes:1,2,3", "axes:1234,1",
     "axes:\u0661,2", f"fit:{'0A' * 16}", "fit:../../etc", f"fit:{'0a' * 17}", "\udcff"],
)  # fmt: skip
def test_a_view_of_another_name_is_refused(name):
    with pytest.raises(ProtocolError, match="There is no view"):
        check_view_name(name)
    with pytest.raises(ProtocolError, match="There is no view"):
        read(frame(VIEW, name.encode(errors="surrogateescape")))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "0 bytes; its header alone has 8"),
        (b"\x01\x00", "2 bytes"),
        (frame(payload=code(1, 2)), "carries 8 bytes; a code of 3 latents has 12"),
        (frame(payload=code(1, 2, 3, 4)), "carries 16 bytes"),
        (frame(payload=bytes(LARGEST_REQUEST)), "at most 2064 are read"),
        (frame(payload=code(1, np.nan, 3)), "not finite"),
        (frame(payload=code(1, np.inf, 3)), "not finite"),
        (frame(payload=code(1, -3e38, 3)), "beyond 1,000,000"),
        (frame(TRUTH, code(1, 2)), "has 12, and 20 with the position it was guessed for"),
        (frame(TRUTH, code(1, 2, 3, 4)), "carries 16 bytes"),
        (frame(TRUTH, code(1, 2, 3, 4, np.nan)), "position holds values that are not finite"),
        (frame(TRUTH, code(1, 2, np.inf, 4, 5)), "code holds values that are not finite"),
        (frame(payload=code(1, 2, 3, 4, 5)), "carries 20 bytes; a code of 3 latents has 12."),
        (frame(TRUTH, code(1, 2, np.nan)), "not finite"),
        (frame(kind=9), "kind is 9"),
        (frame(payload=code(1, 2, 3), tag=TAG + 1), "another model"),
        (frame(payload=code(1, 2, 3), flags=REAL), "flags are 1"),
        (frame(payload=code(1, 2, 3), flags=6), "flags are 6"),
        (frame(PICTURE, (10).to_bytes(4, "little")), "no encoding 10; the model has 10"),
        (frame(PICTURE, b"\x00"), "carries 4 bytes; this one has 1"),
        (frame(SPOT, code(1)), "a spot has 8, and 20 with the held ones"),
        (frame(SPOT, code(1, 2, 3)), "carries 12 bytes"),
        (frame(SPOT, code(1, np.nan)), "not finite"),
        (frame(SPOT, code(1, 2, 3, np.inf, np.nan)), "held axes have values beyond"),
        (frame(SPOT, code(1, 2, 3, -2e6, np.nan)), "held axes have values beyond"),
        (frame(VIEW, b"m" * 65), "at most 64 bytes, not 65"),
        (frame(ENCODE, b"\x01\x01"), "carries 2 bytes; a drawing begins with 4"),
        (drawing(161, 2, 1), "161 x 2 pixels of 1 channels"),
        (drawing(2, 0, 1), "2 x 0 pixels"),
        (drawing(2, 2, 2), "of 2 channels"),
        (drawing(2, 2, 1, rest=1), r"\(1 after them\)"),
        (drawing(2, 2, 3, size=4), "has 4 bytes; 2 x 2 pixels of 3 channels are 12"),
        (drawing(2, 2, 1, size=9), "has 9 bytes"),
        (frame(ENCODE, bytes(LARGEST_ENCODE)), f"at most {LARGEST_ENCODE} are read"),
    ],
)
def test_a_bad_frame_is_refused_in_words(message, words):
    with pytest.raises(ProtocolError, match=words):
        read(message)


@given(
    st.binary(max_size=64)
    | st.builds(
        lambda kind, flags, rest: HEADER.pack(kind, flags, TAG, 1) + rest,
        st.sampled_from(KINDS),
        st.sampled_from([0, GHOST]),
        st.binary(max_size=72),
    )
)
def test_whatever_comes_is_read_or_refused(message):
    try:
        request = read(message)
    except ProtocolError:
        return
    assert request.kind in KINDS
    for numbers in (request.latents, request.spot):
        assert numbers is None or np.isfinite(numbers).all()
    assert request.held is None or not np.isinf(request.held).any()


@given(st.integers(1, 17), st.integers(1, 9), st.sampled_from([1, 3]))
def test_decoded_answers_hold_header_place_code_and_pixels(count, latent_dim, channels):
    random = np.random.default_rng(count)
    places = random.normal(size=(count, 3)).astype(np.float32)
    latents = random.normal(size=(count, latent_dim)).astype(np.float32)
    pixels = random.integers(0, 256, (count, 2, 5, channels), dtype=np.uint8)
    requests = [Request(DECODE, row, ghost=bool(row % 2)) for row in range(count)]
    answers = write_decoded(
        [answer_header(request, TAG) for request in requests], places, latents, pixels
    )
    for row, answer in enumerate(answers):
        assert HEADER.unpack_from(answer) == (DECODE, GHOST * (row % 2), TAG, row)
        assert PLACE.unpack_from(answer, HEADER.size) == tuple(places[row])
        rest = answer[HEADER.size + PLACE.size :]
        assert rest[: 4 * latent_dim] == latents[row].tobytes()
        assert rest[4 * latent_dim :] == pixels[row].tobytes()


def test_a_picture_carries_its_facts():
    request = Request(PICTURE, 12, ghost=True, row=3)
    answer = write_picture(
        answer_header(request, TAG, real=True),
        index=2**33,
        place=[1.5, -2, 0],
        nll=80.5,
        kl=float("nan"),
        latents=np.float32([1, 2]),
        pixels=b"abc",
    )
    assert HEADER.unpack_from(answer) == (PICTURE, REAL | GHOST, TAG, 12)
    index, *place, nll, kl = PICTURE_FACTS.unpack_from(answer, HEADER.size)
    assert (index, place, nll) == (2**33, [1.5, -2, 0], 80.5)
    assert kl != kl
    assert answer[HEADER.size + 28 :] == struct.pack("<ff", 1, 2) + b"abc"


def test_json_follows_its_header():
    answer = write_json(answer_header(Request(VIEW, 3), TAG), {"view": "map"})
    assert HEADER.unpack_from(answer) == (VIEW, 0, TAG, 3)
    assert json.loads(answer[HEADER.size :]) == {"view": "map"}


@pytest.mark.parametrize("log_var", [None, np.float32([-1, 0])])
def test_an_encoded_drawing_carries_its_facts_votes_code_and_pictures(log_var):
    header = answer_header(Request(ENCODE, 7), TAG)
    mean = np.float32([0.5, -2])
    message = write_encoded(
        header, place=(1, 2, 0), nll=70.5, kl=float("nan") if log_var is None else 3.25,
        labels=np.array([4, 4, 9]), mean=mean, log_var=log_var, pictures=(b"in", b"out"),
    )  # fmt: skip
    assert HEADER.unpack_from(message) == (ENCODE, 0, TAG, 7)
    *place, nll, kl = ENCODED_FACTS.unpack_from(message, HEADER.size)
    assert (place, nll) == ([1, 2, 0], 70.5)
    assert np.isnan(kl) if log_var is None else kl == 3.25
    at = HEADER.size + ENCODED_FACTS.size
    votes = np.frombuffer(message, "<i2", VOTES, at)
    assert votes.tolist() == [4, 4, 9] + [-1] * (VOTES - 3)
    codes = np.frombuffer(message, "<f4", 4, at + 2 * VOTES).reshape(2, 2)
    np.testing.assert_array_equal(codes[0], mean)
    np.testing.assert_array_equal(codes[1], [np.nan] * 2 if log_var is None else log_var)
    assert message[at + 2 * VOTES + 16 :] == b"inout"
