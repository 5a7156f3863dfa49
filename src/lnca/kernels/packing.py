"""Folded weights in the layout of the Triton kernels: one array of matrices and one of vectors, padded to powers of
two."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..nn.automaton import Automaton

# Smallest width of a matrix product in Triton.
SMALLEST = 16


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a run's kernels, beside the weights.

    Args:
        channels, input_channels: channels of a cell.
        threshold: a step updates a cell if its random number times 2^32 is below this.
        block: cells of a program, a power of two, at least 16.
        warps: warps of a program.
    """

    channels: int
    input_channels: int
    threshold: int
    block: int
    warps: int

    @classmethod
    def of(cls, rule: Automaton, block: int, warps: int) -> "Settings":
        """The settings of a rule."""
        return cls(
            channels=rule.channels,
            input_channels=rule.input_channels,
            threshold=math.ceil(rule.update_rate * 2**32),
            block=block,
            warps=warps,
        )

    @property
    def masked(self) -> bool:
        """Whether a step leaves some cells out."""
        return self.threshold < 2**32


@dataclass(frozen=True)
class Packed:
    """All weights of a rule: matrices in the precision of the products, vectors in float32."""

    matrices: Tensor
    vectors: Tensor

    def to(self, device: torch.device, precision: torch.dtype) -> "Packed":
        """A copy on a device, with matrices in a precision."""
        return Packed(self.matrices.to(device, precision), self.vectors.to(device))

    def copy(self, other: "Packed") -> None:
        """Copies the values of another in place, so that recorded graphs see them."""
        self.matrices.copy_(other.matrices)
        self.vectors.copy_(other.vectors)


class Packer:
    """Collects matrices and vectors in the order in which a kernel reads them."""

    def __init__(self) -> None:
        self._matrices: list[np.ndarray] = []
        self._vectors: list[np.ndarray] = []

    def matrix(
        self,
        weight: np.ndarray,
        inputs: int,
        outputs: int,
        *,
        rows: tuple[int, int] = (0, 1),
        columns: tuple[int, int] = (0, 1),
        shift: int = 0,
    ) -> None:
        """Adds a matrix, padded to (inputs, outputs).

        Args:
            rows, columns: (part, number of equal parts), the part to take.
            shift: number of zeros before the columns.
        """
        part = np.split(np.split(weight, rows[1], 0)[rows[0]], columns[1], 1)[columns[0]]
        padded = np.zeros((inputs, outputs))
        padded[: part.shape[0], shift : shift + part.shape[1]] = part
        self._matrices.append(padded.ravel())

    def vector(self, values: np.ndarray, width: int, shift: int = 0) -> None:
        """Adds a vector, padded to `width`, with `shift` zeros before it."""
        padded = np.zeros(width)
        padded[shift : shift + len(values)] = values
        self._vectors.append(padded)

    def packed(self) -> Packed:
        """All matrices and vectors, float32."""
        matrices, vectors = (np.concatenate(parts).astype(np.float32) for parts in (self._matrices, self._vectors))
        return Packed(torch.from_numpy(matrices), torch.from_numpy(vectors))


def power(width: int) -> int:
    """The next power of two, at least `SMALLEST`."""
    return max(SMALLEST, 1 << (width - 1).bit_length())
