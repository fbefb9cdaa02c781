"""The pages in Streamlit's own test harness, with real small checkpoints."""

import base64
import io
import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save
from streamlit.testing.v1 import AppTest

import train_vae
from explorer.encode.heldout import measure_held_out, save_held_out
from explorer.images.decoding import FORMATS_IN_WORDS
from explorer.images.registry import load_images
from explorer.live.hub import MOST_OPEN, shared_hub
from explorer.models import library, pictures
from explorer.models.checkpoint import AXES, HELD_OUT, REPORT, load_config, load_encodings
from explorer.models.codec import Codec
from explorer.storage import write_folder
from explorer.ui.comparing.measuring import measuring_desk
from tests.conftest import train_checkpoint

APP = Path(__file__).parents[2] / "explorer" / "app.py"
DIGITS = library.SHIPPED / "digits-vae-8"  # its images come with scikit-learn
SECONDS = 120
TRAINED = 60  # epochs of 4 steps, after which the bars are no longer "hardly trained"


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


def look_closer(app, section):
    app.segmented_control(key="compare-closer").set_value(section).run()
    assert not app.exception
    return app


def figures(app):
    """Every figure that the page defines, one a row; only the section with definitions has them."""
    return pd.concat([table.value for table in app.dataframe], ignore_index=True)


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
    assert re.search(r" · test −ELBO [0-9.]+ nats, best of 2 epochs$", vae)
    ae = next(option for option in options if option.startswith("bars-ae"))
    assert re.search(r" · test reconstruction NLL [0-9.]+ nats, best of 2 epochs$", ae)


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
        for grants in shared_hub().grants()
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


def shown(app, component):
    """What the page sends to one of its browser components."""
    (found,) = [
        one.proto
        for one in app.get("bidi_component")
        if one.proto.component_name == f"latent_explorer.{component}"
    ]
    return json.loads(found.json)


def test_an_upload_shows_its_steps_and_what_the_model_makes_of_it(own):
    app = upload(run(encode), ("bar.png", picture("RGB"), "image/png"))
    assert "1 · bar.png" in texts(app.markdown)
    assert [one["name"] for one in shown(app, "tray")["items"]] == ["bar.png"]
    titles = [step["title"] for step in shown(app, "steps")["steps"]]
    assert (titles[0], titles[-1]) == ("As uploaded", "Model input")
    sent = shown(app, "posterior")
    terms, code = sent["terms"], sent["code"]
    assert terms["kl"] == pytest.approx(sum(code["kl"]), rel=1e-5)
    assert code["used"] == sum(kl >= 0.1 for kl in code["kl"])
    assert len(sent["pictures"]["noise"]) == 8
    assert all(size > 0 for size in code["deviation"])


def test_an_autoencoder_has_neither_kl_nor_spread_nor_draws(own):
    app = upload(run(encode, "bars-ae"), ("bar.png", picture("RGB"), "image/png"))
    sent = shown(app, "posterior")
    assert sent["terms"]["kl"] is None
    assert sent["code"]["kl"] is None
    assert sent["code"]["deviation"] is None
    assert sent["pictures"]["spread"] is None
    assert sent["pictures"]["noise"] == []
    assert sent["terms"]["nll"] > 0


def test_files_of_any_suffix_reach_the_intake_and_are_refused_by_their_content(own):
    app = run(encode)
    assert list(app.file_uploader(key="uploads").proto.type) == []
    assert f"{FORMATS_IN_WORDS}, up to 20 MiB each" in texts(app.caption)
    upload(
        app,
        ("plain.png", picture(), "image/png"),
        ("x.heic", b"\x00\x00\x00\x18ftypheic\x00\x00", "image/heic"),
        ("notes.txt", b"some words", "text/plain"),
        ("picture.without", picture(), ""),
    )
    names = [one["name"] for one in shown(app, "tray")["items"]]
    assert names == ["plain.png", "picture.without"]
    refused = app.table[0].value
    assert list(refused["File"]) == ["x.heic", "notes.txt"]
    assert "this is a HEIC picture" in refused["Why"].iloc[0]
    assert "save it as PNG, JPEG" in refused["Why"].iloc[1]


