"""Deblurring with a given or estimated kernel: rounds of an inverse filter and of denoising by the cells.

The model is y = k * x + noise, with the blurred picture y, the kernel k and the sharp picture x. Half-quadratic
splitting alternates two steps. A regularised inverse filter in the Fourier domain finds the x that fits both y and the
last denoised picture. Then the automaton denoises x: it is the prior for photographs (Zhang, Li, Zuo, Zhang, Van Gool
and Timofte, "Plug-and-play image restoration with deep denoiser prior", TPAMI 2022). The noise level that the cells get
falls from round to round.

Shape suffixes: B batch, C channels, H rows, W columns, K rows and columns of a kernel, L noise levels, h and w cells of
8x8 pixels.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .blur import Blur
from .blur_kernel import estimate_kernel, unblurred
from .fourier import UNITARY, blurred, energy, fast_margin, in_bands, inverse_transform, periodic, spectrum, transform

# Picture (B, 3, H, W), noise level in 255ths and number of steps -> the picture that the cells have denoised.
Cells = Callable[[np.ndarray, float, int], np.ndarray]

# Noise level of the first round, in 255ths.
FIRST_LEVEL = 25.0
# Smallest noise level that the filter assumes, in 255ths: rounding to 8 bits, and errors of the kernel.
MIN_LEVEL = 1.5
# Factor of the noise level for estimated kernels, whose errors are larger.
ESTIMATE_LEVEL_FACTOR = 1.3
# Iterations in a round, each of which extrapolates the pixels beyond the border again.
FILLS = 3
# Weight of the denoised picture in the filter (lambda of Zhang et al. 2022).
PRIOR_WEIGHT = 0.23
# Rounds of a restoration.
ROUNDS = 4
# Steps of the cells in the last round and in each round before it. In the same time, more rounds of fewer steps restore
# better (docs/research/blur.md).
LAST_STEPS, EARLIER_STEPS = 2, 1
# Weights of red, green and blue in the brightness (BT.601).
LUMA = (0.299, 0.587, 0.114)
# Above this spatial frequency, in cycles per pixel and in both directions, a blurred picture has little but noise; a
# picture with a side below the second number has too few such frequencies.
CORNER_FREQUENCY, MIN_SPECTRUM_SIDE = 0.4, 32
# Side of the part of a picture in which the kernel is estimated, and of the blocks by whose edges it is chosen; pixels.
ESTIMATION_SIDE, EDGE_BLOCK = 512, 32
# Upper bound of an absolute difference between neighbouring pixels in `edges`.
MAX_GRADIENT = 0.1
# Sides of the estimated kernels in pixels. The larger one is tried first, and the smaller one too if the kernel has at
# least this fraction of its sum in that central part. The kernel with the smaller misfit is chosen.
KERNEL_SIDES, CENTRAL_SUM = (13, 31), 0.5
# Side of the part of a picture that is deblurred to test an estimate, in pixels.
TRIAL_SIDE = 256
# The confidence in an estimate is 1 up to a misfit of MISFIT_BASE + MISFIT_PER_NOISE * level, and 0 from MISFIT_CUTOFF
# times that on. Sharp pictures have a larger misfit, at their edges.
MISFIT_BASE, MISFIT_PER_NOISE, MISFIT_CUTOFF = 0.8, 0.15, 1.6
# If this quantile of the gradient magnitude is below FLAT_GRADIENT per pixel, no blur can be estimated, and the picture
# is not changed.
FLAT_GRADIENT = 2 / 255
EDGE_QUANTILE = 0.95
# Root mean square of the change by deblurring, in 255ths: the confidence is 0 below the first number, because there is
# little to gain and a good picture to lose, and 1 above the second.
MIN_CHANGE, FULL_CHANGE = 6.5, 8.0
# A kernel with more than this fraction of its sum in the central 3x3 pixels counts as no blur, for the same reason.
SHARP_SUM = 0.85


def rounds(
    image_BCHW: np.ndarray, kernel_BKK: np.ndarray, level: float, count: int, cells: Cells
) -> Iterator[np.ndarray]:
    """Yields the picture after 0, 1, ..., `count` rounds, (B, 3, H, W), not clipped.

    Args:
        image_BCHW: blurred picture, (B, 3, H, W) in [0, 1].
        kernel_BKK: (B or 1, K, K), of sum 1, no side larger than the picture's.
        level: standard deviation of the noise in 255ths.
        count: number of rounds.
        cells: denoises a picture, see `Cells`.
    """
    yield image_BCHW
    margins = [fast_margin(side, extent(kernel_BKK)) for side in image_BCHW.shape[-2:]]
    cleaned = periodic(image_BCHW, *margins)
    rows, columns = (slice(margin, margin + size) for margin, size in zip(margins, image_BCHW.shape[-2:], strict=True))
    blur = spectrum(kernel_BKK.astype(image_BCHW.dtype), *cleaned.shape[-2:])
    data_spectrum = np.fft.rfft(cleaned, axis=-1, norm=UNITARY)
    for number, current in enumerate(schedule(level, count), 1):
        weight = PRIOR_WEIGHT * (level / current) ** 2
        sharp = _filtered(image_BCHW, blur, data_spectrum, cleaned, weight)
        steps = LAST_STEPS if number == count else EARLIER_STEPS
        cleaned = cells(inverse_transform(sharp, cleaned.shape[-1]), current, steps)
        yield cleaned[..., rows, columns]


def extent(kernel_BKK: np.ndarray) -> int:
    """The side of the smallest square around the central pixel that contains all values of the kernels (B, K, K) that
    are not zero. At least one is not."""
    _, *places = np.nonzero(kernel_BKK)
    sizes = kernel_BKK.shape[-2:]
    return 1 + 2 * max(int(abs(place - size // 2).max()) for place, size in zip(places, sizes, strict=True))


def _filtered(
    image_BCHW: np.ndarray, blur: np.ndarray, data_spectrum: np.ndarray, cleaned: np.ndarray, weight: float
) -> np.ndarray:
    """The spectrum of the picture that fits the blurred and the denoised picture best. In each of `FILLS` iterations
    the pixels beyond the border, which are unknown, become those of the estimate, blurred.

    Args:
        image_BCHW: blurred picture.
        blur: spectra of the kernels.
        data_spectrum: the blurred picture with its border, transformed along the rows; it is overwritten.
        cleaned: the denoised picture with its border.
        weight: weight of the denoised picture.
    """
    height, width = cleaned.shape[-2:]
    top, left = ((wide - size) // 2 for wide, size in zip(cleaned.shape[-2:], image_BCHW.shape[-2:], strict=True))
    inverse_power = 1 / (energy(blur) + weight)
    prior_term = transform(cleaned)
    prior_term *= weight * inverse_power
    sharp = np.empty_like(prior_term)
    blur, inverse_filter = (np.broadcast_to(part, prior_term.shape) for part in (blur, blur.conj() * inverse_power))

    def columns(band: slice, number: tuple[int, int]) -> None:
        here = number[0], number[1], slice(None), band
        estimate = np.fft.fft(data_spectrum[here], axis=0, norm=UNITARY)
        estimate *= inverse_filter[here]
        estimate += prior_term[here]
        sharp[here] = estimate
        estimate *= blur[here]
        np.fft.ifft(estimate, axis=0, norm=UNITARY, out=data_spectrum[here])

    def rows(band: slice, number: tuple[int, int]) -> None:
        filled = np.fft.irfft(data_spectrum[number][band], width, axis=1, norm=UNITARY)
        given = image_BCHW[number][max(band.start - top, 0) : max(band.stop - top, 0)]
        first = max(top - band.start, 0)
        filled[first : first + len(given), left : width - left] = given
        np.fft.rfft(filled, axis=1, norm=UNITARY, out=data_spectrum[number][band])

    for _ in range(FILLS):
        for number in np.ndindex(prior_term.shape[:2]):
            in_bands(width // 2 + 1, height * width, partial(columns, number=number))
            in_bands(height, height * width, partial(rows, number=number))
    return sharp


def blended_rounds(image_BCHW: np.ndarray, blur: Blur, count: int, cells: Cells) -> Iterator[np.ndarray]:
    """Like `rounds`, blended with the given picture by the confidence in the kernel: 0 keeps the given picture.

    Args:
        blur: the kernel, the confidence in it, and the noise level of the filter.
    """
    if blur.confidence == 0:
        yield from (image_BCHW for _ in range(count + 1))
        return
    for restored in rounds(image_BCHW, blur.kernel[None], blur.level, count, cells):
        yield _blended(image_BCHW, restored, blur.confidence)


def _blended(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """Linear interpolation, exactly the second picture at weight 1."""
    return second if weight == 1 else first + weight * (second - first)


def schedule(level: float, count: int) -> list[float]:
    """The noise level of the cells in each round, in 255ths: a geometric sequence from `FIRST_LEVEL` down to the
    picture's own level."""
    first = max(FIRST_LEVEL, level)
    return [first * (level / first) ** (step / max(1, count - 1)) for step in range(count)]


