"""Blind estimation of the blur kernel of a photograph.

From the coarsest scale to the finest, two estimates alternate. The first is the latent sharp picture with sparse
gradients (Xu, Zheng and Jia, "Unnatural L0 sparse representation for natural image deblurring", CVPR 2013; solved by
half-quadratic splitting). The second is the kernel that maps its gradients to those of the photograph, by least squares
(Cho and Lee, "Fast motion deblurring", SIGGRAPH Asia 2009).

Shape suffixes: H rows, W columns, K rows and columns of a kernel, T taps of a resampling filter.
"""

import math
from typing import NamedTuple

import numpy as np

from .fourier import UNITARY, energy, fast_margin, in_bands, inverse_transform, periodic, spectrum, transform

# Side of the kernel at the coarsest scale, in pixels, and the ratio between neighbouring scales.
COARSEST_SIDE, SCALE_RATIO = 5, 2**-0.5
# Alternations of picture and kernel at each scale.
ITERATIONS = 4
# Penalty for a pixel with a gradient (lambda of Xu et al.): the first one, its divisor at each iteration, the minimum.
FIRST_PENALTY, PENALTY_DECAY, LEAST_PENALTY = 4e-3, 1.1, 1e-4
# Bound of the weight of the split gradients (beta of Xu et al.), which starts at twice the penalty and is doubled.
LARGEST_WEIGHT = 1e3
# Weight of the kernel's squared norm in the least squares.
ENERGY_WEIGHT = 2.0
# Conjugate gradients stop when the norm of the residual, relative to the first one, is below this.
CG_TOLERANCE = 1e-9
# Noise in a kernel: values below this fraction of the largest one, and patches below this fraction of the sum.
FAINT_VALUE, SMALL_PATCH = 1 / 20, 0.1
# Parameter a of the cubic that enlarges kernels (Keys, "Cubic convolution interpolation for digital image processing",
# 1981): its slope at distance 1.
CUBIC_SLOPE = -0.75


class Gradients(NamedTuple):
    """Differences to the next column and to the next row, (H, W) each, with periodic borders."""

    across: np.ndarray
    down: np.ndarray


def gradients(picture_HW: np.ndarray) -> Gradients:
    """The gradients of a picture (H, W) with periodic borders."""
    return Gradients(np.roll(picture_HW, -1, 1) - picture_HW, np.roll(picture_HW, -1, 0) - picture_HW)


