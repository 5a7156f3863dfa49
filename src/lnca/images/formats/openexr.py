"""OpenEXR: linear light, with 16- or 32-bit floating point."""

import io
from typing import Any, BinaryIO

import numpy as np

from ...errors import LncaError
from ..colours import divided, from_light, from_srgb, multiplied, values_of
from ..photo import Photo, as_floats, colours_of, has_alpha, needed
from ..pillow import check_size, rest_of
from .record import Format, Part, begins

MAGIC = b"\x76\x2f\x31\x01"
COLOURS = ("RGBA", "RGB", "YA", "Y")
CHANNELS, ATTRIBUTES = "channels of OpenEXR that are no colours", "attributes of OpenEXR"
# Attributes for the layout of pixels in a file, and attributes that every file has.
STRUCTURAL = (
    "channels",
    "compression",
    "type",
    "tiles",
    "lineOrder",
    "chunkCount",
    "version",
    "maxSamplesPerPixel",
    "dataWindow",
    "displayWindow",
)
USUAL: dict[str, Any] = {"pixelAspectRatio": 1.0, "screenWindowWidth": 1.0, "screenWindowCenter": [0.0, 0.0]}


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    library = needed("OpenEXR", "OpenEXR pictures")
    content = rest_of(file)
    try:
        pixels_told = 0
        for part in library.File(io.BytesIO(content), header_only=True).parts:
            low, high = part.header["dataWindow"]
            width, height = (int(side) for side in np.asarray(high, np.int64) - low + 1)
            pixels_told = check_size(width, height, name, limit, pixels_told)
        found = library.File(io.BytesIO(content))
    except RuntimeError as error:
        raise LncaError(f"{name} is broken or truncated, or no flat OpenEXR picture; get a whole copy of it") from error
    photo = Photo([], kind="EXR")
    if len(found.parts) > 1:
        photo.note("only the first part of OpenEXR is read")
    channels = {key: channel.pixels for key, channel in found.channels().items()}
    key = next((each for each in COLOURS if each in channels), None)
    if key is None and "Y" in channels and "A" in channels:
        key = "Y"
    if key is None:
        raise LncaError(f"{name} has channels {', '.join(channels)[:80]}, and no R, G and B or Y; rename them first")
    pixels = channels.pop(key)
    if key == "Y" and "A" in channels and {"RY", "BY"}.isdisjoint(channels):
        pixels = np.stack([pixels, channels.pop("A")], -1)
    if not {"RY", "BY"}.isdisjoint(channels):
        raise LncaError(f"{name} has colours as luminance and chroma; convert it to R, G and B first")
    if pixels.dtype.kind != "f":
        raise LncaError(f"{name} has whole numbers as colours; convert it to floating point first")
    photo.half = pixels.dtype == np.float16
    frame = pixels.astype(np.float32)
    photo.frames = [divided(frame) if has_alpha(frame) else frame]
    header = found.header()
    if channels:
        photo.own[CHANNELS] = channels
    told = {key: value for key, value in header.items() if key not in STRUCTURAL and not _usual(key, value)}
    if told or not _whole(header):
        photo.own[ATTRIBUTES] = {**told, **{key: header[key] for key in ("dataWindow", "displayWindow")}}
    return from_light(photo, name)


def _usual(key: str, value: Any) -> bool:
    return key in USUAL and bool(np.allclose(value, USUAL[key]))


def _whole(header: dict[str, Any]) -> bool:
    """Whether the pixels are the whole picture and begin at its corner."""
    data, display = (np.asarray(header[key]) for key in ("dataWindow", "displayWindow"))
    return bool((data == display).all() and not data[0].any())


def write(photo: Photo, file: BinaryIO) -> list[str]:
    library = needed("OpenEXR", "OpenEXR pictures")
    frame = photo.frames[0]
    if frame.dtype.kind == "u":
        frame = as_floats(frame)
        colours = colours_of(frame)
        colours[...] = from_srgb(colours)
    else:
        frame = values_of(photo, frame)
    if has_alpha(frame):
        frame = multiplied(frame)
    half = photo.half or photo.frames[0].dtype == np.uint8
    pixels = np.ascontiguousarray(frame.astype(np.float16 if half else np.float32))
    channels: dict[str, Any] = (
        {"RGBA"[: pixels.shape[2]]: pixels}
        if pixels.ndim == 3 and pixels.shape[2] > 2
        else ({"Y": pixels} if pixels.ndim == 2 else {"Y": pixels[..., 0].copy(), "A": pixels[..., 1].copy()})
    )
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    header |= photo.own.get(ATTRIBUTES, {})
    library.File(header, channels | photo.own.get(CHANNELS, {})).write(file)
    return []


EXR = Format(
    name="EXR",
    suffixes=(".exr",),
    media="image/x-exr",
    recognise=begins(MAGIC),
    read=read,
    write=write,
    keeps=frozenset({Part.FLOAT, Part.ALPHA}),
    library="OpenEXR",
    any_values=True,
)
