"""The blur kernel of a photograph, estimated from the photograph alone.

Coarse to fine, two estimates take turns: the sharp picture with the fewest gradients that the kernel so far explains
(Xu, Zheng and Jia, "Unnatural L0 sparse representation for natural image deblurring", CVPR 2013; solved by
half-quadratic splitting), and the kernel that turns its edges into those of the photograph, by least squares (Cho and
Lee, "Fast motion deblurring", SIGGRAPH Asia 2009).

Shape suffixes: H rows, W columns, K a kernel's rows and columns, T pixels that one is mixed of.
"""

import math
from typing import NamedTuple

import numpy as np

from .fourier import UNITARY, energy, in_bands, periodic, quick_margin, spectrum, transform, transformed_back

# Those of the coarsest scale, and from one scale to the next.
COARSEST, RATIO = 5, 2**-0.5
# Turns on each scale.
TURNS = 5
# Price of a gradient at the beginning, by which it falls each turn, and its least.
PRICE, CHEAPER, LEAST_PRICE = 4e-3, 1.1, 1e-4
# Weight of the split gradients: it is doubled from twice the price up to this.
STIFFEST = 1e5
# Weight of the kernel's own energy in the least squares.
ENERGY = 2.0
# Conjugate gradients stop at this residual, relative to the first.
EXACT = 1e-9
# Of a kernel's largest value: what is less is noise. Of its sum: patches that hold less are noise too.
FAINT, SMALL = 1 / 20, 0.1
# Of the cubic that enlarges kernels (Keys, "Cubic convolution interpolation for digital image processing", 1981): how
# steeply it falls one pixel from its middle.
STEEP = -0.75


class Gradients(NamedTuple):
    """Differences to the next column and row of a picture whose borders meet, (H, W)."""

    across: np.ndarray
    down: np.ndarray


def gradients(picture_HW: np.ndarray) -> Gradients:
    """Of a picture whose borders meet."""
    return Gradients(np.roll(picture_HW, -1, 1) - picture_HW, np.roll(picture_HW, -1, 0) - picture_HW)


