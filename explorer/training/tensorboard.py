"""The stream of epoch reports, written where TensorBoard reads it."""

from pathlib import Path

from explorer.errors import ConfigError
from explorer.images.sheet import tile
from explorer.training.loop import TERMS, EpochReport


def check_tensorboard() -> None:
    """See that TensorBoard's files can be written.

    Raises:
        ConfigError: if the package tensorboard is not installed.
    """
    try:
        import torch.utils.tensorboard.writer  # noqa: F401
    except ImportError as cause:
        raise ConfigError(
            "--tensorboard needs the package tensorboard, which is not installed; "
            "pip install tensorboard."
        ) from cause


class TensorBoardLog:
    """Writes each epoch's terms, active units and decoded samples.

    Args:
        folder: where TensorBoard's files go.
        first_epoch: the epoch that comes first; what an interrupted run wrote from there on is
            hidden.

    Raises:
        ConfigError: if the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, first_epoch: int = 1) -> None:
        check_tensorboard()
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=first_epoch)

    def write(self, report: EpochReport) -> None:
        """Write one epoch."""
        numbers = {
            f"{split}/{term}": getattr(getattr(report, split), term)
            for split in ("train", "held_out")
            for term in TERMS
        }
        numbers |= {
            "latent/active_units": report.active_units,
            "schedule/kl_weight": report.kl_weight,
            "schedule/learning_rate": report.learning_rate,
            "speed/images_per_second": report.images_per_second,
        }
        numbers |= {f"kl_per_axis/{axis}": kl for axis, kl in enumerate(report.kl_per_axis)}
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, report.epoch)
        sheet = tile(report.samples, columns=4)
        self._writer.add_image(
            "samples", sheet, report.epoch, dataformats="HWC" if sheet.ndim == 3 else "HW"
        )
        self._writer.flush()

    def close(self) -> None:
        """Finish the files."""
        self._writer.close()