def estimation_part(image_BCHW: np.ndarray, side: int = ESTIMATION_SIDE) -> np.ndarray:
    """The part of one picture (1, 3, H, W) with the strongest edges, at most (1, 3, side, side)."""
    height, width = image_BCHW.shape[-2:]
    top, left = estimation_corner(edges(brightness(image_BCHW)[0]), height, width, side)
    return image_BCHW[..., top : top + side, left : left + side]


def capped_by_spectrum(level_BLhw: np.ndarray, part_BCHW: np.ndarray) -> np.ndarray:
    """The estimated levels of one picture, scaled down so that their mean is at most the `spectral_level` of a part of
    the picture. The estimator partly takes texture for noise; for blurred pictures the spectrum is more accurate.

    Args:
        level_BLhw: (1, 2, H / 8, W / 8), in 255ths.
        part_BCHW: (1, 3, rows, columns) in [0, 1].
    """
    mean = float(level_BLhw[:, 0].mean())
    bound = spectral_level(brightness(part_BCHW)[0]) / math.hypot(*LUMA)
    return level_BLhw * min(1.0, bound / mean) if mean > 0 else level_BLhw


def spectral_level(picture_HW: np.ndarray) -> float:
    """Standard deviation of the noise of a blurred picture (H, W) in [0, 1], in 255ths; infinite for small pictures.

    It is estimated from the corners of the spectrum, where blur has removed the picture. The power of the noise has an
    exponential distribution, whose median is log(2) times its mean.
    """
    if min(picture_HW.shape) < MIN_SPECTRUM_SIDE:
        return math.inf
    window = np.outer(*map(np.hanning, picture_HW.shape)).astype(picture_HW.dtype)
    spectra = np.fft.fft2((picture_HW - picture_HW.mean()) * window, norm=UNITARY)
    rows, columns = (abs(np.fft.fftfreq(side)) > CORNER_FREQUENCY for side in picture_HW.shape)
    corner = energy(spectra[np.ix_(rows, columns)]).ravel()
    median = np.sort(corner)[(corner.size - 1) // 2] * picture_HW.size / np.square(window).sum()
    return 255 * math.sqrt(median / math.log(2))


def filter_level(level_BLhw: np.ndarray) -> float:
    """The noise level in 255ths that the filter assumes for the whole picture.

    Args:
        level_BLhw: (1, 2, H / 8, W / 8), levels of brightness and colour noise in 255ths.
    """
    return max(float(level_BLhw[:, 0].mean()), MIN_LEVEL)


def brightness(image_BCHW: np.ndarray) -> np.ndarray:
    """The brightness (B, H, W) of a picture (B, 3, H, W)."""
    red, green, blue = (image_BCHW[:, channel] * weight for channel, weight in enumerate(LUMA))
    return red + green + blue


def estimated(image_BCHW: np.ndarray, level: float, cells: Cells) -> Blur:
    """Estimates the blur of a part of a picture, with kernels of several sides; the confidence is 0 if the part is
    flat, or too small for the smallest kernel.

    Args:
        image_BCHW: (1, 3, H, W) in [0, 1].
        level: standard deviation of the noise in 255ths.
        cells: denoises a picture, see `Cells`.
    """
    picture, assumed_level = brightness(image_BCHW)[0], level * ESTIMATE_LEVEL_FACTOR
    best, smallest_error = Blur(unblurred(KERNEL_SIDES[-1], picture), 0.0, assumed_level), math.inf
    if np.quantile(gradient_magnitude(picture), EDGE_QUANTILE) < FLAT_GRADIENT:
        return best
    trial, kernel = estimation_part(image_BCHW, TRIAL_SIDE), None
    trial_gradient = rms_gradient(brightness(trial)[0])
    if not trial_gradient > 0:
        return best
    # Deblurring changes a picture in proportion to its gradients, which are stronger in the trial part.
    ratio = rms_gradient(picture) / trial_gradient
    for side in [side for side in reversed(KERNEL_SIDES) if min(picture.shape) > 3 * side]:
        if kernel is not None and central_part(kernel, side).sum() < CENTRAL_SUM:
            break
        kernel = estimate_kernel(picture, side)
        *_, sharp = rounds(trial, kernel[None], assumed_level, ROUNDS, cells)
        error = misfit(brightness(sharp)[0], brightness(trial)[0], kernel)
        if error < smallest_error:
            padded = np.pad(kernel, (KERNEL_SIDES[-1] - side) // 2)
            change = 255 * ratio * float(np.sqrt(np.square(sharp - trial).mean()))
            smallest_error, best = error, Blur(padded, confidence(kernel, error, level, change), assumed_level)
    return best


def rms_gradient(picture_HW: np.ndarray) -> float:
    """Root mean square of the gradient magnitude per pixel, after means over 3x3 pixels, which reduce noise."""
    return float(np.sqrt(np.square(gradient_magnitude(_means(picture_HW))).mean()))


def central_part(kernel_KK: np.ndarray, side: int) -> np.ndarray:
    """The central part (side, side) of a kernel; both sides are odd."""
    margin = (len(kernel_KK) - side) // 2
    return kernel_KK[margin : margin + side, margin : margin + side]


def confidence(kernel_KK: np.ndarray, error: float, level: float, change: float) -> float:
    """The confidence in an estimated kernel, 0 to 1.

    Args:
        error: misfit of the deblurred picture, in 255ths.
        level: standard deviation of the picture's noise, in 255ths.
        change: root mean square of the change by deblurring, in 255ths.
    """
    if central_part(kernel_KK, 3).sum() > SHARP_SUM:
        return 0.0
    expected = MISFIT_BASE + MISFIT_PER_NOISE * level
    by_misfit = (MISFIT_CUTOFF - error / expected) / (MISFIT_CUTOFF - 1)
    by_change = (change - MIN_CHANGE) / (FULL_CHANGE - MIN_CHANGE)
    return min(max(min(by_misfit, by_change), 0.0), 1.0)


def misfit(sharp_HW: np.ndarray, picture_HW: np.ndarray, kernel_KK: np.ndarray) -> float:
    """The difference between the given picture (H, W) and the sharp picture blurred again, at the strongest edges: the
    root mean square of means over 3x3 pixels, which reduce noise, in 255ths."""
    side = max(kernel_KK.shape)
    reblurred = blurred(periodic(sharp_HW[None, None], side, side), kernel_KK[None])[0, 0, side:-side, side:-side]
    difference, given = (_means(part)[side:-side, side:-side] for part in (reblurred - picture_HW, picture_HW))
    magnitude = gradient_magnitude(given)
    strongest = magnitude >= np.quantile(magnitude, EDGE_QUANTILE)
    return 255 * float(np.sqrt(np.square(difference[1:, 1:][strongest]).mean()))


def _means(picture_HW: np.ndarray) -> np.ndarray:
    """Means over 3x3 pixels, (H - 2, W - 2)."""
    rows = picture_HW[:-2] + picture_HW[1:-1] + picture_HW[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def gradient_magnitude(picture_HW: np.ndarray) -> np.ndarray:
    """The gradient magnitude per pixel of a picture (H, W), (H - 1, W - 1)."""
    across, down = picture_HW[1:, 1:] - picture_HW[1:, :-1], picture_HW[1:, 1:] - picture_HW[:-1, 1:]
    return np.sqrt(np.square(across) + np.square(down))


def edges(picture_HW: np.ndarray) -> np.ndarray:
    """The edge strength of each whole block of 32x32 pixels of a picture (H, W): sums of absolute differences, each
    limited to `MAX_GRADIENT`."""
    rows, columns = (side // EDGE_BLOCK for side in picture_HW.shape)
    blocks = picture_HW[: rows * EDGE_BLOCK, : columns * EDGE_BLOCK].reshape(rows, EDGE_BLOCK, columns, EDGE_BLOCK)
    across, down = (abs(np.diff(blocks, axis=axis)).clip(max=MAX_GRADIENT) for axis in (3, 1))
    return across.sum((1, 3)) + down.sum((1, 3))


def estimation_corner(edges: np.ndarray, height: int, width: int, side: int = ESTIMATION_SIDE) -> tuple[int, int]:
    """Top row and left column of the part of a picture with the strongest edges, at most `side` pixels high and wide;
    the first of equal ones.

    Args:
        edges: from `edges`, for the picture of `height` rows and `width` columns.
    """
    if (height <= side and width <= side) or not edges.size:
        return 0, 0
    sums = edges
    for axis, size in enumerate(edges.shape):
        sums = sliding_window_view(sums, min(side // EDGE_BLOCK, size), axis).sum(-1)
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    return row * EDGE_BLOCK if height > side else 0, column * EDGE_BLOCK if width > side else 0
