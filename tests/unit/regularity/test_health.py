"""What is the matter with a trained model, from what its checkpoint holds."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import train_vae
from explorer.errors import CheckpointError
from explorer.models.checkpoint import HISTORY, REPORT, load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED
from explorer.regularity.health import (
    COLLAPSED,
    CONSTANT,
    FALLING,
    HARDLY_TRAINED,
    LITTLE,
    MEAN_IMAGE,
    count_steps,
    describe_faults,
    diagnose,
    find_faults,
    load_history,
    measure_fall,
    severe_fault,
)
from explorer.regularity.report import load_report
from explorer.training.gallery import GALLERY

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Measured: the loss of these runs fell by an eighth to a half of what was left of it in their last
# third, that of all others by a sixteenth at most.
STILL_FALLING = ("faces-vae-16", "faces-ae-16", "sprites-vae-10", "sprites-ae-10")
# Two latents: no UMAP is fitted.
DIGITS = "--data digits --latent-dim 2 --threads 1"


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Trains the digits as the command line does, each set of flags once; the folder."""
    out = tmp_path_factory.mktemp("out") / "pretrained"
    folders = {}

    def train_digits(flags):
        if flags not in folders:
            name = f"model-{len(folders)}"
            words = shlex.split(f"{DIGITS} {flags} --name {name}")
            assert train_vae.main([*words, "--out", str(out)]) == 0
            folders[flags] = out / name
        return folders[flags]

    return train_digits


def keys(folder, **changes):
    return [fault.key for fault in diagnose(folder, Codec.from_folder(folder), **changes)]


def advised(faults, key):
    """The first flags that a fault's advice names in full."""
    advice = next(fault.advice for fault in faults if fault.key == key)
    flags = re.match(r"Train it again with ((?:--[a-z-]+(?: [\d.]+)? ?)+)", advice.rstrip("."))
    return flags[1].strip()


@pytest.mark.parametrize("name", GALLERY)
def test_of_the_shipped_models_only_the_short_runs_have_a_fault(name):
    faults = diagnose(SHIPPED / name, Codec.from_folder(SHIPPED / name))
    assert [fault.key for fault in faults] == ([FALLING] if name in STILL_FALLING else [])
    assert severe_fault(faults) is None


def test_a_collapsed_posterior_is_one_and_the_advice_revives_it(train):
    flags = "--epochs 30 --beta 50"
    faults = diagnose(train(flags), Codec.from_folder(train(flags)))
    assert [fault.key for fault in faults] == [COLLAPSED, CONSTANT, MEAN_IMAGE]
    assert faults[0].sentence.startswith(
        "The posterior has collapsed: 0 of 2 dimensions are active, KL 0.0"
    )
    assert all(fault.severe for fault in faults)
    assert severe_fault(diagnose(train(f"{flags} {advised(faults, COLLAPSED)}"))) is None


def test_a_posterior_that_a_large_sigma_collapsed_is_advised_to_learn_it(train):
    flags = "--epochs 30 --likelihood gaussian --sigma 1"
    faults = diagnose(train(flags))
    assert faults[0].key == COLLAPSED
    assert advised(faults, COLLAPSED) == "--learn-sigma"
    # Its posterior is still forming after these epochs: then no collapse is claimed.
    again = diagnose(train(f"{flags} --learn-sigma"))
    assert [fault.key for fault in again] == [LITTLE, FALLING]
    assert again[0].advice == again[1].advice


def test_one_epoch_is_hardly_trained_not_collapsed_and_the_advice_is_enough(train):
    faults = diagnose(train("--epochs 1"))
    assert [fault.key for fault in faults] == [HARDLY_TRAINED, MEAN_IMAGE, FALLING]
    assert faults[0].sentence == "The model is hardly trained: 12 steps in 1 epoch."
    assert diagnose(train(advised(faults, HARDLY_TRAINED))) == ()


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_150_steps_are_hardly_trained_and_still_falling(train, kind):
    faults = diagnose(train(f"--kind {kind} --epochs 13"))
    assert {HARDLY_TRAINED, FALLING} <= {fault.key for fault in faults}
    assert describe_faults(faults).count("Train it again") == 1


def test_a_decoder_that_gives_one_picture_is_constant_and_the_advice_helps(train):
    flags = "--kind ae --epochs 30 --learning-rate 1"
    folder = train(flags)
    faults = diagnose(folder, Codec.from_folder(folder))
    assert [fault.key for fault in faults] == [CONSTANT, MEAN_IMAGE]
    assert severe_fault(diagnose(train(f"{flags} {advised(faults, CONSTANT)}"))) is None


