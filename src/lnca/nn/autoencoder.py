"""The autoencoder (paper 3.1.1): adjusted convolutions, a skip connection, an encoder side channel, a sigmoid output.

Images and skip are (B, C, H, W); latents are channels-last, (B, H / 2^d, W / 2^d, C), as the cells are.
"""

from abc import abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from .automaton import initialise


class Coder(nn.Module):
    """Encoder and decoder around a latent automaton.

    Args:
        multiple: side of a cell in pixels; an image's sides are multiples of it.
        width: largest number of channels a pixel in the tensor that bypasses the automaton.
    """

    def __init__(self, multiple: int, width: int):
        super().__init__()
        self.multiple, self.width = multiple, width

    @property
    @abstractmethod
    def reach(self) -> int:
        """Largest radius of the receptive field of encoding or decoding, in cells."""

    @abstractmethod
    def encode(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Image (B, 3, H, W) to latent (B, H', W', C) and what bypasses the automaton, (B, C'', H'', W'')."""

    @abstractmethod
    def decode(self, latent_BHWC: Tensor, skip_BCHW: Tensor) -> Tensor:
        """The cells' output and what bypassed them -> image (B, 3, H, W) in [0, 1]."""


class AdjustedConv(nn.Module):
    """3x3 convolution without activation, batch normalisation, swish.

    A stride of 2 pads like TensorFlow's "same" for even sizes: nothing before, one row and column after. The
    convolution has no bias, since batch normalisation would subtract it.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.padding = (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.silu(self.norm(self.conv(F.pad(x_BCHW, self.padding))))


class AdjustedTransposedConv(nn.Module):
    """3x3 transposed convolution of stride 2 that doubles the size, batch normalisation, and swish or sigmoid."""

    def __init__(self, inputs: int, outputs: int, *, last: bool = False):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3, 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.last = last

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = self.norm(self.conv(x_BCHW)[..., :-1, :-1])
        return x.sigmoid() if self.last else F.silu(x)


class Autoencoder(Coder):
    """Encoder E and decoder D.

    Args:
        image_channels: channels of the image.
        latent_channels: channels d of the latent; the skip connection has d / 2.
        downsamplings: 2 (the paper's tables) or more; the latent is 2^downsamplings times smaller than the image.
    """

    def __init__(self, image_channels: int = 3, latent_channels: int = 16, downsamplings: int = 2):
        super().__init__(2**downsamplings, latent_channels // 2)
        if downsamplings < 2:
            raise ValueError(f"downsamplings must be at least 2, got {downsamplings}")
        skip = latent_channels // 2
        deeper = downsamplings - 2
        self.skip_branch = AdjustedConv(image_channels, skip, 2)
        self.side_channel = AdjustedConv(image_channels, skip, 2)
        self.down = nn.Sequential(
            AdjustedConv(skip, latent_channels, 2),
            *(AdjustedConv(latent_channels, latent_channels, 2) for _ in range(deeper)),
        )
        self.up = nn.Sequential(
            *(AdjustedTransposedConv(latent_channels, latent_channels) for _ in range(deeper)),
            AdjustedTransposedConv(latent_channels, skip),
        )
        self.mix = AdjustedConv(skip, skip, 1)
        self.output = AdjustedTransposedConv(skip, image_channels, last=True)
        initialise(self)

    @property
    def reach(self) -> int:
        return 2

    def encode(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """E: image (B, 3, H, W) to latent x-hat (B, H', W', C) and skip x-bar (B, C / 2, H / 2, W / 2)."""
        skip = self.skip_branch(image_BCHW)
        latent = self.down(skip + self.side_channel(image_BCHW))
        return latent.permute(0, 2, 3, 1), skip

    def decode(self, latent_BHWC: Tensor, skip_BCHW: Tensor) -> Tensor:
        """D: latent and skip connection -> image (B, 3, H, W) in [0, 1]."""
        up = self.up(latent_BHWC.permute(0, 3, 1, 2))
        return self.output(self.mix(up + skip_BCHW))
