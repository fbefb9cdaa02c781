"""A proposal as wide as p(z|x), to estimate log p(x) with."""

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp

from explorer.errors import LatentError
from explorer.models.autoencoder import Autoencoder
from explorer.models.objectives import pixel_nll
from explorer.models.posterior import Posterior, prior_log_density

FREEDOM = 8  # degrees of freedom of the Student-t, a whole number
# (Gaussian, share, widening) of each Student-t: the fit nearly as it is; at double width, for
# posteriors with kinks and shoulders; and Laplace's. The rest of the draws is q(z|x)'s.
FIT, LAPLACE = 0, 1
MIXTURE = ((FIT, 0.5, 1.1), (FIT, 0.15, 2.2), (LAPLACE, 0.2, 1.3))
POSTERIOR_SHARE = 0.15

_ROUNDS, _PAIRS = 2, 4  # of the fit, and of points in each
_MOST_STEPS = 30
_TOLERANCE = 0.02  # nats that another step promises, below which the mode is found
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-2, 1e-6, 1e4
# Derivatives held at once: 16 MB of float32.
_MOST_VALUES = 4_000_000


@dataclass(frozen=True, eq=False)
class Noise:
    """What draws are made of; one image's noise serves any number of images.

    Attributes:
        normal: standard normal, (K, N or 1, D).
        chi: mean square of `FREEDOM` standard normals, (K, N or 1).
        pick: uniform in [0, 1): which part of the mixture a draw comes from, (K, N or 1).
    """

    normal: Tensor
    chi: Tensor
    pick: Tensor

    @classmethod
    def draw(cls, count: int, images: int, width: int, generator: torch.Generator) -> "Noise":
        """Noise of K draws of N images in D axes."""
        normal, chi, pick = (
            torch.randn((count, images, width), generator=generator),
            torch.randn((count, images, FREEDOM), generator=generator),
            torch.rand((count, images), generator=generator),
        )
        return cls(normal.double(), chi.double().square().mean(-1), pick.double())

    def to(self, device: torch.device) -> "Noise":
        """The same on a device."""
        return Noise(self.normal.to(device), self.chi.to(device), self.pick.to(device))


@dataclass(frozen=True, eq=False)
class Gaussians:
    """A Gaussian an image, with any covariance.

    Attributes:
        centre: (N, D) float64.
        factor: lower triangle L of the precision L L^T, (N, D, D) float64.
    """

    centre: Tensor
    factor: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """The codes of standard normal noise, (K, N, D) each."""
        away = torch.linalg.solve_triangular(self.factor.mT, noise.permute(1, 2, 0), upper=True)
        codes: Tensor = self.centre + away.permute(2, 0, 1)
        return codes

    def student_log_density(self, codes: Tensor, widening: float) -> Tensor:
        """Log density of the Student-t of this shape, its deviations widened; (K, N, D) -> (K, N).

        Source: Kotz & Nadarajah 2004, "Multivariate t distributions and their applications".
        """
        width = codes.shape[-1]
        squares = torch.einsum("knd,nde->kne", codes - self.centre, self.factor).square().sum(-1)
        volume = self.factor.diagonal(dim1=1, dim2=2).log().sum(1) - width * math.log(widening)
        constant = (
            math.lgamma((FREEDOM + width) / 2)
            - math.lgamma(FREEDOM / 2)
            - 0.5 * width * math.log(FREEDOM * math.pi)
        )
        tail = 0.5 * (FREEDOM + width) * torch.log1p(squares / (FREEDOM * widening**2))
        return volume + constant - tail


