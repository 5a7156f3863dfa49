"""By what the arithmetic of models is done: the compiled kernels, or numpy."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .arrays import Float
from .automaton import NativeRun, NumpyRun, Run
from .convolution import BLOCK, Convolution, NativeConvolution, NumpyConvolution
from .layers import Layer
from .native import Precision, best_level
from .rules import Rule


class Engine(Protocol):
    """Makes what runs a model of its layers and rules.

    Attributes:
        aligned: columns of cells at which a part of a picture may begin: every value has then the place that it has in
            the whole picture among those that are computed together, and so the same bits.
    """

    @property
    def aligned(self) -> int: ...

    @property
    def name(self) -> str:
        """For people, such as "fused avx512 float32"."""

    def convolution(self, layer: Layer) -> Convolution:
        """Runs a layer; raises `LncaError` where it has too many channels."""

    def steps(self, rule: Rule) -> Run:
        """Runs a rule; raises `LncaError` where it cannot."""


@dataclass(frozen=True)
class Native:
    """The compiled kernels.

    Args:
        level: one of `LEVELS`.
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

    def steps(self, rule: Rule) -> Run:
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

    def steps(self, rule: Rule) -> Run:
        return NumpyRun(rule, self.dtype)


def fastest(precision: Precision = "float32") -> Engine:
    """The compiled kernels where they are, else numpy."""
    level = best_level()
    return Numpy() if level is None else Native(level, precision)
