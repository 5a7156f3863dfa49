"""Colours as 3x3 matrices: brightness and colour differences, and the variety that training asks for."""

import math

import torch
from torch import Tensor

from .draws import chance, uniform

# Rec. 601, as JPEG has it: brightness, and two colour differences in [-0.5, 0.5].
YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
# Independent noise of deviation s in red, green and blue has the deviation s in each row of this.
UNIT_YCC = YCC / YCC.norm(dim=1, keepdim=True)
# What one deviation in all three channels at once, as grey noise is, reads in the first row of `UNIT_YCC`.
GREY_LEVEL = float(1 / YCC[0].norm())


def times(matrix: Tensor, image_BCHW: Tensor) -> Tensor:
    """Colours multiplied by one matrix (3, 3), or by one for each picture (B, 3, 3)."""
    matrices = matrix.to(image_BCHW).expand(len(image_BCHW), -1, -1)
    return torch.bmm(matrices, image_BCHW.flatten(2)).unflatten(2, image_BCHW.shape[2:])


def grey(image_BCHW: Tensor) -> Tensor:
    """The brightness in all three channels."""
    return times(YCC[:1].expand(3, 3), image_BCHW)


def toned(grey_BCHW: Tensor, tint_B311: Tensor) -> Tensor:
    """A grey picture in tones of one colour, black and white kept: v + tint v (1 - v)."""
    return grey_BCHW + tint_B311 * grey_BCHW * (1 - grey_BCHW)


def hue_and_saturation(hue_B: Tensor, saturation_B: Tensor) -> Tensor:
    """Matrices (B, 3, 3) that turn the colour differences by an angle in radians and multiply them."""
    turn = torch.zeros(len(hue_B), 3, 3, device=hue_B.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation_B * hue_B.cos()
    turn[:, 2, 1] = saturation_B * hue_B.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    return YCC.inverse().to(turn) @ turn @ YCC.to(turn)


def recoloured(image_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Pictures in other colours, in [0, 1]: half of them with their channels permuted, half of them with another hue,
    saturation (0.5 to 1.8) and exposure (0.5 to 1.25 of the brightness)."""
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
