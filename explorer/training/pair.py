"""The command that trains a checkpoint's matched pair."""

import argparse
import json
import re
import shlex
from collections.abc import Collection
from pathlib import Path

from explorer.models.config import CheckpointConfig
from explorer.models.library import SHIPPED
from explorer.training.config import TrainConfig, flag_values
from explorer.training.flags import command_line

# What only a model with a KL term has; an AE's matched VAE takes the defaults.
_OF_THE_KL = (
    "beta", "kl_warmup", "kl_cycles", "free_bits", "info_alpha", "info_lambda",
    "importance_samples",
)  # fmt: skip
_LONGEST_NAME = 80


def pair_command(config: CheckpointConfig, parent: Path, taken: Collection[str] = ()) -> str:
    """The command line that trains the model which differs from this one in the model type alone.

    Args:
        config: of the checkpoint; an AE's pair is a VAE, every other model's is an AE.
        parent: the folder that the checkpoint lies in, where its pair goes too.
        taken: names of checkpoints that are there already.

    Raises:
        ConfigError: the checkpoint's settings are none that a training can have.
    """
    plain = json.loads(json.dumps(config.to_dict()))
    settings = flag_values(plain, f"the config.json of {config.name}")
    for key in _OF_THE_KL:
        settings.pop(key, None)
    kind = "vae" if config.kind == "ae" else "ae"
    name = _pair_name(config.name, config.kind, kind, taken)
    pair = TrainConfig.from_settings({**settings, "kind": kind, "name": name})
    plain = pair.to_dict()
    flags = {**plain["training"], **plain["network"], "size": pair.size}
    command = command_line(
        argparse.Namespace(**flags, data=pair.data, kind=pair.kind, name=pair.name)
    )
    if parent.resolve() != SHIPPED.resolve():
        command += f" --out {shlex.quote(str(parent))}"
    return command


def _pair_name(name: str, kind: str, other: str, taken: Collection[str]) -> str:
    """NAME-vae-8 -> NAME-ae-8, else NAME-ae; a number behind it where that is taken."""
    wanted = re.sub(rf"(?<![A-Za-z]){kind}(?![A-Za-z])", other, name)
    if wanted == name:
        wanted = f"{name}-{other}"
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-._") or other
    free, number = readable[:_LONGEST_NAME], 1
    while free in taken:
        number += 1
        free = f"{readable[: _LONGEST_NAME - 4]}-{number}"
    return free
