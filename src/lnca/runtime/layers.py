"""Descriptions of convolutions, read from a model's tensors and folded with the normalisation that follows them.

Kernels are (K, K, inputs, outputs) and pictures (B, H, W, C), so that a convolution is K x K matrix products.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .weights import Weights

Activation = Literal["swish", "sigmoid", "none", "relu"]

# Epsilon of the batch normalisation in adjusted convolutions (paper 3.1.1).
EPSILON = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A convolution and its activation.

    Args:
        kernel: (K, K, inputs, outputs), float64; K is 3 or 1.
        bias: (outputs,), float64.
        activation: activation of the outputs.
        stride: 1 or 2; with 2 only the lower and the right border are padded.
        transposed: whether it is a transposed convolution of stride 2, which doubles the sides.
        exact: whether the factors are never rounded to bfloat16.
    """

    kernel: np.ndarray
    bias: np.ndarray
    activation: Activation = "none"
    stride: int = 1
    transposed: bool = False
    exact: bool = False

    @property
    def taps(self) -> int:
        """Rows and columns of the kernel."""
        return len(self.kernel)

    @property
    def inputs(self) -> int:
        return self.kernel.shape[2]

    @property
    def outputs(self) -> int:
        return self.kernel.shape[3]

    def height(self, rows: int) -> int:
        """Number of rows of the whole output, for `rows` rows of the whole input."""
        return 2 * rows if self.transposed else rows // self.stride

    def needs(self, begin: int, end: int, height: int) -> tuple[int, int]:
        """The range of input rows on which output rows [begin, end) depend, for an input of `height` rows."""
        if self.taps == 1:
            low, high = begin, end
        elif self.transposed:
            low, high = (begin + 1) // 2 - 1, (end + 1) // 2
        elif self.stride == 2:
            low, high = 2 * begin, 2 * end + 1
        else:
            low, high = begin - 1, end + 1
        return max(low, 0), min(high, height)


def convolution(
    weights: Weights,
    inputs: int | None,
    outputs: int | None,
    taps: int = 3,
    *,
    activation: Activation = "none",
    bias: bool = True,
    exact: bool = False,
) -> Layer:
    """A convolution of stride 1 from its tensors `weight` and `bias`.

    Args:
        inputs, outputs: numbers of channels; None accepts any.
        taps: rows and columns of the kernel.

    Raises:
        LncaError: a tensor is missing or has a wrong shape.
    """
    kernel = weights.take("weight", outputs, inputs, taps, taps).transpose(2, 3, 1, 0)
    shift = weights.take("bias", kernel.shape[3]) if bias else np.zeros(kernel.shape[3])
    return Layer(kernel=kernel, bias=shift, activation=activation, exact=exact)


def adjusted(
    weights: Weights,
    inputs: int | None,
    outputs: int | None,
    *,
    stride: int = 1,
    transposed: bool = False,
    activation: Activation = "swish",
) -> Layer:
    """An adjusted convolution (paper 3.1.1) from its tensors. The batch normalisation has fixed statistics, and is
    folded into kernel and bias.

    Raises:
        LncaError: see `convolution`.
    """
    if transposed:
        kernel = weights.take("conv.weight", inputs, outputs, 3, 3).transpose(2, 3, 0, 1)
    else:
        kernel = weights.take("conv.weight", outputs, inputs, 3, 3).transpose(2, 3, 1, 0)
    made = kernel.shape[3]
    mean, variance, factor, shift = (
        weights.take(f"norm.{name}", made) for name in ("running_mean", "running_var", "weight", "bias")
    )
    weights.take("norm.num_batches_tracked")
    scale = factor / np.sqrt(variance + EPSILON)
    return Layer(
        kernel=kernel * scale,
        bias=shift - mean * scale,
        activation=activation,
        stride=stride,
        transposed=transposed,
        exact=True,
    )


def by_blocks(weights: Weights, inputs: int, outputs: int) -> Layer:
    """A 2x2 convolution with stride 2, as a 1x1 convolution over `unshuffled` cells.

    Raises:
        LncaError: see `convolution`.
    """
    kernel = weights.take("weight", outputs, inputs, 2, 2).transpose(2, 3, 1, 0).reshape(1, 1, 4 * inputs, outputs)
    return Layer(kernel=kernel, bias=weights.take("bias", outputs))


def reading_blocks(layer: Layer, side: int, channels: int) -> Layer:
    """A layer for inputs in the order of `unshuffled`, position by position. The given layer expects the order of
    torch's `pixel_unshuffle`, channel by channel. Inputs after the first side x side x `channels` ones stay in
    place."""
    order = _by_position(side, channels)
    rest = np.arange(len(order), layer.inputs)
    return replace(layer, kernel=layer.kernel[:, :, np.concatenate([order, rest])])


def making_blocks(layer: Layer, side: int) -> Layer:
    """A layer whose outputs have the order that `shuffled` expects, instead of that of `pixel_shuffle`."""
    order = _by_position(side, layer.outputs // side**2)
    return replace(layer, kernel=layer.kernel[..., order], bias=layer.bias[order])


def _by_position(side: int, channels: int) -> np.ndarray:
    return np.arange(channels * side**2).reshape(channels, side**2).T.ravel()
