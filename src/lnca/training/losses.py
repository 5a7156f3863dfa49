"""The losses: one function for each of equations (3) to (9), then those of models beyond the paper. They take
tensors and return a scalar unless a docstring says otherwise.

Suffixes: A anchor (clean), P positive (the anchor corrupted), N negative (another clean picture). `x` are pictures
(B, 3, H, W) in [0, 1], `latent` the encoder's latents (B, H', W', C).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def reconstruction_autoencoder(x: Tensor, reconstructed: Tensor) -> Tensor:
    """Equation (3): MSE(x, x'), over anchors, positives and negatives."""
    return F.mse_loss(reconstructed, x)


def distance(
    latent_A: Tensor,
    latent_P: Tensor,
    latent_N: Tensor,
    margin: float = 1.0,
    mean: Callable[[Tensor], Tensor] = lambda part: part,
) -> Tensor:
    """Equation (4): max(0, MSE(A, P) - MSE(A, N) + margin), so that the latent of a picture is closer to that of its
    corrupted version than to that of another picture.

    Args:
        mean: computes the mean over the parts of a batch that several processes share.
    """
    return (mean(F.mse_loss(latent_A, latent_P) - F.mse_loss(latent_A, latent_N)) + margin).clamp(min=0)


def corrupted_pixels(x_A: Tensor, x_P: Tensor) -> Tensor:
    """The mask m of equations (5) and (6): 1 where anchor and positive differ, else 0."""
    return (x_A != x_P).to(x_A.dtype)


def task(x_P: Tensor, reconstructed_P: Tensor, mask: Tensor) -> Tensor:
    """Equation (5): MSE of the positives' reconstruction, in the corrupted pixels (the mean is over all pixels)."""
    return F.mse_loss(reconstructed_P * mask, x_P * mask)


def equivalence(x_A: Tensor, swapped_A: Tensor, x_P: Tensor, swapped_P: Tensor, mask: Tensor) -> Tensor:
    """Equation (6): clean latent + corrupted skip decode to the anchor, corrupted latent + clean skip to the positive.

    `swapped_A` is D(latent_A + epsilon, skip_P) and `swapped_P` is D(latent_P, skip_A).
    """
    return F.mse_loss(swapped_A * mask, x_A * mask) + F.mse_loss(swapped_P * mask, x_P * mask)


def reconstruction_automaton(y: Tensor, restored: Tensor) -> Tensor:
    """Equation (7): MSE(y, x') of the restored pictures against the clean ones."""
    return F.mse_loss(restored, y)


def latent(clean_latent: Tensor, restored_latent: Tensor) -> Tensor:
    """Equation (8): MSE of the cells' output channels against the clean picture's latent."""
    return F.mse_loss(restored_latent, clean_latent)


def overflow(values: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Equation (9): mean distance of `values` from the interval [low, high] (output [0, 1], hidden [-1, 1])."""
    low, high = (torch.as_tensor(bound, dtype=values.dtype, device=values.device) for bound in (low, high))
    return (values - values.clamp(low, high)).abs().mean()


# The mean absolute error at which `balanced_error` leaves the weight of a picture unchanged.
TYPICAL_ERROR = 0.02


def balanced_error(y: Tensor, restored: Tensor, balance: float = 0.0) -> Tensor:
    """Mean absolute error; each picture's error is divided by itself (as a constant) to the power `balance`.

    With 0 it is the mean absolute error, which the worst pictures dominate. With 1 it is the relative reduction of a
    picture's error that counts, as in decibels.
    """
    errors = (restored - y).abs().flatten(1).mean(1)
    return (errors * (errors.detach().clamp(min=TYPICAL_ERROR / 100) / TYPICAL_ERROR) ** -balance).mean()


# Squared difference of a pixel, in [0, 1], below which `charbonnier` is smooth.
ROUND = 1e-6
# Noise levels in 255ths: the level with a weight of 1, and the offset that is added to all levels.
TYPICAL_LEVEL, LEAST_LEVEL = 20.0, 3.0


def charbonnier(y: Tensor, restored: Tensor) -> Tensor:
    """Mean of sqrt(difference^2 + 1e-6) of each picture, (B,): the absolute error, but smooth at 0 (Charbonnier et al.,
    "Two deterministic half-quadratic regularization algorithms for computed imaging", ICIP 1994)."""
    return ((restored - y).square() + ROUND).sqrt().flatten(1).mean(1)


def level_weights(level_BLhw: Tensor) -> Tensor:
    """Weights (B,) of pictures by their noise level in 255ths. The remaining error grows about as the square root of
    the level, so the weights make all levels count alike."""
    level = level_BLhw.flatten(1).mean(1)
    return ((TYPICAL_LEVEL + LEAST_LEVEL) / (level + LEAST_LEVEL)).sqrt()


# Weights of noise levels that are too low and too high; offset of levels before their logarithm, in 255ths.
TOO_LOW, TOO_HIGH, FAINT = 1.3, 0.7, 0.7


def level_error(true_BLhw: Tensor, estimated_BLhw: Tensor) -> Tensor:
    """Mean of |e| + e^2 / 2 of each picture, (B,), where e is the difference of log(level + 0.7); too low counts 1.3,
    too high 0.7, since remaining noise is worse than a little smoothing."""
    error = (estimated_BLhw + FAINT).log() - (true_BLhw + FAINT).log()
    weight = torch.where(error < 0, TOO_LOW, TOO_HIGH)
    return (weight * (error.abs() + error.square() / 2)).flatten(1).mean(1)
