"""Pixels without data, which GDAL marks in TIFF: transparent while a picture is restored, and marked again
afterwards."""

import numpy as np

from ..exif import GDAL_NODATA
from ..photo import Photo, has_alpha


def hide_nodata(photo: Photo) -> None:
    """Makes pixels without data transparent, using GDAL's tag."""
    if GDAL_NODATA not in photo.exif or any(map(has_alpha, photo.frames)):
        return
    text = photo.exif[GDAL_NODATA]
    text = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
    try:
        value = float(text.strip("\0 "))
    except ValueError:
        return
    frames, found = [], False
    for frame in photo.frames:
        pixels = frame if frame.ndim == 3 else frame[..., None]
        wanted = np.asarray(value).astype(frame.dtype) if frame.dtype.kind == "f" else value
        empty = (np.isnan(pixels) if np.isnan(value) else pixels == wanted).all(-1)
        found = found or bool(empty.any())
        full = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
        alpha = np.where(empty, 0, full).astype(frame.dtype)[..., None]
        frames.append(np.concatenate([np.where(empty[..., None], 0, pixels).astype(frame.dtype), alpha], -1))
    if found:
        photo.frames, photo.nodata = frames, value


def with_nodata(photo: Photo, frame: np.ndarray) -> np.ndarray:
    """A frame without alpha, whose transparent pixels have the nodata value again."""
    empty, pixels = frame[..., -1:] == 0, frame[..., :-1]
    values = np.where(empty, np.asarray(photo.nodata).astype(frame.dtype), pixels)
    return values[..., 0] if values.shape[2] == 1 else values
