"""What a picture file holds: frames at their own depth, and what goes with them."""

import importlib
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..errors import LncaError

SOFTWARE = 0x0131
CHANNELS = {1: "grey", 2: "grey and alpha", 3: "RGB", 4: "RGBA"}
# Of red, green and blue in grey (ITU-R BT.601, as Pillow has it).
LUMA = (0.299, 0.587, 0.114)

# Formats whose frames are an animation's.
MOVING = ("GIF", "PNG", "WEBP", "AVIF")


class JpegCoding(NamedTuple):
    """How a JPEG file was written: its quantisation tables, in rows, and progressive or not."""

    tables: dict[int, list[int]]
    progressive: bool


@dataclass
class Photo:
    """What a picture file holds.

    Args:
        frames: arrays (H, W), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4), uint8, uint16, or float32 in [0, 1]; more
            than one of animations and of files with several pages. They stand upright.
        exif: of EXIF and TIFF, with the resolution, wherever the file has it; without orientation.
        xmp, icc, iptc: XMP, the colour profile, and IPTC in Photoshop's resources, as they are in the file.
        durations: milliseconds of each frame of an animation; empty otherwise.
        loop: how often an animation is repeated, 0 for ever; None for once.
        cover: the first frame is shown where animations are not, and is not one of the animation.
        comments: texts by keyword; "Comment" where a format has no keywords.
        signal: chunks of PNG that say what its colours mean, by name: gAMA, cHRM, cICP and others.
        pages: EXIF of each frame, where frames have their own; empty otherwise.
        scale: lowest value and range of a floating-point file whose values went beyond [0, 1], or used little of it.
        peak: of linear light, whose frames are codes of `colours.codes_of`, the value of code 1; None otherwise.
        nodata: value of pixels that have none, which are transparent in the frames; None otherwise.
        half: floating point has 16 bits in the file.
        lossless: a file of a format with both kinds lost nothing.
        jpeg: how a JPEG file was written.
        sampling: of the colours in the file, such as "4:2:0"; None where that is not known, or there is none.
        own: what its own format alone understands, by what it is called.
        kind: the format's name.
        notes: what could not stay as it was, one phrase each.
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
        """The same with other frames, and a tag that says how they were made."""
        exif = copy_of(self.exif)
        exif[SOFTWARE] = how
        return replace(self, frames=frames, exif=exif, notes=list(self.notes))

    def note(self, text: str) -> None:
        """Notes what could not stay as it was, once for all frames."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def animated(self) -> bool:
        """Whether several frames follow each other in time."""
        return len(self.frames) > 1 and bool(self.durations or self.loop is not None or self.kind in MOVING)


def copy_of(exif: Image.Exif) -> Image.Exif:
    """EXIF that can be changed without changing the other."""
    copied = Image.Exif()
    copied.load(exif.tobytes())
    return copied


def needed(module: str, what: str) -> ModuleType:
    """An optional library; raises `LncaError` that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LncaError(f"{what} need {module}: pip install 'lnca[io]'") from error


def has_alpha(frame: np.ndarray) -> bool:
    return frame.ndim == 3 and frame.shape[2] in (2, 4)


def in_grey(frame: np.ndarray) -> bool:
    return frame.ndim == 2 or frame.shape[2] < 3


def no_alpha(name: str, channels: int) -> str:
    """A sentence for channels of which nobody says what they are."""
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
    """A frame as (H, W, 3), or (H, W, 4) where it has alpha."""
    if frame.ndim == 3 and frame.shape[2] > 2:
        return frame
    grey = frame[..., None] if frame.ndim == 2 else frame
    return np.ascontiguousarray(grey[..., [0, 0, 0]] if grey.shape[2] == 1 else grey[..., [0, 0, 0, 1]])


def one_grey(frame: np.ndarray) -> np.ndarray:
    """A frame (H, W, 3) or (H, W, 4) whose colours are the same as (H, W), or (H, W, 2) with alpha."""
    return np.ascontiguousarray(frame[..., 0] if frame.shape[2] == 3 else frame[..., [0, 3]])


def of_depth(frame: np.ndarray, dtype: type[np.uint8] | type[np.uint16]) -> np.ndarray:
    """A frame as uint8 or uint16, rounded."""
    if frame.dtype == dtype:
        return frame
    white = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
    wanted = np.iinfo(dtype).max
    return (frame * (wanted / white)).round().astype(dtype)


def full_range(values: np.ndarray, white: int) -> np.ndarray:
    """Whole numbers from 0 to `white` as uint8 or uint16 of their own full range."""
    dtype = np.uint8 if white <= 255 else np.uint16
    full = np.iinfo(dtype).max
    if white == full:
        return values.astype(dtype)
    return (values * (full / white)).round().clip(0, full).astype(dtype)


def as_floats(frame: np.ndarray) -> np.ndarray:
    """Whole numbers as float32 in [0, 1]."""
    return frame.astype(np.float32) / np.iinfo(frame.dtype).max


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Rows and columns as EXIF's orientation, 1 to 8, says."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
