"""The lower part of Encode in Streamlit's own test harness: every section, for every kind."""

import io
import json
import os
import shlex
import shutil
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from explorer.encode.codes import measure_codes
from explorer.encode.familiarity import Familiarity, open_familiarity
from explorer.encode.heldout import measure_held_out, save_held_out
from explorer.images.preparation import Preparation
from explorer.models import library
from explorer.models.bound import measure_bounds
from explorer.models.checkpoint import HELD_OUT, load_config, load_encodings
from explorer.models.codec import Codec
from explorer.training.flags import parse_flags, read_config
from explorer.ui.encoding import encoded
from explorer.ui.encoding.batch import codes_of_pictures
from explorer.ui.encoding.encoded import EncodedPicture

SECONDS = 120
SECTIONS = ("Around it", "All pictures", "Between pictures", "Arithmetic", "Directions", "Repair")


def sections():
    """The sections of a page that has these pictures already."""
    import streamlit as st

    from explorer.ui import cached, shell, state
    from explorer.ui.encoding.encoded import encode_pictures, input_of
    from explorer.ui.encoding.gallery import session_gallery
    from explorer.ui.encoding.sections import show_sections

    def show(listing, _listings):
        model = cached.ready_model(listing)
        gallery = session_gallery()
        if not gallery.pictures:
            gallery.bring(st.session_state["files"])
            while gallery.take_next(input_of(model)) is not None:
                pass
        chosen = encode_pictures(model, gallery, [gallery.chosen])[0]
        show_sections(listing, model, chosen)

    state.count_run()
    shell.show_around(show)


@pytest.fixture
def own(checkpoints, tmp_path, monkeypatch):
    """A folder with the pair, which stands in for pretrained/."""
    folder = shutil.copytree(checkpoints, tmp_path / "pretrained")
    monkeypatch.setattr(library, "SHIPPED", folder)
    monkeypatch.delenv(library.FOLDERS_VARIABLE, raising=False)
    return folder


@pytest.fixture
def scored(own, bars):
    """The VAE's folder, with the scores of its held-out images."""
    folder = own / "bars-vae"
    encodings = load_encodings(folder, load_config(folder))
    found = measure_held_out(Codec.from_folder(folder), encodings, bars)
    save_held_out(folder / HELD_OUT, found)
    return folder


def drawn_bars(count):
    """Standing and lying bars as PNG files."""
    files = []
    for number in range(count):
        pixels = np.zeros((40, 48), np.uint8)
        if number % 2:
            pixels[12:20] = 230
        else:
            pixels[:, 8 + 4 * number : 16 + 4 * number] = 230
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        files.append((f"bar {number}.png", file.getvalue()))
    return files


def run(section, model="bars-vae", count=3):
    app = AppTest.from_function(sections, default_timeout=SECONDS)
    app.session_state["model"] = model
    app.session_state["files"] = drawn_bars(count)
    app.session_state["encode-section"] = section
    app.run()
    assert not app.exception
    return app


def texts(elements):
    return " ".join(element.value for element in elements).replace("\\", "")


def shown(app, component):
    """What the section sends to each browser component of a kind."""
    return [
        json.loads(one.proto.json)
        for one in app.get("bidi_component")
        if one.proto.component_name == f"latent_explorer.{component}"
    ]


@pytest.mark.parametrize("model", ["bars-vae", "bars-ae"])
@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("count", [1, 3])
def test_every_section_works_for_every_kind_and_for_one_picture_alone(own, section, model, count):
    app = run(section, model, count)
    assert not app.error


def test_the_table_has_the_bound_of_each_picture(own):
    table = run("All pictures").dataframe[0].value
    assert table["Name"].tolist() == [name for name, _ in drawn_bars(3)]
    assert np.isfinite(table["−ELBO, nats"]).all()
    assert set(table["Nearest class"]) <= {"standing", "lying"}
    assert "KL, nats" not in run("All pictures", "bars-ae").dataframe[0].value


