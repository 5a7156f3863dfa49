"""Chooses what does a model's arithmetic: the compiled kernels, or numpy."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import LncaError
from .arrays import Float
from .convolution import BLOCK, Convolution, NativeConvolution, NumpyConvolution
from .layers import Layer
from .native import BFLOAT16_SETS, Backend, Precision, best_level, loaded_library

if TYPE_CHECKING:
    from .automaton import Run
    from .rules import Rule


class Engine(Protocol):
    """Makes what runs a model of its layers and rules.

    Attributes:
        aligned: a part of a picture begins at a multiple of so many columns of cells, so that rounding is the same as
            in the whole picture.
    """

    @property
    def aligned(self) -> int: ...

    @property
    def name(self) -> str:
        """For people, such as "fused avx512 float32"."""

    def convolution(self, layer: Layer) -> Convolution:
        """Runs a layer; raises `LncaError` where it has too many channels."""

    def steps(self, rule: "Rule") -> "Run":
        """Runs a rule; raises `LncaError` where it cannot."""


@dataclass(frozen=True)
class Native:
    """The compiled kernels.

    Args:
        level: one of `INSTRUCTION_SETS`.
        precision: of products.
    """

    level: str
    precision: Precision = "float32"
    aligned: int = 8

    @property
    def name(self) -> str:
        return f"fused {self.level} {self.precision}"

    def convolution(self, layer: Layer) -> Convolution:
        return NativeConvolution(layer, self.level, self.precision)

    def steps(self, rule: "Rule") -> "Run":
        from .automaton import NativeRun

        return NativeRun(rule, self.precision, self.level)


@dataclass(frozen=True)
class Numpy:
    """numpy, which any machine has.

    Args:
        dtype: float32, or float64 to compare with.
    """

    dtype: Float = np.float32
    aligned: int = BLOCK

    @property
    def name(self) -> str:
        return "plain"

    def convolution(self, layer: Layer) -> Convolution:
        return NumpyConvolution(layer, self.dtype)

    def steps(self, rule: "Rule") -> "Run":
        from .automaton import NumpyRun

        return NumpyRun(rule, self.dtype)


def engine_of(backend: Backend, precision: Precision) -> Engine:
    """What runs a model on the processor.

    Raises:
        LncaError: the backend or precision was asked for and cannot be had.
    """
    if backend == "fused" or precision == "bfloat16":
        loaded_library()
    level = best_level()
    if precision == "bfloat16" and (backend == "plain" or level not in BFLOAT16_SETS):
        raise LncaError("bfloat16 needs the fused kernels and a processor with AVX-512 BF16 or AMX")
    return Numpy() if backend == "plain" or level is None else Native(level, precision)
