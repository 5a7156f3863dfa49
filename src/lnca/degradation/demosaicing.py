"""Demosaicing, from one colour a pixel to three: it makes the independent noise of a sensor correlated.

Mosaics are RGGB: red at even rows and columns, blue at odd ones. Each method is linear once its directions are chosen,
so noise without the picture gives the same result as within the picture.

    bilinear            means of the nearest measured pixels
    gradient-corrected  Malvar, He, Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color
                        images", ICASSP 2004
    edge-directed       Hamilton, Adams, "Adaptive color plane interpolation in single sensor color electronic camera",
                        US patent 5629734, 1997: green along the smaller gradient, then colour differences bilinearly
"""

import torch
import torch.nn.functional as F
from torch import Tensor

WAYS = ("bilinear", "gradient-corrected", "edge-directed")

_NONE = torch.zeros(5, 5)
_SELF = _NONE.clone()
_SELF[2, 2] = 1
_CROSS = F.pad(torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4, (1, 1, 1, 1))
_CORNERS = F.pad(torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 0, 1]]) / 4, (1, 1, 1, 1))
_ROW = F.pad(torch.tensor([[0.0, 0, 0], [1, 0, 1], [0, 0, 0]]) / 2, (1, 1, 1, 1))
_MALVAR_GREEN = (
    torch.tensor([[0.0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]) / 8
)
_MALVAR_ROW = (
    torch.tensor([[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]) / 8
)
_MALVAR_CORNERS = (
    torch.tensor([[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]) / 8
)


def _linear(green: Tensor, row: Tensor, corners: Tensor) -> Tensor:
    """Filters (12, 1, 6, 6), at stride 2, of three colours at the four pixels of a 2x2 block.

    Args:
        green: (5, 5), filter of green at red and blue.
        row: filter of a colour at green whose neighbours in the row have that colour; its transpose is for columns.
        corners: filter of red at blue, and of blue at red.
    """
    red = [[_SELF, row], [row.mT, corners]]
    greens = [[green, _SELF], [_SELF, green]]
    blue = [[corners, row.mT], [row, _SELF]]
    return torch.stack(
        [
            F.pad(colour[i][j], (j, 1 - j, i, 1 - i))[None]
            for colour in (red, greens, blue)
            for i in range(2)
            for j in range(2)
        ]
    )


_FILTERS = {
    "bilinear": _linear(_CROSS, _ROW, _CORNERS),
    "gradient-corrected": _linear(_MALVAR_GREEN, _MALVAR_ROW, _MALVAR_CORNERS),
}
# Green along the row, and the gradient along the row from neighbours and from the second difference.
_ADAMS = torch.tensor([[-0.25, 0.5, 0.5, 0.5, -0.25]])
_FIRST, _SECOND = torch.tensor([[0.0, 1, 0, -1, 0]]), torch.tensor([[-1.0, 0, 2, 0, -1]])
_TENT = torch.tensor([[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]])


def mosaic(image_BCHW: Tensor) -> Tensor:
    """The mosaic (B, 1, H, W): at each pixel the one colour that an RGGB sensor measures there."""
    red, green, blue = image_BCHW.unbind(1)
    result = green.clone()
    result[:, ::2, ::2] = red[:, ::2, ::2]
    result[:, 1::2, 1::2] = blue[:, 1::2, 1::2]
    return result[:, None]


def demosaiced(mosaic_B1HW: Tensor, way: str, guide_B1HW: Tensor | None = None) -> Tensor:
    """Demosaics to three colours (B, 3, H, W); both sides are even.

    Args:
        way: method, one of `WAYS`.
        guide_B1HW: the mosaic that chooses the directions; `mosaic_B1HW` if None.
    """
    if way == "edge-directed":
        return _edge_directed(mosaic_B1HW, mosaic_B1HW if guide_B1HW is None else guide_B1HW)
    padded = F.pad(mosaic_B1HW, (2, 2, 2, 2), mode="reflect")
    return F.pixel_shuffle(F.conv2d(padded, _FILTERS[way].to(padded), stride=2), 2)


def _edge_directed(mosaic_B1HW: Tensor, guide_B1HW: Tensor) -> Tensor:
    kernels = torch.stack([_FIRST, _SECOND])[:, None].to(guide_B1HW)
    wide, high = (F.pad(guide_B1HW, pads, mode="reflect") for pads in ((2, 2, 0, 0), (0, 0, 2, 2)))
    across = F.conv2d(wide, kernels).abs().sum(1, keepdim=True)
    down = F.conv2d(high, kernels.mT).abs().sum(1, keepdim=True)
    adams = _ADAMS[None, None].to(mosaic_B1HW)
    row = F.conv2d(F.pad(mosaic_B1HW, (2, 2, 0, 0), mode="reflect"), adams)
    column = F.conv2d(F.pad(mosaic_B1HW, (0, 0, 2, 2), mode="reflect"), adams.mT)
    share = 0.5 + 0.5 * (down - across).sign()
    green = torch.lerp(column, row, share)
    for i in range(2):
        green[..., i::2, 1 - i :: 2] = mosaic_B1HW[..., i::2, 1 - i :: 2]
    difference = mosaic_B1HW - green
    sparse = torch.zeros_like(difference).repeat(1, 2, 1, 1)
    sparse[:, 0, ::2, ::2] = difference[:, 0, ::2, ::2]
    sparse[:, 1, 1::2, 1::2] = difference[:, 0, 1::2, 1::2]
    tent = _TENT.expand(2, 1, 3, 3).to(sparse)
    red, blue = (green + F.conv2d(F.pad(sparse, (1, 1, 1, 1), mode="reflect"), tent, groups=2)).split(1, 1)
    return torch.cat([red, green, blue], 1)
