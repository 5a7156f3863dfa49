"""Scales the values of a picture to the range that models expect, and back."""

import numpy as np

from ..errors import LncaError
from .photo import Photo, colours_of, has_alpha

# Values may be defects if they lie farther out than this many times the range of 98 % of all values.
FAR = 5.0
# Floating-point values are stretched to [0, 1] if the largest one is below this.
SMALL = 1 / 8
# 16-bit integers are stretched if they use at most this number of bits.
FEW_BITS = 12


def checked(photo: Photo, name: str) -> None:
    """Raises `LncaError` for NaN and infinite values."""
    if not all(np.isfinite(frame).all() for frame in photo.frames if frame.dtype.kind == "f"):
        raise LncaError(f"{name} holds NaN or infinite values; replace them first")


def scaled(photo: Photo, name: str) -> Photo:
    """Scales floating-point frames to [0, 1], all by the same factor, if they go beyond it or use little of it. Single
    values far beyond all others do not count, see `without_defects`."""
    numbers = [n for n, frame in enumerate(photo.frames) if frame.dtype.kind == "f"]
    if not numbers:
        return photo
    checked(photo, name)
    frames = without_defects(photo, [photo.frames[n].copy() for n in numbers])
    seen = [
        colours[frame[..., -1] > 0] if has_alpha(frame) else colours
        for frame in frames
        for colours in [colours_of(frame)]
    ]
    low = min((float(values.min()) for values in seen if values.size), default=0.0)
    high = max((float(values.max()) for values in seen if values.size), default=1.0)
    if low < 0 or high > 1:
        photo.scale = (low, (high - low) or 1.0)
    elif 0 < high < SMALL:
        photo.scale = (0.0, high)
        photo.note(f"values up to {high:g} are restored as if that were white")
    if photo.scale != (0.0, 1.0):
        for frame in frames:
            colours = colours_of(frame)
            colours[...] = (colours - photo.scale[0]) / photo.scale[1]
    for n, frame in zip(numbers, frames, strict=True):
        photo.frames[n] = frame.clip(0, 1, out=frame)
    return photo


def without_defects(photo: Photo, frames: list[np.ndarray], least: float = 0.0) -> list[np.ndarray]:
    """Replaces single values far beyond all others, such as those of a hot pixel, by the mean of their neighbours; the
    photo's notes give their number. Frames without such values are returned unchanged.

    Args:
        least: smaller values are not defects.
    """
    mended, were = [], []
    for frame in frames:
        alone = _alone(colours_of(frame), least)
        if alone is not None:
            were += colours_of(frame)[alone].tolist()
            frame = frame.copy()
            colours_of(frame)[alone] = _around(colours_of(frame), alone)
        mended.append(frame)
    if were:
        photo.note(
            f"{len(were)} values far beyond all others, such as {max(were, key=abs):g}, became like their neighbours"
        )
    return mended


def _alone(colours: np.ndarray, least: float) -> tuple[np.ndarray, ...] | None:
    """A mask of values that are far beyond most others, unlike all their neighbours; None without any."""
    low, high = (float(value) for value in np.percentile(_sample(colours), (1, 99)))
    reach = FAR * ((high - low) or abs(high) or 1.0)
    far = (colours < low - reach) | (colours > high + reach)
    if least:
        far &= np.abs(colours) > least
    if not far.any():
        return None
    padded = np.pad(far, ((1, 1), (1, 1), *[(0, 0)] * (far.ndim - 2))).astype(np.uint8)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    alone = far & (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] == 1)
    return np.nonzero(alone) if alone.any() else None


def _sample(values: np.ndarray) -> np.ndarray:
    """A sample of at most a million values, enough to find the range of most."""
    return values.reshape(-1)[:: max(1, values.size // 1_000_000)]


def _around(colours: np.ndarray, places: tuple[np.ndarray, ...]) -> np.ndarray:
    """Means of the up to eight values around each place."""
    height, width = colours.shape[:2]
    y, x, *channel = places
    total, count = np.zeros(len(y)), np.zeros(len(y))
    for down, right in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        below, beside = y + down, x + right
        inside = (below >= 0) & (below < height) & (beside >= 0) & (beside < width)
        values = colours[(below.clip(0, height - 1), beside.clip(0, width - 1), *channel)]
        total += np.where(inside, values, 0)
        count += inside
    means = total / count
    return means.round() if colours.dtype.kind == "u" else means


def stretched(photo: Photo) -> tuple[list[np.ndarray], int]:
    """Frames for restoring, and the factor of their colours. 16-bit integers that use 12 bits or fewer, like those of
    many sensors, are stretched to the whole range, and the photo's notes say so; the factor of all others is 1."""
    frames = photo.frames
    if any(frame.dtype != np.uint16 for frame in frames):
        return frames, 1
    bits = _bits(frames)
    if bits > FEW_BITS:
        # Defects are few, so frames with many large values need no search for them.
        if any(np.percentile(_sample(colours_of(frame)), 99) >= 2**FEW_BITS for frame in frames):
            return frames, 1
        trial = Photo(frames)
        mended = without_defects(trial, frames)
        bits = _bits(mended)
        if bits > FEW_BITS:
            return frames, 1
        frames = mended
        for note in trial.notes:
            photo.note(note)
    if not bits:
        return frames, 1
    bits = max(8, bits)
    photo.note(f"values take {bits} of 16 bits, and are restored as {bits} bits")
    factor = 65535 // (2**bits - 1)
    return [_times(frame, factor) for frame in frames], factor


def unstretched(frame: np.ndarray, factor: int) -> np.ndarray:
    """A frame of `stretched` with the values of the file again, rounded."""
    if factor == 1:
        return frame
    values = frame.copy()
    colours = colours_of(values)
    colours[...] = (colours.astype(np.uint32) + factor // 2) // factor
    return values


def _bits(frames: list[np.ndarray]) -> int:
    """Number of bits that integer colours use."""
    return max((int(colours_of(frame).max()) for frame in frames if frame.size), default=0).bit_length()


def _times(frame: np.ndarray, factor: int) -> np.ndarray:
    """A frame with its colours, but not its alpha, multiplied by a factor."""
    values = frame.copy()
    colours_of(values)[...] *= np.uint16(factor)
    return values