def test_the_files_hold_what_the_command_would_write(scored):
    """The table's own downloads, held against the command's codes of the same pictures."""
    app = run("All pictures")
    everyone = list(app.session_state["explorer.encoded"].values())
    codec, config = Codec.from_folder(scored), load_config(scored)
    encodings = load_encodings(scored, config)
    known = open_familiarity(scored, config, encodings)
    assert known is not None
    images = np.stack([image for image, _, _ in everyone])
    expected = measure_codes(
        codec,
        images,
        references=encodings.mean,
        labels=encodings.labels,
        classes=config.data.classes,
        known=known,
    )
    pictures = [EncodedPicture(None, 1, *entry) for entry in everyone]
    verdicts = known.judge(codec, images)
    found = codes_of_pictures(pictures, expected.nearest_class, verdicts)
    for field in fields(expected):
        mine, theirs = getattr(found, field.name), getattr(expected, field.name)
        assert type(mine) is type(theirs), field.name
        if isinstance(mine, np.ndarray):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4, err_msg=field.name)
        else:
            assert mine == theirs


def test_pictures_that_are_shown_are_not_measured_anew(own, monkeypatch):
    monkeypatch.setattr(encoded, "MOST_KEPT", 3)
    app = run("All pictures")
    gallery = app.session_state["explorer.gallery"]
    gallery.prepare_otherwise(gallery.pictures[-1].id, Preparation(polarity="invert"))
    app.run()
    measured = []

    def spy(codec, images):
        measured.append(len(images))
        return measure_bounds(codec, images)

    monkeypatch.setattr(encoded, "measure_bounds", spy)
    app.run()
    assert not app.exception
    assert measured == []


def test_scores_that_are_measured_anew_give_new_verdicts_of_all_pictures_at_once(
    scored, monkeypatch
):
    judged = []
    judge = Familiarity.judge

    def spy(self, codec, images, bounds=None):
        judged.append(len(images))
        return judge(self, codec, images, bounds)

    monkeypatch.setattr(Familiarity, "judge", spy)
    app = run("All pictures")
    app.run()
    assert judged == [3]
    file = scored / HELD_OUT
    written = file.stat().st_mtime_ns + 10**9
    os.utime(file, ns=(written, written))
    app.run()
    assert judged == [3, 3]


def test_pictures_that_are_not_at_hand_are_told_of(own):
    app = run("Around it")
    assert "reconstructions" in texts(app.caption)
    app.segmented_control(key="encode-near").set_value("training").run()
    assert "are not at hand" in texts(app.info)


def test_a_single_picture_is_mixed_with_a_class(own):
    app = run("Between pictures", count=1)
    assert len(app.multiselect(key="encode-between-corners").value) == 2


def test_corners_of_pictures_that_are_gone_are_let_go(own):
    app = run("Between pictures")
    chosen = app.multiselect(key="encode-between-corners").value
    gallery = app.session_state["explorer.gallery"]
    gallery.remove([gallery.pictures[1].id])
    app.run()
    assert not app.exception
    left = app.multiselect(key="encode-between-corners").value
    assert left == [chosen[0], chosen[2]]


def test_a_term_whose_picture_is_gone_is_another_one(own):
    app = run("Arithmetic")
    gallery = app.session_state["explorer.gallery"]
    app.selectbox(key="encode-sum-a").set_value(f"picture-{gallery.pictures[2].id}").run()
    gallery.remove([gallery.pictures[2].id])
    app.run()
    assert not app.exception
    assert app.selectbox(key="encode-sum-a").value == f"picture-{gallery.pictures[0].id}"


def test_too_few_held_out_codes_for_a_direction_are_told_of(own):
    assert "too few to learn a direction" in texts(run("Directions").info)


def test_without_a_repairer_the_page_says_how_to_train_one(own):
    app = run("Repair")
    assert "No checkpoint has learned to repair" in texts(app.info)
    commands = [block.value for block in app.code]
    assert [command.split("--corrupt ")[1].split()[0] for command in commands] == [
        "noise",
        "mask",
        "downsample",
    ]


def test_the_commands_are_ones_that_the_trainer_takes(own):
    for block in run("Repair").code:
        words = shlex.split(block.value)
        assert words[:2] == ["python", "train_vae.py"]
        config = read_config(parse_flags(words[2:]))
        assert config.data == "bars"
        assert config.kind == "ae"


def test_of_a_hardly_trained_model_no_section_says_that_a_code_lies_among_the_codes(scored):
    hardly = "The model is hardly trained: 8 steps in 2 epochs"
    assert hardly in texts(run("Arithmetic").markdown)
    assert "among the codes" not in texts(run("Arithmetic").markdown)
    (mixing,) = shown(run("Between pictures"), "mixing")
    assert mixing["fault"].startswith(hardly)
    table = run("All pictures").dataframe[0].value
    assert "Like the training data?" not in table
    assert "Percentile" in table
