"""Eight bits and JPEG, which is Pillow's."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def eight_bits(image_BCHW: Tensor) -> Tensor:
    """Rounded to the values that a byte can hold."""
    return (image_BCHW.clamp(0, 1) * 255).round() / 255


def jpeg(
    image_BCHW: Tensor, quality_B: Tensor, full_colour_B: Tensor | None = None, place_B2: Tensor | None = None
) -> Tensor:
    """Written and read as JPEG of some quality, 1 to 100; at 100 it is only rounded to 8 bits.

    Args:
        full_colour_B: whether colour is kept at every pixel (4:4:4) and not at every second of both directions
            (4:2:0); nowhere when None.
        place_B2: row and column of JPEG's blocks, 0 to 15, at which the picture begins; 0 when None.
    """
    batch = len(image_BCHW)
    pictures = np.ascontiguousarray((image_BCHW.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    qualities = quality_B.flatten().round().int().tolist()
    whole = [False] * batch if full_colour_B is None else full_colour_B.tolist()
    places = [(0, 0)] * batch if place_B2 is None else place_B2.tolist()
    for number, quality in enumerate(qualities):
        if quality < 100:
            pictures[number] = _again(pictures[number], quality, whole[number], *places[number])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).to(image_BCHW.device).contiguous().float() / 255


def _again(picture_HWC: np.ndarray, quality: int, full_colour: bool, top: int, left: int) -> np.ndarray:
    """Written and read; so many rows and columns are repeated before the first for it."""
    height, width, _ = picture_HWC.shape
    shifted = picture_HWC.take(np.arange(-top, height).clip(0), 0).take(np.arange(-left, width).clip(0), 1)
    buffer = io.BytesIO()
    Image.fromarray(shifted).save(buffer, "JPEG", quality=quality, subsampling="4:4:4" if full_colour else "4:2:0")
    with Image.open(buffer, formats=("JPEG",)) as again:
        return np.asarray(again)[top:, left:]
