"""A convolution in bands of rows, the same to the bit wherever a band begins: in numpy, and compiled."""

import ctypes
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from . import threads
from .arrays import Float, aligned, empty
from .bfloat16 import tiles
from .layers import Activation, Layer
from .native import (
    INSTRUCTION_SETS,
    WORD_P,
    ActivationKind,
    CBand,
    CConvolution,
    ConvolutionKind,
    NoKernelError,
    Precision,
    address,
    loaded_library,
)

ACTIVATIONS: dict[Activation, ActivationKind] = {
    "swish": ActivationKind.SWISH,
    "sigmoid": ActivationKind.SIGMOID,
    "none": ActivationKind.NONE,
    "relu": ActivationKind.RELU,
}
WIDEST = 1024
# Input channels from which on it pays to transform them: `cpu/winograd.h`, whose matrix G this is.
FEWEST = 8
WINOGRAD = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
# The same of the nine taps of a kernel: rows and columns at once.
WINOGRAD_9 = np.kron(WINOGRAD, WINOGRAD)
# Columns that numpy multiplies at a time: always as many, since a product of another size may round differently, and
# of a size that the tiles of all libraries divide, since those in a rest may too.
BLOCK = 48
# Blocks that a thread takes at a time, and products of all that are done before a second one is awake.
AT_ONCE, LEAST = 8, 2**23
# Floats of a band's neighbourhoods that numpy has in memory at a time.
ROOM = 2**22


@dataclass
class Band:
    """Rows [first, first + rows) of pictures of `height` rows: values (B, rows, columns, channels), float32."""

    values: np.ndarray
    first: int
    height: int

    def plain(self) -> CBand:
        """What the library takes."""
        _, rows, columns, _ = self.values.shape
        return CBand(address(self.values), self.first, rows, self.height, columns)


class Convolution(ABC):
    """A layer that is run.

    Args:
        layer: its weights are copied.
    """

    def __init__(self, layer: Layer):
        self.layer = layer
        self.outputs = layer.outputs
        self.needs, self.height = layer.needs, layer.height

    @abstractmethod
    def __call__(self, band: Band, begin: int, end: int, added: Band | None = None) -> Band:
        """Output rows [begin, end); the band holds the rows that `needs` says.

        Args:
            added: what is added to the outputs after the activation: of their columns and channels, with at least their
                rows.
        """