def test_one_bad_file_does_not_lose_the_others(own):
    app = upload(
        run(encode),
        ("bad.png", b"not an image", "image/png"),
        ("empty.png", b"", "image/png"),
        ("good.png", picture(), "image/png"),
    )
    assert [one["name"] for one in shown(app, "tray")["items"]] == ["good.png"]
    assert "2 files could not be used" in texts(app.markdown)
    refused = app.table[0].value
    assert list(refused["File"]) == ["bad.png", "empty.png"]
    assert "0 bytes" in refused["Why"].iloc[1]
    app.button(key="refused-read").click().run()
    assert not app.exception
    assert "could not be used" not in texts(app.markdown)
    assert [one["name"] for one in shown(app, "tray")["items"]] == ["good.png"]


def test_the_pictures_of_one_session_are_no_others(own):
    first, second = run(encode), run(encode)
    upload(first, ("mine.png", picture(), "image/png"))
    second.run()
    assert shown(second, "tray")["items"] == []
    assert [one["name"] for one in shown(first, "tray")["items"]] == ["mine.png"]


def test_pictures_stay_for_another_model_and_are_prepared_anew(own):
    app = upload(run(encode), ("bar.png", picture(), "image/png"))
    before = shown(app, "posterior")
    app.selectbox(key="model").set_value("bars-ae").run()
    assert not app.exception
    after = shown(app, "posterior")
    assert after["line"]["name"] == "bars-ae"
    assert after["pictures"]["input"] == before["pictures"]["input"]
    assert after["id"] != before["id"]


def test_where_held_out_images_were_not_scored_the_page_says_how_to(own, bars):
    train_checkpoint(own / "bars-vae", bars, "vae", epochs=TRAINED)
    app = upload(run(encode), ("bar.png", picture(), "image/png"))
    assert "python -m explorer.encode.familiarity bars-vae" in texts(app.caption)
    assert shown(app, "posterior")["terms"]["held_out"] is None


def test_damaged_scores_of_held_out_images_cost_their_own_answers_and_not_the_page(own):
    (own / "bars-vae" / HELD_OUT).write_bytes(b"PK no")
    app = upload(run(encode), ("bar.png", picture(), "image/png"))
    assert not app.error
    assert "heldout.npz is damaged" in texts(app.caption)
    assert "measure it again" in texts(app.caption)
    assert shown(app, "posterior")["terms"]["held_out"] is None


def test_damaged_names_of_axes_are_told_on_the_page_and_kept(own, make_pipe):
    path = own / "bars-vae" / AXES
    path.write_text("{")
    app = run(explore)
    assert "axes.json is damaged: it is no JSON" in texts(app.warning)
    assert "name the axes again" in texts(app.warning)
    path.unlink()
    app.run()
    assert not app.warning
    make_pipe(path)
    app.run()
    assert "not a regular file" in texts(app.warning)


def test_a_damaged_report_is_told_where_its_figures_are_missing(own, make_pipe):
    make_pipe(own / "bars-vae" / REPORT)
    app = run(encode)
    assert "The report of bars-vae cannot be used" in texts(app.warning)
    app = run(compare)
    assert "The report of bars-vae cannot be used" in texts(app.error)
    assert "Measure it again" in texts(app.error)


