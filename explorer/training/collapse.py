"""Posterior collapse: what it is, and what helps, said while the run can still be mended."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from explorer.training.config import TrainConfig

if TYPE_CHECKING:
    from explorer.training.loop import EpochReport

# A code tells no more nats about its image than its KL: with less than ln 2 not even two halves
# of the images apart.
LEAST_KL = math.log(2)
SHARE = 0.25  # of the axes, below which the active units have collapsed
SETTLED = 5  # epochs, from the end of the warm-up, after which axes that never woke will not


def is_collapsed(active_units: float, kl: float) -> bool:
    """Whether the code says nothing about the image.

    Args:
        active_units: axes whose posterior mean varies by more than 0.01 (Burda et al. 2016).
        kl: KL(q(z|x) || p(z)), nats per image.
    """
    return active_units < 1 or kl < LEAST_KL


def describe_remedies(config: TrainConfig) -> str:
    """What usually helps against a collapsed posterior, among what this run can still take."""
    width = config.network.latent_dim
    remedies = []
    if config.full_kl_weight > 0:
        if config.full_kl_weight > 1:
            infovae = config.kind == "infovae"
            remedies.append("a higher --info-alpha" if infovae else "a lower --beta")
        # The importance-weighted bound has no KL term to shape.
        plain = config.importance_samples == 1
        if plain and not config.kl_warmup and not config.kl_cycles:
            remedies.append(f"--kl-warmup {max(1, config.epochs // 3)}")
        if plain and not config.free_bits:
            remedies.append("--free-bits 0.1")
    elif config.mmd_weight:
        remedies.append("a smaller --info-lambda")
    remedies.append(f"a smaller --latent-dim than {width}" if width > 1 else "more --epochs")
    return ", ".join(remedies)


def describe_collapse(config: TrainConfig, history: "Sequence[EpochReport]") -> str | None:
    """What to say when the active units have just turned out to be under a quarter of the axes.

    Args:
        config: the run's settings.
        history: a report an epoch so far.

    Returns:
        A sentence, once: when they have fallen below it, or not risen above it in 5 epochs after
        the warm-up (or by the end of a shorter run). Else None.
    """
    width = config.network.latent_dim
    after = [report for report in history if report.epoch > config.warmup_epochs]
    if config.kind == "ae" or not after:
        return None
    few = [report.active_units < SHARE * width for report in after]
    fallen = len(few) > 1 and few[-1] and not few[-2]
    over = len(few) < SETTLED and history[-1].epoch == config.epochs
    asleep = all(few) and (len(few) == SETTLED or over)
    if not fallen and not asleep:
        return None
    active = history[-1].active_units
    return (
        f"Only {active} of {width} latent axes carry information: the posterior has collapsed onto "
        f"the prior in the others. The usual remedies: {describe_remedies(config)}."
    )
