"""What README.md says is so."""

import math
import re
import shlex
from pathlib import Path

import pytest

from explorer.models.checkpoint import held_out_loss, load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED, differences
from explorer.regularity.health import ENOUGH_STEPS
from explorer.regularity.report import load_report
from explorer.training.flags import (
    build_evaluation_parser,
    build_parser,
    parse_flags,
    read_config,
)
from explorer.training.gallery import GALLERY, find_flags

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)


def defaults():
    return {
        action.option_strings[0]: action.default
        for action in build_parser()._actions
        if action.dest != "help"
    }


def test_the_table_of_flags_is_the_parsers():
    rows = dict(re.findall(r"^\| `(--[a-z-]+)` \| .* \| (.*?) \|$", README, re.MULTILINE))
    actual = defaults()
    assert set(rows) == set(actual)
    for flag, told in rows.items():
        if told.startswith("`") and flag != "--out":
            value = actual[flag]
            value = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            assert told.strip("`") == value, flag


def test_every_trainer_command_is_understood():
    commands = [shlex.split(command) for command in COMMANDS if "train_vae.py" in command]
    assert len(commands) == 7
    for words in commands:
        words = words[words.index("train_vae.py") + 1 :]
        if words[0] == "evaluate":
            build_evaluation_parser().parse_args(words[1:])
        else:
            parse_flags(words)


def test_the_command_for_own_images_trains_600_of_them_for_long_enough():
    command = next(one for one in COMMANDS if "--data path/to/images" in one)
    config = read_config(parse_flags(shlex.split(command)[2:]))
    training_images = 540  # of 600, a tenth is held out
    steps = config.epochs * math.ceil(training_images / config.batch_size)
    assert steps >= ENOUGH_STEPS
    assert f"{ENOUGH_STEPS:,} at least" in README


def test_the_table_says_that_its_epochs_were_chosen_on_the_images_it_reports():
    below = README.partition("| `mnist-superres-32` |")[2].partition("\n## ")[0]
    assert "of the best epoch of each run, chosen on these images" in " ".join(below.split())


def test_every_other_command_is_run_by_a_named_test():
    """See tests/test_commands.py, which runs these as they stand."""
    others = {command.strip() for command in COMMANDS if "train_vae.py" not in command}
    assert others == {
        "make run",
        "make run TORCH=cpu",
        "make test",
        "streamlit run explorer/app.py",
        "python -m explorer.regularity my-digits",
        "python -m explorer.encode --checkpoint mnist-vae-16 photo.jpg --out codes.csv",
    }


def test_every_make_target_named_is_there():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_setting_is_documented():
    code = "".join(path.read_text() for path in (ROOT / "explorer").rglob("*.py"))
    names = set(re.findall(r"\bEXPLORER_[A-Z_]+\b", code))
    assert names
    for name in names:
        assert f"`{name}`" in README


def test_every_file_linked_is_there():
    for target in re.findall(r"\]\((?!http)(.*?)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_gallery_is_what_is_shipped_and_takes_at_most_80_mb():
    shipped = {path.name for path in SHIPPED.iterdir() if (path / "config.json").is_file()}
    assert set(GALLERY) <= shipped
    size = sum(path.stat().st_size for name in GALLERY for path in (SHIPPED / name).iterdir())
    assert size <= 80e6


def test_the_gallerys_pairs_differ_in_the_kind_alone():
    configs = {name: load_config(SHIPPED / name) for name in GALLERY}
    pairs = [name for name in GALLERY if "-ae-" in name]
    assert len(pairs) >= 6
    for name in pairs:
        assert differences(configs[name], configs[name.replace("-ae-", "-vae-")]) == [], name


@pytest.mark.parametrize("name", GALLERY)
def test_a_shipped_checkpoint_opens_and_its_figure_is_the_readmes(name):
    folder = SHIPPED / name
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    image = Codec.from_folder(folder).decode(encodings.mean[:1])
    assert image.shape == (1, *config.data.image_shape)
    row = next(line for line in README.splitlines() if f"`{name}`" in line and "|" in line)
    assert f" {held_out_loss(config):.1f} |" in row
    report = load_report(folder / "regularity.json")
    squared = report.estimate("reconstruction_mse", "").value
    # Nats of different likelihoods say nothing side by side: the last column does. A report is
    # measured on images that nothing damaged, which is not what an inpainter is for.
    undoes = config.training["corrupt"] != "none"
    assert row.endswith(" – |" if undoes else f" {squared:.4f} |")
    assert {"reconstruction_nll", "knn_accuracy", "prior_match", "hole_rate", "escape_rate"} <= {
        one.key for one in report.estimates
    }


@pytest.mark.parametrize("name", GALLERY)
def test_a_shipped_card_has_the_command_that_trained_it(name):
    folder = SHIPPED / name
    config = load_config(folder)
    card = (folder / "CARD.md").read_text()
    command = next(line for line in card.splitlines() if line.startswith("python train_vae.py"))
    told = read_config(parse_flags(shlex.split(command)[2:]))
    assert told == read_config(parse_flags(shlex.split(find_flags(name))))
    assert told.network == config.network
    assert (told.kind, told.name, told.data) == (config.kind, name, config.data.name)
    for key, value in told.training().items():
        assert config.training[key] == value, key
    assert config.training["epochs_run"] == told.epochs
    assert config.data.licence in card


def test_negative_nats_are_explained_and_grey_nats_are_no_density():
    words = " ".join(README.split())
    assert "density can exceed 1" in words
    assert "no density of grey images" in words
    gaussian = [n for n in GALLERY if load_config(SHIPPED / n).network.likelihood == "gaussian"]
    assert gaussian == ["faces-vae-16", "faces-ae-16"]