@pytest.mark.parametrize("name", ["bars-vae", "bars-ae"])
def test_where_they_were_scored_it_answers_and_shows_their_bounds(own, bars, name):
    train_checkpoint(own / name, bars, name.removeprefix("bars-"), epochs=TRAINED)
    score_held_out(own / name, bars)
    app = upload(run(encode, name), ("bar.png", picture(), "image/png"))
    held_out = shown(app, "posterior")["terms"]["held_out"]
    assert held_out["count"] == sum(held_out["bars"]) == len(bars.held_out_index)
    assert (held_out["kl_share"] is None) == (name == "bars-ae")
    (box,) = [one for one in app.get("html") if 'class="verdict"' in one.value]
    assert 'data-word="' in box.value
    assert box.value.count("<li ") == 4


def test_a_held_out_image_is_taken_as_an_upload_would_be(own):
    shutil.copytree(DIGITS, own / "digits-vae-8")
    app = run(encode, "digits-vae-8")
    app.button(key="example").click().run()
    assert not app.exception
    app.button(key="example").click().run()
    names = [one["name"] for one in shown(app, "tray")["items"]]
    assert len(set(names)) == 2
    index = int(names[1].removeprefix("digits "))
    wanted = load_images("digits").images[index].transpose(1, 2, 0)
    sent = base64.b64decode(shown(app, "posterior")["pictures"]["input"])
    assert sent == wanted.tobytes()


def test_where_its_images_are_not_at_hand_that_is_said_once(own, monkeypatch):
    monkeypatch.setattr(pictures, "_missed", {})
    app = run(encode)
    app.button(key="example").click().run()
    assert not app.exception
    assert "The images of bars are not at hand" in app.toast[0].value
    assert shown(app, "tray")["items"] == []
    assert "example" not in [one.key for one in app.run().button]


def fault_line(app):
    """The line that says what is the matter with the model, and the key of the fault."""
    found = [one.value for one in app.get("html") if 'class="model-fault"' in one.value]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("name", ["bars-vae", "bars-ae"])
def test_a_hardly_trained_model_is_called_so_and_gives_no_verdict(own, bars, name):
    score_held_out(own / name, bars)
    assert 'data-fault="hardly trained" data-severe="true"' in fault_line(run(explore, name))
    app = upload(run(encode, name), ("bar.png", picture(), "image/png"))
    line = fault_line(app)
    assert "The model is hardly trained: 8 steps in 2 epochs. Train it again with --epochs" in line
    assert not [one for one in app.get("html") if 'class="verdict"' in one.value]
    # The figures themselves stay.
    assert shown(app, "posterior")["terms"]["held_out"]["count"] == len(bars.held_out_index)


def test_a_collapsed_model_is_called_so_and_gives_no_verdict(own):
    flags = "--data digits --latent-dim 2 --epochs 30 --beta 50 --threads 1 --name dead"
    assert train_vae.main([*flags.split(), "--out", str(own)]) == 0
    assert 'data-fault="collapsed"' in fault_line(run(explore, "dead"))
    app = upload(run(encode, "dead"), ("bar.png", picture(), "image/png"))
    assert "0 of 2 dimensions are active, KL 0.0" in fault_line(app)
    assert not [one for one in app.get("html") if 'class="verdict"' in one.value]


def test_a_trained_model_gives_its_verdict_and_says_that_its_loss_was_falling(own, bars):
    train_checkpoint(own / "bars-vae", bars, "vae", epochs=TRAINED)
    score_held_out(own / "bars-vae", bars)
    app = upload(run(encode, "bars-vae"), ("bar.png", picture(), "image/png"))
    assert 'data-fault="falling" data-severe="false"' in fault_line(app)
    assert [one for one in app.get("html") if 'class="verdict"' in one.value]


def test_of_a_model_without_a_fault_nothing_is_said(own):
    shutil.copytree(DIGITS, own / "digits-vae-8")
    assert fault_line(run(explore, "digits-vae-8")) is None


def score_held_out(folder, images):
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    found = measure_held_out(Codec.from_folder(folder), encodings, images)
    save_held_out(folder / HELD_OUT, found)


def sentences(app):
    """What the verdict says."""
    return texts(app.markdown) + " ".join(one.proto.body for one in app.get("html"))


