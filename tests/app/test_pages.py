"""The pages in Streamlit's own test harness, with real small checkpoints."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from explorer.live.hub import shared_hub
from explorer.models import library

APP = Path(__file__).parents[2] / "explorer" / "app.py"
SECONDS = 120


def explore():
    from explorer.ui.shell import show_app

    show_app()


def encode():
    from explorer.ui import shell, state

    state.count_run()
    shell.show_around(lambda *shown: shell.show_page("Encode", *shown))


def compare():
    from explorer.ui import shell, state

    state.count_run()
    shell.show_around(lambda *shown: shell.show_page("Compare", *shown))


@pytest.fixture
def own(checkpoints, tmp_path, monkeypatch):
    """A folder with the pair, which stands in for pretrained/."""
    folder = shutil.copytree(checkpoints, tmp_path / "pretrained")
    monkeypatch.setattr(library, "SHIPPED", folder)
    monkeypatch.delenv(library.FOLDERS_VARIABLE, raising=False)
    return folder


def run(page, model="bars-vae"):
    app = AppTest.from_function(page, default_timeout=SECONDS)
    app.session_state["model"] = model
    app.run()
    assert not app.exception
    return app


def texts(elements):
    """What a reader sees of these: Markdown's own signs are not part of it."""
    return " ".join(element.value for element in elements).replace("\\", "").replace("**", "")


def test_the_app_opens_on_explore(own):
    app = AppTest.from_file(str(APP), default_timeout=SECONDS).run()
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="model").value == "bars-ae"


def test_the_picker_says_name_data_kind_latents_and_loss(own):
    options = run(explore).selectbox(key="model").options
    vae = next(option for option in options if option.startswith("bars-vae"))
    assert vae.startswith("bars-vae · bars · VAE · 2 latents · ")
    assert vae.endswith("nats held out")


def test_a_new_checkpoint_is_listed_without_a_restart(own):
    app = run(explore)
    shutil.copytree(own / "bars-vae", own / "later")
    app.run()
    assert any(option.startswith("later") for option in app.selectbox(key="model").options)


def test_a_broken_checkpoint_is_listed_as_broken_and_the_others_work(own):
    (own / "bars-ae" / "config.json").write_text("{")
    app = run(explore, "bars-ae")
    assert "no JSON" in texts(app.error)
    assert "bars-ae · broken" in app.selectbox(key="model").options
    app.selectbox(key="model").set_value("bars-vae").run()
    assert not app.error
    assert not app.exception


def test_a_checkpoint_with_damaged_arrays_says_so_and_the_app_stays_up(own):
    (own / "bars-vae" / "encodings.npz").write_bytes(b"PK no")
    app = run(explore)
    assert "damaged or is no .npz file" in texts(app.error)


def test_without_any_checkpoint_the_app_says_how_to_make_one(own):
    shutil.rmtree(own)
    app = AppTest.from_function(explore, default_timeout=SECONDS).run()
    assert "train_vae.py --data digits" in texts(app.info)


def test_a_session_may_drive_the_models_that_work(own):
    (own / "bars-ae" / "config.json").write_text("{")
    run(explore)
    granted = [
        name
        for grants in shared_hub()._grants.values()
        for name, (folder, _) in grants.items()
        if folder.parent == own
    ]
    assert granted == ["bars-vae"]


def picture(mode="L", size=(60, 90)):
    pixels = np.full((size[1], size[0]), 250, np.uint8)
    pixels[10:80, 25:35] = 20
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "PNG")
    return file.getvalue()


def upload(app, *files):
    app.file_uploader(key="uploads").set_value(list(files)).run()
    assert not app.exception
    return app


def test_an_upload_shows_its_steps_its_reconstruction_and_its_place(own):
    app = upload(run(encode), ("bar.png", picture("RGB"), "image/png"))
    words = texts(app.markdown)
    assert "1 · bar.png" in words
    for step in ("As uploaded", "Model input", "Reconstruction"):
        assert step in words
    assert "nats" in texts(app.caption)
    assert "at their codes, exactly" in texts(app.caption)


def test_one_bad_file_does_not_lose_the_others(own):
    app = upload(
        run(encode),
        ("bad.png", b"not an image", "image/png"),
        ("empty.png", b"", "image/png"),
        ("good.png", picture(), "image/png"),
    )
    assert len(app.error) == 2
    assert "bad.png" in app.error[0].value
    assert "good.png" in texts(app.markdown)


def test_a_pair_is_compared_as_fair_with_measures_and_nulls(own):
    app = run(compare)
    assert "A fair pair, VAE and AE" in texts(app.caption)
    words = texts(app.markdown)
    for title in ("Reconstruction error", "Class of the neighbours", "Distance from the prior"):
        assert title in words
    assert "Holes" in words
    assert "Escapes" in words
    table = app.dataframe[0].value
    assert {"null", "95 % from", "n", "seed", "source"} <= set(table.columns)
    assert set(table["model"]) == {"bars-vae", "bars-ae"}


def test_an_unfair_pair_lists_what_differs(own):
    config = own / "bars-ae" / "config.json"
    config.write_text(config.read_text().replace('"epochs_run": 2', '"epochs_run": 1'))
    app = run(compare)
    assert "Not a fair pair" in texts(app.error)
    assert "training epochs_run: 2 against 1" in texts(app.error)


def test_the_column_changes_the_measures(own):
    app = run(compare)
    before = app.dataframe[0].value
    app.segmented_control(key="compare-column").set_value("scale-fair").run()
    assert not app.exception
    after = app.dataframe[0].value
    row = (after["measure"] == "Distance from the prior") & (after["model"] == "bars-ae")
    assert after[row]["value"].item() == 0
    assert before[row]["value"].item() > 0


def test_drawing_again_changes_the_samples_of_both(own):
    app = run(compare)
    app.button(key="draw-again").click().run()
    assert not app.exception
    assert app.session_state["compare-seed"] == 1


def test_without_a_report_the_page_says_what_to_do(own):
    (own / "bars-ae" / "regularity.json").unlink()
    app = run(compare)
    assert "bars-ae has no measured report" in texts(app.info)


def test_a_lone_checkpoint_says_how_to_train_its_pair(own):
    shutil.rmtree(own / "bars-ae")
    assert "no second checkpoint" in texts(run(compare).info)


def test_a_picked_checkpoint_that_goes_away_is_named_and_comes_back(own, tmp_path):
    app = run(explore, "bars-vae")
    app.run()
    shutil.move(own / "bars-vae", tmp_path / "aside")
    app.run()
    assert not app.exception
    assert "bars-vae is no longer there" in texts(app.warning)
    assert app.selectbox(key="model").value == "bars-ae"
    shutil.move(tmp_path / "aside", own / "bars-vae")
    app.run()
    assert not app.warning
    assert app.selectbox(key="model").value == "bars-vae"


def test_models_that_share_no_held_out_images_are_compared_all_the_same(own):
    path = own / "bars-ae" / "encodings.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, "index": arrays["index"] + 1000})
    app = run(compare)
    assert "share fewer than two held-out images" in texts(app.info)


def test_an_upload_is_held_against_the_held_out_images_own_reconstruction(own):
    app = upload(run(encode), ("bar.png", picture(), "image/png"))
    words = texts(app.caption)
    report = json.loads((own / "bars-vae" / "regularity.json").read_text())
    usual = next(one["value"] for one in report["measures"] if one["key"] == "reconstruction_nll")
    assert f"Held-out images reconstruct at {usual:.1f} on average" in words
