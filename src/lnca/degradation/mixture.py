"""Simulates the path of a photograph from the light to the file; trains `photo-denoise`.

    noise, one of: sensor noise (`sensor`), correlated, film grain, independent (`noises`), none
    in the camera: denoising, tone curve
    grey and toned pictures
    in random order: sharpening, scaling, JPEG; then, for some, JPEG again

Each picture draws its own path. The probabilities are below. The random order follows Zhang et al., "Practical blind
image denoising via Swin-Conv-UNet and data synthesis" (SCUNet, 2022), and Wang et al., "Real-ESRGAN" (2021). Noise
that passes through the camera follows Guo et al., "Toward convolutional blind denoising of real photographs" (CBDNet,
2019).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .colour import GREY_LEVEL, grey, toned
from .draws import chance, choice, log_uniform, normal, rows_of, uniform
from .jpeg import eight_bits, jpeg
from .level import noise_level
from .noises import correlated_noise, grain
from .processing import curve, denoised, resized, sharpened
from .sensor import camera_noise

SENSOR, CORRELATED, GRAIN, INDEPENDENT, NONE = range(5)
# Probability of each kind of noise.
SHARES = (0.4, 0.15, 0.05, 0.3, 0.1)
# Standard deviation of independent noise in 255ths.
LARGEST_SIGMA = 75.0
# Probability that a picture is neither rounded nor clipped nor compressed: with independent noise, with other noise.
FLOAT_INDEPENDENT, FLOAT_OTHERS = 0.5, 0.1
# Probability that a picture with independent noise or no noise is only rounded to 8 bits.
PLAIN = 0.7
# Probability that a picture becomes grey, and that a grey picture is toned.
GREY, TONED_OF_GREY = 0.12, 0.3
# Probability of each step in the camera, for noise of a known or an unknown camera.
DENOISED, CURVED = 0.75, 0.3
# Probability of each step after the camera.
SHARPENED, RESIZED, COMPRESSED, COMPRESSED_AGAIN = 0.3, 0.2, 0.75, 0.2
# JPEG quality, and the probability of 4:4:4.
QUALITY, FULL_COLOUR = (30, 100), 0.35
# Scaling factors.
SIZES = (0.5, 1.6)


@dataclass(frozen=True)
class Degraded:
    """Pictures with and without noise.

    Args:
        clean: (B, 3, H, W), the target: the result of the same camera and the same processing without noise and
            without compression.
        noisy: (B, 3, H, W), in [0, 1] and rounded to 8 bits, except for some that are neither.
        level_BCHW: (B, 2, ceil(H / 8), ceil(W / 8)), the true level of the noise to remove, in 255ths; see
            `noise_level`.
    """

    clean: Tensor
    noisy: Tensor
    level_BCHW: Tensor  # noqa: N815


class Pair(NamedTuple):
    """The same pictures with and without noise, (B, 3, H, W) each."""

    clean: Tensor
    noisy: Tensor

    def both(self, change: Callable[[Tensor], Tensor]) -> "Pair":
        return Pair(change(self.clean), change(self.noisy))


Step = Callable[[Pair, torch.Generator], Pair]


def camera(clean_BCHW: Tensor, draw: torch.Generator) -> Degraded:
    """Degrades pictures as cameras and files do, each picture in its own way.

    Tone curve, sharpening and scaling change the clean target and the noisy picture alike, with the same parameters.
    Demosaicing and the camera's denoising act only on the noise: both pictures keep the three colours of each pixel and
    their detail. Compression, rounding and clipping act only on the noisy picture. So the difference of the two is
    noise and compression artefacts, and a model never has to undo tone curve, sharpening, blur or scaling.

    The level is measured on that difference. One case is different: for independent noise that stays as drawn, or is
    only rounded and clipped, the level is the standard deviation that was drawn, even if clipping reduces it. This is
    the sigma of the literature.

    Args:
        clean_BCHW: (B, 3, H, W) in [0, 1], both sides at least 16. In its outer 8 pixels filters lack context.
        draw: generator of all random numbers, on the pictures' device.
    """
    batch = len(clean_BCHW)
    kinds = choice(batch, SHARES, draw)
    greys = chance(batch, GREY, draw)
    sigma = uniform(batch, 0, LARGEST_SIGMA, draw) * (kinds == INDEPENDENT)[:, None, None, None]
    untouched = (kinds >= INDEPENDENT) & chance(batch, PLAIN, draw)
    floats = chance(batch, FLOAT_INDEPENDENT, draw) & (kinds == INDEPENDENT) | chance(batch, FLOAT_OTHERS, draw)

    pair = Pair(clean_BCHW.clone(), _noise_begun(clean_BCHW, kinds, sigma, greys, draw))
    made = kinds < INDEPENDENT
    _change(pair, made & chance(batch, DENOISED, draw), _denoised, draw)
    _change(pair, made & chance(batch, CURVED, draw), _curved, draw)
    _change(pair, greys, lambda some, _: some.both(grey), draw)
    tinted = greys & chance(batch, TONED_OF_GREY, draw)
    _change(pair, tinted, _toned, draw)
    _handle(pair, ~(untouched | floats), draw)
    noisy = torch.where(floats[:, None, None, None], pair.noisy, eight_bits(pair.noisy))

    level = noise_level(noisy - pair.clean)
    plain = (kinds == INDEPENDENT) & (untouched | floats) & ~tinted
    told = sigma * torch.where(greys[:, None], level.new_tensor([GREY_LEVEL, 0]), level.new_ones(2))[..., None, None]
    return Degraded(pair.clean, noisy, torch.where(plain[:, None, None, None], told, level))


def _noise_begun(
    clean_BCHW: Tensor, kinds_B: Tensor, sigma_B111: Tensor, greys_B: Tensor, draw: torch.Generator
) -> Tensor:
    """Adds the noise that arises first."""
    noisy = clean_BCHW.clone()
    for kind, way in ((SENSOR, camera_noise), (CORRELATED, correlated_noise), (GRAIN, grain)):
        rows = rows_of(kinds_B == kind)
        if len(rows):
            noisy[rows] = way(clean_BCHW[rows], draw)
    rows = rows_of(kinds_B == INDEPENDENT)
    if len(rows):
        noise = normal(clean_BCHW[rows].shape, draw)
        noise = torch.where(greys_B[rows, None, None, None], noise[:, :1], noise)
        noisy[rows] += sigma_B111[rows] / 255 * noise
    return noisy


def _change(pair: Pair, mask_B: Tensor, step: Step, draw: torch.Generator) -> None:
    """Applies a step to the pictures in a mask, in place."""
    rows = rows_of(mask_B)
    if len(rows):
        after = step(Pair(pair.clean[rows], pair.noisy[rows]), draw)
        pair.clean.index_copy_(0, rows, after.clean)
        pair.noisy.index_copy_(0, rows, after.noisy)


def _toned(pair: Pair, draw: torch.Generator) -> Pair:
    tint = 0.5 * (2 * torch.rand(len(pair.clean), 3, 1, 1, generator=draw, device=draw.device) - 1)
    return pair.both(lambda picture: toned(picture, tint))


def _denoised(pair: Pair, draw: torch.Generator) -> Pair:
    return Pair(pair.clean, denoised(pair.clean, pair.noisy, draw))


def _curved(pair: Pair, draw: torch.Generator) -> Pair:
    gamma, contrast = uniform(len(pair.clean), 0.7, 1.4, draw), uniform(len(pair.clean), -0.5, 0.9, draw)
    return pair.both(lambda picture: curve(picture, gamma, contrast))


def _sharpened(pair: Pair, draw: torch.Generator) -> Pair:
    amount, deviation = uniform(len(pair.clean), 0.1, 1, draw), uniform(len(pair.clean), 0.5, 1.5, draw)
    return pair.both(lambda picture: sharpened(picture, amount, deviation).clamp(0, 1))


def _resized(pair: Pair, draw: torch.Generator) -> Pair:
    """Scales each pair with its own factor and position; the kernel is the same for all."""
    factor = log_uniform(len(pair.clean), *SIZES, draw).flatten()
    centre = torch.rand(len(factor), 2, generator=draw, device=draw.device)
    cubic = bool(chance(1, 0.5, draw))
    clean, noisy = resized(torch.cat(pair, 1), factor, centre, cubic).clamp(0, 1).split(3, 1)
    return Pair(clean, noisy)


def _compressed(pair: Pair, draw: torch.Generator) -> Pair:
    batch = len(pair.clean)
    place = torch.randint(16, (batch, 2), generator=draw, device=draw.device)
    quality, full = uniform(batch, *QUALITY, draw), chance(batch, FULL_COLOUR, draw)
    return Pair(pair.clean, jpeg(pair.noisy, quality, full, place))


def _handle(pair: Pair, mask_B: Tensor, draw: torch.Generator) -> None:
    """Applies sharpening, scaling and JPEG in random order, then JPEG again, each to some of the pictures in the
    mask."""
    batch = len(mask_B)
    steps: tuple[tuple[Step, float], ...] = ((_sharpened, SHARPENED), (_resized, RESIZED), (_compressed, COMPRESSED))
    order = torch.rand(batch, len(steps), generator=draw, device=draw.device).argsort(1)
    wanted = torch.stack([mask_B & chance(batch, share, draw) for _, share in steps], 1)
    for turn in range(len(steps)):
        for number, (step, _) in enumerate(steps):
            _change(pair, wanted[:, number] & (order[:, turn] == number), step, draw)
    _change(pair, wanted[:, 2] & chance(batch, COMPRESSED_AGAIN, draw), _compressed, draw)