def test_a_pair_is_compared_as_matched_with_metrics_and_what_they_are_held_against(own):
    app = run(compare)
    assert "A matched pair, VAE and AE" in texts(app.caption)
    answer = sentences(app)
    # Two epochs of these images are eight steps.
    assert "bars-vae: The model is hardly trained" in answer
    assert "No model is called the more regular" in answer
    assert "Prior holes: bars-vae" in answer
    table = figures(look_closer(app, "Definitions"))
    titles = {
        "Reconstruction error",
        "k-NN accuracy",
        "KL(q(z) ‖ p(z)), Gaussian",
        "Prior holes",
        "Encodings outside the prior",
    }
    assert titles <= set(table["metric"])
    assert {"chance", "ideal", "95 % from", "n", "seed", "source"} <= set(table.columns)
    assert set(table["model"]) == {"bars-vae", "bars-ae"}


def test_a_pair_that_is_not_matched_lists_what_differs(own):
    config = own / "bars-ae" / "config.json"
    config.write_text(config.read_text().replace('"epochs_run": 2', '"epochs_run": 1'))
    app = run(compare)
    assert "Not a matched pair" in texts(app.warning)
    assert "training epochs_run: 2 against 1" in texts(app.warning)


def test_the_column_changes_the_measures(own):
    app = look_closer(run(compare), "Definitions")
    fitted = figures(app)
    app.segmented_control(key="compare-column").set_value("as built").run()
    assert not app.exception
    standard = figures(app)
    row = (fitted["metric"] == "KL(q(z) ‖ p(z)), Gaussian") & (fitted["model"] == "bars-ae")
    assert fitted[row]["value"].item() == 0
    assert standard[row]["value"].item() > 0


def test_the_page_opens_on_the_column_that_both_models_can_win(own):
    app = run(compare)
    assert app.segmented_control(key="compare-column").value == "scale-fair"
    assert app.segmented_control(key="compare-column").options == [
        "Fitted Gaussian", "Prior N(0, I)",
    ]  # fmt: skip


def test_drawing_again_changes_the_samples_of_both(own):
    app = look_closer(run(compare), "Samples")
    app.button(key="draw-again").click().run()
    assert not app.exception
    assert app.session_state["compare-seed"] == 1


@pytest.mark.parametrize(
    "row",
    ["hole_rate", "escape_rate", "knn_accuracy", "prior_match", "reconstruction_nll"],
)
def test_each_row_opens_to_what_is_behind_it(own, row):
    app = run(compare)
    app.selectbox(key="compare-row").set_value(row).run()
    assert not app.exception
    if row == "prior_match":
        assert len(app.get("plotly_chart")) == 2
    elif row == "reconstruction_nll":
        assert "not at hand" in texts(app.info)
    else:
        told = "rightly" in texts(app.info)  # of so few images all may be named rightly
        assert len(app.get("image")) + 2 * told >= 2


@pytest.mark.parametrize("section", ["Samples", "Interpolation", "Plane", "Axes", "Definitions"])
@pytest.mark.parametrize("column", ["as built", "scale-fair"])
def test_every_section_shows_under_either_prior(own, section, column):
    app = run(compare)
    app.segmented_control(key="compare-column").set_value(column)
    look_closer(app, section)
    assert not app.error


def few(arrays):
    return {key: values[:3] for key, values in arrays.items()}


def same(arrays):
    return {key: np.repeat(values[:1], len(values), axis=0) for key, values in arrays.items()} | {
        "index": arrays["index"]
    }


