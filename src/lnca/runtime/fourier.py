"""Convolution of pictures with blur kernels in the Fourier domain, with periodic borders.

Spectra of pictures are unitary: they are divided by the root of the number of pixels. Spectra of kernels are not, so
that the product of both is the spectrum of the blurred picture.

Shape suffixes: B batch, C channels, H rows, W columns, K rows and columns of a kernel.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from . import threads

# Transforms are fast for sizes that are products of these factors.
FACTORS = (2, 3, 5, 7, 11)
# Without a normalisation numpy transforms in float64, which takes three times as long.
UNITARY: Literal["ortho"] = "ortho"
# Rows or columns that a thread takes at a time, few enough to stay in its cache.
BAND = 64
# Smaller pictures use one thread: they are done before a second one has woken up.
MIN_PARALLEL_PIXELS = 128 * 128


def in_bands(size: int, pixels: int, work: Callable[[slice], None]) -> None:
    """Calls `work` for each band of `BAND` rows or columns, in several threads. The bands do not depend on the number
    of threads.

    Args:
        size: rows or columns of all bands together.
        pixels: pixels of the whole picture.
        work: takes a band; it must not write to what other bands read or write.
    """
    threads.share(size, BAND, work, alone=pixels < MIN_PARALLEL_PIXELS)


def transform(image_HW: np.ndarray) -> np.ndarray:
    """Spectra (..., H, W / 2 + 1) of pictures (..., H, W)."""
    height, width = image_HW.shape[-2:]
    spectra = np.empty((*image_HW.shape[:-1], width // 2 + 1), np.result_type(image_HW.dtype, np.complex64))

    def rows(band: slice, number: tuple[int, ...]) -> None:
        np.fft.rfft(image_HW[number][band], axis=1, norm=UNITARY, out=spectra[number][band])

    def columns(band: slice, number: tuple[int, ...]) -> None:
        part = spectra[number][:, band]
        np.fft.fft(part, axis=0, norm=UNITARY, out=part)

    for number in np.ndindex(image_HW.shape[:-2]):
        in_bands(height, height * width, partial(rows, number=number))
        in_bands(spectra.shape[-1], height * width, partial(columns, number=number))
    return spectra


def inverse_transform(spectrum_HW: np.ndarray, width: int) -> np.ndarray:
    """Pictures (..., H, W) of spectra (..., H, W / 2 + 1), which are overwritten."""
    height, columns = spectrum_HW.shape[-2:]
    pictures = np.empty((*spectrum_HW.shape[:-1], width), spectrum_HW.real.dtype)

    def down(band: slice, number: tuple[int, ...]) -> None:
        part = spectrum_HW[number][:, band]
        np.fft.ifft(part, axis=0, norm=UNITARY, out=part)

    def across(band: slice, number: tuple[int, ...]) -> None:
        np.fft.irfft(spectrum_HW[number][band], width, axis=1, norm=UNITARY, out=pictures[number][band])

    for number in np.ndindex(spectrum_HW.shape[:-2]):
        in_bands(columns, height * width, partial(down, number=number))
        in_bands(height, height * width, partial(across, number=number))
    return pictures


def energy(spectrum_HW: np.ndarray) -> np.ndarray:
    """Squared absolute values, of the same shape."""
    return np.square(spectrum_HW.real) + np.square(spectrum_HW.imag)


def periodic(image_BCHW: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Pads a picture by `rows` and `columns` of pixels on each side so that it continues periodically without an edge.
    The padding is mirrored pixels, blended with those of the opposite side, with equal weights where both sides meet.

    Without it, filters in the Fourier domain cause ringing at the borders (Liu and Jia, "Reducing boundary artifacts in
    image deconvolution", ICIP 2008, use the smoothest padding instead).

    Args:
        image_BCHW: a picture with more than `rows` rows and `columns` columns.
        rows, columns: 1 or more.

    Returns:
        (B, C, H + 2 rows, W + 2 columns).
    """
    padded = np.pad(image_BCHW, ((0, 0), (0, 0), (rows, rows), (columns, columns)), mode="reflect")
    for turned, margin in ((padded.swapaxes(2, 3), rows), (padded, columns)):
        weight = np.linspace(0.5, 1, margin + 1, dtype=image_BCHW.dtype)[:margin]
        first, last = turned[..., :margin], turned[..., turned.shape[-1] - margin :]
        begin = first * weight + last[..., ::-1] * (1 - weight)
        end = last * weight[::-1] + first[..., ::-1] * (1 - weight[::-1])
        first[:], last[:] = begin, end
    return padded


def fast_margin(size: int, least: int) -> int:
    """A margin in pixels, at least `least`, such that the transform of `size` pixels with this margin on each side is
    fast; a smaller margin if the picture is too small to be mirrored that far."""
    for margin in range(least, size):
        left = size + 2 * margin
        for factor in FACTORS:
            while left % factor == 0:
                left //= factor
        if left == 1:
            return margin
    return min(least, size - 1)


def spectrum(kernel_BKK: np.ndarray, height: int, width: int) -> np.ndarray:
    """Spectra (B, 1, height, width / 2 + 1) of kernels whose central pixel is the origin. The sides of a kernel may be
    odd or even, and are at most those of the picture."""
    rows, columns = kernel_BKK.shape[-2:]
    padded = np.zeros((len(kernel_BKK), height, width), kernel_BKK.dtype)
    padded[:, :rows, :columns] = kernel_BKK
    spectra = transform(np.roll(padded, (-(rows // 2), -(columns // 2)), (1, 2)))
    spectra *= (height * width) ** 0.5
    return spectra[:, None]


def blurred(image_BCHW: np.ndarray, kernel_BKK: np.ndarray) -> np.ndarray:
    """Pictures (B, C, H, W) with periodic borders, each convolved with its kernel."""
    height, width = image_BCHW.shape[-2:]
    return inverse_transform(transform(image_BCHW) * spectrum(kernel_BKK, height, width), width)
