"""Blur kernels of camera shake.

Random walks with inertia and impulses: Boracchi and Foi, "Modeling the performance of image restoration from motion
blur", IEEE Transactions on Image Processing 21(8), 2012, section II.
"""

import math

import numpy as np

# Number of time steps of an exposure.
MOMENTS = 2000
# Strength of the shake; 0 is a straight line; the paper has 0.005.
ANXIETY = 0.005
# Largest values that are drawn for a walk: pull to its start, Gaussian impulses, probability of turning back.
PULL, IMPULSE, STARTS = 0.7, 10.0, 0.2


def walk(length: float, draw: np.random.Generator, anxiety: float = ANXIETY) -> np.ndarray:
    """A random path of a camera in pixels: complex numbers x + iy (time steps,), beginning at 0.

    Args:
        length: length of the path in pixels.
        anxiety: strength of the shake, at least 0; 0 is a straight line.
    """
    pace = length / (MOMENTS - 1)
    pull, impulse, starts = PULL * draw.uniform(), IMPULSE * draw.uniform(), STARTS * draw.uniform()
    velocity = np.exp(2j * math.pi * draw.uniform()) * (anxiety if anxiety > 0 else pace)
    way = np.zeros(MOMENTS, complex)
    for moment in range(1, MOMENTS):
        change = 0j
        if draw.uniform() < starts * anxiety:
            change = 2 * velocity * np.exp(1j * (math.pi + draw.uniform() - 0.5))
        force = impulse * (draw.normal() + 1j * draw.normal()) - pull * way[moment - 1]
        velocity = velocity + change + anxiety * force * pace
        velocity = velocity / abs(velocity) * pace
        way[moment] = way[moment - 1] + velocity
    return way


def kernel_of_way(way: np.ndarray, side: int) -> np.ndarray:
    """The kernel (side, side) of a path at constant speed, with a sum of 1; its centre of gravity is in the middle.

    Args:
        side: side of the kernel, odd.

    Raises:
        ValueError: the path does not fit.
    """
    place = way - way.mean() + (side // 2) * (1 + 1j)
    if min(place.real.min(), place.imag.min()) < 0 or max(place.real.max(), place.imag.max()) > side - 1:
        raise ValueError(f"a way of {np.ptp(way.real):.0f}x{np.ptp(way.imag):.0f} pixels does not fit into {side}")
    grid = np.arange(side)
    rows = (1 - abs(place.imag[:, None] - grid)).clip(0)
    columns = (1 - abs(place.real[:, None] - grid)).clip(0)
    return rows.T @ columns / len(way)


def shaken_kernel(length: float, side: int, draw: np.random.Generator) -> np.ndarray:
    """The kernel (side, side) of a random path that is `length` pixels long; see `walk`."""
    return kernel_of_way(walk(length, draw), side)
