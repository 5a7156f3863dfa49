"""Engines compute a model's layers and rules: by the compiled kernels, or in numpy."""

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
    """Builds the runnable parts of a model from its layers and rules.

    Attributes:
        aligned: a part of a picture begins at a multiple of this number of columns of cells, so that rounding is the
            same as in the whole picture.
    """

    @property
    def aligned(self) -> int: ...

    @property
    def name(self) -> str:
        """A name for messages, such as "fused avx512 float32"."""

    def convolution(self, layer: Layer) -> Convolution:
        """A layer as a runnable convolution; raises `LncaError` if it has too many channels."""

    def steps(self, rule: "Rule") -> "Run":
        """The steps of a rule; raises `LncaError` if there is no kernel for it."""


@dataclass(frozen=True)
class Native:
    """The compiled kernels.

    Args:
        level: one of `INSTRUCTION_SETS`.
        precision: precision of the products.
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
    """numpy, for any machine.

    Args:
        dtype: float32, or float64 as a reference.
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
    """The engine for a backend and a precision on the CPU.

    Raises:
        LncaError: the backend or the precision is not available.
    """
    if backend == "fused" or precision == "bfloat16":
        loaded_library()
    level = best_level()
    if precision == "bfloat16" and (backend == "plain" or level not in BFLOAT16_SETS):
        raise LncaError("bfloat16 needs the fused kernels and a processor with AVX-512 BF16 or AMX")
    return Numpy() if backend == "plain" or level is None else Native(level, precision)
