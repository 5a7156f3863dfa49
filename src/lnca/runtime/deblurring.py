"""Deblurring: a kernel, told or estimated, and rounds in which a filter undoes it and the cells clean what it leaves.

The picture x that explains the blurred one, y = k * x + noise, and is at the same time a good photograph is found by
half-quadratic splitting: in the Fourier domain the x nearest to both, then the automaton's word on how x should look
(Zhang, Li, Zuo, Zhang, Van Gool and Timofte, "Plug-and-play image restoration with deep denoiser prior", TPAMI 2022).
The cells are told at which noise level to look: a high one first, then less.

Shape suffixes: B batch, C channels, H rows, W columns, K a kernel's rows and columns, L noise levels, h and w cells of
8x8 pixels.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .blur import Blur
from .blur_kernel import estimate_kernel, unblurred
from .fourier import UNITARY, blurred, energy, in_bands, periodic, quick_margin, spectrum, transform, transformed_back

# Picture and noise level in 255ths -> what the cells make of it.
Cells = Callable[[np.ndarray, float], np.ndarray]

# Noise level in 255ths of the first round.
FIRST_LEVEL = 25.0
# The least one that is counted with: eight bits, and a kernel that is never quite right.
QUIETEST = 1.5
# An estimated kernel is an error more.
ESTIMATED = 1.3
# How often in a round the pixels beyond the border are filled in anew.
FILLS = 3
# How much the filter trusts the cells (lambda of Zhang et al. 2022).
TRUST = 0.23
# Rounds of a restoration.
ROUNDS = 3
LUMA = (0.299, 0.587, 0.114)
# Cycles a pixel, of rows and columns both, from which on a blurred picture holds little but noise; sides below the
# second hold too few of them.
CORNER, FEWEST = 0.4, 32
# Rows and columns of the part of a picture in which its kernel is looked for, and of the squares it is chosen by.
LOOK, SQUARE = 512, 32
# The longest shakes that are looked for, the longer first; the shorter as well where the kernel of the longer has so
# much of its sum within it. What explains the picture best is taken.
SIDES, WITHIN = (13, 31), 0.5
# Rows and columns of the part of a picture on which an estimate is tried.
TRIED = 256
# An estimate counts in full up to a misfit of MISFIT_BASE + MISFIT_PER_NOISE * level, and not at all from
# MISFIT_CUTOFF times that on.
# Pictures that were sharp have more, at their edges.
MISFIT_BASE, MISFIT_PER_NOISE, MISFIT_CUTOFF = 0.8, 0.15, 1.6
# Where the strongest edges (the steepest twentieth) rise by less a pixel, nothing tells a blur, and none is taken away.
FLAT = 2 / 255
STEEPEST = 0.95
# Where the restored picture differs from the given one by a root mean square of less than the first, in 255ths, there
# is little to win and a good picture to lose: nothing is done; from the second on it counts in full.
LEAST_CHANGE, FULL_CHANGE = 6.5, 8.0
# A kernel with so much of its sum in its middle 3x3 pixels is taken for no blur: there is little to win, and a sharp
# picture to lose.
SHARP = 0.85


def rounds(
    image_BCHW: np.ndarray, kernel_BKK: np.ndarray, level: float, count: int, cells: Cells
) -> Iterator[np.ndarray]:
    """Yields the picture after 0, 1, ..., `count` rounds.

    Args:
        image_BCHW: blurred, (B, 3, H, W) in [0, 1].
        kernel_BKK: (B or 1, K, K), of sum 1, no side larger than the picture's.
        level: standard deviation of its noise in 255ths.
        cells: see `Cells`.
    """
    yield image_BCHW
    margins = [quick_margin(side, max(kernel_BKK.shape[-2:])) for side in image_BCHW.shape[-2:]]
    cleaned = periodic(image_BCHW, *margins)
    rows, columns = (slice(margin, margin + size) for margin, size in zip(margins, image_BCHW.shape[-2:], strict=True))
    blur = spectrum(kernel_BKK.astype(image_BCHW.dtype), *cleaned.shape[-2:])
    told = np.fft.rfft(cleaned, axis=-1, norm=UNITARY)
    for current in schedule(level, count):
        weight = TRUST * (level / current) ** 2
        sharp = _filtered(image_BCHW, blur, told, cleaned, weight)
        cleaned = cells(transformed_back(sharp, cleaned.shape[-1]), current)
        yield cleaned[..., rows, columns]


def _filtered(
    image_BCHW: np.ndarray, blur: np.ndarray, told: np.ndarray, cleaned: np.ndarray, weight: float
) -> np.ndarray:
    """The spectrum of the picture between what its blurred one and its cleaned one say, `FILLS` times, each time with
    the pixels beyond the border filled in anew: of these nothing is known but what the sharp picture says.

    Args:
        image_BCHW: blurred.
        blur: spectra of the kernels.
        told: transformed along its rows, the blurred picture with its border, which is written over.
        cleaned: picture with its border.
        weight: of the cleaned one.
    """
    height, width = cleaned.shape[-2:]
    top, left = ((wide - size) // 2 for wide, size in zip(cleaned.shape[-2:], image_BCHW.shape[-2:], strict=True))
    share = 1 / (energy(blur) + weight)
    looks = transform(cleaned)
    looks *= weight * share
    sharp = np.empty_like(looks)
    blur, undone = (np.broadcast_to(part, looks.shape) for part in (blur, blur.conj() * share))

    def columns(band: slice, number: tuple[int, int]) -> None:
        here = number[0], number[1], slice(None), band
        between = np.fft.fft(told[here], axis=0, norm=UNITARY)
        between *= undone[here]
        between += looks[here]
        sharp[here] = between
        between *= blur[here]
        np.fft.ifft(between, axis=0, norm=UNITARY, out=told[here])

    def rows(band: slice, number: tuple[int, int]) -> None:
        filled = np.fft.irfft(told[number][band], width, axis=1, norm=UNITARY)
        given = image_BCHW[number][max(band.start - top, 0) : max(band.stop - top, 0)]
        first = max(top - band.start, 0)
        filled[first : first + len(given), left : width - left] = given
        np.fft.rfft(filled, axis=1, norm=UNITARY, out=told[number][band])

    for _ in range(FILLS):
        for number in np.ndindex(looks.shape[:2]):
            in_bands(width // 2 + 1, height * width, partial(columns, number=number))
            in_bands(height, height * width, partial(rows, number=number))
    return sharp


def trusted_rounds(image_BCHW: np.ndarray, blur: Blur, count: int, cells: Cells) -> Iterator[np.ndarray]:
    """`rounds`, mixed with the given picture as far as its kernel is not to be trusted."""
    if blur.trust == 0:
        yield from (image_BCHW for _ in range(count + 1))
        return
    for restored in rounds(image_BCHW, blur.kernel[None], blur.level, count, cells):
        yield _between(image_BCHW, restored, blur.trust)


def _between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The first and a share of the way to the second, which is that itself at 1."""
    return second if share == 1 else first + share * (second - first)