@pytest.mark.parametrize("change", [few, same])
def test_codes_that_are_few_or_all_the_same_show_what_can_be_shown(own, change):
    for name in ("bars-vae", "bars-ae"):
        for file in ("encodings.npz", "projection.npz"):
            path = own / name / file
            with np.load(path) as stored:
                arrays = dict(stored)
            rows = {
                key: values for key, values in arrays.items() if values.ndim and len(values) > 3
            }
            np.savez(
                path,
                **arrays
                | (
                    change(rows)
                    if "index" in rows
                    else {
                        key: values[:3] if change is few else values for key, values in rows.items()
                    }
                ),
            )
    app = run(compare)
    for row in ("hole_rate", "escape_rate", "knn_accuracy", "prior_match"):
        app.selectbox(key="compare-row").set_value(row).run()
        assert not app.exception
    for section in ("Samples", "Interpolation", "Plane", "Axes", "Definitions", "Export"):
        look_closer(app, section)
    app.button(key="write-page").click().run()
    assert not app.exception


def test_one_latent_is_no_plane_and_says_so(own, bars):
    for kind in ("vae", "ae"):
        train_checkpoint(own / f"thin-{kind}", bars, kind, latent_dim=1)
    app = run(compare, "thin-vae")
    for section in ("Examples", "Interpolation", "Axes", "Plane"):
        look_closer(app, section)
    assert "no plane" in texts(app.info)
    look_closer(app, "Export").button(key="write-page").click().run()
    assert not app.exception


def test_the_stretch_and_the_manifold_are_drawn_when_asked_for(own):
    app = look_closer(run(compare), "Plane")
    app.segmented_control(key="compare-shade").set_value("Magnification").run()
    app.toggle(key="compare-manifold").set_value(True).run()
    assert not app.exception
    assert len(app.get("image")) == 2


def test_the_ends_of_the_way_are_picked_by_number_or_by_chance(own):
    app = look_closer(run(compare), "Interpolation")
    first, last = (app.number_input(key=f"compare-{end}").value for end in ("from", "to"))
    app.button(key="two-others").click().run()
    assert not app.exception
    assert [app.number_input(key=f"compare-{end}").value for end in ("from", "to")] != [first, last]
    app.number_input(key="compare-from").set_value(first).run()
    assert not app.exception
    assert app.number_input(key="compare-from").value == first
    assert len(app.get("plotly_chart")) == 4


def test_the_comparison_is_written_as_one_page(own):
    app = look_closer(run(compare), "Export")
    assert {button.key for button in app.get("download_button")} == {
        "download-csv",
        "download-json",
    }
    app.button(key="write-page").click().run()
    assert not app.exception
    html = app.session_state["compare-page"].html.decode()
    answer = texts(app.markdown).split("##### ")[1]
    assert "bars-vae: The model is hardly trained" in html
    assert answer.startswith("bars-vae: The model is hardly trained")
    for part in ("Samples", "principal axes", "Between images", "KL of each axis", "Covariance"):
        assert part in html
    app.run()
    assert not [button for button in app.button if button.key == "write-page"]
    app.segmented_control(key="compare-column").set_value("as built").run()
    assert app.button(key="write-page")


def test_what_was_measured_without_pictures_is_offered_to_be_measured(own):
    app = run(compare)
    assert "not measured with pictures yet" in texts(app.caption)
    app.button(key="measure-now").click().run()
    assert not app.exception
    desk = measuring_desk()
    for _ in range(2):  # what has ended is told in the run after
        if desk.running is not None:
            desk.running.wait()
        app.run()
    assert not app.exception
    assert "not at hand" in texts(app.warning)
    assert app.button(key="measure-now")


def test_a_measurement_is_cancelled(own):
    app = run(compare)
    app.button(key="measure-now").click().run()
    app.button(key="cancel-measuring").click().run()
    app.run()
    assert not app.exception
    assert not app.warning
    assert app.button(key="measure-now")


def two_that_watch_one_measurement():
    """Two sessions on Compare, the first of which asked for it."""
    first = run(compare)
    first.button(key="measure-now").click().run()
    second = run(compare)
    assert measuring_desk().running is not None
    return first, second


