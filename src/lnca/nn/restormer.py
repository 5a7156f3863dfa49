"""Restormer, the transformer with attention between channels (Zamir et al., CVPR 2022, arXiv:2111.09881).

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


class PixelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel."""

    def __init__(self, channels: int, bias: bool = True):
        super().__init__()
        self.body = nn.LayerNorm(channels, bias=bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.body(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelAttention(nn.Module):
    """Multi-Dconv head transposed attention: softmax over channels, so that its cost is linear in pixels."""

    def __init__(self, channels: int, heads: int, bias: bool):
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(1, (self.heads, -1)).flatten(3) for part in self.qkv_dwconv(self.qkv(x_BCHW)).chunk(3, 1)
        )
        similarity = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        mixed = (similarity * self.temperature).softmax(-1) @ value
        return self.project_out(mixed.reshape(x_BCHW.shape))


class FeedForward(nn.Module):
    """Gated-Dconv feed-forward network."""

    def __init__(self, channels: int, expansion: float, bias: bool):
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x_BCHW)).chunk(2, 1)
        return self.project_out(F.gelu(gate) * value)


class TransformerBlock(nn.Module):
    """Attention between channels and feed-forward network, each with a normalised residual branch."""

    def __init__(self, channels: int, heads: int, expansion: float, bias: bool, norm_bias: bool):
        super().__init__()
        self.norm1 = PixelNorm(channels, norm_bias)
        self.attn = ChannelAttention(channels, heads, bias)
        self.norm2 = PixelNorm(channels, norm_bias)
        self.ffn = FeedForward(channels, expansion, bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = x_BCHW + self.attn(self.norm1(x_BCHW))
        return x + self.ffn(self.norm2(x))


class PatchEmbed(nn.Module):
    """The first convolution, under the release's name."""

    def __init__(self, inputs: int, outputs: int, bias: bool):
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.proj(x_BCHW)


class Resample(nn.Module):
    """Halves or doubles the resolution, and doubles or halves the channels."""

    def __init__(self, channels: int, *, up: bool):
        super().__init__()
        outputs, shuffle = (2 * channels, nn.PixelShuffle(2)) if up else (channels // 2, nn.PixelUnshuffle(2))
        self.body = nn.Sequential(nn.Conv2d(channels, outputs, 3, padding=1, bias=False), shuffle)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.body(x_BCHW)


class Restormer(RestorationModel):
    """The four-level U-Net of transformer blocks.

    Args:
        dim: channels at full resolution; they double with every level.
        num_blocks: blocks of each level.
        num_refinement_blocks: blocks after the last level of the decoder.
        heads: attention heads of each level.
        ffn_expansion_factor: hidden channels of the feed-forward network, in multiples of a level's channels.
        bias: whether convolutions have a bias.
        norm_bias: whether normalisations have a bias.
        image_channels: channels of the image.
    """

    def __init__(
        self,
        dim: int = 48,
        num_blocks: tuple[int, int, int, int] = (4, 6, 6, 8),
        num_refinement_blocks: int = 4,
        heads: tuple[int, int, int, int] = (1, 2, 4, 8),
        ffn_expansion_factor: float = 2.66,
        bias: bool = False,
        norm_bias: bool = True,
        image_channels: int = 3,
    ):
        super().__init__()
        self.multiple = 8

        def stage(channels: int, level: int, count: int) -> nn.Sequential:
            settings = (channels, heads[level], ffn_expansion_factor, bias, norm_bias)
            return nn.Sequential(*(TransformerBlock(*settings) for _ in range(count)))

        self.patch_embed = PatchEmbed(image_channels, dim, bias)
        self.encoder_level1 = stage(dim, 0, num_blocks[0])
        self.down1_2 = Resample(dim, up=False)
        self.encoder_level2 = stage(2 * dim, 1, num_blocks[1])
        self.down2_3 = Resample(2 * dim, up=False)
        self.encoder_level3 = stage(4 * dim, 2, num_blocks[2])
        self.down3_4 = Resample(4 * dim, up=False)
        self.latent = stage(8 * dim, 3, num_blocks[3])
        self.up4_3 = Resample(8 * dim, up=True)
        self.reduce_chan_level3 = nn.Conv2d(8 * dim, 4 * dim, 1, bias=bias)
        self.decoder_level3 = stage(4 * dim, 2, num_blocks[2])
        self.up3_2 = Resample(4 * dim, up=True)
        self.reduce_chan_level2 = nn.Conv2d(4 * dim, 2 * dim, 1, bias=bias)
        self.decoder_level2 = stage(2 * dim, 1, num_blocks[1])
        self.up2_1 = Resample(2 * dim, up=True)
        self.decoder_level1 = stage(2 * dim, 0, num_blocks[0])
        self.refinement = stage(2 * dim, 0, num_refinement_blocks)
        self.output = nn.Conv2d(2 * dim, image_channels, 3, padding=1, bias=bias)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Image (B, 3, H, W) of any size >= 8 -> image of the same size. It is padded by mirroring at the lower and
        right border to a multiple of 8, as in the release."""
        height, width = image_BCHW.shape[-2:]
        image = F.pad(image_BCHW, (0, -width % self.multiple, 0, -height % self.multiple), mode="reflect")
        level1 = self.encoder_level1(self.patch_embed(image))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        x = self.latent(self.down3_4(level3))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([self.up4_3(x), level3], 1)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], 1)))
        x = self.decoder_level1(torch.cat([self.up2_1(x), level1], 1))
        return (self.output(self.refinement(x)) + image)[..., :height, :width]


def settings_of(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """The settings of a public state dict, deduced from its names and shapes."""

    def count(stage: str) -> int:
        return 1 + max(int(match[1]) for name in state_dict if (match := re.match(rf"{stage}\.(\d+)\.", name)))

    stages = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")
    dim, image_channels = state_dict["patch_embed.proj.weight"].shape[:2]
    hidden = state_dict["latent.0.ffn.project_out.weight"].shape[1]
    channels = 8 * dim
    # int(channels * factor) must give `hidden` at every level; adding half a channel avoids errors of rounding.
    return {
        "dim": dim,
        "num_blocks": tuple(count(stage) for stage in stages),
        "num_refinement_blocks": count("refinement"),
        "heads": tuple(state_dict[f"{stage}.0.attn.temperature"].shape[0] for stage in stages),
        "ffn_expansion_factor": (hidden + 0.5) / channels,
        "bias": "output.bias" in state_dict,
        "norm_bias": "latent.0.norm1.body.bias" in state_dict,
        "image_channels": image_channels,
    }
