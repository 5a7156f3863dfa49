"""Rounding to 8 bits, and JPEG by Pillow."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def eight_bits(image_BCHW: Tensor) -> Tensor:
    """Rounds to the values of 8 bits."""
    return (image_BCHW.clamp(0, 1) * 255).round() / 255


def jpeg(
    image_BCHW: Tensor, quality_B: Tensor, full_colour_B: Tensor | None = None, place_B2: Tensor | None = None
) -> Tensor:
    """Compresses pictures as JPEG with a quality from 1 to 100; 100 only rounds to 8 bits.

    Args:
        full_colour_B: whether colour has full resolution (4:4:4) instead of half in both directions (4:2:0); None
            means 4:2:0.
        place_B2: row and column, 0 to 15, of the JPEG block at which the picture begins; 0 if None.
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
    """Compresses one picture, with `top` and `left` repeated rows and columns before the first ones."""
    height, width, _ = picture_HWC.shape
    shifted = picture_HWC.take(np.arange(-top, height).clip(0), 0).take(np.arange(-left, width).clip(0), 1)
    buffer = io.BytesIO()
    Image.fromarray(shifted).save(buffer, "JPEG", quality=quality, subsampling="4:4:4" if full_colour else "4:2:0")
    with Image.open(buffer, formats=("JPEG",)) as again:
        return np.asarray(again)[top:, left:]
