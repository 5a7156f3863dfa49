"""What is known of a picture's blur."""

from typing import NamedTuple

import numpy as np


class Blur(NamedTuple):
    """What is known of a picture's blur: the kernel (K, L), how far it is to be trusted, 0 to 1, and the noise level in
    255ths that is counted with."""

    kernel: np.ndarray
    trust: float
    level: float

    def as_array(self) -> np.ndarray:
        """The kernel that blurs as much as is to be trusted, float32."""
        from .blur_kernel import unblurred

        if self.trust == 1:
            return self.kernel
        none = unblurred(len(self.kernel), self.kernel)
        return none + self.trust * (self.kernel - none)
