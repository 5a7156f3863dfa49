"""Arrays of several pictures, and arrays whose channels are not the last axis."""

from collections.abc import Callable

import numpy as np

from ..errors import LncaError

# Number of channels that are restored together, as red, green and blue.
COLOURS = 3
# A last axis that is not longer than this may be the channels.
MOST_CHANNELS = 4


def picture_by_picture(
    array: np.ndarray,
    channel_axis: int | None,
    restore: Callable[[np.ndarray, Callable[[float], None]], np.ndarray],
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Restores an array whose last two axes, apart from the channels, are rows and columns; axes before count pictures.

    Three channels are restored together; any other number one by one, as grey pictures.

    Args:
        array: for example grey slices (Z, H, W) with `channel_axis` None, or (T, H, W, 3) with `channel_axis` -1.
        channel_axis: the axis of the channels; None for grey pictures.
        restore: takes a picture (H, W) or (H, W, 3) and a progress function; returns the same shape.
        progress: called with the finished share of all pictures, 0 to 1.

    Raises:
        LncaError: the axis does not exist, there are fewer than two others, or slices are so narrow that their last
            axis may be the channels.
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
