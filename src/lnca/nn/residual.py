"""Encoder and decoder beside a path at full resolution: the restored picture is the input plus a correction.

The paper's decoder has to rebuild every pixel from three numbers: d / 2 skip channels at a quarter and d latent
channels at a sixteenth of the positions. Here features of every pixel go past the automaton to the decoder, which
corrects the picture with what the cells have found out (docs/quality.md).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .autoencoder import Coder
from .deconvolution import SIDE, Border, Deconvolution
from .echoes import CHANNELS, FAR, echoes
from .surroundings import reach, surroundings
from .wiener import WienerFilters


class Refinement(nn.Module):
    """x + swish(C(x)) with C a 3x3 convolution that starts at zero, so that the layer changes nothing at first."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + F.silu(self.conv(x_BCHW))


class ResidualCoder(Coder):
    """Encoder and decoder; cells stand for 4x4 pixels.

    Args:
        image_channels: channels of the image.
        width: channels of the path.
        shrink: pixels of the side of the path's positions, 1, or 2 for a path over blocks of 2x2 pixels.
        latent_channels: channels the encoder gives to the cells.
        output_channels: channels the decoder reads from the cells.
        mixing: channels between the two maps from the path's positions to a cell, and back.
        context: refinements of cells between those maps, on the way to the automaton and on the way back.
        depth: refinements of the path before the last map of the correction.
        scales: of the `surroundings` that encoder and decoder are given beside the path; 0 leaves them out.
        echoes: scales of the `echoes` that the encoder is given; 0 leaves them out. With a deconvolution the decoder is
            given them too, for what they say of the blur at once, beside what the cells say.
        blurs, blur_lengths, iterations, border: angles, lengths, iterations and border of a `Deconvolution`; no angles
            leave it out.
        window: of `WienerFilters`, which then take its place, without iterations; 0 for none.
    """

    def __init__(
        self, image_channels: int = 3, width: int = 16, shrink: int = 1, latent_channels: int = 16,
        output_channels: int = 32, mixing: int = 96, context: int = 0, depth: int = 0, scales: int = 0,
        echoes: int = 0,
        blurs: int = 0, blur_lengths: Sequence[int] = (7,), iterations: int = 16, border: Border = "zero",
        window: int = 0,
    ):  # fmt: skip
        super().__init__(SIDE)
        if shrink not in (1, 2):
            raise ValueError(f"shrink must be 1 or 2, got {shrink}")
        self.width, self.shrink, self.places = width, shrink, (SIDE // shrink) ** 2
        self.pixels = image_channels * shrink**2
        self.features = nn.Sequential(
            nn.Conv2d(self.pixels, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        )
        self.deconvolution: Deconvolution | WienerFilters | None = None
        if blurs and window:
            self.deconvolution = WienerFilters(blurs, blur_lengths, window, border)
        elif blurs:
            self.deconvolution = Deconvolution(blurs, blur_lengths, iterations, border)

        def maps(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, mixing, 1), nn.SiLU(), nn.Conv2d(mixing, outputs, 1))

        def refinements(channels: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(Refinement(channels) for _ in range(count)))

        self.scales, self.echoes = scales, echoes
        self.around = image_channels * scales
        self.gather = maps(width * self.places + self.around + (CHANNELS if echoes else 0), latent_channels)
        self.gather_context, self.scatter_context = (refinements(mixing, context) for _ in range(2))
        kernels = self.deconvolution.inputs if self.deconvolution else 0
        heard = len(self.deconvolution.bank) if self.deconvolution and echoes else 0
        self.scatter = maps(output_channels + self.around + heard, width * self.places + kernels)
        self.listen: nn.Sequential | None = None
        if heard:
            wide = 2 * mixing
            self.listen = nn.Sequential(
                nn.Conv2d(CHANNELS, wide, 1), nn.SiLU(),
                nn.Conv2d(wide, wide, 1), nn.SiLU(),
                nn.Conv2d(wide, kernels, 1),
            )  # fmt: skip
            nn.init.zeros_(self.listen[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.listen[-1].bias)  # type: ignore[arg-type]
        joined = 2 * width + (self.pixels * self.deconvolution.pictures if self.deconvolution else 0)
        self.correct = nn.Sequential(
            nn.Conv2d(joined, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, self.pixels, 3, padding=1),
        )  # fmt: skip
        self.correct_depth = refinements(width, depth)
        last = self.correct[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    @property
    def reach(self) -> int:
        """Cells to either side that what is made of a cell depends on, at most, when encoding or decoding."""
        seen = reach(self.scales) if self.scales else 0
        heard = reach(self.echoes) - (-(FAR + 1) // SIDE) if self.echoes else 0
        cells = len(self.scatter_context) + max(seen, heard)
        pixels = (5 + len(self.correct_depth)) * self.shrink
        if self.deconvolution is not None:
            pixels += self.deconvolution.reach
        return cells + -(-pixels // SIDE) + 1

    def encode(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Image (B, 3, H, W) -> latent (B, H / 4, W / 4, d) and the path: image and features, (B, 3 + width, H, W), or
        (B, 12 + width, H / 2, W / 2) where `shrink` is 2."""
        pixels = F.pixel_unshuffle(image_BCHW, self.shrink)
        features = self.features(pixels)
        cells = self._with_surroundings(F.pixel_unshuffle(features, SIDE // self.shrink), image_BCHW)
        if self.echoes:
            cells = torch.cat([cells, self._heard(image_BCHW).to(cells.dtype)], 1)
        latent = _around(self.gather, self.gather_context, cells)
        return latent.permute(0, 2, 3, 1), torch.cat([pixels, features], 1)

    def decode(self, latent_BHWC: Tensor, skip_BCHW: Tensor) -> Tensor:
        """The cells' output and the path -> image (B, 3, H, W), in [0, 1] but in training, where it has to have a
        gradient."""
        restored, _ = self.restore(latent_BHWC, skip_BCHW)
        return restored if self.training else restored.clamp(0, 1)

    def restore(self, latent_BHWC: Tensor, skip_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """What `decode` gives, not clipped, and the `scores`."""
        pixels, features = skip_BCHW.split([self.pixels, self.width], 1)
        image = F.pixel_shuffle(pixels, self.shrink)
        path, scores = self._scattered(latent_BHWC, image)
        joined = [features, F.pixel_shuffle(path, SIDE // self.shrink)]
        if self.deconvolution is not None:
            sharp = self.deconvolution(image, scores)
            joined.append(F.pixel_unshuffle(sharp, self.shrink))
            image = sharp[:, : image.shape[1]]
        corrections = _around(self.correct, self.correct_depth, torch.cat(joined, 1))
        return image + F.pixel_shuffle(corrections, self.shrink), scores

    def scores(self, latent_BHWC: Tensor, image_BCHW: Tensor) -> Tensor:
        """What the cells' output says of the blur, as the deconvolution takes it: (B, its `inputs`, H / 4, W / 4)."""
        return self._scattered(latent_BHWC, image_BCHW)[1]

    def blurred(self, image_BCHW: Tensor, latent_BHWC: Tensor, given_BCHW: Tensor) -> Tensor:
        """An image blurred as the cells' output says that the given one was; needs a `deconvolution`."""
        assert self.deconvolution is not None
        kernels = self.deconvolution.kernels(self.scores(latent_BHWC, given_BCHW))
        image = image_BCHW.permute(0, 2, 3, 1).contiguous()
        return self.deconvolution.blur(image, kernels, self.deconvolution.border).permute(0, 3, 1, 2)

    def _scattered(self, latent_BHWC: Tensor, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """For the path, (B, width * places, H / 4, W / 4), and the scores of the blurs, (B, blurs, H / 4, W / 4)."""
        cells = self._with_surroundings(latent_BHWC.permute(0, 3, 1, 2), image_BCHW)
        path = self.width * self.places
        if self.listen is None or self.deconvolution is None:
            scattered = _around(self.scatter, self.scatter_context, cells)
            return scattered[:, :path], scattered[:, path:]
        said = self.listen(self._heard(image_BCHW))
        shares = self.deconvolution.shares(said).permute(0, 3, 1, 2).to(cells.dtype)
        scattered = _around(self.scatter, self.scatter_context, torch.cat([cells, shares], 1))
        return scattered[:, :path], scattered[:, path:] + said

    def _heard(self, image_BCHW: Tensor) -> Tensor:
        """The echoes, channels first."""
        return echoes(image_BCHW.permute(0, 2, 3, 1), self.echoes).permute(0, 3, 1, 2)

    def _with_surroundings(self, cells_BChw: Tensor, image_BCHW: Tensor) -> Tensor:
        """Channels of cells, and what is around them."""
        if not self.scales:
            return cells_BChw
        means = surroundings(image_BCHW.permute(0, 2, 3, 1), self.scales)
        return torch.cat([cells_BChw, means.permute(0, 3, 1, 2).to(cells_BChw.dtype)], 1)


def _around(maps: nn.Sequential, inner: nn.Sequential, x_BCHW: Tensor) -> Tensor:
    """A chain of maps with `inner` before the last of them."""
    return maps[-1](inner(maps[:-1](x_BCHW)))
