"""Tensors of a model as arrays, each of which is taken once."""

from collections.abc import Mapping

import numpy as np

from ..errors import LncaError


class Weights:
    """Tensors by name.

    Args:
        arrays: of any floating-point type.
        prefix: of the names that are asked for.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], prefix: str = ""):
        self._arrays, self._prefix = arrays, prefix
        self._taken: set[str] = set()

    def within(self, name: str) -> "Weights":
        """Those whose names begin with `name` and a dot, by what follows."""
        part = Weights(self._arrays, f"{self._prefix}{name}.")
        part._taken = self._taken
        return part

    def take(self, name: str, *shape: int | None) -> np.ndarray:
        """A tensor, float64.

        Args:
            shape: what its shape has to be; None where a side may have any length.

        Raises:
            LncaError: there is none, or it has another shape.
        """
        full = self._prefix + name
        if full not in self._arrays:
            raise LncaError(f"{full} is missing")
        array = self._arrays[full]
        if len(array.shape) != len(shape) or any(
            wanted not in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
        ):
            wanted = ", ".join("any" if side is None else str(side) for side in shape)
            raise LncaError(f"{full} should have the shape ({wanted}), and has {tuple(array.shape)}")
        self._taken.add(full)
        return np.asarray(array, np.float64)

    def check_all_taken(self) -> None:
        """Raises `LncaError` where a tensor belongs to nothing."""
        left = sorted(set(self._arrays) - self._taken)
        if left:
            raise LncaError(f"{left[0]} belongs to nothing" + (f", and {len(left) - 1} more" if left[1:] else ""))