def test_without_its_pictures_a_constant_decoder_is_known_by_its_error(train):
    assert [one.key for one in diagnose(train("--kind ae --epochs 30 --learning-rate 1"))] == [
        MEAN_IMAGE
    ]


@pytest.mark.slow
def test_a_loss_that_falls_is_no_severe_fault_and_the_advice_levels_it(train):
    flags = "--kind ae --latent-dim 8 --epochs 30"
    faults = diagnose(train(flags))
    assert [fault.key for fault in faults] == [FALLING]
    assert severe_fault(faults) is None
    assert diagnose(train(f"{flags} {advised(faults, FALLING)}")) == ()


def test_a_report_or_history_that_is_missing_or_damaged_leaves_what_is_known(train, tmp_path):
    folder = shutil.copytree(train("--epochs 30 --beta 50"), tmp_path / "copy")
    (folder / HISTORY).write_text("epoch\nfirst\n")
    (folder / REPORT).unlink()
    assert [fault.key for fault in diagnose(folder)] == [COLLAPSED]
    with pytest.raises(CheckpointError, match=r"is no table of numbers .*: copy it again\."):
        load_history(folder)


def test_the_figures_of_config_json_serve_where_the_encodings_are_not_given(train):
    folder = train("--epochs 30 --beta 50")
    config = load_config(folder)
    found = find_faults(load_report(folder / REPORT), load_history(folder), config)
    assert found == diagnose(folder)
    assert count_steps(load_history(folder), config) == count_steps((), config) == 360


def test_nothing_is_claimed_of_a_checkpoint_that_says_nothing(train):
    config = replace(load_config(train("--epochs 1")), training={}, metrics={})
    assert find_faults(None, (), config) == ()
    odd = replace(config, training={"train_images": "many", "batch_size": True, "kl_warmup": None})
    assert find_faults(None, (), odd) == ()


def test_of_a_model_that_restores_its_own_task_is_judged():
    # Its report is of intact images, which an inpainter never met: worse than the mean image.
    folder = SHIPPED / "mnist-inpaint-32"
    report = load_report(folder / REPORT)
    history = load_history(folder)
    worse = [{**row, "held_out_reconstruction_nll": 300.0} for row in history]
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    assert find_faults(report, history, config, encodings=encodings) == ()
    (fault,) = find_faults(report, worse, config, encodings=encodings)
    assert fault.key == MEAN_IMAGE
    assert fault.sentence.startswith("The restored image is no better than the mean image: 300.0")


# -- how a loss falls --

LOSSES = arrays(
    np.float64, st.integers(4, 60), elements=st.floats(-1e5, 1e5, allow_subnormal=False)
)


@given(LOSSES)
def test_a_fall_is_never_negative_and_over_at_least_four_epochs(losses):
    fall, over = measure_fall(losses)
    assert fall >= 0
    assert 4 <= over <= len(losses)


@given(st.integers(4, 300), st.floats(0.01, 1e3), st.floats(-1e5, 1e5))
def test_a_loss_that_falls_steadily_falls_by_its_slope(epochs, slope, start):
    fall, over = measure_fall(start - slope * np.arange(epochs))
    assert fall == pytest.approx(slope * over, rel=1e-6, abs=1e-6)


@given(st.integers(4, 300), st.floats(0, 1e3))
def test_a_loss_that_rises_or_stands_still_does_not_fall(epochs, slope):
    assert measure_fall(slope * np.arange(epochs, dtype=float))[0] == 0


@given(st.integers(30, 90), st.integers(0, 9), st.floats(-1e4, 1e4))
def test_one_odd_epoch_does_not_matter(epochs, which, odd):
    losses = -np.arange(epochs, dtype=float)
    fall = measure_fall(losses)[0]
    losses[-10 + which] += odd
    assert measure_fall(losses)[0] == pytest.approx(fall)


@given(st.integers(0, 2**32 - 1))
def test_a_level_loss_with_noise_does_not_fall_by_more_than_its_noise(seed):
    losses = np.random.default_rng(seed).standard_normal(60)
    assert measure_fall(losses)[0] < 3


def test_of_a_long_run_not_every_pair_of_epochs_is_compared():
    fall, over = measure_fall(-np.arange(100_000.0))
    assert fall == pytest.approx(over)


