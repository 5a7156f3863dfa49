"""Colours of transparent pixels: replaced while a picture is restored, and put back afterwards.

Shape suffixes: H rows, W columns, C channels.
"""

import numpy as np

# Rows of a block of work.
STRIP = 256


def filled(colours_HWC: np.ndarray, hidden_HW: np.ndarray) -> np.ndarray:
    """A copy in which hidden pixels have the mean colour of the visible ones around, from the smallest square that has
    some. Without hidden or without visible pixels, the colours are unchanged."""
    if not hidden_HW.any() or hidden_HW.all():
        return colours_HWC
    means = _means(*_halved(colours_HWC, ~hidden_HW))
    result = colours_HWC.copy()
    for top in range(0, len(result), STRIP):
        strip, hidden = result[top : top + STRIP], hidden_HW[top : top + STRIP]
        around = _doubled(means[top // 2 : (top + STRIP) // 2], *hidden.shape)
        strip[hidden] = (around if result.dtype.kind == "f" else around.round())[hidden]
    return result


def restore_hidden(result: np.ndarray, before: np.ndarray) -> None:
    """Puts back the original colours of transparent pixels of a picture with alpha, (H, W, 2 or 4)."""
    hidden = before[..., -1] == 0
    result[hidden] = before[hidden]


def _halved(colours_HWC: np.ndarray, seen_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of visible colours over squares of 2x2, float32, and the number of visible pixels."""
    sums, weights = [], []
    for top in range(0, len(colours_HWC), STRIP):
        seen = seen_HW[top : top + STRIP, :, None]
        # Do not multiply: hidden values may be NaN.
        sums.append(_paired(np.where(seen, colours_HWC[top : top + STRIP], 0).astype(np.float32)))
        weights.append(_paired(seen.astype(np.float32)))
    return np.concatenate(sums), np.concatenate(weights)


def _paired(values_HWC: np.ndarray) -> np.ndarray:
    """Sums over squares of 2x2; the last row and column may be incomplete."""
    height, width, _ = values_HWC.shape
    even = np.pad(values_HWC, ((0, height % 2), (0, width % 2), (0, 0)))
    return (even[0::2, 0::2] + even[1::2, 0::2]) + (even[0::2, 1::2] + even[1::2, 1::2])


def _means(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean colours; larger squares replace squares without visible pixels."""
    means = sums / np.maximum(weights, 1)
    if weights.all():
        return means
    coarser = _doubled(_means(_paired(sums), _paired(weights)), *means.shape[:2])
    return np.where(weights > 0, means, coarser)


def _doubled(values_HWC: np.ndarray, height: int, width: int) -> np.ndarray:
    return values_HWC.repeat(2, 0).repeat(2, 1)[:height, :width]
