"""Blurs as products of spectra, for pictures whose borders meet.

Spectra of pictures are unitary, divided by the root of the number of pixels; those of kernels are not, so that the
product of the two is the spectrum of the blurred picture.

Shape suffixes: B batch, C channels, H rows, W columns, K a kernel's rows and columns.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from . import threads

# Transforms of sizes that are products of these are quick.
FACTORS = (2, 3, 5, 7, 11)
# numpy makes transforms that are not divided by anything in float64, which takes thrice the time.
UNITARY: Literal["ortho"] = "ortho"
# Rows or columns that one thread takes at a time: few enough to stay in its cache, whatever is done with them.
BAND = 64
# Pictures of fewer pixels are done before a second thread is awake.
LEAST = 128 * 128


def in_bands(size: int, pixels: int, work: Callable[[slice], None]) -> None:
    """Does some work on each band of `BAND` rows or columns, several at a time. The bands are the same with any number
    of threads.

    Args:
        size: rows or columns of all bands together.
        pixels: of the whole picture.
        work: writes what no other band reads or writes.
    """
    threads.share(size, BAND, work, alone=pixels < LEAST)


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


def transformed_back(spectrum_HW: np.ndarray, width: int) -> np.ndarray:
    """The pictures (..., H, W) of spectra (..., H, W / 2 + 1), which are written over."""
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
    """Squares of absolute values."""
    return np.square(spectrum_HW.real) + np.square(spectrum_HW.imag)


def periodic(image_BCHW: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """A picture with `rows` and `columns` of pixels more on either side, whose last row and column lead on to the first
    without an edge: mirrored pixels, mixed with those on the opposite side, half and half where they meet.

    Without it a filter in the Fourier domain rings from the borders (Liu and Jia, "Reducing boundary artifacts in image
    deconvolution", ICIP 2008, solve the same for the smoothest filling).

    Args:
        image_BCHW: higher than `rows` and wider than `columns`.
        rows, columns: 1 or more.
    """
    padded = np.pad(image_BCHW, ((0, 0), (0, 0), (rows, rows), (columns, columns)), mode="reflect")
    for turned, margin in ((padded.swapaxes(2, 3), rows), (padded, columns)):
        own = np.linspace(0.5, 1, margin + 1, dtype=image_BCHW.dtype)[:margin]
        first, last = turned[..., :margin], turned[..., turned.shape[-1] - margin :]
        begin = first * own + last[..., ::-1] * (1 - own)
        end = last * own[::-1] + first[..., ::-1] * (1 - own[::-1])
        first[:], last[:] = begin, end
    return padded


def quick_margin(size: int, least: int) -> int:
    """Pixels on either side of `size` ones, `least` or more, with which a transform is quick; fewer where a picture is
    too small to be mirrored so far."""
    for margin in range(least, size):
        left = size + 2 * margin
        for factor in FACTORS:
            while left % factor == 0:
                left //= factor
        if left == 1:
            return margin
    return min(least, size - 1)


def spectrum(kernel_BKK: np.ndarray, height: int, width: int) -> np.ndarray:
    """Transforms (B, 1, height, width / 2 + 1) of kernels whose middle is the origin, rows and columns odd or even,
    none larger than the picture."""
    rows, columns = kernel_BKK.shape[-2:]
    room = np.zeros((len(kernel_BKK), height, width), kernel_BKK.dtype)
    room[:, :rows, :columns] = kernel_BKK
    spectra = transform(np.roll(room, (-(rows // 2), -(columns // 2)), (1, 2)))
    spectra *= (height * width) ** 0.5
    return spectra[:, None]


def blurred(image_BCHW: np.ndarray, kernel_BKK: np.ndarray) -> np.ndarray:
    """Pictures whose borders meet, each convolved with its kernel."""
    height, width = image_BCHW.shape[-2:]
    return transformed_back(transform(image_BCHW) * spectrum(kernel_BKK, height, width), width)
