"""The stream of reports as TensorBoard reads it."""

import sys

import pytest

from explorer.errors import ConfigError
from explorer.models.config import NetworkConfig
from explorer.training.config import TrainConfig
from explorer.training.loop import Trainer
from explorer.training.tensorboard import TensorBoardLog


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_term_and_a_picture_are_written(bars, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    network = NetworkConfig(latent_dim=2, hidden_dims=(8,))
    trainer = Trainer(TrainConfig(data="bars", network=network, epochs=2), bars)
    log = TensorBoardLog(tmp_path)
    for report in trainer.epochs():
        log.write(report)
    log.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {"train/loss", "held_out/kl", "latent/active_units", "kl_per_axis/1"} <= set(
        events.Tags()["scalars"]
    )
    told = [event.value for event in events.Scalars("held_out/loss")]
    assert told == pytest.approx([report.held_out.loss for report in trainer.history])
    assert len(events.Images("samples")) == 2


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        TensorBoardLog(tmp_path)
