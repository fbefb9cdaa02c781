"""Posterior collapse: what it is, and what helps, said while the run can still be mended."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from explorer.training.config import TrainConfig

if TYPE_CHECKING:
    from explorer.training.loop import EpochReport

# A code says no more nats about its image than its KL: with less than ln 2 not even which of two
# halves of the images it belongs to.
LEAST_KL = math.log(2)
# Before that, a posterior had no time to form: Adam moves a weight by about the learning rate a
# step at most (Kingma & Ba 2015, section 2.1), so by 0.2 in so many steps of 0.001.
FEWEST_STEPS = 200
SHARE = 0.25  # of the axes, below which the active units have collapsed
SETTLED = 5  # epochs, from the end of the warm-up, after which axes that never woke will not


def is_collapsed(active_units: float, kl: float) -> bool:
    """Whether the code says nothing about the image.

    Args:
        active_units: axes whose posterior mean varies by more than 0.01 (Burda et al. 2016).
        kl: KL(q(z|x) || p(z)), nats per image.
    """
    return active_units < 1 or kl < LEAST_KL


def list_remedies(config: TrainConfig) -> tuple[str, ...]:
    """What usually helps against a collapsed posterior, among what this run can still take.

    Returns:
        Flags of train_vae.py, the most promising first, and words around a flag last.
    """
    width = config.network.latent_dim
    remedies = []
    if config.full_kl_weight > 0:
        if config.full_kl_weight > 1:
            remedies.append("--info-alpha 0" if config.kind == "infovae" else "--beta 1")
        if config.network.likelihood == "gaussian" and not config.network.learn_sigma:
            # A sigma that is too large weighs the reconstruction as little as a large beta does.
            remedies.append("--learn-sigma")
        # The importance-weighted bound has no KL term to shape.
        plain = config.importance_samples == 1
        if plain and not config.kl_warmup and not config.kl_cycles:
            remedies.append(f"--kl-warmup {max(1, config.epochs // 3)}")
        if plain and not config.free_bits:
            remedies.append("--free-bits 0.1")
    elif config.mmd_weight:
        remedies.append("a smaller --info-lambda")
    remedies.append(f"a smaller --latent-dim than {width}" if width > 1 else "more --epochs")
    return tuple(remedies)


def describe_collapse(
    config: TrainConfig, history: "Sequence[EpochReport]", steps_an_epoch: int | None = None
) -> str | None:
    """What to say when the posterior has just turned out to be collapsed, wholly or in part.

    In part: when the active units are under a quarter of the axes.

    Args:
        config: the run's settings.
        history: a report an epoch so far.
        steps_an_epoch: optimiser steps; before 200 of them nothing is said. None does not wait.

    Returns:
        A sentence, once: when it has collapsed, or not unfolded in 5 epochs after the warm-up (or
        by the end of a shorter run). Else None.
    """
    width = config.network.latent_dim
    first = 1 if steps_an_epoch is None else math.ceil(FEWEST_STEPS / steps_an_epoch)
    after = [report for report in history if report.epoch > config.warmup_epochs]
    after = [report for report in after if report.epoch >= first]
    if config.kind == "ae" or not after:
        return None
    few = [
        report.active_units < SHARE * width or is_collapsed(report.active_units, report.held_out.kl)
        for report in after
    ]
    fallen = len(few) > 1 and few[-1] and not few[-2]
    over = len(few) < SETTLED and history[-1].epoch == config.epochs
    asleep = all(few) and (len(few) == SETTLED or over)
    if not fallen and not asleep:
        return None
    active, kl = history[-1].active_units, history[-1].held_out.kl
    what = (
        describe_collapsed(active, width, kl)
        if is_collapsed(active, kl)
        else f"Only {active} of {width} dimensions are active: the posterior has collapsed onto "
        "the prior in the others."
    )
    return f"{what} The usual remedies: {', '.join(list_remedies(config))}."


def describe_collapsed(active_units: float, latent_dim: int, kl: float) -> str:
    """That the posterior has collapsed, with the figures that say so."""
    return (
        f"The posterior has collapsed: {active_units:.0f} of {latent_dim} dimensions are active, "
        f"KL {kl:.2f} nats."
    )
