"""The content of a picture file: frames at their own bit depth, and metadata."""

import importlib
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..errors import LncaError

SOFTWARE = 0x0131
CHANNELS = {1: "grey", 2: "grey and alpha", 3: "RGB", 4: "RGBA"}
# Weights of red, green and blue in grey (ITU-R BT.601, as in Pillow).
LUMA = (0.299, 0.587, 0.114)

# Formats whose frames are an animation.
MOVING = ("GIF", "PNG", "WEBP", "AVIF")


class JpegCoding(NamedTuple):
    """Coding of a JPEG file: its quantisation tables, in rows, and whether it is progressive."""

    tables: dict[int, list[int]]
    progressive: bool


@dataclass
class Photo:
    """The content of a picture file.

    Args:
        frames: arrays (H, W), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4), uint8, uint16, or float32 in [0, 1];
            several for animations and for files with several pages. They are upright.
        exif: tags of EXIF and TIFF, with the resolution from wherever the file has it; without orientation.
        xmp, icc, iptc: XMP, the colour profile, and IPTC in Photoshop's resources, unchanged from the file.
        durations: milliseconds of each frame of an animation; empty otherwise.
        loop: number of repetitions of an animation, 0 for endless; None for a single run.
        cover: the first frame is not part of the animation; viewers without animations show it.
        comments: texts by keyword; "Comment" if the format has no keywords.
        signal: PNG chunks that define its colours, by name: gAMA, cHRM, cICP and others.
        pages: EXIF of each frame, if frames have their own; empty otherwise.
        scale: lowest value and range of a floating-point file whose values went beyond [0, 1], or used little of it.
        peak: for linear light, whose frames are codes of `colours.codes_of`, the light of code 1; None otherwise.
        nodata: value that marks pixels without data, which are transparent in the frames; None otherwise.
        half: whether the file has 16-bit floating point.
        lossless: whether the file is lossless, for formats that have both kinds.
        jpeg: coding of a JPEG file.
        sampling: chroma subsampling of the file, such as "4:2:0"; None if unknown, or without colours.
        own: parts that only its own format understands, by name.
        kind: name of the format.
        notes: what could not be kept, one phrase each.
    """

    frames: list[np.ndarray]
    exif: Image.Exif = field(default_factory=Image.Exif)
    xmp: bytes | None = None
    icc: bytes | None = None
    durations: list[int] = field(default_factory=list)
    loop: int | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    kind: str = "TIFF"
    notes: list[str] = field(default_factory=list)
    iptc: bytes | None = None
    cover: bool = False
    comments: dict[str, str] = field(default_factory=dict)
    signal: dict[str, bytes] = field(default_factory=dict)
    pages: list[Image.Exif] = field(default_factory=list)
    peak: float | None = None
    nodata: float | None = None
    half: bool = False
    lossless: bool = False
    jpeg: JpegCoding | None = None
    sampling: str | None = None
    own: dict[str, Any] = field(default_factory=dict)

    def restored(self, frames: list[np.ndarray], how: str) -> "Photo":
        """A copy with restored frames, and a tag that says how they were made."""
        exif = copy_of(self.exif)
        exif[SOFTWARE] = how
        return replace(self, frames=frames, exif=exif, notes=list(self.notes))

    def note(self, text: str) -> None:
        """Notes what could not be kept, once for all frames."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def animated(self) -> bool:
        """Whether several frames follow each other in time."""
        return len(self.frames) > 1 and bool(self.durations or self.loop is not None or self.kind in MOVING)


def copy_of(exif: Image.Exif) -> Image.Exif:
    """A copy of EXIF that can be changed independently."""
    copied = Image.Exif()
    copied.load(exif.tobytes())
    return copied


def needed(module: str, what: str) -> ModuleType:
    """Imports an optional library; the `LncaError` says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LncaError(f"{what} need {module}: pip install 'lnca[io]'") from error


def has_alpha(frame: np.ndarray) -> bool:
    return frame.ndim == 3 and frame.shape[2] in (2, 4)


def in_grey(frame: np.ndarray) -> bool:
    return frame.ndim == 2 or frame.shape[2] < 3


def no_alpha(name: str, channels: int) -> str:
    """The error message for channels with an unknown meaning."""
    return (
        f"{name} has {channels} channels, and does not say that what is beyond {CHANNELS[channels - 1]} is alpha; "
        "keep the colours alone, and each other channel as a grey picture, or have the file say that it is alpha"
    )


def colours_of(frame: np.ndarray) -> np.ndarray:
    """A view of a frame without its alpha channel."""
    return frame[..., :-1] if has_alpha(frame) else frame


def without_alpha(frame: np.ndarray) -> np.ndarray:
    """A frame without its alpha channel, (H, W) or (H, W, 3)."""
    colours = colours_of(frame)
    return colours[..., 0] if colours.ndim == 3 and colours.shape[2] == 1 else colours


def in_colour(frame: np.ndarray) -> np.ndarray:
    """A frame as (H, W, 3), or (H, W, 4) with alpha."""
    if frame.ndim == 3 and frame.shape[2] > 2:
        return frame
    grey = frame[..., None] if frame.ndim == 2 else frame
    return np.ascontiguousarray(grey[..., [0, 0, 0]] if grey.shape[2] == 1 else grey[..., [0, 0, 0, 1]])


def one_grey(frame: np.ndarray) -> np.ndarray:
    """A grey frame (H, W), or (H, W, 2) with alpha, from (H, W, 3) or (H, W, 4) with three equal colours."""
    return np.ascontiguousarray(frame[..., 0] if frame.shape[2] == 3 else frame[..., [0, 3]])


def of_depth(frame: np.ndarray, dtype: type[np.uint8] | type[np.uint16]) -> np.ndarray:
    """A frame as uint8 or uint16, rounded."""
    if frame.dtype == dtype:
        return frame
    white = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
    wanted = np.iinfo(dtype).max
    return (frame * (wanted / white)).round().astype(dtype)


def full_range(values: np.ndarray, white: int) -> np.ndarray:
    """Scales integers from 0 to `white` to the full range of uint8 or uint16."""
    dtype = np.uint8 if white <= 255 else np.uint16
    full = np.iinfo(dtype).max
    if white == full:
        return values.astype(dtype)
    return (values * (full / white)).round().clip(0, full).astype(dtype)


def as_floats(frame: np.ndarray) -> np.ndarray:
    """Integers as float32 in [0, 1]."""
    return frame.astype(np.float32) / np.iinfo(frame.dtype).max


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turns rows and columns upright, by EXIF's orientation from 1 to 8."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
