"""Convolutions in bands of rows, by the compiled kernels and in numpy. Values are the same to the bit wherever a band
begins."""

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
# Largest number of input channels of a compiled convolution.
MAX_INPUTS = 1024
# From this number of input channels on, the Winograd algorithm (`cpu/winograd.h`) is faster. WINOGRAD is its matrix G.
WINOGRAD_MIN_INPUTS = 8
WINOGRAD = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
# G for rows and columns at once, applied to the nine taps of a kernel.
WINOGRAD_9 = np.kron(WINOGRAD, WINOGRAD)
# Number of columns in each matrix product of numpy. It is fixed, because products of other sizes may round differently,
# and a multiple of the tile sizes of all BLAS libraries, because a partial tile may too.
BLOCK = 48
# Blocks that a thread takes at a time. With fewer products than the second number one thread does all of them: it is
# done before a second one has woken up.
BLOCKS_PER_TASK, MIN_PARALLEL_PRODUCTS = 8, 2**23
# Floats of the 3x3 neighbourhoods that numpy holds in memory at a time.
WINDOW_FLOATS = 2**22


@dataclass
class Band:
    """A band of rows of a batch of pictures.

    Attributes:
        values: (B, rows, W, C), float32.
        first: number of the first row in the picture.
        height: number of rows of the whole picture.
    """

    values: np.ndarray
    first: int
    height: int

    def plain(self) -> CBand:
        """The band as a structure of the library."""
        _, rows, columns, _ = self.values.shape
        return CBand(address(self.values), self.first, rows, self.height, columns)


class Convolution(ABC):
    """Computes a layer.

    Args:
        layer: its weights are copied.
    """

    def __init__(self, layer: Layer):
        self.layer = layer
        self.outputs = layer.outputs
        self.needs, self.height = layer.needs, layer.height

    @abstractmethod
    def __call__(
        self, band: Band, begin: int, end: int, added: Band | None = None, out: np.ndarray | None = None
    ) -> Band:
        """Output rows [begin, end).

        Args:
            band: has at least the rows that `needs` returns.
            added: is added to the outputs after the activation; it has their columns and channels, and at least their
                rows.
            out: an array of the outputs' shape, into which they are written if that saves a copy.
        """