def schedule(level: float, count: int) -> list[float]:
    """The noise levels in 255ths that the cells are told in each round: from `FIRST_LEVEL` down to the picture's own,
    by equal factors."""
    first = max(FIRST_LEVEL, level)
    return [first * (level / first) ** (step / max(1, count - 1)) for step in range(count)]


def part_to_look_at(image_BCHW: np.ndarray, side: int = LOOK) -> np.ndarray:
    """Of one picture, (1, 3, H, W), at most (1, 3, side, side)."""
    height, width = image_BCHW.shape[-2:]
    top, left = where_to_look(edges(brightness(image_BCHW)[0]), height, width, side)
    return image_BCHW[..., top : top + side, left : left + side]


def capped_by_spectrum(level_BLhw: np.ndarray, part_BCHW: np.ndarray) -> np.ndarray:
    """Estimated levels of one picture, all of them lowered until their mean is what the spectrum of a part of it tells:
    the estimator takes texture for noise, and a blurred picture is known better."""
    mean = float(level_BLhw[:, 0].mean())
    told = spectral_level(brightness(part_BCHW)[0]) / math.hypot(*LUMA)
    return level_BLhw * min(1.0, told / mean) if mean > 0 else level_BLhw


def spectral_level(picture_HW: np.ndarray) -> float:
    """Standard deviation in 255ths of the noise of a blurred picture: what is in the corners of its spectrum, where a
    blur leaves nothing of a picture. The power of noise is distributed exponentially, with log(2) of its mean as its
    median."""
    if min(picture_HW.shape) < FEWEST:
        return math.inf
    window = np.outer(*map(np.hanning, picture_HW.shape)).astype(picture_HW.dtype)
    spectra = np.fft.fft2((picture_HW - picture_HW.mean()) * window, norm=UNITARY)
    rows, columns = (abs(np.fft.fftfreq(side)) > CORNER for side in picture_HW.shape)
    corner = energy(spectra[np.ix_(rows, columns)]).ravel()
    median = np.sort(corner)[(corner.size - 1) // 2] * picture_HW.size / np.square(window).sum()
    return 255 * math.sqrt(median / math.log(2))


def level_of(level_BLhw: np.ndarray) -> float:
    """The one noise level in 255ths that is counted with in the whole picture."""
    return max(float(level_BLhw[:, 0].mean()), QUIETEST)


def brightness(image_BCHW: np.ndarray) -> np.ndarray:
    """(B, H, W) of colours."""
    red, green, blue = (image_BCHW[:, colour] * share for colour, share in enumerate(LUMA))
    return red + green + blue


def estimated(image_BCHW: np.ndarray, level: float, cells: Cells) -> Blur:
    """The blur of a part of a picture, (1, 3, H, W), among kernels of several sides; none where the part is flat, or
    too small for the least of them.

    Args:
        level: standard deviation of its noise in 255ths.
    """
    picture, counted = brightness(image_BCHW)[0], level * ESTIMATED
    found, least = Blur(unblurred(SIDES[-1], picture), 0.0, counted), math.inf
    if np.quantile(steepness(picture), STEEPEST) < FLAT:
        return found
    tried, kernel = part_to_look_at(image_BCHW, TRIED), None
    steep = slope(brightness(tried)[0])
    if not steep > 0:
        return found
    # What a kernel changes is in proportion to the gradients of a picture, of which the part that is tried has more.
    spread = slope(picture) / steep
    for side in [side for side in reversed(SIDES) if min(picture.shape) > 3 * side]:
        if kernel is not None and middle_of(kernel, side).sum() < WITHIN:
            break
        kernel = estimate_kernel(picture, side)
        *_, sharp = rounds(tried, kernel[None], counted, ROUNDS, cells)
        error = misfit(brightness(sharp)[0], brightness(tried)[0], kernel)
        if error < least:
            padded = np.pad(kernel, (SIDES[-1] - side) // 2)
            change = 255 * spread * float(np.sqrt(np.square(sharp - tried).mean()))
            least, found = error, Blur(padded, trust(kernel, error, level, change), counted)
    return found


def slope(picture_HW: np.ndarray) -> float:
    """Root mean square of the rise a pixel of means over 3x3 pixels, in which there is little noise."""
    return float(np.sqrt(np.square(steepness(_means(picture_HW))).mean()))


def middle_of(kernel_KK: np.ndarray, side: int) -> np.ndarray:
    """The middle (side, side) of a kernel, both sides odd."""
    margin = (len(kernel_KK) - side) // 2
    return kernel_KK[margin : margin + side, margin : margin + side]


def trust(kernel_KK: np.ndarray, error: float, level: float, change: float) -> float:
    """How far an estimated kernel is to be trusted, 0 to 1.

    Args:
        error: its misfit, in 255ths.
        level: standard deviation of the picture's noise, in 255ths.
        change: root mean square of what it changes in the picture, in 255ths.
    """
    if middle_of(kernel_KK, 3).sum() > SHARP:
        return 0.0
    fits = MISFIT_BASE + MISFIT_PER_NOISE * level
    explains, matters = (
        (MISFIT_CUTOFF - error / fits) / (MISFIT_CUTOFF - 1),
        (change - LEAST_CHANGE) / (FULL_CHANGE - LEAST_CHANGE),
    )
    return min(max(min(explains, matters), 0.0), 1.0)


def misfit(sharp_HW: np.ndarray, picture_HW: np.ndarray, kernel_KK: np.ndarray) -> float:
    """By how much a sharp picture, blurred again, misses the given one at its strongest edges, in 255ths: the root mean
    square of means over 3x3 pixels, in which there is little noise."""
    side = max(kernel_KK.shape)
    again = blurred(periodic(sharp_HW[None, None], side, side), kernel_KK[None])[0, 0, side:-side, side:-side]
    missed, given = (_means(part)[side:-side, side:-side] for part in (again - picture_HW, picture_HW))
    steep = steepness(given)
    strongest = steep >= np.quantile(steep, STEEPEST)
    return 255 * float(np.sqrt(np.square(missed[1:, 1:][strongest]).mean()))


def _means(picture_HW: np.ndarray) -> np.ndarray:
    """Over 3x3 pixels, (H - 2, W - 2)."""
    rows = picture_HW[:-2] + picture_HW[1:-1] + picture_HW[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def steepness(picture_HW: np.ndarray) -> np.ndarray:
    """How much a picture rises a pixel, (H - 1, W - 1)."""
    across, down = picture_HW[1:, 1:] - picture_HW[1:, :-1], picture_HW[1:, 1:] - picture_HW[:-1, 1:]
    return np.sqrt(np.square(across) + np.square(down))


def edges(picture_HW: np.ndarray) -> np.ndarray:
    """Sums of the gradients of each whole square of 32x32 pixels, each gradient counted up to a tenth of white."""
    rows, columns = (side // SQUARE for side in picture_HW.shape)
    squares = picture_HW[: rows * SQUARE, : columns * SQUARE].reshape(rows, SQUARE, columns, SQUARE)
    across, down = (abs(np.diff(squares, axis=axis)).clip(max=0.1) for axis in (3, 1))
    return across.sum((1, 3)) + down.sum((1, 3))


def where_to_look(edges: np.ndarray, height: int, width: int, side: int = LOOK) -> tuple[int, int]:
    """Top and left of the part of a picture, at most `side` pixels high and wide, with the strongest edges; the first
    of equals."""
    if (height <= side and width <= side) or not edges.size:
        return 0, 0
    sums = edges
    for axis, size in enumerate(edges.shape):
        sums = sliding_window_view(sums, min(side // SQUARE, size), axis).sum(-1)
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    return row * SQUARE if height > side else 0, column * SQUARE if width > side else 0
