"""Pictures with sharp edges, for tests of blurs."""

import numpy as np


def scene(side: int, seed: int = 0) -> np.ndarray:
    """Rectangles of many sizes and greys."""
    draw = np.random.default_rng(seed)
    picture = np.full((side, side), 0.5)
    for _ in range(60):
        top, left = draw.integers(0, side, 2)
        high, wide = draw.integers(6, side // 3, 2)
        picture[top : top + high, left : left + wide] = draw.uniform()
    return picture
