"""Colour transforms as 3x3 matrices: brightness and colour differences, and colour augmentation for training."""

import math

import torch
from torch import Tensor

from .draws import chance, uniform

# Rec. 601, as in JPEG: brightness, and two colour differences in [-0.5, 0.5].
YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
# Independent noise with standard deviation s in red, green and blue has standard deviation s in each of these rows.
UNIT_YCC = YCC / YCC.norm(dim=1, keepdim=True)
# Standard deviation in the first row of `UNIT_YCC` of grey noise, which has a standard deviation of 1 in all channels.
GREY_LEVEL = float(1 / YCC[0].norm())


def times(matrix: Tensor, image_BCHW: Tensor) -> Tensor:
    """Multiplies colours by one matrix (3, 3), or by one for each picture (B, 3, 3)."""
    matrices = matrix.to(image_BCHW).expand(len(image_BCHW), -1, -1)
    return torch.bmm(matrices, image_BCHW.flatten(2)).unflatten(2, image_BCHW.shape[2:])


def grey(image_BCHW: Tensor) -> Tensor:
    """The picture in grey: its brightness in all three channels."""
    return times(YCC[:1].expand(3, 3), image_BCHW)


def toned(grey_BCHW: Tensor, tint_B311: Tensor) -> Tensor:
    """Tints a grey picture with one colour: v + tint v (1 - v). Black and white stay."""
    return grey_BCHW + tint_B311 * grey_BCHW * (1 - grey_BCHW)


def hue_and_saturation(hue_B: Tensor, saturation_B: Tensor) -> Tensor:
    """Matrices (B, 3, 3) that rotate the colour differences by an angle in radians and scale them."""
    turn = torch.zeros(len(hue_B), 3, 3, device=hue_B.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation_B * hue_B.cos()
    turn[:, 2, 1] = saturation_B * hue_B.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    return YCC.inverse().to(turn) @ turn @ YCC.to(turn)


def recoloured(image_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Changes the colours of pictures in [0, 1]: permutes the channels of half of them; changes hue, saturation (by 0.5
    to 1.8) and exposure (by 0.5 to 1.25) of half of them."""
    batch = len(image_BCHW)
    order = torch.rand(batch, 3, generator=draw, device=draw.device).argsort(1)
    keep = torch.arange(3, device=order.device).expand(batch, 3)
    order = torch.where(chance(batch, 0.5, draw)[:, None], order, keep)
    permutation = torch.eye(3, device=order.device)[order]
    hue = uniform(batch, -0.3, 0.3, draw).flatten() * math.pi
    changes = hue_and_saturation(hue, uniform(batch, 0.5, 1.8, draw).flatten())
    changes = changes * uniform(batch, 0.5, 1.25, draw)[:, 0]
    same = torch.eye(3, device=order.device).expand(batch, 3, 3)
    changes = torch.where(chance(batch, 0.5, draw)[:, None, None], changes, same)
    return times(changes @ permutation, image_BCHW).clamp(0, 1)
