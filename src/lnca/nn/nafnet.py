"""NAFNet, an activation-free U-Net (Chen et al., "Simple Baselines for Image Restoration", ECCV 2022, 2204.04676).

Parameter names and shapes are those of the public release, so that its checkpoints load with `strict=True`.
Images are (B, 3, H, W).
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .model import RestorationModel


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of each pixel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x_BCHW, 1, correction=0, keepdim=True)
        normal = (x_BCHW - mean) * torch.rsqrt(variance + 1e-6)
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


def simple_gate(x_BCHW: Tensor) -> Tensor:
    """First half of the channels times the second half."""
    first, second = x_BCHW.chunk(2, 1)
    return first * second


class GlobalMean(nn.Module):
    """The mean over the picture or, with `window`, over a window around each pixel (TLC, the "local" test mode;
    Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation", arXiv:2112.04491)."""

    def __init__(self) -> None:
        super().__init__()
        self.window: int | None = None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        height, width = x_BCHW.shape[-2:]
        if self.window is None or self.window >= max(height, width):
            return x_BCHW.mean((2, 3), keepdim=True)
        rows, columns = min(self.window, height), min(self.window, width)
        sums = F.pad(x_BCHW.cumsum(-1).cumsum(-2), (1, 0, 1, 0))
        box = (
            sums[..., rows:, columns:]
            - sums[..., :-rows, columns:]
            - sums[..., rows:, :-columns]
            + sums[..., :-rows, :-columns]
        )
        top, left = (height - box.shape[-2]) // 2, (width - box.shape[-1]) // 2
        bottom, right = height - box.shape[-2] - top, width - box.shape[-1] - left
        return F.pad(box / (rows * columns), (left, right, top, bottom), mode="replicate")


class NAFBlock(nn.Module):
    """A mobile convolution with simple gate and simplified channel attention, then a gated pointwise block."""

    def __init__(self, channels: int):
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.sca = nn.Sequential(GlobalMean(), nn.Conv2d(channels, channels, 1))
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.norm1 = LayerNorm2d(channels)
        self.norm2 = LayerNorm2d(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = simple_gate(self.conv2(self.conv1(self.norm1(x_BCHW))))
        y = x_BCHW + self.beta * self.conv3(x * self.sca(x))
        return y + self.gamma * self.conv5(simple_gate(self.conv4(self.norm2(y))))


class NAFNet(RestorationModel):
    """The U-Net.

    Args:
        width: channels at full resolution; they double with every down-sampling.
        encoder_blocks: blocks of each encoder level.
        middle_blocks: blocks at the lowest resolution.
        decoder_blocks: blocks of each decoder level, from the lowest up.
        image_channels: channels of the image.
    """

    def __init__(
        self,
        width: int = 64,
        encoder_blocks: tuple[int, ...] = (2, 2, 4, 8),
        middle_blocks: int = 12,
        decoder_blocks: tuple[int, ...] = (2, 2, 2, 2),
        image_channels: int = 3,
    ):
        super().__init__()
        if len(encoder_blocks) != len(decoder_blocks):
            raise ValueError(f"as many decoder levels as encoder levels, got {encoder_blocks} and {decoder_blocks}")
        self.multiple = 2 ** len(encoder_blocks)
        self.intro = nn.Conv2d(image_channels, width, 3, padding=1)
        self.ending = nn.Conv2d(width, image_channels, 3, padding=1)
        widths = [width * 2**level for level in range(len(encoder_blocks) + 1)]
        self.encoders = nn.ModuleList(blocks(channels, n) for channels, n in zip(widths, encoder_blocks, strict=False))
        self.downs = nn.ModuleList(nn.Conv2d(channels, 2 * channels, 2, 2) for channels in widths[:-1])
        self.middle_blks = blocks(widths[-1], middle_blocks)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.PixelShuffle(2))
            for channels in widths[:0:-1]
        )
        self.decoders = nn.ModuleList(
            blocks(channels, n) for channels, n in zip(widths[-2::-1], decoder_blocks, strict=True)
        )

    def use_local_means(self, tile: int | None) -> None:
        """The "local" test mode: channel attention over windows of 1.5 training tiles of `tile` x `tile` pixels around
        each pixel; None switches back to the whole picture."""
        levels = [*self.encoders, self.middle_blks, *reversed(self.decoders)]
        depths = [*range(len(self.encoders) + 1), *range(len(self.decoders))]
        for depth, level in zip(depths, levels, strict=True):
            for module in level.modules():
                if isinstance(module, GlobalMean):
                    module.window = None if tile is None else max(1, int(1.5 * tile) >> depth)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Image (B, 3, H, W) of any size -> image of the same size. Zeros pad the lower and right border to a
        multiple of `multiple`, as in the release."""
        height, width = image_BCHW.shape[-2:]
        image = F.pad(image_BCHW, (0, -width % self.multiple, 0, -height % self.multiple))
        x = self.intro(image)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle_blks(x)
        for decoder, up, skip in zip(self.decoders, self.ups, reversed(skips), strict=True):
            x = decoder(up(x) + skip)
        return (self.ending(x) + image)[..., :height, :width]


def blocks(channels: int, count: int) -> nn.Sequential:
    """`count` NAFBlocks in a row."""
    return nn.Sequential(*(NAFBlock(channels) for _ in range(count)))


def settings_of(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """The settings of a public state dict, deduced from its names and shapes."""

    def count(pattern: str) -> int:
        found = [int(match[1]) for name in state_dict if (match := re.match(pattern, name))]
        return max(found, default=-1) + 1

    levels = count(r"encoders\.(\d+)\.")
    return {
        "width": state_dict["intro.weight"].shape[0],
        "encoder_blocks": tuple(count(rf"encoders\.{level}\.(\d+)\.") for level in range(levels)),
        "middle_blocks": count(r"middle_blks\.(\d+)\."),
        "decoder_blocks": tuple(count(rf"decoders\.{level}\.(\d+)\.") for level in range(levels)),
        "image_channels": state_dict["intro.weight"].shape[1],
    }
