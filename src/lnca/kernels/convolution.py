"""The autoencoders' convolutions on the CPU, in bands of rows, the same to the bit wherever a band begins."""

import ctypes
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import LncaError
from ..nn.autoencoder import AdjustedConv, AdjustedTransposedConv
from .bfloat16 import tiles
from .cpu import Precision
from .folding import padded
from .native import LEVELS, WORD_P, PlainBand, PlainConvolution, address, loaded_library

WIDEST = 1024
# Input channels from which on it pays to transform them: `cpu/winograd.h`, whose matrix G this is.
FEWEST = 8
WINOGRAD = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)

Activation = Literal["swish", "sigmoid", "none", "relu"]


@dataclass
class Band:
    """Rows [first, first + rows) of pictures of `height` rows: values (B, rows, columns, channels), float32."""

    values: Tensor
    first: int
    height: int

    def plain(self) -> PlainBand:
        """What the library takes."""
        _, rows, columns, _ = self.values.shape
        return PlainBand(address(self.values), self.first, rows, self.height, columns)


class FusedConvolution:
    """One layer: a convolution, batch normalisation with its fixed statistics, and an activation.

    Args:
        layer: 3x3 and adjusted (paper 3.1.1), in evaluation mode, or a plain convolution of 3x3 or 1x1 with a bias; its
            weights are copied.
        level: one of `LEVELS`.
        activation: "swish", "sigmoid", "none" or "relu".
        precision: of the products; "bfloat16" counts where the level is "amx" and the convolution plain, and is float32
            elsewhere.

    Raises:
        LncaError: more channels than the kernel has room for.
    """

    def __init__(
        self, layer: AdjustedConv | AdjustedTransposedConv | nn.Conv2d, level: str, activation: Activation,
        precision: Precision = "float32",
    ):  # fmt: skip
        self.level = LEVELS.index(level)
        conv = layer if isinstance(layer, nn.Conv2d) else layer.conv
        self.transposed = isinstance(conv, nn.ConvTranspose2d)
        self.stride, self.taps = conv.stride[0], conv.kernel_size[0]
        kernel = conv.weight.detach().double().cpu()
        kernel = kernel.permute(2, 3, 0, 1) if self.transposed else kernel.permute(2, 3, 1, 0)
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            bias = layer.bias.detach().double().cpu()
        else:
            norm = layer.norm
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
            bias = (norm.bias.detach().double() - norm.running_mean.double() * scale).cpu()
            kernel = kernel * scale.cpu()
        self.inputs, self.outputs = kernel.shape[2:]
        if self.inputs > WIDEST:
            raise LncaError(f"the fused autoencoder reads {WIDEST} channels, not {self.inputs}")
        room = padded(self.outputs, loaded_library().lnca_vector_size(self.level)) - self.outputs
        kernel, bias = F.pad(kernel, (0, room)), F.pad(bias, (0, room))
        kind = 3 if self.taps == 1 else 2 if self.transposed else self.stride - 1
        self._tiles = None
        if precision == "bfloat16" and level == "amx" and isinstance(layer, nn.Conv2d):
            # The inputs of a row of taps, one tap's channels behind the other's, are multiplied at once.
            rows = np.stack([tiles(row) for row in kernel.flatten(1, 2).float().numpy()], 1)
            self._tiles = torch.from_numpy(np.ascontiguousarray(rows))
        elif kind == 0 and self.inputs >= FEWEST:
            kind, kernel = 4, torch.einsum("pr,qs,rsio->pqio", WINOGRAD, WINOGRAD, kernel)
        self._weight, self._bias = kernel.float().contiguous(), bias.float().contiguous()
        self._description = PlainConvolution(
            self.inputs, self.outputs, kind, get_args(Activation).index(activation),
            address(self._weight), address(self._bias),
            None if self._tiles is None else ctypes.cast(self._tiles.data_ptr(), WORD_P), None,
        )  # fmt: skip

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

    def __call__(self, band: Band, begin: int, end: int, added: Band | None = None) -> Band:
        """Output rows [begin, end); the band holds the rows that `needs` says.

        Args:
            added: what is added to the outputs after the activation: of their columns and channels, with at least their
                rows.
        """
        batch, _, columns, _ = band.values.shape
        values = torch.empty(batch, end - begin, self.height(columns), self.outputs)
        result = Band(values, begin, self.height(band.height))
        source = Band(band.values.contiguous(), band.first, band.height)
        description = PlainConvolution.from_buffer_copy(self._description)
        if added is not None:
            beside = Band(added.values.contiguous(), added.first, added.height)
            description.added = ctypes.pointer(beside.plain())
        threads = torch.get_num_threads()
        if loaded_library().lnca_convolve(self.level, description, source.plain(), result.plain(), batch, threads):
            raise MemoryError("no memory for a convolution")
        return result