def test_a_measurement_that_is_killed_is_told_to_all_who_watch_it(own):
    first, second = two_that_watch_one_measurement()
    running = measuring_desk().running
    while running._worker is None:
        time.sleep(0.01)
    running._worker.kill()
    running.wait()
    for app in (first, second, first):
        app.run()
        assert not app.exception
        assert "was killed (signal 9)" in texts(app.warning)
        assert app.button(key="measure-now")
    later = run(compare)
    assert not later.warning


def test_who_did_not_cancel_a_measurement_is_told_that_another_did(own):
    first, second = two_that_watch_one_measurement()
    first.button(key="cancel-measuring").click().run()
    for app in (second, first):
        app.run()
        assert not app.exception
    assert "cancelled in another session" in texts(second.warning)
    assert not first.warning


def test_a_read_only_server_says_so_where_it_refuses(own, monkeypatch):
    assert shown(run(explore), "lab")["naming"] == ""
    assert run(compare).button(key="measure-now")
    monkeypatch.setenv("EXPLORER_READ_ONLY", "1")
    assert "read-only" in shown(run(explore), "lab")["naming"]
    app = run(compare)
    assert "this server is read-only" in texts(app.caption)
    assert not [one for one in app.button if one.key == "measure-now"]


def test_other_seeds_are_figures_of_their_own(own):
    shutil.copytree(own / "bars-vae", own / "bars-vae-seed1")
    config = own / "bars-vae-seed1" / "config.json"
    config.write_text(config.read_text().replace('"seed": 0', '"seed": 1'))
    app = run(compare)
    assert "other seeds of the same training" in shown(app, "table")["html"]
    table = figures(look_closer(app, "Definitions"))
    assert {"bars-vae", "bars-vae-seed1", "bars-ae"} == set(table["model"])


def test_without_a_report_the_page_says_what_to_do(own):
    (own / "bars-ae" / "regularity.json").unlink()
    app = run(compare)
    assert "bars-ae has no measured report" in texts(app.info)


def test_a_lone_checkpoint_says_how_to_train_its_pair(own):
    shutil.rmtree(own / "bars-ae")
    app = run(compare)
    assert "no second checkpoint" in texts(app.info)
    assert app.code[0].value.startswith("python train_vae.py --data bars --kind ae")


def picked(app):
    return app.multiselect(key="compare-with-bars-vae").value


def test_a_pair_trained_while_the_page_is_open_is_taken_unless_somebody_picked(own, bars):
    shutil.move(own / "bars-ae", own / "aside")
    other = own / "aside" / "config.json"
    plain = other.read_text()
    other.write_text(plain.replace('"epochs_run": 2', '"epochs_run": 1'))
    app = run(compare)
    assert picked(app) == ["aside"]
    shutil.copytree(own / "aside", own / "bars-ae")
    (own / "bars-ae" / "config.json").write_text(plain)
    app.run()
    assert not app.exception
    assert picked(app) == ["bars-ae"]
    app.multiselect(key="compare-with-bars-vae").set_value(["aside"]).run()
    app.run()
    assert picked(app) == ["aside"]
    shutil.rmtree(own / "aside")
    app.run()
    assert not app.exception
    assert picked(app) == []


def test_a_model_of_other_images_is_never_preset(own):
    config = own / "bars-ae" / "config.json"
    plain = json.loads(config.read_text())
    plain["data"]["fingerprint"] = "blake2b:" + "0" * 32
    config.write_text(json.dumps(plain))
    app = run(compare)
    assert picked(app) == []
    assert "Pick one to three checkpoints" in texts(app.info)
    assert "--kind ae" in app.code[0].value


