"""Blurs as products of spectra, for pictures whose borders meet.

Shape suffixes: B batch, C channels, H rows, W columns, K a kernel's rows and columns.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Transforms of sizes that are products of these are quick.
FACTORS = (2, 3, 5, 7)


def periodic(image_BCHW: Tensor, rows: int, columns: int) -> Tensor:
    """A picture with `rows` and `columns` of pixels more on either side, whose last row and column lead on to the first
    without an edge: mirrored pixels, mixed with those on the opposite side, half and half where they meet.

    Without it a filter in the Fourier domain rings from the borders (Liu and Jia, "Reducing boundary artifacts in image
    deconvolution", ICIP 2008, solve the same for the smoothest filling).

    Args:
        image_BCHW: higher than `rows` and wider than `columns`.
        rows, columns: 1 or more.
    """
    padded = F.pad(image_BCHW, (columns, columns, rows, rows), mode="reflect")
    for dimension, margin in ((-2, rows), (-1, columns)):
        own = torch.linspace(0.5, 1, margin + 1, dtype=image_BCHW.dtype, device=image_BCHW.device)[:margin]
        share = own[:, None] if dimension == -2 else own[None]
        size = padded.shape[dimension]
        first, last = padded.narrow(dimension, 0, margin), padded.narrow(dimension, size - margin, margin)
        begin = first * share + last.flip(dimension) * (1 - share)
        end = last * share.flip(dimension) + first.flip(dimension) * (1 - share.flip(dimension))
        padded = torch.cat([begin, padded.narrow(dimension, margin, size - 2 * margin), end], dimension)
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


def spectrum(kernel_BKK: Tensor, height: int, width: int) -> Tensor:
    """Transforms (B, 1, height, width / 2 + 1) of kernels whose middle is the origin, rows and columns odd or even,
    none larger than the picture."""
    rows, columns = kernel_BKK.shape[-2:]
    room = kernel_BKK.new_zeros(len(kernel_BKK), height, width)
    room[:, :rows, :columns] = kernel_BKK
    return torch.fft.rfft2(room.roll((-(rows // 2), -(columns // 2)), (1, 2)))[:, None]


def blurred(image_BCHW: Tensor, kernel_BKK: Tensor) -> Tensor:
    """Pictures whose borders meet, each convolved with its kernel."""
    height, width = image_BCHW.shape[-2:]
    product = torch.fft.rfft2(image_BCHW) * spectrum(kernel_BKK, height, width)
    return torch.fft.irfft2(product, s=(height, width))