@dataclass(frozen=True, eq=False)
class Proposal:
    """Where codes of images are drawn from: a mixture that p(z|x) is not much wider than.

    Attributes:
        gaussians: the shapes that `MIXTURE` names, by `FIT` and `LAPLACE`.
        posterior: q(z|x), on no axis narrower than p(z|x) is there.
    """

    gaussians: tuple[Gaussians, Gaussians]
    posterior: Posterior

    def take(self, rows: slice) -> "Proposal":
        """That of some of the images."""
        fit, laplace = (Gaussians(one.centre[rows], one.factor[rows]) for one in self.gaussians)
        mean, log_var = self.posterior.mean, self.posterior.log_var
        assert log_var is not None
        return Proposal((fit, laplace), Posterior(mean[rows], log_var[rows]))

    def draw(self, noise: Noise) -> Tensor:
        """Codes, (K, N, D) float32."""
        normal = noise.normal.expand(-1, len(self.posterior.mean), -1)
        codes = self.posterior.at(normal)
        heavy = normal / noise.chi.sqrt()[..., None]
        last = 0.0
        for number, share, widening in MIXTURE:
            own = (noise.pick >= last) & (noise.pick < last + share)
            codes = torch.where(own[..., None], self.gaussians[number].at(widening * heavy), codes)
            last += share
        return codes.float()

    def log_density(self, latents: Tensor) -> Tensor:
        """Log density of codes (K, N, D), (K, N) nats, float64."""
        codes = latents.double()
        parts = [math.log(POSTERIOR_SHARE) + self.posterior.log_density(codes)]
        for number, share, widening in MIXTURE:
            density = self.gaussians[number].student_log_density(codes, widening)
            parts.append(math.log(share) + density)
        return torch.logsumexp(torch.stack(parts), 0)

    def log_weights(self, model: Autoencoder, images: Tensor, noise: Noise) -> Tensor:
        """Log p(x, z) - log of the proposal's density of each draw, (K, N) nats, float64."""
        codes = self.draw(noise)
        count, here, width = codes.shape
        targets = images.repeat(count, 1, 1, 1)
        joint = _log_joint(model, targets, codes.reshape(count * here, width))
        return joint.view(count, here) - self.log_density(codes)


@torch.no_grad()
def fit_proposal(model: Autoencoder, inputs: Tensor, images: Tensor) -> Proposal:
    """Find where p(z|x) lies and how wide it is, and put a wider mixture upon it.

    The mode is found from q(z|x)'s mean by damped Gauss-Newton steps on log p(x|z) + log p(z). The
    precision there is H = J^T W J + I: J the derivative of the decoder's logits, W the curvature
    that one logit gives: p (1 - p) of a Bernoulli, (p (1 - p) / sigma)^2 of a Gaussian. That is
    Laplace's Gaussian. A decoder with kinks bends elsewhere than at the mode, so a second Gaussian
    (centre m, precision F) is fitted to gradient and curvature at points drawn from it. Codes come
    from

        0.5 t_8(m, 1.1^2 F^-1) + 0.15 t_8(m, 2.2^2 F^-1) + 0.2 t_8(mode, 1.3^2 H^-1) + 0.15 q(z|x)

    with q's variance on an axis at least 1 / F_ii, so that an encoder whose sigma is far too small
    (an InfoVAE's) does no harm. Whatever one part covers, the mixture covers at that part's share.

    Args:
        model: a model whose encoder has a variance.
        inputs: what the encoder sees, (N, C, H, W) in [0, 1].
        images: what p(x) is asked of, (N, C, H, W) in [0, 1].

    Raises:
        LatentError: derivatives that are not finite.

    Source: Geweke 1989, "Bayesian inference in econometric models using Monte Carlo integration",
    for the Student-t at the mode; Opper & Archambeau 2009, "The variational Gaussian approximation
    revisited", for the fit; Owen & Zhou 2000, "Safe and effective importance sampling", for the
    mixture.
    """
    posterior = model.encode(inputs)
    assert posterior.log_var is not None
    mode = _find_mode(model, images, posterior.mean.float())
    _, precision = _curvature(model, images, mode)
    if not torch.isfinite(precision).all():
        raise LatentError(
            "The derivative of the decoder is not finite, so that no likelihood can be estimated: "
            "train the model again with a smaller --learning-rate or --clip 10."
        )
    laplace = Gaussians(mode.double(), torch.linalg.cholesky(precision))
    fit, precision = _fit_gaussian(model, images, laplace)
    narrowest = -precision.diagonal(dim1=1, dim2=2).log()
    wide_enough = torch.maximum(posterior.log_var.double(), narrowest)
    return Proposal((fit, laplace), Posterior(posterior.mean.double(), wide_enough))


def _fit_gaussian(model: Autoencoder, images: Tensor, start: Gaussians) -> tuple[Gaussians, Tensor]:
    """The Gaussian whose mean gradient is nothing and whose precision is the mean curvature."""
    generator = torch.Generator().manual_seed(0)
    found = start
    precision = start.factor @ start.factor.mT
    count, width = start.centre.shape
    for _ in range(_ROUNDS):
        half = torch.randn((_PAIRS, 1, width), generator=generator, dtype=torch.float64)
        # Points come with their mirror images: a straight slope cancels.
        points = found.at(torch.cat([half, -half]).to(images.device).expand(-1, count, -1))
        gradient, precision = (
            torch.stack(parts).mean(0)
            for parts in zip(
                *(_curvature(model, images, one.float()) for one in points), strict=True
            )
        )
        step = torch.linalg.solve(precision, gradient)
        # At most as far as a draw of this Gaussian lies from its centre.
        length = (step * (precision @ step[..., None])[..., 0]).sum(1).sqrt()
        step *= (width**0.5 / length.clamp_min(width**0.5))[:, None]
        found = Gaussians(found.centre + step, torch.linalg.cholesky(precision))
    return found, precision