def test_a_picked_checkpoint_that_goes_away_is_named_and_comes_back(own, tmp_path):
    app = run(explore, "bars-vae")
    app.run()
    shutil.move(own / "bars-vae", tmp_path / "aside")
    app.run()
    assert not app.exception
    assert "bars-vae is no longer there" in texts(app.warning)
    assert "until then you see bars-ae" in texts(app.warning)
    assert app.selectbox(key="model").value == "bars-ae"
    shutil.move(tmp_path / "aside", own / "bars-vae")
    app.run()
    assert not app.warning
    assert not app.toast
    assert app.selectbox(key="model").value == "bars-vae"


def test_a_new_checkpoint_is_told_once(own):
    app = run(explore)
    assert not app.toast
    shutil.copytree(own / "bars-vae", own / "later")
    app.run()
    assert "New checkpoint: later" in texts(app.toast)
    app.run()
    assert not app.toast


LOSS = 123.4  # nats, as the picker shows them


def train_again(folder, loss=LOSS):
    """Write a checkpoint again as the trainer does, with another held-out loss and report."""

    def fill(target):
        for file in list(folder.iterdir()):
            shutil.copyfile(file, target / file.name)
        config = json.loads((target / "config.json").read_text())
        config["metrics"] = {"held_out_loss": loss}
        (target / "config.json").write_text(json.dumps(config))
        report = json.loads((target / "regularity.json").read_text())
        for measure in report["estimates"]:
            if measure["key"] == "reconstruction_nll":
                measure["value"] = measure["low"] = measure["high"] = loss
        (target / "regularity.json").write_text(json.dumps(report))

    write_folder(folder, fill)


def loss_of(app, name="bars-vae"):
    option = next(o for o in app.selectbox(key="model").options if o.startswith(name))
    return float(option.split(" nats")[0].split()[-1])


def granted(folder):
    return {
        stamp
        for grants in shared_hub().grants()
        for _, (where, stamp) in grants.items()
        if where == folder
    }


@pytest.mark.parametrize("page", [explore, encode, compare])
def test_a_checkpoint_trained_again_stays_until_the_new_one_is_asked_for(own, page):
    app = run(page)
    former = granted(own / "bars-vae")
    train_again(own / "bars-vae")
    for _ in range(2):
        app.run()
        assert not app.exception
        assert "bars-vae was trained again at" in texts(app.markdown)
        assert "You still see the former one." in texts(app.markdown)
        assert loss_of(app) != LOSS
        assert granted(own / "bars-vae") == former
    app.button(key="show-new").click().run()
    assert not app.exception
    assert "trained again" not in texts(app.markdown)
    assert loss_of(app) == LOSS
    assert granted(own / "bars-vae") != former


def test_the_former_one_is_read_from_memory_even_when_many_others_were_opened_since(own):
    app = run(encode)
    stamp = granted(own / "bars-vae").pop()
    model = shared_hub().opened(own / "bars-vae", stamp)
    train_again(own / "bars-vae")
    for state in range(MOST_OPEN + 1):
        shared_hub().open(own / "bars-ae", ((state, 0),))
    app.run()
    assert not app.exception
    assert shared_hub().open(own / "bars-vae", stamp) is model


def test_the_former_ones_measures_stay_with_it(own):
    app = look_closer(run(compare), "Definitions")
    before = figures(app)
    train_again(own / "bars-vae")
    app.run()
    pd.testing.assert_frame_equal(figures(app), before)
    app.button(key="show-new").click().run()
    after = figures(app)
    row = (after["metric"] == "Reconstruction error") & (after["model"] == "bars-vae")
    assert after[row]["value"].item() == LOSS


def test_the_other_one_of_a_comparison_is_kept_too_and_told_there_alone(own):
    app = run(compare)
    train_again(own / "bars-ae")
    app.run()
    assert "bars-ae was trained again" in texts(app.markdown)
    assert loss_of(app, "bars-ae") != LOSS
    train_again(own / "bars-vae")
    app.run()
    assert "You still see the former ones." in texts(app.markdown)
    app.button(key="show-new").click().run()
    assert "trained again" not in texts(app.markdown)
    assert loss_of(app, "bars-ae") == loss_of(app, "bars-vae") == LOSS