def padded(count: int, vector: int) -> int:
    """The smallest multiple of `vector` that is at least `count`."""
    return -(-count // vector) * vector


def transformed(kernel: np.ndarray) -> np.ndarray:
    """G k G^T of each kernel k of 3x3 taps: (3, 3, inputs, outputs) -> (4, 4, inputs, outputs)."""
    return (WINOGRAD_9 @ kernel.reshape(9, -1)).reshape(4, 4, *kernel.shape[2:])


def kind_of(layer: Layer) -> ConvolutionKind:
    """The layer's kind in the library."""
    if layer.taps == 1:
        return ConvolutionKind.POINTWISE
    if layer.transposed:
        return ConvolutionKind.DOUBLING
    return ConvolutionKind.SAME if layer.stride == 1 else ConvolutionKind.HALVING


class NativeConvolution(Convolution):
    """A layer by the compiled kernels.

    Args:
        layer: its weights are copied.
        level: one of `INSTRUCTION_SETS`.
        precision: precision of the products; "bfloat16" applies at level "amx" to layers that are not `exact`, all
            others use float32.

    Raises:
        LncaError: more input channels than the kernels support.
    """

    def __init__(self, layer: Layer, level: str, precision: Precision = "float32"):
        super().__init__(layer)
        self.level = INSTRUCTION_SETS.index(level)
        if layer.inputs > MAX_INPUTS:
            raise NoKernelError(f"the fused convolutions read at most {MAX_INPUTS} input channels, got {layer.inputs}")
        width = padded(layer.outputs, loaded_library().lnca_vector_size(self.level))
        kernel, kind = layer.kernel, kind_of(layer)
        self._tiles = None
        if precision == "bfloat16" and level == "amx" and not layer.exact:
            # The channels of the taps of a row are concatenated, and multiplied at once.
            rows = aligned(kernel, width=width).reshape(layer.taps, layer.taps * layer.inputs, width)
            self._tiles = aligned(np.stack([tiles(row) for row in rows], 1), np.int32)
        elif kind is ConvolutionKind.SAME and layer.inputs >= WINOGRAD_MIN_INPUTS:
            kind, kernel = ConvolutionKind.WINOGRAD, transformed(kernel)
        self._weight, self._bias = self._in_panels(kernel, width), aligned(layer.bias, width=width)
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

    def _in_panels(self, kernel: np.ndarray, width: int) -> np.ndarray:
        """A kernel (taps, taps, inputs, outputs) in the order in which it is read: the outputs, padded to `width`, in
        panels of those that are computed together."""
        padded_kernel, first, panels = aligned(kernel, width=width), 0, []
        while first < width:
            size = loaded_library().lnca_panel_size(self.level, width, first)
            panels.append(padded_kernel[..., first : first + size].ravel())
            first += size
        return aligned(np.concatenate(panels))

    def __call__(
        self, band: Band, begin: int, end: int, added: Band | None = None, out: np.ndarray | None = None
    ) -> Band:
        batch, _, columns, _ = band.values.shape
        if out is None or not out.flags.c_contiguous:
            out = empty(batch, end - begin, self.height(columns), self.outputs)
        result = Band(out, begin, self.height(band.height))
        source = Band(np.ascontiguousarray(band.values, np.float32), band.first, band.height)
        description = CConvolution.from_buffer_copy(self._description)
        if added is not None:
            addend = Band(np.ascontiguousarray(added.values, np.float32), added.first, added.height)
            description.added = ctypes.pointer(addend.plain())
        if loaded_library().lnca_convolve(
            self.level, description, source.plain(), result.plain(), batch, threads.count()
        ):
            raise MemoryError("no memory for a convolution")
        return result


class NumpyConvolution(Convolution):
    """A layer by matrix products in numpy: slower, for any machine, and the reference of the compiled kernels.

    Args:
        layer: its weights are copied.
        dtype: precision of products and sums.
    """

    def __init__(self, layer: Layer, dtype: Float = np.float32):
        super().__init__(layer)
        self.dtype = dtype
        taps = layer.taps
        self._kernel: np.ndarray = layer.kernel.reshape(taps * taps * layer.inputs, layer.outputs).astype(dtype)
        self._bias: np.ndarray = layer.bias.astype(dtype)

    def __call__(
        self, band: Band, begin: int, end: int, added: Band | None = None, out: np.ndarray | None = None
    ) -> Band:
        values = self._transposed(band, begin, end) if self.layer.transposed else self._direct(band, begin, end)
        values = activated(values + self._bias, self.layer.activation)
        if added is not None:
            values += added.values[:, begin - added.first : end - added.first]
        return Band(values, begin, self.height(band.height))

    def _direct(self, band: Band, begin: int, end: int) -> np.ndarray:
        """The convolution, before bias and activation."""
        stride, taps = self.layer.stride, self.layer.taps
        # With stride 2 only the lower and the right border are padded.
        before = 0 if stride == 2 or taps == 1 else 1
        first, last = begin * stride - before, (end - 1) * stride - before + taps
        x: np.ndarray = _with_border(band, first, last, before, taps - 1 - before).astype(self.dtype, copy=False)
        columns = self.height(band.values.shape[2])
        result: np.ndarray = np.empty((len(x), end - begin, columns, self.outputs), self.dtype)
        rows_at_once = max(1, WINDOW_FLOATS // (columns * len(self._kernel) * len(x)))
        for top in range(0, end - begin, rows_at_once):
            bottom = min(top + rows_at_once, end - begin)
            views = [
                _strided(_strided(x, 1, top * stride + row, bottom - top, stride), 2, column, columns, stride)
                for row in range(taps)
                for column in range(taps)
            ]
            result[:, top:bottom] = multiplied(np.concatenate(views, -1), self._kernel)
        return result

    def _transposed(self, band: Band, begin: int, end: int) -> np.ndarray:
        """The transposed convolution, before bias and activation: each input position adds to 3x3 output positions."""
        low, high = (begin + 1) // 2 - 1, (end + 1) // 2
        x: np.ndarray = _with_border(band, low, high, 0, 0).astype(self.dtype, copy=False)
        kernel = self._kernel.reshape(3, 3, self.layer.inputs, self.outputs)
        batch, rows, columns, _ = x.shape
        buffer = np.zeros((batch, 2 * rows + 1, 2 * columns + 1, self.outputs), self.dtype)
        for row in range(3):
            for column in range(3):
                part = buffer[:, row : row + 2 * rows : 2, column : column + 2 * columns : 2]
                part += multiplied(x, kernel[row, column])
        top = begin - 2 * low
        return buffer[:, top : top + end - begin, : 2 * columns]


def _strided(x: np.ndarray, axis: int, first: int, count: int, stride: int) -> np.ndarray:
    """A view of `count` positions of an axis, from `first` on, with a stride."""
    return x[(slice(None),) * axis + (slice(first, first + (count - 1) * stride + 1, stride),)]


def multiplied(x: np.ndarray, weight: np.ndarray, first: int = 0) -> np.ndarray:
    """The matrix product (..., W, K) x (K, N) -> (..., W, N), in blocks of columns, so that a value does not depend on
    the columns beside it.

    Args:
        first: number of the first column in the whole picture; blocks begin at multiples of `BLOCK` there.
    """
    *outer, columns, inputs = x.shape
    left = first % BLOCK
    count = -(-(left + columns) // BLOCK)
    if left or columns != count * BLOCK:
        buffer = np.zeros((*outer, count * BLOCK, inputs), x.dtype)
        buffer[..., left : left + columns, :] = x
        x = buffer
    blocks = x.reshape(-1, BLOCK, inputs)
    product = np.empty((*blocks.shape[:-1], weight.shape[1]), x.dtype)

    def work(part: slice) -> None:
        np.matmul(blocks[part], weight, out=product[part])

    threads.share(len(blocks), BLOCKS_PER_TASK, work, alone=blocks.size * weight.shape[1] < MIN_PARALLEL_PRODUCTS)
    return product.reshape(*outer, count * BLOCK, -1)[..., left : left + columns, :]


def activated(x: np.ndarray, activation: Activation) -> np.ndarray:
    """Applies an activation to each number; it may overwrite `x`."""
    if activation == "relu":
        return np.maximum(x, 0, out=x)
    if activation == "none":
        return x
    sigmoid_x = sigmoid(x)
    return sigmoid_x if activation == "sigmoid" else np.multiply(x, sigmoid_x, out=sigmoid_x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return (np.tanh(x / 2) + 1) / 2


def _with_border(band: Band, first: int, last: int, left: int, right: int) -> np.ndarray:
    """Rows [first, last) of a band, padded by `left` and `right` columns; zeros outside the picture."""
    above, below = max(band.first - first, 0), max(last - band.first - band.values.shape[1], 0)
    x = band.values[:, max(first - band.first, 0) : last - band.first]
    if not (above or below or left or right):
        return x
    return np.pad(x, ((0, 0), (above, below), (left, right), (0, 0)))
