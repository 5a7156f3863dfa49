"""Arrays of several pictures, and arrays whose channels lie elsewhere than last."""

from collections.abc import Callable

import numpy as np

from ..errors import LncaError

# Channels that are restored together, as red, green and blue.
COLOURS = 3
# A last axis as short as this is one of channels.
MOST_CHANNELS = 4


def picture_by_picture(
    array: np.ndarray,
    channel_axis: int | None,
    restore: Callable[[np.ndarray, Callable[[float], None]], np.ndarray],
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """An array whose last two axes, beside that of its channels, are rows and columns; all before them count pictures.

    Three channels are restored together; any other number one by one, as grey pictures.

    Args:
        array: such as (Z, H, W) grey slices without `channel_axis`, or (T, H, W, 3) with `channel_axis` -1.
        channel_axis: the axis of the channels; None for grey pictures.
        restore: (H, W) or (H, W, 3), and what is told the share that is done -> the same shape.
        progress: is called with the share of all pictures that is restored, 0 to 1.

    Raises:
        LncaError: no such axis, or fewer than two beside it; a stack of slices as narrow as channels are.
    """
    if channel_axis is not None and not -array.ndim <= channel_axis < array.ndim:
        raise LncaError(f"an array of the shape {array.shape} has no axis {channel_axis}")
    if channel_axis is None and array.ndim > 2 and array.shape[-1] <= MOST_CHANNELS:
        raise LncaError(
            f"an array of the shape {array.shape} without an axis of channels is a stack of narrow slices; say "
            "channel_axis=-1 where its last axis is that of channels"
        )
    planes = array[..., None] if channel_axis is None else np.moveaxis(array, channel_axis, -1)
    if planes.ndim < 3:
        raise LncaError(f"a picture has two axes beside that of its channels, got the shape {array.shape}")
    result = np.empty_like(planes, order="C")
    together = planes.shape[-1] == COLOURS
    places = list(np.ndindex(planes.shape[:-3] if together else (*planes.shape[:-3], planes.shape[-1])))
    for number, place in enumerate(places):

        def say(share: float, number: int = number) -> None:
            if progress is not None:
                progress((number + share) / len(places))

        at = place if together else (*place[:-1], slice(None), slice(None), place[-1])
        result[at] = restore(np.ascontiguousarray(planes[at]), say)
    return result[..., 0] if channel_axis is None else np.moveaxis(result, -1, channel_axis)
