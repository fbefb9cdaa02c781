"""What a checkpoint is called when nobody says."""

import re
from pathlib import Path

from explorer.training.config import TrainConfig


def checkpoint_name(config: TrainConfig) -> str:
    """The name given, or one made of data, kind and latent_dim."""
    if config.name:
        return config.name
    path = Path(config.data)
    source = path.stem if path.suffix == ".npz" else path.resolve().name
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-._") or "images"
    return f"{readable[:60]}-{config.kind}-{config.network.latent_dim}"