def padded(count: int, vector: int) -> int:
    """The next multiple of `vector`."""
    return -(-count // vector) * vector


def transformed(kernel: np.ndarray) -> np.ndarray:
    """G k G^T of each kernel k of 3x3 taps: (3, 3, inputs, outputs) -> (4, 4, inputs, outputs)."""
    return (WINOGRAD_9 @ kernel.reshape(9, -1)).reshape(4, 4, *kernel.shape[2:])


def kind_of(layer: Layer) -> ConvolutionKind:
    """As the library calls it."""
    if layer.taps == 1:
        return ConvolutionKind.POINTWISE
    if layer.transposed:
        return ConvolutionKind.DOUBLING
    return ConvolutionKind.SAME if layer.stride == 1 else ConvolutionKind.HALVING


class NativeConvolution(Convolution):
    """A layer by the compiled kernels.

    Args:
        level: one of `INSTRUCTION_SETS`.
        precision: of the products; "bfloat16" counts where the level is "amx" and the layer is not `exact`, and is
            float32 elsewhere.

    Raises:
        LncaError: more channels than the kernel has room for.
    """

    def __init__(self, layer: Layer, level: str, precision: Precision = "float32"):
        super().__init__(layer)
        self.level = INSTRUCTION_SETS.index(level)
        if layer.inputs > WIDEST:
            raise NoKernelError(f"the fused convolutions read {WIDEST} channels, not {layer.inputs}")
        width = padded(layer.outputs, loaded_library().lnca_vector_size(self.level))
        kernel, kind = layer.kernel, kind_of(layer)
        self._tiles = None
        if precision == "bfloat16" and level == "amx" and not layer.exact:
            # The inputs of a row of taps, one tap's channels behind the other's, are multiplied at once.
            rows = aligned(kernel, width=width).reshape(layer.taps, layer.taps * layer.inputs, width)
            self._tiles = aligned(np.stack([tiles(row) for row in rows], 1), np.int32)
        elif kind is ConvolutionKind.SAME and layer.inputs >= FEWEST:
            kind, kernel = ConvolutionKind.WINOGRAD, transformed(kernel)
        self._weight, self._bias = aligned(kernel, width=width), aligned(layer.bias, width=width)
        self._description = CConvolution(
            layer.inputs,
            layer.outputs,
            kind,
            ACTIVATIONS[layer.activation],
            address(self._weight),
            address(self._bias),
            None if self._tiles is None else ctypes.cast(self._tiles.ctypes.data, WORD_P),
            None,
        )

    def __call__(self, band: Band, begin: int, end: int, added: Band | None = None) -> Band:
        batch, _, columns, _ = band.values.shape
        result = Band(empty(batch, end - begin, self.height(columns), self.outputs), begin, self.height(band.height))
        source = Band(np.ascontiguousarray(band.values, np.float32), band.first, band.height)
        description = CConvolution.from_buffer_copy(self._description)
        if added is not None:
            beside = Band(np.ascontiguousarray(added.values, np.float32), added.first, added.height)
            description.added = ctypes.pointer(beside.plain())
        if loaded_library().lnca_convolve(
            self.level, description, source.plain(), result.plain(), batch, threads.count()
        ):
            raise MemoryError("no memory for a convolution")
        return result


class NumpyConvolution(Convolution):
    """A layer by matrix products of numpy: slower, on any machine, and what the compiled kernels are compared with.

    Args:
        dtype: of products and sums.
    """

    def __init__(self, layer: Layer, dtype: Float = np.float32):
        super().__init__(layer)
        self.dtype = dtype
        taps = layer.taps
        self._kernel: np.ndarray = layer.kernel.reshape(taps * taps * layer.inputs, layer.outputs).astype(dtype)
        self._bias: np.ndarray = layer.bias.astype(dtype)

    def __call__(self, band: Band, begin: int, end: int, added: Band | None = None) -> Band:
        values = self._transposed(band, begin, end) if self.layer.transposed else self._direct(band, begin, end)
        values = activated(values + self._bias, self.layer.activation)
        if added is not None:
            values += added.values[:, begin - added.first : end - added.first]
        return Band(values, begin, self.height(band.height))

    def _direct(self, band: Band, begin: int, end: int) -> np.ndarray:
        """Sums of products, before bias and activation."""
        stride, taps = self.layer.stride, self.layer.taps
        # A stride of 2 pads below and on the right only.
        before = 0 if stride == 2 or taps == 1 else 1
        first, last = begin * stride - before, (end - 1) * stride - before + taps
        x: np.ndarray = _around(band, first, last, before, taps - 1 - before).astype(self.dtype, copy=False)
        columns = self.height(band.values.shape[2])
        result: np.ndarray = np.empty((len(x), end - begin, columns, self.outputs), self.dtype)
        at_once = max(1, ROOM // (columns * len(self._kernel) * len(x)))
        for top in range(0, end - begin, at_once):
            bottom = min(top + at_once, end - begin)
            views = [
                _every(_every(x, 1, top * stride + row, bottom - top, stride), 2, column, columns, stride)
                for row in range(taps)
                for column in range(taps)
            ]
            result[:, top:bottom] = multiplied(np.concatenate(views, -1), self._kernel)
        return result

    def _transposed(self, band: Band, begin: int, end: int) -> np.ndarray:
        """What each input row and column hands to three output rows and columns, summed."""
        low, high = (begin + 1) // 2 - 1, (end + 1) // 2
        x: np.ndarray = _around(band, low, high, 0, 0).astype(self.dtype, copy=False)
        kernel = self._kernel.reshape(3, 3, self.layer.inputs, self.outputs)
        batch, rows, columns, _ = x.shape
        room = np.zeros((batch, 2 * rows + 1, 2 * columns + 1, self.outputs), self.dtype)
        for row in range(3):
            for column in range(3):
                part = room[:, row : row + 2 * rows : 2, column : column + 2 * columns : 2]
                part += multiplied(x, kernel[row, column])
        top = begin - 2 * low
        return room[:, top : top + end - begin, : 2 * columns]


def _every(x: np.ndarray, axis: int, first: int, count: int, stride: int) -> np.ndarray:
    """`count` places of an axis from `first` on, `stride` apart."""
    return x[(slice(None),) * axis + (slice(first, first + (count - 1) * stride + 1, stride),)]


def multiplied(x: np.ndarray, weight: np.ndarray, first: int = 0) -> np.ndarray:
    """(..., W, K) times (K, N) in blocks of columns, so that a value is the same whatever lies beside it.

    Args:
        first: number of the first column, of which `BLOCK` divides that of the first column of each block.
    """
    *outer, columns, inputs = x.shape
    left = first % BLOCK
    count = -(-(left + columns) // BLOCK)
    if left or columns != count * BLOCK:
        room = np.zeros((*outer, count * BLOCK, inputs), x.dtype)
        room[..., left : left + columns, :] = x
        x = room
    blocks = x.reshape(-1, BLOCK, inputs)
    product = np.empty((*blocks.shape[:-1], weight.shape[1]), x.dtype)

    def work(part: slice) -> None:
        np.matmul(blocks[part], weight, out=product[part])

    threads.share(len(blocks), AT_ONCE, work, alone=blocks.size * weight.shape[1] < LEAST)
    return product.reshape(*outer, count * BLOCK, -1)[..., left : left + columns, :]


def activated(x: np.ndarray, activation: Activation) -> np.ndarray:
    """The activation of each number."""
    if activation == "relu":
        return np.maximum(x, 0, out=x)
    if activation == "none":
        return x
    share = sigmoid(x)
    return share if activation == "sigmoid" else np.multiply(x, share, out=share)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return (np.tanh(x / 2) + 1) / 2


def _around(band: Band, first: int, last: int, left: int, right: int) -> np.ndarray:
    """Rows [first, last) of a band with columns more on either side; zeros where the picture has none."""
    above, below = max(band.first - first, 0), max(last - band.first - band.values.shape[1], 0)
    x = band.values[:, max(first - band.first, 0) : last - band.first]
    if not (above or below or left or right):
        return x
    return np.pad(x, ((0, 0), (above, below), (left, right), (0, 0)))