def l0_sharp_image(picture_HW: np.ndarray, kernel_KK: np.ndarray, penalty: float) -> np.ndarray:
    """The sharp picture x, (H, W), that approximately minimises |k * x - y|^2 + penalty * (number of pixels with a
    gradient) for the blurred picture y (Xu et al. 2013, equations 6 to 10, solved as by Pan et al. 2014).

    Each weight takes two passes. The pass over rows transforms rows back from the Fourier domain, keeps the gradients
    whose energy exceeds the penalty, and transforms their divergence. The pass over columns solves for the spectrum.

    Args:
        picture_HW: y, with periodic borders.
        kernel_KK: k, of sum 1.
        penalty: cost of a pixel with a gradient.
    """
    height, width = picture_HW.shape
    blur = spectrum(kernel_KK[None], height, width)[0, 0]
    data_term, power = blur.conj() * transform(picture_HW), energy(blur)
    # Power spectrum of the two difference filters.
    gradient_power = 4 * np.add.outer(
        np.square(np.sin(math.pi * np.arange(height) / height)),
        np.square(np.sin(math.pi * np.arange(width // 2 + 1) / width)),
    ).astype(picture_HW.dtype)
    half, diverging = np.fft.rfft(picture_HW, axis=1, norm=UNITARY), np.empty_like(data_term)
    weight = 2 * penalty

    def rows(band: slice) -> None:
        spectra = half.take(range(band.start - 1, band.stop + 1), 0, mode="wrap")
        sharp = np.empty((len(spectra), width + 1), picture_HW.dtype)
        np.fft.irfft(spectra, width, axis=1, norm=UNITARY, out=sharp[:, :-1])
        sharp[:, -1] = sharp[:, 0]
        across, down = sharp[:-1, 1:] - sharp[:-1, :-1], sharp[1:, :-1] - sharp[:-1, :-1]
        kept = np.square(across) + np.square(down) >= penalty / weight
        across, down = across[1:] * kept[1:], down * kept
        divergence = down[:-1] - down[1:]
        divergence -= across
        divergence[:, 1:] += across[:, :-1]
        divergence[:, 0] += across[:, -1]
        divergence *= weight
        np.fft.rfft(divergence, axis=1, norm=UNITARY, out=diverging[band])

    def columns(band: slice) -> None:
        total = np.fft.fft(diverging[:, band], axis=0, norm=UNITARY)
        total += data_term[:, band]
        total *= 1 / (power[:, band] + weight * gradient_power[:, band])
        np.fft.ifft(total, axis=0, norm=UNITARY, out=half[:, band])

    while weight < LARGEST_WEIGHT:
        in_bands(height, picture_HW.size, rows)
        in_bands(width // 2 + 1, picture_HW.size, columns)
        weight *= 2
    return np.fft.irfft(half, width, axis=1, norm=UNITARY)


def least_squares(sharp_HW: np.ndarray, picture_HW: np.ndarray, side: int, border: int) -> np.ndarray:
    """The kernel (side, side) that maps the gradients of a sharp picture to those of a blurred one with the smallest
    squared error (Cho and Lee 2009, equation 8). It may have negative values.

    Args:
        sharp_HW, picture_HW: sharp and blurred picture.
        side: side of the kernel, odd.
        border: pixels at each border that are ignored.
    """
    width, inner = picture_HW.shape[1], (slice(border, -border),) * 2
    spectra = []
    for picture in (sharp_HW, picture_HW):
        inside = np.zeros((2, *picture.shape), picture.dtype)
        for part, target in zip(gradients(picture), inside, strict=True):
            target[inner] = part[inner]
        spectra.append(transform(inside))
    sharp, blurred = spectra
    auto = inverse_transform(energy(sharp).sum(0).astype(sharp.dtype), width)
    cross = inverse_transform((sharp.conj() * blurred).sum(0), width)
    # The product of two unitary transforms is divided by the root of the number of pixels once too often.
    scale = picture_HW.size**0.5
    offsets, lags = np.arange(side) - side // 2, np.arange(1 - side, side)
    crosscorrelation, autocorrelation = (
        part[np.ix_(shifts, shifts)].astype(np.float64) * scale for part, shifts in ((cross, offsets), (auto, lags))
    )
    return _solved(autocorrelation, crosscorrelation).astype(picture_HW.dtype)


def _solved(autocorrelation: np.ndarray, crosscorrelation_KK: np.ndarray) -> np.ndarray:
    """The kernel (K, K) that, convolved with the autocorrelation plus `ENERGY_WEIGHT` at lag 0, gives the
    cross-correlation. By conjugate gradients, preconditioned by the nearest circulant operator (T. Chan, "An optimal
    circulant preconditioner for Toeplitz systems", SIAM Journal on Scientific and Statistical Computing 9, 1988).

    Args:
        autocorrelation: (2 K - 1, 2 K - 1), symmetric about lag 0.
        crosscorrelation_KK: the right-hand side, (K, K).
    """
    side = len(crosscorrelation_KK)
    wide = 2 * side + 2 * fast_margin(2 * side, 0)
    lags = np.arange(1 - side, side)
    at_lags, taper = np.ix_(lags, lags), 1 - abs(lags) / side
    embedded, circulant = np.zeros((wide, wide)), np.zeros((2 * side, 2 * side))
    embedded[at_lags], circulant[at_lags] = autocorrelation, autocorrelation * np.outer(taper, taper)
    operator = np.fft.rfft2(embedded).real + ENERGY_WEIGHT
    preconditioner = np.fft.rfft2(circulant.reshape(2, side, 2, side).sum((0, 2))).real + ENERGY_WEIGHT

    kernel, residual = np.zeros_like(crosscorrelation_KK), crosscorrelation_KK.copy()
    direction, last = np.zeros_like(crosscorrelation_KK), math.inf
    tolerance = CG_TOLERANCE**2 * np.square(crosscorrelation_KK).sum()
    for _ in range(side**2):
        if not np.square(residual).sum() > tolerance:
            break
        preconditioned = np.fft.irfft2(np.fft.rfft2(residual) / preconditioner, (side, side))
        error = (residual * preconditioned).sum()
        direction = preconditioned + direction * (error / last)
        product = np.fft.irfft2(operator * np.fft.rfft2(direction, (wide, wide)), (wide, wide))[:side, :side]
        step = error / (direction * product).sum()
        kernel += step * direction
        residual -= step * product
        last = error
    return kernel


def tidied(kernel_KK: np.ndarray) -> np.ndarray:
    """The kernel without negative values, faint values and small patches, of sum 1; a unit impulse if nothing is
    left."""
    kernel = kernel_KK * (kernel_KK > kernel_KK.max() * FAINT_VALUE)
    if not kernel.max() > 0:
        return unblurred(len(kernel), kernel)
    total = kernel.sum()
    for patch in patches(kernel > 0):
        if kernel[patch].sum() < SMALL_PATCH * total:
            kernel[patch] = 0
    return kernel / kernel.sum() if kernel.max() > 0 else unblurred(len(kernel), kernel)


def patches(mask_KK: np.ndarray) -> list[np.ndarray]:
    """The connected components of a mask (K, K), with diagonal neighbours, one mask each."""
    left = {(int(row), int(column)): None for row, column in np.argwhere(mask_KK)}
    found = []
    while left:
        patch, border = np.zeros_like(mask_KK), [next(iter(left))]
        del left[border[0]]
        while border:
            row, column = border.pop()
            patch[row, column] = True
            around = [(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
            reached = [place for place in around if place in left]
            for place in reached:
                del left[place]
            border += reached
        found.append(patch)
    return found


def unblurred(side: int, like: np.ndarray) -> np.ndarray:
    """The kernel (side, side) without blur, a unit impulse, with the dtype of `like`."""
    kernel = np.zeros((side, side), like.dtype)
    kernel[side // 2, side // 2] = 1
    return kernel


def centred(kernel_KK: np.ndarray) -> np.ndarray:
    """The kernel, shifted by whole pixels so that its centroid is in the centre; a blind estimate leaves the shift
    open."""
    offset = np.arange(len(kernel_KK)) - len(kernel_KK) // 2
    shift = [-round(float((kernel_KK.sum(1 - axis) * offset).sum() / kernel_KK.sum())) for axis in (0, 1)]
    return np.roll(kernel_KK, shift, (0, 1))


def estimate_kernel(picture_HW: np.ndarray, side: int) -> np.ndarray:
    """Estimates the blur kernel (side, side) of a photograph: not negative, of sum 1, with its centroid in the centre.

    Args:
        picture_HW: brightness in [0, 1]; both sides are larger than three times `side`.
        side: side of the kernel, odd; longer blurs are not found.
    """
    scales = max(1, math.floor(math.log(COARSEST_SIDE / side, SCALE_RATIO)) + 1)
    kernel, penalty = None, FIRST_PENALTY
    for scale in reversed(range(scales)):
        size = max(3, math.ceil(side * SCALE_RATIO**scale) // 2 * 2 + 1)
        size = side if scale == 0 else size
        blurred = picture_HW if scale == 0 else shrunk(picture_HW, SCALE_RATIO**scale)
        blurred = periodic(blurred[None, None], *(fast_margin(length, size) for length in blurred.shape))[0, 0]
        if kernel is None:
            kernel = np.zeros((size, size), blurred.dtype)
            kernel[size // 2, size // 2 : size // 2 + 2] = 0.5
        else:
            kernel = resized(kernel, size)
        for _ in range(ITERATIONS):
            sharp = l0_sharp_image(blurred, kernel, penalty)
            kernel = tidied(least_squares(sharp, blurred, size, size))
            penalty = max(penalty / PENALTY_DECAY, LEAST_PENALTY)
        kernel = centred(kernel)
    assert kernel is not None
    return tidied(kernel)


def shrunk(picture_HW: np.ndarray, factor: float) -> np.ndarray:
    """A picture shrunk by a factor of at most 1, by linear interpolation with antialiasing."""
    for axis, size in enumerate(picture_HW.shape):
        picture_HW = _resampled(picture_HW, axis, *_linear_weights(size, round(size * factor)))
    return picture_HW


def resized(kernel_KK: np.ndarray, side: int) -> np.ndarray:
    """A kernel (K, K) resampled to (side, side) by cubic convolution, without negative values, of sum 1."""
    for axis in (0, 1):
        kernel_KK = _resampled(kernel_KK, axis, *_cubic_weights(kernel_KK.shape[axis], side))
    kernel = kernel_KK.clip(min=0)
    return kernel / kernel.sum()


def _resampled(picture_HW: np.ndarray, axis: int, positions_HT: np.ndarray, weights_HT: np.ndarray) -> np.ndarray:
    """New rows (axis 0) or columns (axis 1), each a weighted sum of T old ones; beyond the border the last one is
    repeated."""
    positions = positions_HT.clip(0, picture_HW.shape[axis] - 1)
    weights = weights_HT.astype(picture_HW.dtype)
    shape = (-1, 1) if axis == 0 else (1, -1)
    result = picture_HW.take(positions[:, 0], axis) * weights[:, 0].reshape(shape)
    for position, weight in zip(positions.T[1:], weights.T[1:], strict=True):
        result += picture_HW.take(position, axis) * weight.reshape(shape)
    return result


def _linear_weights(size: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and weights, (target, T) each, that resample `size` pixels to `target` ones. The filter is a triangle,
    two target pixels wide if the picture shrinks."""
    scale = size / target
    radius = max(scale, 1.0)
    centre = scale * (np.arange(target) + 0.5)[:, None]
    positions = np.floor(centre - radius).astype(int) + np.arange(2 * math.ceil(radius) + 2)
    inside = (positions >= 0) & (positions < size)
    weights = (1 - abs(positions + 0.5 - centre) / radius).clip(min=0) * inside
    return positions, weights / weights.sum(1, keepdims=True)


def _cubic_weights(size: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and weights, (target, 4) each, of cubic convolution (Keys 1981, equation 4)."""
    centre = (size / target * (np.arange(target) + 0.5) - 0.5)[:, None]
    positions = np.floor(centre).astype(int) + np.arange(-1, 3)
    distance = abs(positions - centre)
    near = ((CUBIC_SLOPE + 2) * distance - (CUBIC_SLOPE + 3)) * distance**2 + 1
    far = CUBIC_SLOPE * (((distance - 5) * distance + 8) * distance - 4)
    return positions, np.where(distance <= 1, near, far)
