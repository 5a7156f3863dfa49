"""Processing after the noise, by cameras and people: smoothing, tone curves, sharpening, scaling."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .colour import YCC, times
from .draws import chance, rows_of, uniform
from .filters import blurred, resampled, resamplings

# Probability that a camera's denoising preserves edges.
BILATERAL = 0.3


def smoothed_noise(noise_BCHW: Tensor, deviation_B3: Tensor, share_B3: Tensor, kept_B3: Tensor) -> Tensor:
    """Smooths brightness and colour differences of noise separately, as cameras do; colour is smoothed most.

    Args:
        deviation_B3: standard deviations of the Gaussians in pixels, for Y, Cb and Cr.
        share_B3: share of the smoothed noise in the result; the rest is the unchanged noise.
        kept_B3: factor of the result.
    """
    parts = times(YCC, noise_BCHW)
    smooth = torch.lerp(parts, blurred(parts, deviation_B3), share_B3[..., None, None])
    return times(YCC.inverse(), smooth * kept_B3[..., None, None])


def bilateral(noise_BCHW: Tensor, picture_BCHW: Tensor, tolerance_B111: Tensor) -> Tensor:
    """Smooths noise over 3x3 pixels, less between pixels whose brightness differs by more than a tolerance (Tomasi and
    Manduchi, "Bilateral filtering for gray and color images", ICCV 1998)."""
    guide = F.pad(times(YCC[:1], picture_BCHW), (1, 1, 1, 1), mode="replicate")
    padded = F.pad(noise_BCHW, (1, 1, 1, 1), mode="replicate")
    height, width = noise_BCHW.shape[2:]
    centre = guide[..., 1:-1, 1:-1]
    scale = -0.5 / tolerance_B111.square()
    total, weights = noise_BCHW.clone(), torch.ones_like(centre)
    for row in range(3):
        for column in range(3):
            if (row, column) == (1, 1):
                continue
            place = (..., slice(row, row + height), slice(column, column + width))
            weight = ((guide[place] - centre).square_() * scale).exp_()
            total.addcmul_(weight, padded[place])
            weights += weight
    return total / weights


def denoised(clean_BCHW: Tensor, noisy_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Simulates a camera's own denoising: smooths the noise, not the picture, by Gaussians of up to 2 pixels in
    brightness and 4 in colour, and some pictures also by a bilateral filter that is guided by the noisy picture."""
    batch = len(clean_BCHW)
    noise = noisy_BCHW - clean_BCHW
    edges = rows_of(chance(batch, BILATERAL, draw))
    if len(edges):
        noise[edges] = bilateral(noise[edges], noisy_BCHW[edges], uniform(len(edges), 0.03, 0.2, draw))
    narrow, wide = 2 * uniform(batch, 0, 1, draw).square(), uniform(batch, 0.5, 4, draw)
    less, more = uniform(batch, 0.3, 1, draw), 1 - 0.3 * uniform(batch, 0, 1, draw).square()
    kept = uniform(batch, 0.3, 1, draw)
    choices = ((narrow, wide), (less, more), (torch.ones_like(kept), kept))
    return clean_BCHW + smoothed_noise(noise, *(torch.cat([y, c, c], 1).flatten(1) for y, c in choices))


def curve(image_BCHW: Tensor, gamma_B111: Tensor, contrast_B111: Tensor) -> Tensor:
    """Applies a tone curve: a power, then v v (3 - 2 v) with a weight from -1 to 1; linear beyond [0, 1]."""
    inside = image_BCHW.clamp(0, 1)
    value = inside**gamma_B111
    value = value + contrast_B111 * value * (1 - value) * (2 * value - 1)
    return value + (image_BCHW - inside)


def sharpened(image_BCHW: Tensor, amount_B111: Tensor, deviation_B111: Tensor) -> Tensor:
    """Unsharp mask: adds `amount` times what a Gaussian with a standard deviation in pixels removes from the
    brightness."""
    brightness = times(YCC[:1], image_BCHW)
    return image_BCHW + amount_B111 * (brightness - blurred(brightness, deviation_B111.flatten(1)))


def resized(image_BCHW: Tensor, factor_B: Tensor, centre_B2: Tensor, cubic: bool) -> Tensor:
    """Scales pictures around given positions and keeps their number of pixels: enlarged pictures are cropped, and
    shrunk ones are padded by mirroring."""
    height, width = image_BCHW.shape[2:]
    rows = resamplings(height, factor_B, centre_B2[:, 0], cubic)
    return resampled(image_BCHW, rows, resamplings(width, factor_B, centre_B2[:, 1], cubic))