def l0_sharp_image(picture_HW: np.ndarray, kernel_KK: np.ndarray, price: float) -> np.ndarray:
    """The x that makes |k * x - y|^2 + price * (pixels with a gradient) small, y being the picture (Xu et al. 2013,
    equations 6 to 10, as Pan et al. 2014 solve it).

    Each weight takes two passes: one along the rows, which makes the picture of its half transformed spectrum, keeps
    the gradients that are worth their price, and transforms their divergence; and one along the columns, which solves
    for the spectrum.
    """
    height, width = picture_HW.shape
    blur = spectrum(kernel_KK[None], height, width)[0, 0]
    told, power = blur.conj() * transform(picture_HW), energy(blur)
    # Squares of the absolute spectra of the differences.
    of_gradients = 4 * np.add.outer(
        np.square(np.sin(math.pi * np.arange(height) / height)),
        np.square(np.sin(math.pi * np.arange(width // 2 + 1) / width)),
    ).astype(picture_HW.dtype)
    half, diverging = np.fft.rfft(picture_HW, axis=1, norm=UNITARY), np.empty_like(told)
    weight = 2 * price

    def rows(band: slice) -> None:
        spectra = half.take(range(band.start - 1, band.stop + 1), 0, mode="wrap")
        sharp = np.empty((len(spectra), width + 1), picture_HW.dtype)
        np.fft.irfft(spectra, width, axis=1, norm=UNITARY, out=sharp[:, :-1])
        sharp[:, -1] = sharp[:, 0]
        across, down = sharp[:-1, 1:] - sharp[:-1, :-1], sharp[1:, :-1] - sharp[:-1, :-1]
        kept = np.square(across) + np.square(down) >= price / weight
        across, down = across[1:] * kept[1:], down * kept
        divergence = down[:-1] - down[1:]
        divergence -= across
        divergence[:, 1:] += across[:, :-1]
        divergence[:, 0] += across[:, -1]
        divergence *= weight
        np.fft.rfft(divergence, axis=1, norm=UNITARY, out=diverging[band])

    def columns(band: slice) -> None:
        total = np.fft.fft(diverging[:, band], axis=0, norm=UNITARY)
        total += told[:, band]
        total *= 1 / (power[:, band] + weight * of_gradients[:, band])
        np.fft.ifft(total, axis=0, norm=UNITARY, out=half[:, band])

    while weight < STIFFEST:
        in_bands(height, picture_HW.size, rows)
        in_bands(width // 2 + 1, picture_HW.size, columns)
        weight *= 2
    return np.fft.irfft(half, width, axis=1, norm=UNITARY)


def least_squares(sharp_HW: np.ndarray, picture_HW: np.ndarray, side: int, border: int) -> np.ndarray:
    """The kernel (side, side) that best turns the gradients of a sharp picture into those of a blurred one (Cho and Lee
    2009, equation 8), not yet without negative values.

    Args:
        border: pixels on each side that are not looked at.
    """
    width, inner = picture_HW.shape[1], (slice(border, -border),) * 2
    spectra = []
    for picture in (sharp_HW, picture_HW):
        inside = np.zeros((2, *picture.shape), picture.dtype)
        for part, room in zip(gradients(picture), inside, strict=True):
            room[inner] = part[inner]
        spectra.append(transform(inside))
    sharp, given = spectra
    own = transformed_back(energy(sharp).sum(0).astype(sharp.dtype), width)
    cross = transformed_back((sharp.conj() * given).sum(0), width)
    # Their transforms were divided by the root of the number of pixels twice, and back once.
    scale = picture_HW.size**0.5
    offset, apart = np.arange(side) - side // 2, np.arange(1 - side, side)
    wanted, near = (
        part[np.ix_(places, places)].astype(np.float64) * scale for part, places in ((cross, offset), (own, apart))
    )
    return _solved(near, wanted).astype(picture_HW.dtype)


def _solved(near: np.ndarray, wanted_KK: np.ndarray) -> np.ndarray:
    """The kernel (K, K) that, convolved with `near` plus `ENERGY` in its middle, is what is wanted: by conjugate
    gradients, preconditioned by the nearest kernel that goes round (T. Chan, "An optimal circulant preconditioner for
    Toeplitz systems", SIAM Journal on Scientific and Statistical Computing 9, 1988).

    Args:
        near: (2 K - 1, 2 K - 1), the same when turned by half a turn.
    """
    side = len(wanted_KK)
    wide = 2 * side + 2 * quick_margin(2 * side, 0)
    apart = np.arange(1 - side, side)
    places, share = np.ix_(apart, apart), 1 - abs(apart) / side
    room, ring = np.zeros((wide, wide)), np.zeros((2 * side, 2 * side))
    room[places], ring[places] = near, near * np.outer(share, share)
    of_room = np.fft.rfft2(room).real + ENERGY
    of_ring = np.fft.rfft2(ring.reshape(2, side, 2, side).sum((0, 2))).real + ENERGY

    kernel, missing = np.zeros_like(wanted_KK), wanted_KK.copy()
    way, before = np.zeros_like(wanted_KK), math.inf
    enough = EXACT**2 * np.square(wanted_KK).sum()
    for _ in range(side**2):
        if not np.square(missing).sum() > enough:
            break
        guess = np.fft.irfft2(np.fft.rfft2(missing) / of_ring, (side, side))
        now = (missing * guess).sum()
        way = guess + way * (now / before)
        product = np.fft.irfft2(of_room * np.fft.rfft2(way, (wide, wide)), (wide, wide))[:side, :side]
        step = now / (way * product).sum()
        kernel += step * way
        missing -= step * product
        before = now
    return kernel


def tidied(kernel_KK: np.ndarray) -> np.ndarray:
    """A kernel without negative and faint values and small patches, of sum 1; that of no blur where nothing is left."""
    kernel = kernel_KK * (kernel_KK > kernel_KK.max() * FAINT)
    if not kernel.max() > 0:
        return unblurred(len(kernel), kernel)
    total = kernel.sum()
    for patch in patches(kernel > 0):
        if kernel[patch].sum() < SMALL * total:
            kernel[patch] = 0
    return kernel / kernel.sum() if kernel.max() > 0 else unblurred(len(kernel), kernel)


def patches(mask_KK: np.ndarray) -> list[np.ndarray]:
    """The connected parts of a mask, diagonal neighbours included, one mask each."""
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
    """The kernel (side, side) of no blur."""
    kernel = np.zeros((side, side), like.dtype)
    kernel[side // 2, side // 2] = 1
    return kernel


def centred(kernel_KK: np.ndarray) -> np.ndarray:
    """Moved by whole pixels so that its centre of gravity is in the middle: a blur is known but for its place."""
    middle = np.arange(len(kernel_KK)) - len(kernel_KK) // 2
    shift = [-round(float((kernel_KK.sum(1 - axis) * middle).sum() / kernel_KK.sum())) for axis in (0, 1)]
    return np.roll(kernel_KK, shift, (0, 1))


def estimate_kernel(picture_HW: np.ndarray, side: int) -> np.ndarray:
    """The blur kernel (side, side) of a photograph: not negative, of sum 1, its centre of gravity in the middle.

    Args:
        picture_HW: brightness in [0, 1]; sides above three times `side`.
        side: odd; what is longer is not found.
    """
    scales = max(1, math.floor(math.log(COARSEST / side, RATIO)) + 1)
    kernel, price = None, PRICE
    for scale in reversed(range(scales)):
        size = max(3, math.ceil(side * RATIO**scale) // 2 * 2 + 1)
        size = side if scale == 0 else size
        given = picture_HW if scale == 0 else shrunk(picture_HW, RATIO**scale)
        given = periodic(given[None, None], *(quick_margin(length, size) for length in given.shape))[0, 0]
        if kernel is None:
            kernel = np.zeros((size, size), given.dtype)
            kernel[size // 2, size // 2 : size // 2 + 2] = 0.5
        else:
            kernel = resized(kernel, size)
        for _ in range(TURNS):
            sharp = l0_sharp_image(given, kernel, price)
            kernel = tidied(least_squares(sharp, given, size, size))
            price = max(price / CHEAPER, LEAST_PRICE)
        kernel = centred(kernel)
    assert kernel is not None
    return tidied(kernel)


def shrunk(picture_HW: np.ndarray, factor: float) -> np.ndarray:
    """By straight lines, each pixel the mean of all that it covers."""
    for axis, size in enumerate(picture_HW.shape):
        picture_HW = _mixed(picture_HW, axis, *_hats(size, round(size * factor)))
    return picture_HW


def resized(kernel_KK: np.ndarray, side: int) -> np.ndarray:
    """By cubics, its sum 1."""
    for axis in (0, 1):
        kernel_KK = _mixed(kernel_KK, axis, *_cubics(kernel_KK.shape[axis], side))
    kernel = kernel_KK.clip(min=0)
    return kernel / kernel.sum()


def _mixed(picture_HW: np.ndarray, axis: int, places_HT: np.ndarray, shares_HT: np.ndarray) -> np.ndarray:
    """Rows (axis 0) or columns (axis 1), each the sum of shares of others; beyond the border is the last one."""
    places = places_HT.clip(0, picture_HW.shape[axis] - 1)
    shares = shares_HT.astype(picture_HW.dtype)
    shape = (-1, 1) if axis == 0 else (1, -1)
    mixed = picture_HW.take(places[:, 0], axis) * shares[:, 0].reshape(shape)
    for place, share in zip(places.T[1:], shares.T[1:], strict=True):
        mixed += picture_HW.take(place, axis) * share.reshape(shape)
    return mixed


def _hats(size: int, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `size` pixels each of `wanted` ones is mixed of, and their shares: triangles as wide as two of them."""
    scale = size / wanted
    wide = max(scale, 1.0)
    middle = scale * (np.arange(wanted) + 0.5)[:, None]
    places = np.floor(middle - wide).astype(int) + np.arange(2 * math.ceil(wide) + 2)
    shares = (1 - abs(places + 0.5 - middle) / wide).clip(min=0) * ((places >= 0) & (places < size))
    return places, shares / shares.sum(1, keepdims=True)


def _cubics(size: int, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `size` pixels each of `wanted` ones is mixed of, and their shares."""
    middle = (size / wanted * (np.arange(wanted) + 0.5) - 0.5)[:, None]
    places = np.floor(middle).astype(int) + np.arange(-1, 3)
    far = abs(places - middle)
    near_share = ((STEEP + 2) * far - (STEEP + 3)) * far**2 + 1
    far_share = STEEP * (((far - 5) * far + 8) * far - 4)
    return places, np.where(far <= 1, near_share, far_share)
