"""The command for a matched pair, run as it is shown."""

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer.models.library import SHIPPED, find_pair, list_checkpoints
from explorer.training.config import TrainConfig
from explorer.training.flags import parse_flags, read_config
from explorer.training.pair import pair_command

ROOT = Path(__file__).parents[3]


def run(command, folder):
    words = shlex.split(command)
    assert words[:2] == ["python", "train_vae.py"]
    subprocess.run(
        [sys.executable, ROOT / "train_vae.py", *words[2:], "--threads", "1"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture
def pictures(tmp_path):
    """A folder of colour images, with a space in its name."""
    folder = tmp_path / "own pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(40):
        pixels = generator.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("vae", "--importance-samples 3 --architecture conv --width 4 --hidden-dims 8"),
        ("ae", "--likelihood gaussian --sigma 0.2 --hidden-dims 8 4 --seed 3"),
        ("infovae", "--hidden-dims 8 --patience 1 --epochs 3 --schedule step --milestones 1 2"),
    ],
)
def test_the_command_shown_trains_the_matched_pair(pictures, tmp_path, kind, flags):
    out = tmp_path / "my checkpoints"
    run(
        f"python train_vae.py --data {shlex.quote(str(pictures))} --size 16x12 --kind {kind} "
        f"--latent-dim 2 --epochs 1 --name {kind}-of-mine --out {shlex.quote(str(out))} {flags}",
        tmp_path,
    )
    (mine,) = list_checkpoints([out])
    run(pair_command(mine.config, mine.folder.parent, [mine.name]), tmp_path)
    listings = list_checkpoints([out])
    assert len(listings) == 2
    found = find_pair(next(one for one in listings if one.name == mine.name), listings)
    assert found is not None
    assert found.name == f"{'vae' if kind == 'ae' else 'ae'}-of-mine"


@pytest.mark.parametrize("listing", list_checkpoints([SHIPPED]), ids=lambda one: one.name)
def test_the_command_has_the_settings_of_the_model_and_a_name_that_is_free(listing):
    taken = [one.name for one in list_checkpoints([SHIPPED])]
    words = shlex.split(pair_command(listing.config, SHIPPED, taken))
    pair = read_config(parse_flags(words[2:]))
    assert isinstance(pair, TrainConfig)
    assert pair.name not in taken
    assert pair.network == listing.config.network
    assert {pair.kind == "ae", listing.config.kind == "ae"} == {True, False}
    assert pair.seed == listing.config.training["seed"]