def test_another_model_trained_again_is_the_new_one_at_once(own):
    app = run(explore)
    train_again(own / "bars-ae")
    app.run()
    assert "trained again" not in texts(app.markdown)
    assert loss_of(app, "bars-ae") == LOSS


def test_what_was_left_while_its_former_one_was_shown_comes_back_as_the_new_one(own):
    app = run(explore)
    train_again(own / "bars-vae")
    app.run()
    app.selectbox(key="model").set_value("bars-ae").run()
    assert "trained again" not in texts(app.markdown)
    app.selectbox(key="model").set_value("bars-vae").run()
    assert "trained again" not in texts(app.markdown)
    assert loss_of(app) == LOSS


def test_a_checkpoint_damaged_while_it_is_shown_stays_and_is_told_to_be_broken(own):
    app = run(explore)
    (own / "bars-vae" / "config.json").write_text("{")
    app.run()
    assert not app.error
    assert "bars-vae was changed at" in texts(app.markdown)
    assert "is broken now" in texts(app.markdown)
    app.button(key="show-new").click().run()
    assert "no JSON" in texts(app.error)


def test_where_the_former_one_is_not_in_memory_the_new_one_is_shown_and_that_is_said(own):
    weights = own / "bars-vae" / "model.safetensors"
    whole = weights.read_bytes()
    with safe_open(weights, "numpy") as file:
        metadata = file.metadata()
    tensors = {name: values * np.float32(np.nan) for name, values in load_file(weights).items()}
    weights.write_bytes(save(tensors, metadata=metadata))
    app = run(explore)
    assert "not finite" in texts(app.error)
    weights.write_bytes(whole)
    train_again(own / "bars-vae")
    for _ in range(2):
        app.run()
        assert not app.error
        assert "bars-vae was trained again at" in texts(app.markdown)
        assert "You see the new one" in texts(app.markdown)
        assert loss_of(app) == LOSS
    app.button(key="seen-new").click().run()
    assert "trained again" not in texts(app.markdown)


def open_address(page, model):
    app = AppTest.from_function(page, default_timeout=SECONDS)
    app.query_params["model"] = model
    app.run()
    assert not app.exception
    return app


@pytest.mark.parametrize("page", [explore, encode, compare])
def test_the_address_picks_the_model_once(own, page):
    app = open_address(page, "bars-vae")
    assert app.selectbox(key="model").value == "bars-vae"
    assert not app.warning
    app.selectbox(key="model").set_value("bars-ae").run()
    app.run()
    assert app.selectbox(key="model").value == "bars-ae"
    assert app.query_params["model"] == "bars-vae"  # the address is not the shell's to write


@pytest.mark.parametrize(
    "name",
    ["no-such-model", "../bars-vae", "![x](http://evil.example/x.png)", "x" * 5000, "☃"],
    ids=["unknown", "a path", "Markdown", "long", "signs"],
)
def test_an_address_that_names_no_model_is_told_until_another_is_picked(own, name):
    app = open_address(explore, name)
    app.run()
    assert app.selectbox(key="model").value == "bars-ae"
    assert name[:80] in texts(app.warning)
    assert "You see bars-ae instead" in texts(app.warning)
    assert len(texts(app.warning)) < 250
    assert "![x](" not in app.warning[0].value
    app.selectbox(key="model").set_value("bars-vae").run()
    assert not app.warning
    app.selectbox(key="model").set_value("bars-ae").run()
    assert not app.warning


def test_an_address_with_an_empty_name_asks_for_nothing(own):
    assert not open_address(explore, "").warning


def test_models_that_share_no_held_out_images_are_compared_all_the_same(own):
    path = own / "bars-ae" / "encodings.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, "index": arrays["index"] + 1000})
    app = look_closer(run(compare), "Interpolation")
    assert "share fewer than two held-out images" in texts(app.info)