def test_the_page_on_regularity_says_what_the_faces_checkpoint_holds():
    folder = SHIPPED / "faces-vae-16"
    config, history = load_config(folder), load_history(folder)
    encodings = load_encodings(folder, config)
    means = encodings.mean.astype(np.float64)
    variances = np.exp(encodings.log_var.astype(np.float64))
    kl = 0.5 * (means**2 + variances - np.log(variances) - 1).sum(axis=1).mean()
    centre, widths = means.mean(axis=0), means.var(axis=0) + variances.mean(axis=0)
    covariance = np.cov(means.T, bias=True) + np.diag(variances.mean(axis=0))
    tilted = np.trace(covariance) - len(centre) - np.linalg.slogdet(covariance)[1]
    gaussian = 0.5 * (tilted + centre @ centre)
    by_axis = 0.5 * (centre**2 + widths - np.log(widths) - 1).sum()
    losses = [row["held_out_loss"] for row in history]
    page = " ".join((ROOT / "docs" / "REGULARITY.md").read_text(encoding="utf-8").split())
    assert f"It had {count_steps(history, config):,} steps" in page
    assert f"still fell by {(losses[-4] - losses[-1]) / 3:.0f} nats an epoch over the last" in page
    assert f"{gaussian:.0f} of its {kl:.0f} nats of KL are KL(N(m, S) || N(0, I))" in page
    deviations = np.sqrt(widths)
    assert f"{deviations.min():.1f} to {deviations.max():.1f} times as wide" in page
    assert f"{by_axis:.1f} of them would go if each axis were shifted and scaled" in page
    # Shifting and scaling each axis takes exactly that from the KL, and nothing from what it says.
    scaled, narrowed = (means - centre) / deviations, variances / widths
    left = 0.5 * (scaled**2 + narrowed - np.log(narrowed) - 1).sum(axis=1).mean()
    assert left == pytest.approx(kl - by_axis)


# -- what the trainer says at the end --


def test_a_run_of_150_steps_on_600_photographs_ends_with_what_to_do(tmp_path, capsys):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[0:16, 0:16] / 16
    for number in range(600):
        sky, ground = generator.uniform(0.2, 1, (2, 3))
        picture = np.where((rows < generator.uniform(0.3, 0.7))[..., None], sky, ground)
        across, down, radius = generator.uniform(0.1, 0.4, 3)
        thing = (columns - 2 * across) ** 2 + (rows - 2 * down) ** 2 < radius**2
        picture[thing] = generator.uniform(0, 1, 3)
        pixels = (255 * picture).astype(np.uint8)
        Image.fromarray(pixels).save(photographs / f"{number:03d}.png")
    command = next(line for line in README.splitlines() if "--data path/to/images" in line)
    # The same with the flags' defaults, smaller pictures and no UMAP.
    assert "--size 64x64" in command
    words = f"--data {photographs} --size 16x16 --architecture conv --latent-dim 2 --width 8"
    flags = [*words.split(), "--threads", "1", "--name", "mine", "--out", str(tmp_path / "out")]
    assert train_vae.main(flags) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("The model is hardly trained: 150 steps in 30 epochs.")
    assert "Train it again with --batch-size 32 --epochs 177." in last
    assert last.endswith("Give it another --name, or --overwrite this one.")


def test_a_run_that_was_long_enough_ends_with_its_figure_and_how_the_epoch_was_chosen(
    tmp_path, capsys
):
    words = f"{DIGITS} --epochs 30 --name fine --out {tmp_path / 'out'}".split()
    assert train_vae.main(words) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    best = load_config(tmp_path / "out" / "fine").metrics["best_epoch"]
    chosen = f"epoch {best}, the best of 30 epochs, chosen on these images"
    assert last.startswith("Saved ")
    assert " nats per image (reconstruction " in last
    assert last.endswith(f"), {chosen}.")
    assert f"The weights are those of {chosen}." in (tmp_path / "out/fine/CARD.md").read_text()


@pytest.mark.parametrize("name", GALLERY)
def test_a_shipped_card_says_that_the_epoch_was_chosen_on_these_images(name):
    config = load_config(SHIPPED / name)
    best, epochs = config.metrics["best_epoch"], config.training["epochs_run"]
    assert (
        f"The weights are those of epoch {best}, the best of {epochs} epochs, chosen on these "
        "images." in (SHIPPED / name / "CARD.md").read_text()
    )
