"""The session's pictures, without a session."""

import base64
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from explorer.images.fitting import ModelInput
from explorer.images.preparation import Preparation
from explorer.ui.encoding import gallery as module
from explorer.ui.encoding.gallery import DRAWING, Gallery

TARGET = ModelInput((1, 28, 28), 0.0)


def png(level=200, width=6):
    pixels = np.zeros((40, 40), np.uint8)
    pixels[8:32, 12 : 12 + width] = level
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def archive(**entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as stored:
        for name, data in entries.items():
            stored.writestr(name, data)
    return file.getvalue()


def taken(*files):
    gallery = Gallery()
    gallery.bring(files)
    while gallery.take_next(TARGET) is not None:
        pass
    return gallery


def names(gallery):
    return [one.name for one in gallery.pictures]


def test_one_bad_file_of_an_archive_loses_no_other():
    gallery = taken(("all.zip", archive(a=png(), b=b"no pixels", c=png(90))), ("d.png", png(50)))
    assert names(gallery) == ["all.zip › a", "all.zip › c", "d.png"]
    assert [one.name for one in gallery.refused] == ["all.zip › b"]
    assert gallery.chosen is gallery.pictures[0]


def test_what_comes_later_is_looked_at_first():
    gallery = taken(("a", png()))
    gallery.bring([("b", b""), ("c", png()), ("d", png())])
    while gallery.take_next(TARGET) is not None:
        pass
    assert gallery.chosen.name == "c"


@pytest.mark.parametrize("limit", ["pictures", "bytes"])
def test_what_is_beyond_a_limit_is_refused_with_it(monkeypatch, limit):
    data = png()
    if limit == "pictures":
        monkeypatch.setattr(module, "MOST_PICTURES", 2)
    else:
        monkeypatch.setattr(module, "MOST_BYTES", 2 * len(data))
    gallery = taken(*[(str(number), data) for number in range(3)])
    assert names(gallery) == ["0", "1"]
    assert "the limit" in gallery.refused[0].reason


def test_removals_are_undone_one_after_the_other_in_their_old_places():
    gallery = taken(*[(name, png()) for name in "abcd"])
    first, second, third, _ = (one.id for one in gallery.pictures)
    gallery.remove([second])
    gallery.remove([first, third])
    assert names(gallery) == ["d"]
    assert gallery.removed == "2 pictures"
    gallery.undo()
    assert names(gallery) == ["a", "c", "d"]
    assert gallery.removed == "b"
    gallery.undo()
    assert names(gallery) == ["a", "b", "c", "d"]
    assert gallery.chosen_id == second
    assert gallery.removed == ""


def test_the_next_one_is_looked_at_when_the_one_that_was_is_removed():
    gallery = taken(*[(name, png()) for name in "abc"])
    gallery.choose(gallery.pictures[2].id)
    gallery.remove([gallery.chosen_id])
    assert gallery.chosen.name == "b"
    gallery.remove([one.id for one in gallery.pictures])
    assert gallery.chosen is None


def test_another_preparation_is_another_input_and_the_same_for_all_keeps_each_crop():
    gallery = taken(("a", png()), ("b", png()))
    first, second = gallery.pictures
    before = gallery.input(first, TARGET)
    gallery.prepare_otherwise(first.id, Preparation(polarity="invert", crop=(0, 0, 1, 0.9)))
    gallery.prepare_otherwise(second.id, Preparation(crop=(0, 0, 0.5, 1)))
    gallery.prepare_all(gallery.pictures[0].preparation)
    assert gallery.pictures[1].preparation == Preparation(polarity="invert", crop=(0, 0, 0.5, 1))
    assert not np.array_equal(gallery.input(gallery.pictures[0], TARGET), before)


def test_a_drawing_drawn_further_stays_one_picture_and_an_empty_canvas_takes_it_away():
    gallery = Gallery()
    number = gallery.new_id()
    gallery.put_drawing(number, png())
    before = gallery.input(gallery.chosen, TARGET)
    gallery.put_drawing(number, png(width=16))
    assert names(gallery) == [DRAWING]
    assert not np.array_equal(gallery.input(gallery.chosen, TARGET), before)
    gallery.put_drawing(gallery.new_id(), png())
    assert names(gallery) == [DRAWING, f"{DRAWING} 2"]
    gallery.remove([number])
    gallery.put_drawing(number, png())
    assert len(gallery.pictures) == 2
    assert gallery.removed == ""


def test_nothing_is_kept_of_what_is_gone_for_good():
    gallery = taken(("a", png()))
    gallery.remove([gallery.chosen_id])
    for number in range(module.MOST_UNDONE):
        gallery.bring([(str(number), png())])
        gallery.take_next(TARGET)
        gallery.remove([gallery.chosen_id])
    kept = vars(gallery)
    assert len(kept["_thumbs"]) == module.MOST_UNDONE
    assert not kept["_inputs"]
    gallery.undo()
    assert gallery.input(gallery.chosen, TARGET).shape == TARGET.image_shape


def test_what_was_removed_counts_as_held_and_the_oldest_of_it_makes_room(monkeypatch):
    data = png()
    monkeypatch.setattr(module, "MOST_BYTES", 3 * len(data))
    gallery = taken(("a", data), ("b", data), ("c", data))
    for _ in range(3):
        gallery.remove([gallery.pictures[0].id])
    gallery.bring([("broken", b""), ("d", data), ("e", data)])
    while gallery.take_next(TARGET) is not None:
        pass
    assert names(gallery) == ["d", "e"]
    assert gallery.removed == "c"
    gallery.put_drawing(gallery.new_id(), data)
    assert gallery.removed == ""
    assert len(vars(gallery)["_thumbs"]) == 2


def test_pictures_that_were_removed_are_no_more_than_those_that_may_be_there(monkeypatch):
    monkeypatch.setattr(module, "MOST_PICTURES", 3)
    gallery = Gallery()
    for pair in ("ab", "cd", "e"):
        gallery.bring([(name, png()) for name in pair])
        while gallery.take_next(TARGET) is not None:
            pass
        gallery.remove([one.id for one in gallery.pictures])
    gallery.undo()
    gallery.undo()
    assert names(gallery) == ["c", "d", "e"]
    assert gallery.removed == ""


def test_undo_stops_at_the_limit_and_says_so(monkeypatch):
    monkeypatch.setattr(module, "MOST_PICTURES", 3)
    gallery = taken(*[(name, png()) for name in "abc"])
    gallery.remove([one.id for one in gallery.pictures])
    gallery.bring([("d", png())])
    gallery.take_next(TARGET)
    gallery.undo()
    assert names(gallery) == ["a", "b", "d"]
    assert gallery.removed == "c"
    assert [one.name for one in gallery.refused] == ["c"]
    assert "the limit" in gallery.refused[0].reason
    chosen = gallery.chosen_id
    gallery.undo()
    assert gallery.chosen_id == chosen
    assert len(gallery.pictures) == 3


def test_a_thumbnail_is_made_once(monkeypatch):
    made = []
    monkeypatch.setattr(module, "thumbnail", lambda prepared: made.append(prepared) or "data:")
    gallery = taken(("a", png()))
    for _ in range(3):
        gallery.prepare(gallery.chosen, TARGET)
    assert len(made) == 1


def thumb(gallery):
    """What a reader sees in the row of pictures."""
    url = gallery.thumb(gallery.pictures[0], TARGET)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("L"))


