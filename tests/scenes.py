"""Pictures with sharp edges, and the comparison of kernels, for tests of blurs."""

import numpy as np
from scipy.signal import correlate2d


def scene(side: int, seed: int = 0) -> np.ndarray:
    """Rectangles of many sizes and greys."""
    draw = np.random.default_rng(seed)
    picture = np.full((side, side), 0.5)
    for _ in range(60):
        top, left = draw.integers(0, side, 2)
        high, wide = draw.integers(6, side // 3, 2)
        picture[top : top + high, left : left + wide] = draw.uniform()
    return picture


def likeness(kernel: np.ndarray, truth: np.ndarray) -> float:
    """The largest correlation of two kernels over all shifts; 1 if they are the same."""
    return correlate2d(kernel, truth).max() / np.sqrt(np.square(kernel).sum() * np.square(truth).sum())