def _log_joint(model: Autoencoder, images: Tensor, codes: Tensor) -> Tensor:
    """Log p(x, z) of images (N, C, H, W) and codes (N, D), (N,) nats, float64."""
    logits = model.decode_logits(codes)
    nll = pixel_nll(logits, images, model.network, model.sigma())
    # 12,288 values of a few nats each: in float32 their sum is off by 0.01 nats.
    return prior_log_density(codes.double()) - nll.flatten(1).sum(1, dtype=torch.float64)


def _find_mode(model: Autoencoder, images: Tensor, start: Tensor) -> Tensor:
    """Codes (N, D) where p(z|x) is highest nearby, by Levenberg-Marquardt."""
    codes = start.clone()
    # Where the encoder is far off, the prior's own mode is the better start.
    nothing = torch.zeros_like(codes)
    value = _log_joint(model, images, codes)
    at_nothing = _log_joint(model, images, nothing)
    codes = torch.where((at_nothing > value)[:, None], nothing, codes)
    value = torch.maximum(value, at_nothing)
    damping = torch.full_like(value, _FIRST_DAMPING)
    left = torch.arange(len(codes), device=codes.device)
    for _ in range(_MOST_STEPS):
        gradient, precision = _curvature(model, images[left], codes[left])
        diagonal = precision.diagonal(dim1=1, dim2=2)
        damped = precision + torch.diag_embed(damping[left, None] * diagonal)
        step = torch.linalg.solve(damped, gradient)
        tried = codes[left] + step.float()
        found = _log_joint(model, images[left], tried)
        gain = found - value[left]
        better = gain > 0
        codes[left[better]], value[left[better]] = tried[better], found[better]
        changed = torch.where(better, damping[left] / 5, damping[left] * 5)
        damping[left] = changed.clamp_min(_LEAST_DAMPING)
        promised = 0.5 * (gradient * torch.linalg.solve(precision, gradient)).sum(1)
        # At a kink of the decoder the promise is never kept: steps shrink until they gain nothing.
        small = (promised < _TOLERANCE) | (better & (gain < _TOLERANCE / 4))
        left = left[~(small | (changed > _MOST_DAMPING))]
        if not len(left):
            break
    return codes


def _curvature(model: Autoencoder, images: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (N, D) of log p(x, z) and the Gauss-Newton precision (N, D, D), float64."""
    width, values = codes.shape[1], images[0].numel()
    step = max(1, _MOST_VALUES // (width * values))
    gradients, precisions = [], []
    for start in range(0, len(codes), step):
        logits, jacobian = _logit_jacobian(model, codes[start : start + step])
        error = images[start : start + step].flatten(1) - torch.sigmoid(logits)
        slope = torch.sigmoid(logits) * torch.sigmoid(-logits)
        if model.network.likelihood == "bernoulli":
            weight = slope
        else:
            sigma = torch.as_tensor(model.sigma(), device=codes.device)
            weight = (slope / sigma).square()
            error = error * slope / sigma.square()
        gradients.append((jacobian @ error[:, :, None])[..., 0])
        precisions.append((jacobian * weight[:, None]) @ jacobian.mT)
    gradient = torch.cat(gradients).double() - codes
    precision = torch.cat(precisions).double()
    return gradient, precision + torch.eye(width, dtype=precision.dtype, device=codes.device)


def _logit_jacobian(model: Autoencoder, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (n, P) of codes (n, D) and their derivatives along each axis, (n, D, P)."""
    count, width = codes.shape
    points = codes.repeat_interleave(width, 0)
    axes = torch.eye(width, dtype=codes.dtype, device=codes.device).repeat(count, 1)
    with warnings.catch_warnings():
        # torch compiles rules for the forward mode when it is first used, by what it deprecates.
        warnings.filterwarnings("ignore", message="`torch.jit.script`")
        answer = jvp(model.decode_logits, (points,), (axes,))
    return answer[0].view(count, width, -1)[:, 0], answer[1].view(count, width, -1)