def one_dark_corner():
    """Light, with a dark corner at the top left: no turn and no mirror leaves it as it is."""
    pixels = np.full((48, 64), 230, np.uint8)
    pixels[:16, :32] = 20
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_thumbnail_is_upright_whatever_the_cameras_note(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = one_dark_corner()
    for undo in UNDO[orientation]:
        stored = stored.transpose(undo)
    file = io.BytesIO()
    stored.save(file, kind, exif=exif)
    seen = thumb(taken(("corner", file.getvalue())))
    assert seen.shape == (48, 64)
    assert np.abs(seen.astype(int) - np.asarray(one_dark_corner())).mean() < 8


# How the file is stored, for a viewer to turn it back.
UNDO = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}


def test_a_thumbnail_turns_with_the_turn_that_is_chosen_and_back():
    file = io.BytesIO()
    one_dark_corner().save(file, "PNG")
    gallery = taken(("corner", file.getvalue()))
    before = thumb(gallery)
    gallery.prepare_otherwise(gallery.pictures[0].id, Preparation(turn="90"))
    assert np.array_equal(thumb(gallery), np.rot90(before, -1))
    gallery.prepare_otherwise(gallery.pictures[0].id, Preparation(crop=(0, 0, 0.5, 0.5)))
    assert np.array_equal(thumb(gallery), before)


def test_no_more_waits_to_be_prepared_than_a_session_may_hold(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 3 * len(png()))
    gallery = Gallery()
    gallery.bring([("a", png()), ("b", png())])
    gallery.bring([("c", png()), ("d", png())])
    assert [(one.name, "bring fewer at once" in one.reason) for one in gallery.refused] == [
        ("d", True)
    ]
    while gallery.take_next(TARGET) is not None:
        pass
    assert names(gallery) == ["a", "b", "c"]
    gallery.bring([("e", png())])
    assert len(gallery.refused) == 1  # the queue is empty again
