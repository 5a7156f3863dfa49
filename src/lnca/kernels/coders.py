"""The fused kernels of each kind of coder. A further kind registers its own here."""

from functools import singledispatch
from typing import Any

from ..errors import LncaError
from ..nn.autoencoder import Autoencoder, Coder
from ..nn.residual import ResidualCoder
from .autoencoder import FusedAutoencoder
from .cpu import Precision
from .residual import FusedResidualCoder


@singledispatch
def fused_coder(coder: Coder, level: str, precision: Precision = "float32") -> Any:
    """A coder in bands of rows by fused kernels; see `FusedAutoencoder`.

    Args:
        coder: in evaluation mode; its weights are copied.
        level: instruction set, one of `LEVELS`.
        precision: of its convolutions, where its kernels have several.

    Raises:
        LncaError: there are no kernels for this kind of coder, or they have no room for its channels.
    """
    raise LncaError(f"there is no fused kernel for a {type(coder).__name__}")


@fused_coder.register
def _(coder: Autoencoder, level: str, precision: Precision = "float32") -> FusedAutoencoder:
    return FusedAutoencoder(coder, level)


@fused_coder.register
def _(coder: ResidualCoder, level: str, precision: Precision = "float32") -> FusedResidualCoder:
    return FusedResidualCoder(coder, level, precision)
