"""What README.md says is so."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

from explorer.models.checkpoint import load_config, load_encodings
from explorer.models.codec import Codec
from explorer.models.library import SHIPPED, find_pair, list_checkpoints

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = ("digits-vae-8", "digits-ae-8", "mnist-vae-2", "mnist-ae-2", "mnist-vae-16", "mnist-ae-16")
COMMANDS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def train_vae():
    spec = importlib.util.spec_from_file_location("train_vae", ROOT / "train_vae.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def defaults(train_vae):
    return {
        action.option_strings[0]: action.default
        for action in train_vae.build_parser()._actions
        if action.dest != "help"
    }


def test_the_table_of_flags_is_the_parsers(train_vae):
    rows = dict(re.findall(r"^\| `(--[a-z-]+)` \| .* \| (.*?) \|$", README, re.MULTILINE))
    actual = defaults(train_vae)
    assert set(rows) == set(actual)
    for flag, told in rows.items():
        if told.startswith("`") and flag != "--out":
            value = actual[flag]
            value = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            assert told.strip("`") == value, flag


def test_every_trainer_command_is_understood(train_vae):
    commands = [shlex.split(command) for command in COMMANDS if "train_vae.py" in command]
    assert len(commands) == 3
    for words in commands:
        assert words[:2] == ["python", "train_vae.py"]
        train_vae.build_parser().parse_args(words[2:])


def test_every_other_command_is_run_by_a_named_test():
    """See tests/test_commands.py, which runs these as they stand."""
    others = {command.strip() for command in COMMANDS if "train_vae.py" not in command}
    assert others == {
        "make run",
        "make run TORCH=cpu",
        "make test",
        "streamlit run explorer/app.py",
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


def test_the_shipped_checkpoints_are_three_pairs_under_30_mb():
    listings = [one for one in list_checkpoints([SHIPPED]) if one.name in NAMES]
    assert {one.name for one in listings} == set(NAMES)
    assert all(one.error is None for one in listings)
    for listing in listings:
        pair = find_pair(listing, listings)
        assert pair is not None, listing.name
        assert pair.name == listing.name.replace("-vae-", "-x-").replace("-ae-", "-vae-").replace(
            "-x-", "-ae-"
        )
    size = sum(
        path.stat().st_size for one in listings for path in one.folder.iterdir() if path.is_file()
    )
    assert size < 30e6


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_checkpoint_opens_and_its_figure_is_the_readmes(name):
    folder = SHIPPED / name
    config = load_config(folder)
    encodings = load_encodings(folder, config)
    image = Codec.from_folder(folder).decode(encodings.mean[:1])
    assert image.shape == (1, *config.data.image_shape)
    row = next(line for line in README.splitlines() if f"`{name}`" in line and "|" in line)
    assert f" {config.metrics['held_out_loss']:.1f} |" in row
    report = json.loads((folder / "regularity.json").read_text())
    assert {"reconstruction_nll", "knn_accuracy", "prior_match", "hole_rate", "escape_rate"} <= {
        measure["key"] for measure in report["measures"]
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_card_has_the_command_that_trained_it(name, train_vae):
    folder = SHIPPED / name
    config = load_config(folder)
    card = (folder / "CARD.md").read_text()
    command = next(line for line in card.splitlines() if line.startswith("python train_vae.py"))
    flags = train_vae.build_parser().parse_args(shlex.split(command)[2:])
    assert (flags.data, flags.kind, flags.name) == (config.data.name, config.kind, name)
    assert flags.epochs == config.training["epochs"] == config.training["epochs_run"]
    assert flags.latent_dim == config.network.latent_dim
    assert flags.architecture == config.network.architecture
    assert tuple(flags.hidden_dims) == config.network.hidden_dims
    assert config.data.licence in card
