"""The residual coder in bands of rows, for pictures of any height."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ..nn.residual import SIDE, ResidualCoder
from .autoencoder import Source
from .convolution import Activation, Band, FusedConvolution
from .cpu import Precision


class FusedResidualCoder:
    """A residual coder in evaluation mode; attributes, errors and other arguments as of `FusedAutoencoder`.

    Args:
        precision: of its convolutions, see `FusedConvolution`; what reads pixels is float32.
    """

    def __init__(self, coder: ResidualCoder, level: str, precision: Precision = "float32"):
        def layers(maps: Iterable[nn.Module], *activations: Activation) -> list[FusedConvolution]:
            convolutions = [layer for layer in maps if isinstance(layer, nn.Conv2d)]
            return [
                FusedConvolution(conv, level, how, precision)
                for conv, how in zip(convolutions, activations, strict=True)
            ]

        self.multiple, self.shrink, self.places = SIDE, coder.shrink, SIDE // coder.shrink
        first, _, last = coder.features
        # Pixels need more than the eight bits of bfloat16.
        self.features = [FusedConvolution(moved(first, coder.shrink, 0), level, "swish"), *layers([last], "none")]
        first, _, last = coder.gather
        self.gather = layers([moved(first, self.places, 0), last], "swish", "none")
        first, _, last = coder.scatter
        self.scatter = layers([first, moved(last, self.places, 1)], "swish", "none")
        first, _, middle, _, last = coder.correct
        self.correct = layers([first, middle, moved(last, coder.shrink, 1)], "swish", "swish", "none")
        # Pixels beyond a band that are corrected, and cells that are looked at for them.
        near = 5 * coder.shrink
        self.border = 2 * -(-near // SIDE) + 2
        # Floats of each pixel: image, result and what is scattered, joined and corrected.
        self.floats = 9 + 8 * coder.width // coder.shrink**2
        self.halo = 2 * (near + SIDE) * self.floats

    def encode(self, image: Source, height: int, begin: int, end: int) -> Tensor:
        """Latent rows [begin, end), (B, rows, W', C), of a picture of `height` rows (a multiple of 4)."""

        def cells(top: int, bottom: int) -> Tensor:
            return unshuffled(self._features(image, height, top * self.places, bottom * self.places), self.places)

        return _chain(self.gather, cells, height // SIDE, begin, end).values

    def decode(self, image: Source, latent: Source, height: int, begin: int, end: int) -> Tensor:
        """Rows [begin, end), (B, rows, W, 3) in [0, 1], of the decoded picture.

        Args:
            image: gives rows of the corrupted picture.
            latent: gives rows of the cells' output.
            height: rows of the picture, a multiple of 4.
        """

        def joined(first: int, last: int) -> Tensor:
            top, bottom = first // self.places, -(-last // self.places)
            path = shuffled(_chain(self.scatter, latent, height // SIDE, top, bottom).values, self.places)
            path = path[:, first - top * self.places : last - top * self.places]
            return torch.cat([self._features(image, height, first, last), path], -1)

        x = _chain(self.correct, joined, height // self.shrink, begin // self.shrink, end // self.shrink)
        return (image(begin, end) + shuffled(x.values, self.shrink)).clamp_(0, 1)

    def _features(self, image: Source, height: int, begin: int, end: int) -> Tensor:
        """Rows of the path's positions."""

        def pixels(low: int, high: int) -> Tensor:
            return unshuffled(image(low * self.shrink, high * self.shrink), self.shrink)

        return _chain(self.features, pixels, height // self.shrink, begin, end).values


def unshuffled(x_BHWC: Tensor, side: int) -> Tensor:
    """Each block of side x side positions becomes one, its channels by row, column and channel."""
    batch, rows, columns, channels = x_BHWC.shape
    blocks = x_BHWC.reshape(batch, rows // side, side, columns // side, side * channels).transpose(2, 3)
    return blocks.reshape(batch, rows // side, columns // side, -1)


def shuffled(x_BHWC: Tensor, side: int) -> Tensor:
    """The inverse of `unshuffled`."""
    batch, rows, columns, _ = x_BHWC.shape
    return (
        x_BHWC.reshape(batch, rows, columns, side, -1).transpose(2, 3).reshape(batch, rows * side, columns * side, -1)
    )


def _chain(layers: Sequence[FusedConvolution], source: Source, height: int, begin: int, end: int) -> Band:
    """Rows [begin, end) of what layers, one after the other, make of rows of a source that has `height` of them."""
    ranges = [(begin, end)]
    for layer in reversed(layers):
        ranges.append(layer.needs(*ranges[-1], height))
    first, last = ranges.pop()
    band = Band(source(first, last), first, height)
    for layer in layers:
        band = layer(band, *ranges.pop())
    return band


def moved(
    layer: nn.Module, side: int, dimension: int, begin: int = 0, end: int | None = None, *, keep: bool = False
) -> nn.Conv2d:
    """A convolution whose inputs (`dimension` 0) or outputs (1) `begin` to `end` are ordered as `unshuffled` does, not
    by channel first as `pixel_unshuffle` does; without the others, or with those as they are."""
    assert isinstance(layer, nn.Conv2d)

    def ordered(x: Tensor) -> Tensor:
        part = x[begin:end]
        part = part.unflatten(0, (-1, side, side)).movedim(0, 2).flatten(0, 2) if len(part) else part
        return torch.cat([x[:begin], part, x[len(x) if end is None else end :]]) if keep else part

    weight = layer.weight.detach()
    assert layer.bias is not None
    bias = layer.bias.detach()
    if dimension:
        weight, bias = ordered(weight), ordered(bias)
    else:
        weight = ordered(weight.transpose(0, 1)).transpose(0, 1)
    result = nn.Conv2d(weight.shape[1], weight.shape[0], layer.kernel_size, padding=layer.padding)  # type: ignore[arg-type]
    result.weight, result.bias = nn.Parameter(weight), nn.Parameter(bias)
    return result
