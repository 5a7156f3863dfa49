"""The blur of a picture."""

from typing import NamedTuple

import numpy as np


class Blur(NamedTuple):
    """The blur of a picture.

    Attributes:
        kernel: (K, L), of sum 1.
        confidence: confidence in the kernel, 0 to 1; 0 leaves the picture as it is.
        level: standard deviation of the noise that the filter assumes, in 255ths.
    """

    kernel: np.ndarray
    confidence: float
    level: float

    def as_array(self) -> np.ndarray:
        """The kernel, float32, blended with a unit impulse by the confidence."""
        from .blur_kernel import unblurred

        if self.confidence == 1:
            return self.kernel
        identity = unblurred(len(self.kernel), self.kernel)
        return identity + self.confidence * (self.kernel - identity)
