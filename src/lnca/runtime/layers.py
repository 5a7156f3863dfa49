"""Convolutions as they are run: their kernels folded with what follows them, read from a model's tensors.

Kernels are (K, K, inputs, outputs) and pictures (B, H, W, C), which makes a convolution K x K matrix products.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .weights import Weights

Activation = Literal["swish", "sigmoid", "none", "relu"]

# Of the batch normalisation of adjusted convolutions (paper 3.1.1).
EPSILON = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A convolution and what follows it.

    Args:
        kernel: (K, K, inputs, outputs), float64; K is 3 or 1.
        bias: (outputs,), float64.
        activation: of the outputs.
        stride: 1, or 2, which pads below and on the right only.
        transposed: of stride 2, twice as many rows and columns come out.
        exact: its products are never rounded to bfloat16.
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
        """Rows of the whole output, of a whole input's."""
        return 2 * rows if self.transposed else rows // self.stride

    def needs(self, begin: int, end: int, height: int) -> tuple[int, int]:
        """Rows of an input of `height` rows that output rows [begin, end) are made of."""
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
    """A plain convolution with a bias, of stride 1, from its tensors `weight` and `bias`.

    Raises:
        LncaError: a tensor is missing or has another shape.
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
    """An adjusted convolution (paper 3.1.1), from its tensors: the batch normalisation, with its fixed statistics, is a
    factor and a shift of each output.

    Raises:
        LncaError: as `convolution`.
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
    """A convolution of 2x2 with stride 2, as one of 1x1 over `unshuffled` cells.

    Raises:
        LncaError: as `convolution`.
    """
    kernel = weights.take("weight", outputs, inputs, 2, 2).transpose(2, 3, 1, 0).reshape(1, 1, 4 * inputs, outputs)
    return Layer(kernel=kernel, bias=weights.take("bias", outputs))


def reading_blocks(layer: Layer, side: int, channels: int) -> Layer:
    """A layer whose first inputs are blocks of side x side positions, `channels` by `channels` as `unshuffled` orders
    them, in place of channel by channel as `pixel_unshuffle` does."""
    order = _by_position(side, channels)
    rest = np.arange(len(order), layer.inputs)
    return replace(layer, kernel=layer.kernel[:, :, np.concatenate([order, rest])])


def making_blocks(layer: Layer, side: int) -> Layer:
    """A layer whose outputs are such blocks, as `shuffled` wants them."""
    order = _by_position(side, layer.outputs // side**2)
    return replace(layer, kernel=layer.kernel[..., order], bias=layer.bias[order])


def _by_position(side: int, channels: int) -> np.ndarray:
    return np.arange(channels * side**2).reshape(channels, side**2).T.ravel()
